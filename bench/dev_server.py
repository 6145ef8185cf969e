"""Runs the dev server for the measurements here, with nothing but Python: by `cargo run`, or the program that the environment
variable `LATCHKEY` names."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def default_limits():
    """Returns the limits of the template, as variables: `cargo run` has others, so that a developer does not meet them."""
    found = re.findall(r"^ +(LIMIT_\w+): (\d+)$", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    return [f"{name}={value}" for name, value in found]


@contextlib.contextmanager
def dev_server(*variables, each_line=lambda line: None, environment=None, folder=None, logs=False):
    """Runs a dev server until the block ends, on a free port, with these variables (`NAME=VALUE`), in memory or with the data
    of a folder. Yields its host and port, and passes each line that it prints from then on to `each_line`, and each that it
    logs if `logs`."""
    program = [os.environ["LATCHKEY"]] if "LATCHKEY" in os.environ else ["cargo", "run", "--quiet", "--"]
    command = program + (["--data", str(folder)] if folder else ["--memory"]) + ["--port", "0"]
    for variable in variables:
        command += ["--env", variable]
    errors = subprocess.STDOUT if logs else None
    variables = dict(os.environ) | {"NO_COLOR": "1"} | (environment or {})
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=variables)

    def read():
        for line in server.stdout:
            each_line(line)

    try:
        for line in server.stdout:
            if line.startswith("Latchkey is ready on http://"):
                threading.Thread(target=read, daemon=True).start()
                yield line.split("//")[1].strip()
                return
        sys.exit("the dev server did not start")
    finally:
        server.terminate()
        server.wait()


def send(connection, method, path, body=None, token=None, language=None):
    """Sends a request. Returns the status and the body of the response."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if language:
        headers["Accept-Language"] = language
    connection.request(method, path, json.dumps(body or {}), headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text.startswith(b"{") else text


def connect(address, source=None):
    """Returns a connection to `host:port`, from this address of the machine."""
    return http.client.HTTPConnection(address, source_address=(source, 0) if source else None, timeout=30)


def totp(secret):
    """Returns the TOTP code of this moment (RFC 6238), with nothing but the standard library."""
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    at = mac[-1] & 0xF
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"
