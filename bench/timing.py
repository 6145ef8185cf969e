"""Measures whether the time of a response reveals who is registered: for `request-reset` and `code`, and for `register` if phones have to be
activated, with known and unknown phones, interleaved, on the dev server, with a provider that takes its time, fails, or is too slow.
Prints the medians and the difference between them.

    python3 bench/timing.py [SAMPLES]

Needs nothing but Python. docs/threats.md#l7 and docs/threats.md#l8 ask for less than 5 % between the medians.
"""

import http.server
import json
import random
import re
import statistics
import sys
import threading
import time

from dev_server import connect, dev_server, send

# The time that a provider takes, in seconds. It varies where a floor hides it. It is steady where a message is sent in either case, so
# that it does not hide a difference of our own.
VARYING, STEADY, SLOW = (0.02, 0.15), (0.05, 0.05), (0.4, 0.5)
FLOOR_MS = 300
PHONES = 20
# The last text that the provider received, the time that it takes, and the status that it returns.
PROVIDER = {"text": "", "takes": VARYING, "status": 204}


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        PROVIDER["text"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["text"]
        time.sleep(random.uniform(*PROVIDER["takes"]))
        self.send_response(PROVIDER["status"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


VARIABLES = [
    "SMS_PROVIDER=http",
    f"SMS_FLOOR_MS={FLOOR_MS}",
    "REQUIRE_ACTIVATION=true",
    "LIMIT_REGISTER_PER_ADDRESS=100000",
    "LIMIT_MESSAGES_PER_PHONE=100000",
    "LIMIT_MESSAGES_PER_ADDRESS=100000",
    "LIMIT_MESSAGES_PER_COUNTRY=100000",
    "LIMIT_MESSAGES_TOTAL=100000",
]
# The key that signs requests to the provider, which ignores the signature. Failures are on purpose, so they are not logged.
ENVIRONMENT = {"RUST_LOG": "off", "SMS_CREDENTIALS": json.dumps({"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="})}


def make_account(connection, phone):
    _, body = send(connection, "POST", "/auth/register", {"phone": phone, "password": "mypassword"})
    code = re.search(r"\d{6}", PROVIDER["text"])[0]
    send(connection, "POST", "/auth/activate", {"activation_id": body["activation_id"], "otp": code})


def compare(connection, path, extra, known, unknown, samples):
    times = {"known": [], "unknown": []}
    for at in range(samples):
        for kind, phones in random.sample([("known", known), ("unknown", unknown)], 2):
            started = time.perf_counter()
            status, _ = send(connection, "POST", path, {"phone": phones[at % len(phones)]} | extra)
            seconds = time.perf_counter() - started
            if status != 202:
                sys.exit(f"{path} returned status {status}, and not 202")
            times[kind].append(seconds * 1000)
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    apart = abs(medians["known"] - medians["unknown"]) / medians["unknown"] * 100
    low, high = PROVIDER["takes"]
    print(f"{path}, provider {low:.2f} to {high:.2f} s, status {PROVIDER['status']}")
    for kind, values in times.items():
        low, high = min(values), max(values)
        print(f"  {kind:8} median {medians[kind]:.2f} ms, {low:.2f} to {high:.2f} ms, {len(values)} samples")
    print(f"  apart    {apart:.2f} %")


def main(samples):
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    url = f"SMS_API_URL=http://127.0.0.1:{provider.server_port}"
    with dev_server(*VARIABLES, url, environment=ENVIRONMENT) as address:
        connection = connect(address)
        known = [f"+2010123{at:05}" for at in range(PHONES)]
        unknown = [f"+2011123{at:05}" for at in range(PHONES)]
        for phone in known:
            make_account(connection, phone)
        for takes, status in [(VARYING, 204), (VARYING, 500), (SLOW, 204)]:
            PROVIDER.update(takes=takes, status=status)
            for path in ["/auth/request-reset", "/auth/code"]:
                compare(connection, path, {}, known, unknown, samples)
        PROVIDER.update(takes=STEADY, status=204)
        compare(connection, "/auth/register", {"password": "otherpassword"}, known, unknown, samples)
    provider.shutdown()


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
