"""The story of an outage: a provider that fails and then works again, and what each limit has counted by then. Runs the dev server with a
webhook of its own, asks for codes of every kind while the webhook fails, and again when it works. Prints the story and its table, and
ends with an error if somebody is shut out.

    python3 bench/outage.py

Needs nothing but Python.
"""

import http.server
import json
import re
import sys
import threading
import time

from dev_server import connect, dev_server, send

TRIES = 12
PASSWORD = "correct horse 42"
# What the webhook answers, and what it was handed last.
PROVIDER = {"status": 204, "text": "", "handed over": 0}


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        PROVIDER["text"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["text"]
        PROVIDER["handed over"] += 1
        self.send_response(PROVIDER["status"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def code():
    return re.search(r"\d{6}", PROVIDER["text"])[0]


class Client:
    def __init__(self, address, phone):
        self.connection, self.phone, self.token, self.registration = connect(address), phone, None, None

    def post(self, path, **body):
        return send(self.connection, "POST", path, body, self.token)

    def registered(self):
        status, body = self.post("/auth/register", phone=self.phone, password=PASSWORD)
        if status != 202:
            sys.exit(f"register answered {status}: {body}")
        self.post("/auth/activate", activation_id=body["activation_id"], otp=code())
        _, body = self.post("/auth/login", phone=self.phone, password=PASSWORD)
        self.token = body["access_token"]
        time.sleep(1.1)
        return self


def kinds(address):
    """For each kind of code: how it is asked for, and how it is shown."""
    newcomer = Client(address, "+201012345670")
    forgetful, mover = (Client(address, phone).registered() for phone in ("+201012345671", "+201012345672"))

    def register():
        status, body = newcomer.post("/auth/register", phone=newcomer.phone, password=PASSWORD)
        newcomer.registration = body.get("activation_id", newcomer.registration)
        return status

    return {
        "register": (register, lambda: newcomer.post("/auth/activate", activation_id=newcomer.registration, otp=code())[0]),
        "request-reset": (
            lambda: forgetful.post("/auth/request-reset", phone=forgetful.phone)[0],
            lambda: forgetful.post("/auth/verify-reset", phone=forgetful.phone, otp=code(), new_password="another horse 43")[0],
        ),
        "change-phone": (
            lambda: mover.post("/auth/change-phone", phone="+201112345672", password=PASSWORD)[0],
            lambda: mover.post("/auth/change-phone/verify", phone="+201112345672", otp=code())[0],
        ),
    }


def main():
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    variables = [
        "SMS_PROVIDER=http",
        "SMS_FLOOR_MS=300",
        "REQUIRE_ACTIVATION=true",
        "OTP_EXPOSE=false",
        "LIMIT_LOGIN_PER_ADDRESS=1000",
        f"SMS_API_URL=http://127.0.0.1:{provider.server_port}/hook",
    ]
    secret = json.dumps({"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="})
    rows, shut_out = [], []
    with dev_server(*variables, environment={"RUST_LOG": "off", "SMS_CREDENTIALS": secret}) as address:
        for kind, (ask, show) in kinds(address).items():
            # A code arrives, and then the provider is down.
            first = ask()
            arrived = PROVIDER["text"]
            PROVIDER["status"] = 500
            during = []
            for _ in range(TRIES):
                time.sleep(1.05)
                during.append(ask())
            PROVIDER["status"] = 204
            time.sleep(1.05)
            before = PROVIDER["handed over"]
            after = ask()
            sent = PROVIDER["handed over"] - before
            shown = show()
            rows.append((kind, first, sorted(set(during)), after, sent, shown))
            if after != 202 or sent != 1 or shown not in (200, 201, 204) or not arrived:
                shut_out.append(kind)
    print(f"A code arrives; the provider answers 500 to the next {TRIES} requests; then it works again.\n")
    print("| asked for by | before | during the outage | after it | messages sent then | that code |")
    print("|---|---|---|---|---|---|")
    for kind, first, during, after, sent, shown in rows:
        print(f"| {kind} | {first} | {', '.join(map(str, during))} | {after} | {sent} | {shown} |")
    if shut_out:
        sys.exit(f"\nshut out: {', '.join(shut_out)}")
    print("\nNobody is shut out.")


main()
