"""Runs the dev server for the other scripts here."""

import contextlib
import json
import pathlib
import subprocess
import sys
import threading
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


def command(*options, features=None):
    """Returns the command that runs the dev server on a free port, with these features of its package."""
    selected = ["--features", features] if features else []
    return ["cargo", "run", "--quiet", *selected, "--", "--port", "0", *options]


@contextlib.contextmanager
def dev_server(*options, features=None):
    """Runs `cargo run` on a free port until the block ends, and yields its URL."""
    server = subprocess.Popen(command(*options, features=features), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        for line in server.stdout:
            if line.startswith("Latchkey is ready on "):
                # Its lines are read to the end: a server whose pipe is full waits, and answers nobody.
                threading.Thread(target=server.stdout.read, daemon=True).start()
                yield line.split()[-1]
                return
        sys.exit("the dev server did not start")
    finally:
        server.terminate()
        server.wait()


def call(url, body=None, token=None, status=None):
    """Sends a request and returns the body of the response, which must be a success or have this status."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert status is None or answer.status == status, f"{url}: {answer.status}"
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        assert error.code == status, f"{url}: {error.code}"
        return json.load(error)
