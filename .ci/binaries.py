"""Runs each function's real binary on the real Runtime API (AWS's Runtime Interface Emulator, which the SAM CLI
ships) and sends it its event from events/, against the dev server's table.

    binaries.py FOLDER-OF-BINARIES

`rotate-keys` gets an operator's event, because Secrets Manager's own steps need a rotation that Secrets Manager began.

A binary is FOLDER/NAME (cargo) or FOLDER/NAME/bootstrap (cargo lambda).
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import samcli

from dev_server import ROOT, dev_server

EMULATOR = pathlib.Path(samcli.__file__).parent / "local/rapid/aws-lambda-rie-x86_64"
# The events in their order, each with its expected response; local/tests/it/events.rs explains their members.
STEPS = json.loads((ROOT / "events/answers.json").read_text())
# Further checks of responses that have no status.
MORE = {
    "authorizer": lambda answer: set(answer["context"]) == {"sub", "sid"},
    "rotate-keys": lambda answer: answer["signs"] not in (answer["removed"], None),
}
# The only placeholder in the events that does not stand for a secret.
KEY_ID = "put-a-key-id-here"


def replaced(value, texts):
    """Returns an event or a response with these texts replaced."""
    text = json.dumps(value)
    for old, new in texts.items():
        text = text.replace(old, new)
    return json.loads(text)


def body_of(answer):
    """Returns the body of an HTTP response, or the response to another event. Empty if it is not JSON."""
    try:
        return json.loads(answer["body"] or "{}") if "statusCode" in answer else answer
    except ValueError:
        return {}


def found(value, pointer):
    """Returns the value at a JSON pointer."""
    for part in pointer.split("/")[1:]:
        value = value[int(part) if isinstance(value, list) else part]
    return value


def invoke(url, event):
    """Sends one event as soon as the emulator listens, and returns the response."""
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


def free_port():
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(binary, event, environment):
    """Invokes a function once in a fresh sandbox. Returns the response and the sandbox's log."""
    port = free_port()
    listen = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    listen += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
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
    """Yields the dev server's secrets, which no log may contain: each value, and each key in one."""
    secrets = json.loads((pathlib.Path(data) / "secrets.json").read_text())
    for version in (version for secret in secrets.values() for version in secret["versions"].values()):
        yield version["value"]
        if version["value"].startswith("{"):
            keys = json.loads(version["value"]).get("keys", [])
            # Signing keys, and versions of the master secret.
            yield from (key.get("private_key") or key["key"] for key in keys)


def main(folder):
    folder = pathlib.Path(folder)
    kept, failed = {}, []
    with tempfile.TemporaryDirectory() as data, dev_server("--data", data):
        lines = (pathlib.Path(data) / "lambda.env").read_text().splitlines()
        pairs = [line.split("=", 1) for line in lines]
        environment = dict(os.environ) | {name: value.strip('"') for name, value in pairs}
        environment["RUST_LOG"] = "trace"
        for step in STEPS:
            name = step["event"]
            event = step.get("send") or json.loads((ROOT / f"events/{name}.json").read_text())
            event = replaced(event, step.get("put", {}) | kept)
            binary = folder / name
            if binary.is_dir():
                binary = binary / "bootstrap"
            if name == "code-resend":
                # The cooldown of the code before, which these events asked for a moment ago.
                time.sleep(1.1)
            answer, log = run(binary, event, environment)
            body = body_of(answer)
            expected = {"statusCode": step["status"]} if "status" in step else replaced(step["answer"], kept)
            is_expected = all(answer.get(member) == value for member, value in expected.items())
            if is_expected:
                kept |= {text: found(body, pointer) for text, pointer in step.get("keep", {}).items()}
            init = next((part for part in log.split("\n") if "INIT REPORT" in part), "")
            init = init.split("durationMs: ")[-1].split(")")[0] if init else "?"
            if event.get("rawPath", "").startswith("/auth/") and name != "unmatched":
                audited = [line for line in log.split("\n") if f'"event":"{name}"' in line and '"audit":1' in line]
                assert len(audited) == 1, f"{name} wrote {len(audited)} audit events"
            secrets = [value for text, value in kept.items() if text != KEY_ID]
            secrets += ["mypassword", "newPass", "01012345678", "201012345678", *kept_secrets(data)]
            # SMS_PROVIDER=log exists to write this line, the only one that may contain a code or a phone.
            log = "\n".join(line for line in log.split("\n") if "SMS not sent, only logged" not in line)
            if any(secret in log for secret in secrets):
                failed.append(f"{name} (its log contains a secret)")
            # A body may contain a secret, so only the code of a problem is printed.
            print(f"{name}: {answer.get('statusCode', '')} {body.get('code', '')} (init {init} ms)")
            if not is_expected or not MORE.get(name, bool)(answer):
                failed.append(name)
    if failed:
        sys.exit(f"these functions did not respond as expected: {', '.join(failed)}")


main(sys.argv[1])
