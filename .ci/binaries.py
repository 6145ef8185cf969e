"""Runs each function's real binary on the real Runtime API (AWS's Runtime Interface Emulator, which the SAM CLI
ships) and sends it its event from events/, against the dev server's table.

    binaries.py FOLDER-OF-BINARIES

`rotate-keys` is sent what an operator sends it: Secrets Manager's own steps need a rotation that Secrets Manager began.

A binary is FOLDER/NAME (cargo) or FOLDER/NAME/bootstrap (cargo lambda).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import samcli

from dev_server import ROOT, dev_server

EMULATOR = pathlib.Path(samcli.__file__).parent / "local/rapid/aws-lambda-rie-x86_64"
# In this order, each on what those before it left.
EXPECTED = {
    "register": 201,
    # The events' registration is none.
    "activate": 400,
    "resend-activation": 422,
    "login": 200,
    "login-mfa": 401,
    "refresh": 200,
    "sessions": 200,
    "me": 200,
    "me-export": 200,
    # A function without a route answers with something else than a status.
    "authorizer": lambda answer: answer.get("isAuthorized") and set(answer["context"]) == {"sub", "sid"},
    "verify-phone": 202,
    "verify-phone-confirm": 204,
    "mfa-enroll": 200,
    # The event's code is not the authenticator's, and so nothing is on.
    "mfa-confirm": 400,
    "mfa-disable": 404,
    "mfa-recovery-codes": 404,
    "change-phone": 202,
    # The event's code is not the one that was sent.
    "change-phone-verify": 400,
    "change-password": 204,
    # The event names a session that is not there.
    "sessions-delete": 404,
    "logout-all": 204,
    # The end of a session that has ended is a success.
    "logout": 204,
    "request-reset": 202,
    "verify-reset": 204,
    "login again": 200,
    "me-delete": 204,
    "jwks": 200,
    "openid-configuration": 200,
    "rotate-keys": lambda answer: answer.get("removed") and answer.get("signs") not in (answer["removed"], None),
    "docs": 200,
    "health": 200,
}


def invoke(url, event):
    """Sends one event, as soon as the emulator listens."""
    request = urllib.request.Request(url, data=json.dumps(event).encode())
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except ConnectionRefusedError:
            time.sleep(0.1)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.1)
    sys.exit("the emulator did not start")


def run(binary, event, environment, port):
    """One invocation in a fresh sandbox: the answer, and what the sandbox said of itself."""
    listen = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    listen += ["--runtime-api-address", f"127.0.0.1:{port + 1000}"]
    command = [str(EMULATOR), "--log-level", "info", *listen, str(binary)]
    with tempfile.TemporaryFile(mode="w+") as log:
        sandbox = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            answer = invoke(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", event)
        finally:
            sandbox.terminate()
            sandbox.wait()
        log.seek(0)
        return answer, log.read()


def kept_secrets(data):
    """The secrets of the dev server that no log may have: each value, and each private key in one."""
    secrets = json.loads((pathlib.Path(data) / "secrets.json").read_text())
    for version in (version for secret in secrets.values() for version in secret["versions"].values()):
        yield version["value"]
        if version["value"].startswith("{"):
            yield from (key["private_key"] for key in json.loads(version["value"]).get("keys", []))


def main(folder):
    folder = pathlib.Path(folder)
    token, refresh_token, code, kid, failed = None, None, None, None, []
    with tempfile.TemporaryDirectory() as data, dev_server("--data", data):
        lines = (pathlib.Path(data) / "lambda.env").read_text().splitlines()
        pairs = [line.split("=", 1) for line in lines]
        environment = dict(os.environ) | {name: value.strip('"') for name, value in pairs}
        environment["RUST_LOG"] = "trace"
        # Where the events say that they were sent.
        environment["API_URL"] = "https://latchkey.execute-api.eu-west-1.amazonaws.com"
        for at, (name, expected) in enumerate(EXPECTED.items()):
            again, name = name.endswith(" again"), name.removesuffix(" again")
            event = json.loads((ROOT / f"events/{name}.json").read_text())
            if "authorization" in event.get("headers", {}):
                event["headers"]["authorization"] = f"Bearer {token}"
            if name == "rotate-keys":
                # No rotation is pending: the key is removed as one that has leaked.
                event = {"remove_key": kid}
            if name in ("verify-reset", "verify-phone-confirm"):
                body = json.loads(event["body"])
                event["body"] = json.dumps(body | {"otp": code})
            if again:
                event["body"] = event["body"].replace("mypassword", "newPass456")
            if name == "refresh":
                event["body"] = json.dumps({"refresh_token": refresh_token})
            binary = folder / name
            if binary.is_dir():
                binary = binary / "bootstrap"
            answer, log = run(binary, event, environment, 18085 + at)
            # A body of login or request-reset is a secret: only what kind of problem it is, is told.
            body = json.loads(answer.get("body") or "{}") if name not in ("docs",) else {}
            token = body.get("access_token", token)
            refresh_token = body.get("refresh_token", refresh_token)
            code = body.get("otp", code)
            kid = body["keys"][0]["kid"] if "keys" in body else kid
            init = next((part for part in log.split("\n") if "INIT REPORT" in part), "")
            init = init.split("durationMs: ")[-1].split(")")[0] if init else "?"
            if event.get("rawPath", "").startswith("/auth/"):
                audited = [line for line in log.split("\n") if f'"event":"{name}"' in line and '"audit":1' in line]
                assert len(audited) == 1, f"{name} wrote {len(audited)} audit events"
            secrets = [token, refresh_token, code, "mypassword", "newPass", "01012345678", "201012345678"]
            secrets.extend(kept_secrets(data))
            # What SMS_PROVIDER=log is for, and the only line that may have a code or a phone.
            log = "\n".join(line for line in log.split("\n") if "SMS not sent, only logged" not in line)
            if any(secret and secret in log for secret in secrets):
                failed.append(f"{name} (its log has a secret)")
            print(f"{name}: {answer.get('statusCode', '')} {body.get('code', '')} (init {init} ms)")
            if not (expected(answer) if callable(expected) else answer.get("statusCode") == expected):
                failed.append(name)
    if failed:
        sys.exit(f"not answered as expected: {', '.join(failed)}")


main(sys.argv[1])
