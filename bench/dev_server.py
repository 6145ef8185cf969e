"""Runs the dev server for the measurements here by `cargo run`, with nothing but Python."""

import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def dev_server(*variables, each_line=lambda line: None, environment=None):
    """Runs a dev server until the block ends, in memory, on a free port, with these variables (`NAME=VALUE`). Yields its host and
    port, and passes each line that it prints from then on to `each_line`."""
    command = ["cargo", "run", "--quiet", "--", "--memory", "--port", "0"]
    for variable in variables:
        command += ["--env", variable]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ) | (environment or {})
    )

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
