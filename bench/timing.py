"""Whether the time of an answer tells who is registered: `request-reset`, and `register` where phones have to be activated, for
known and unknown phones, interleaved, against the dev server with a provider that takes its time. Prints the medians and how far
they are apart.

    python3 bench/timing.py [SAMPLES]

Needs nothing but Python. SECURITY L8 and 2.6 ask for less than 5 % between the medians.
"""

import http.client
import http.server
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a provider needs, in seconds. Where a floor hides it, never the same twice; where a message is sent in either case, always
# the same, so that what is ours does not drown in what is not.
VARYING, STEADY = (0.02, 0.15), (0.05, 0.05)
FLOOR_MS = 300
PHONES = 20
# What the provider was sent last, and how long it takes.
PROVIDER = {"text": "", "takes": VARYING}


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        PROVIDER["text"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["text"]
        time.sleep(random.uniform(*PROVIDER["takes"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def start_dev_server(provider):
    command = ["cargo", "run", "--quiet", "--", "--memory", "--port", "0"]
    for variable in [
        "SMS_PROVIDER=http",
        f"SMS_API_URL=http://127.0.0.1:{provider}",
        f"SMS_FLOOR_MS={FLOOR_MS}",
        "REQUIRE_ACTIVATION=true",
        "LIMIT_REGISTER_PER_ADDRESS=100000",
        "LIMIT_SMS_PER_PHONE=100000",
        "LIMIT_SMS_PER_ADDRESS=100000",
        "LIMIT_SMS_PER_COUNTRY=100000",
        "LIMIT_SMS_TOTAL=100000",
    ]:
        command += ["--env", variable]
    environment = dict(os.environ) | {"SMS_CREDENTIALS": json.dumps({"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="})}
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    for line in server.stdout:
        if line.startswith("Latchkey is ready on http://"):
            # Its lines are not read any more, which it bears.
            threading.Thread(target=lambda: [None for _ in server.stdout], daemon=True).start()
            return server, line.split("//")[1].strip()
    sys.exit("the dev server did not start")


def post(connection, path, body):
    started = time.perf_counter()
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, time.perf_counter() - started, body


def make_account(connection, phone):
    _, _, body = post(connection, "/auth/register", {"phone": phone, "password": "mypassword"})
    code = re.search(r"\d{6}", PROVIDER["text"])[0]
    post(connection, "/auth/activate", {"activation_id": json.loads(body)["activation_id"], "otp": code})


def compare(connection, path, extra, known, unknown, samples):
    times = {"known": [], "unknown": []}
    for at in range(samples):
        for kind, phones in random.sample([("known", known), ("unknown", unknown)], 2):
            status, seconds, _ = post(connection, path, {"phone": phones[at % len(phones)]} | extra)
            if status != 202:
                sys.exit(f"{path} answered {status}")
            times[kind].append(seconds * 1000)
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    apart = abs(medians["known"] - medians["unknown"]) / medians["unknown"] * 100
    low, high = PROVIDER["takes"]
    print(f"{path}, provider {low:.2f} to {high:.2f} s")
    for kind, values in times.items():
        low, high = min(values), max(values)
        print(f"  {kind:8} median {medians[kind]:.2f} ms, {low:.2f} to {high:.2f} ms, {len(values)} samples")
    print(f"  apart    {apart:.2f} %")


def main(samples):
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    server, address = start_dev_server(provider.server_port)
    try:
        connection = http.client.HTTPConnection(address)
        known = [f"+2010123{at:05}" for at in range(PHONES)]
        unknown = [f"+2011123{at:05}" for at in range(PHONES)]
        for phone in known:
            make_account(connection, phone)
        compare(connection, "/auth/request-reset", {}, known, unknown, samples)
        PROVIDER["takes"] = STEADY
        compare(connection, "/auth/register", {"password": "otherpassword"}, known, unknown, samples)
    finally:
        server.terminate()
        server.wait()
        provider.shutdown()


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
