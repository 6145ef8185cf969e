"""Measures whether the time of a response reveals who is registered, with known and unknown phones, interleaved, on the dev server:
for requests for a code, with a provider that takes its time, fails, or is too slow; and for wrong passwords, codes, proofs and
tokens. Prints the medians, how far they are apart, and as a control how far two series of unknown phones are apart.

    python3 bench/timing.py [SAMPLES]

Needs nothing but Python. docs/threats.md#l7 and docs/threats.md#l8 ask for less than 5 % between the medians. Nothing fails by a time.
Takes SAMPLES / 10 minutes; 200 if none are given.
"""

import base64
import http.server
import json
import math
import pathlib
import random
import re
import secrets
import statistics
import sys
import tempfile
import threading
import time

from dev_server import connect, dev_server, send, totp

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
    "LIMIT_PHONES_PER_ADDRESS=1000",
    "LIMIT_MESSAGES_PER_COUNTRY=100000",
    "LIMIT_MESSAGES_TOTAL=100000",
]
# The key that signs requests to the provider, which ignores the signature. Failures are on purpose, so they are not logged.
ENVIRONMENT = {"RUST_LOG": "off", "SMS_CREDENTIALS": json.dumps({"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="})}


def make_account(connection, phone):
    _, body = send(connection, "POST", "/auth/register", {"phone": phone, "password": "mypassword"})
    code = re.search(r"\d{6}", PROVIDER["text"])[0]
    send(connection, "POST", "/auth/activate", {"activation_id": body["activation_id"], "otp": code})


def compare(name, send_one, groups, samples, expected):
    """Sends a request for each group in each round, in random order, and prints what their times tell. `groups` has what each
    request is about: known, unknown, and unknown once more."""
    times = {kind: [] for kind in groups}
    for at in range(samples):
        for kind in random.sample(list(groups), len(groups)):
            one = groups[kind][at % len(groups[kind])]
            started = time.perf_counter()
            status, _ = send_one(one)
            seconds = time.perf_counter() - started
            if status != expected:
                sys.exit(f"{name} returned status {status}, and not {expected}")
            times[kind].append(seconds * 1000)
    print(name)
    for kind, values in times.items():
        print(f"  {kind:8} median {statistics.median(values):.2f} ms, {min(values):.2f} to {max(values):.2f} ms, {len(values)} samples")
    [known, unknown, again] = times.values()
    resampled = sorted(apart(random.choices(known, k=samples), random.choices(unknown, k=samples))[0] for _ in range(1_000))
    ms, percent = apart(known, unknown)
    control_ms, control = apart(again, unknown)
    print(f"  apart    {ms:+.2f} ms, {abs(percent):.2f} % (95 % of resamples: {resampled[25]:+.2f} to {resampled[974]:+.2f} ms)")
    print(f"  control  {control_ms:+.2f} ms, {abs(control):.2f} %", flush=True)


def apart(one, other):
    """Returns the difference of two medians, in milliseconds and as a percentage of the second."""
    medians = statistics.median(one), statistics.median(other)
    return medians[0] - medians[1], (medians[0] - medians[1]) / medians[1] * 100


def unknown_groups(count):
    return {"unknown": [f"+2011123{at:05}" for at in range(count)], "again": [f"+2012123{at:05}" for at in range(count)]}


def requests_for_codes(samples):
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    url = f"SMS_API_URL=http://127.0.0.1:{provider.server_port}"
    with dev_server(*VARIABLES, url, environment=ENVIRONMENT) as address:
        connection = connect(address)
        phones = {"known": [f"+2010123{at:05}" for at in range(PHONES)]} | unknown_groups(PHONES)
        for phone in phones["known"]:
            make_account(connection, phone)

        def measure(path, extra):
            low, high = PROVIDER["takes"]
            name = f"{path}, provider {low:.2f} to {high:.2f} s, status {PROVIDER['status']}"
            compare(name, lambda phone: send(connection, "POST", path, {"phone": phone} | extra), phones, samples, 202)

        for takes, status in [(VARYING, 204), (VARYING, 500), (SLOW, 204)]:
            PROVIDER.update(takes=takes, status=status)
            for path in ["/auth/request-reset", "/auth/code"]:
                measure(path, {})
        PROVIDER.update(takes=STEADY, status=204)
        measure("/auth/register", {"password": "otherpassword"})
    provider.shutdown()


class Table:
    """The dev server's table, which the folder of its data has the key of. Tells the accounts of long ago."""

    def __init__(self, connection, folder):
        text = (pathlib.Path(folder) / "lambda.env").read_text()
        self.connection, self.variables = connection, dict(re.findall(r'^(\w+)="(.*)"$', text, re.MULTILINE))

    def age(self, phone):
        """Moves the time at which a code last proved this phone back by 200 days."""
        long_ago = int(time.time() - 200 * 86_400) * 1000
        body = {
            "TableName": self.variables["TABLE_NAME"],
            "Key": {"pk": {"S": f"PHONE#{phone}"}, "sk": {"S": "CREDENTIAL"}},
            "UpdateExpression": "SET phone_proved_at = :at",
            "ExpressionAttributeValues": {":at": {"N": str(long_ago)}},
        }
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.variables['AWS_ACCESS_KEY_ID']}/",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.UpdateItem",
        }
        self.connection.request("POST", "/dev/dynamodb", json.dumps(body), headers)
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status


def wrong_proofs(samples, folder):
    """Measures wrong passwords, codes, proofs and tokens. Each phone gets five of a kind: the sixth would wait."""
    codes = {}

    def read(line):
        if found := re.search(r"^SMS to (\+\d+): .*?(\d{6})", line):
            codes[found[1]] = found[2]

    limits = ["LIMIT_MESSAGES_PER_COUNTRY=100000", "LIMIT_MESSAGES_TOTAL=100000", "LIMIT_PHONES_PER_ADDRESS=1000"]
    variables = ["OTP_EXPOSE=false", "REQUIRE_ACTIVATION=false", "LIMIT_MESSAGES_PER_ADDRESS=100000", *limits]
    with dev_server(*variables, folder=folder, each_line=read) as address:
        connection = connect(address)

        def post(path, **body):
            return send(connection, "POST", path, body)

        def by_code(phone):
            """Asks for a code to sign in with, and sends it. Returns the response."""
            codes.pop(phone, None)
            challenge = post("/auth/code", phone=phone)[1]["challenge"]
            until = time.monotonic() + 3
            while phone not in codes and time.monotonic() < until:
                time.sleep(0.002)
            return post("/auth/code/verify", challenge=challenge, otp=codes.pop(phone))

        count = math.ceil(samples / 5)
        phones = {"known": [f"+2010123{at:05}" for at in range(2 * count)]} | unknown_groups(2 * count)
        for phone in phones["known"][:count]:
            assert post("/auth/register", phone=phone, password="mypassword")[0] == 201
        for phone in phones["known"][count:]:
            # An account without a password, which a second factor opens.
            token = by_code(phone)[1]["access_token"]
            secret = send(connection, "POST", "/auth/mfa/enroll", {}, token)[1]["secret"]
            assert send(connection, "POST", "/auth/mfa/confirm", {"code": totp(secret)}, token)[0] == 200

        def ask(path):
            """Asks for a code to each phone. Returns their challenges by group."""
            return {kind: [post(path, phone=phone)[1]["challenge"] for phone in some[:count]] for kind, some in phones.items()}

        def some(begin):
            return {kind: phones[kind][begin : begin + count] for kind in phones}

        def measure(name, send_one, groups, expected):
            compare(name, send_one, groups, samples, expected)

        wrong = {"password": "another password"}
        measure("/auth/login, wrong password", lambda phone: post("/auth/login", phone=phone, **wrong), some(0), 401)
        # A code is right once in a million tries, which ends the measurement by its status.
        code = {"otp": "000000"}
        reset = code | {"new_password": "newpassword"}
        challenges = ask("/auth/code")
        measure("/auth/code/verify, wrong code", lambda one: post("/auth/code/verify", challenge=one, **code), challenges, 400)
        challenges = ask("/auth/request-reset")
        verify = "/auth/verify-reset"
        measure(f"{verify} by challenge, wrong code", lambda one: post(verify, challenge=one, **reset), challenges, 400)
        measure(f"{verify} by phone, wrong code", lambda phone: post(verify, phone=phone, **reset), some(0), 400)

        # Each known phone gets another owner, so that the account that had it is parked.
        table, tokens = Table(connection, folder), []
        time.sleep(1.1)
        for phone in phones["known"]:
            table.age(phone)
            tokens.append(by_code(phone)[1]["mfa_token"])
            assert post("/auth/start-anew", mfa_token=tokens[-1])[0] == 200
        recover = "/auth/recover"
        measure(f"{recover}, wrong password", lambda phone: post(recover, phone=phone, **wrong), some(0), 401)
        factor = {"recovery_code": "-".join(["ABCD"] * 6)}
        measure(f"{recover}, wrong recovery code", lambda phone: post(recover, phone=phone, **factor), some(count), 401)
        # What only looks like a token, and one whose signature is another's. Who holds a token may learn that its sign-in is over.
        known = [token[:-20] + other[-20:] for token, other in zip(tokens, tokens[1:])]
        made_up = [[invented(tokens[0]) for _ in range(count)] for _ in range(2)]
        groups = {"changed": known, "made up": made_up[0], "again": made_up[1]}
        measure("/auth/start-anew, token that is not ours", lambda token: post("/auth/start-anew", mfa_token=token), groups, 401)


def invented(token):
    """Returns a token with this header, this issuer and these times, of another user and with another signature."""
    header, claims, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    sealed = base64.urlsafe_b64decode(claims["sub"] + "=" * (-len(claims["sub"]) % 4))
    claims["sub"] = encoded(sealed[:1] + secrets.token_bytes(len(sealed) - 1))
    return f"{header}.{encoded(json.dumps(claims, separators=(',', ':')).encode())}.{encoded(secrets.token_bytes(64))}"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main(samples):
    with tempfile.TemporaryDirectory() as folder:
        wrong_proofs(samples, folder)
    requests_for_codes(samples)


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
