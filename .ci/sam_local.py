"""Runs `sam local start-api` as docs/OPERATIONS.md says, sends it the requests of a story, and compares each response with
the one of `cargo run` to the same request. Needs a running Docker engine, the SAM CLI and cargo-lambda, so .ci/run leaves it out.

    sam_local.py [--built] [--stand-in] [--log FILE]

Functions run in AWS's image. Where Docker neither has nor gets that, an image of this machine's own loader and libraries takes
its place. The dev server listens on every address of this machine meanwhile, as containers need it to.
No password, code or token is printed. SAM's log has codes, so it is thrown away unless `--log` names a file.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from dev_server import ROOT, dev_server

IMAGE = "public.ecr.aws/lambda/provided:al2023-x86_64"
# Not AWS's name, so that no other project gets it. SAM adds its emulator to it under the second name.
STAND_IN, ITS_COPY = "latchkey-stand-in:latest", "latchkey-stand-in:rapid-x86_64"
PAGE = "http://localhost:5173"
# Headers of the server that carries a response.
CARRIERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


def need(program):
    """Returns the path of a program, which may be in the virtual environment that runs this."""
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return shutil.which(program, path=path) or sys.exit(f"{program} is missing: README.md, Deploy, says how to install it")


def docker(*arguments, **options):
    """Runs a command of Docker, and returns whether it succeeded."""
    return subprocess.run(["docker", *arguments], capture_output=True, **options).returncode == 0


def libraries(program):
    """Returns the loader and the libraries of a program, by the paths where it looks for them."""
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def make_stand_in(bootstrap):
    """Makes an image in which a bootstrap and SAM's emulator run."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ["bin", "etc", "opt", "tmp", "var/rapid", "var/runtime", "var/task"]:
            (root / name).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        # Docker runs `mv` and `chmod` by `sh` where SAM adds its emulator.
        programs = {name: shutil.which(name) for name in ["sh", "mv", "chmod"]}
        for name, path in programs.items():
            shutil.copy(path, root / "bin" / name)
        for path in {path for program in [*programs.values(), bootstrap] for path in libraries(program)}:
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path[1:])
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nsbx_user1051:x:993:990::/home:/bin/sh\n")
        (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
        variables = "LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime PATH=/bin"
        changes = ["--change", "WORKDIR /var/task", "--change", f"ENV {variables}"]
        with tempfile.TemporaryFile() as archive:
            subprocess.run(["tar", "--create", "--directory", folder, "."], stdout=archive, check=True)
            archive.seek(0)
            if not docker("import", *changes, "-", STAND_IN, stdin=archive):
                sys.exit("Docker did not take the stand-in for AWS's image")


def image_options(only_stand_in, bootstrap):
    """Returns the options of SAM for the image, and makes the image if AWS's cannot be had."""
    if not only_stand_in:
        is_newest = docker("pull", IMAGE)
        if is_newest or docker("image", "inspect", IMAGE):
            print(f"image: {IMAGE}")
            return [] if is_newest else ["--skip-pull-image"]
    make_stand_in(bootstrap)
    print(f"image: a stand-in for {IMAGE} with this machine's libraries")
    return ["--skip-pull-image", "--invoke-image", STAND_IN]


def sam_command(data, options):
    """Returns the line of docs/OPERATIONS.md for the dev server with this data."""
    text = re.sub(r" *\\\n\s*", " ", (ROOT / "docs/OPERATIONS.md").read_text())
    line = re.search(r"^\((set -a; .*; )(sam local start-api .*)\)$", text, re.MULTILINE)
    # Bash becomes SAM, so that its process can be ended.
    return " ".join([line[1] + "exec " + line[2], *options]).replace(".latchkey/", f"{data}/")


def free_port():
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_listens(process, port):
    """Waits for SAM to take requests."""
    for _ in range(600):
        if process.poll() is not None:
            sys.exit("sam local start-api ended at its start; --log FILE keeps what it said")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("sam local start-api did not start within a minute")


class Answer:
    """A response, and what of it must be the same wherever it comes from."""

    def __init__(self, response):
        self.status = response.status
        names = {name.lower() for name in response.headers} - CARRIERS
        self.headers = {name: ", ".join(response.headers.get_all(name)) for name in names}
        self.body = response.read()
        try:
            self.json = json.loads(self.body)
        except ValueError:
            self.json = None

    def shape(self, value, name=""):
        """Returns a value with each secret and each identifier replaced by the name of its type."""
        if isinstance(value, dict):
            return {member: self.shape(inner, member) for member, inner in value.items()}
        if isinstance(value, list):
            return [self.shape(inner, name) for inner in value]
        if isinstance(value, str) and "problem" in self.headers.get("content-type", "") and name != "instance":
            return re.sub(r"\d+", "N", value)
        return value if isinstance(value, bool) else type(value).__name__

    def differences(self, other, is_document):
        """Yields what differs between this response, of SAM, and the one of `cargo run`."""
        if self.status != other.status:
            yield f"status {self.status}, not {other.status}"
        if self.body != other.body if is_document or self.json is None else self.shape(self.json) != self.shape(other.json):
            yield f"body of {len(self.body)} bytes, not {len(other.body)}" if self.json is None else "members of the body"
        for name in sorted(self.headers.keys() | other.headers.keys()):
            ours, theirs = self.headers.get(name), other.headers.get(name)
            if (name, theirs, self.body) == ("content-type", None, b""):
                # SAM adds it to a response without a body.
                continue
            if ours != theirs and not (name == "retry-after" and ours and theirs and ours.isdigit()):
                yield f"{name}: {ours}, not {theirs}"


def send(url, method, path, body=None, token=None, **headers):
    """Sends a request and returns the response."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        headers |= {"Content-Type": "application/json"}
    if token:
        headers |= {"Authorization": f"Bearer {token}"}
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def story(phone):
    """Yields each request as a name, what `send` takes, and the expected status; and is sent the response. A name that begins with
    "document" stands for a text that is the same in every response."""
    account = {"phone": phone, "password": "mypassword"}
    sign_in = ("POST", "/auth/login", account)
    yield "health", ("GET", "/health"), {}, 200
    yield "health, its headers", ("HEAD", "/health"), {}, 200

    response = yield "sign up", ("POST", "/auth/register", account), {}, 202
    proof = {member: response.json[member] for member in ("activation_id", "otp")}
    wrong = f"{(int(proof['otp']) + 1) % 10 ** 6:06}"
    yield "wrong code", ("POST", "/auth/activate", proof | {"otp": wrong}), {}, 400
    yield "activate", ("POST", "/auth/activate", proof), {}, 201

    yield "wrong password", ("POST", "/auth/login", account | {"password": "notmypassword"}), {}, 401
    tokens = (yield "sign in", sign_in, {}, 200).json
    yield "no token", ("GET", "/auth/me"), {}, 401
    yield "account", ("GET", "/auth/me"), {"token": tokens["access_token"]}, 200
    yield "account, its headers", ("HEAD", "/auth/me"), {"token": tokens["access_token"]}, 200
    response = yield "refresh", ("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}), {}, 200
    token = response.json["access_token"]

    yield "sign in elsewhere", sign_in, {}, 200
    response = yield "sessions", ("GET", "/auth/sessions"), {"token": token}, 200
    other = next(session["id"] for session in response.json["sessions"] if not session["current"])
    yield "end the other session", ("DELETE", f"/auth/sessions/{other}"), {"token": token}, 204
    yield "end it again", ("DELETE", f"/auth/sessions/{other}"), {"token": token}, 404

    yield "sign out", ("POST", "/auth/logout"), {"token": token}, 204
    yield "account, signed out", ("GET", "/auth/me"), {"token": token}, 401

    response = yield "code", ("POST", "/auth/code", {"phone": phone}), {"Accept_Language": "ar"}, 202
    code = {member: response.json[member] for member in ("challenge", "otp")}
    yield "sign in by it", ("POST", "/auth/code/verify", code), {}, 200

    for _ in range(6):
        yield "wrong password", ("POST", "/auth/login", account | {"password": "notmypassword"}), {}, 401
    yield "too many of them", ("POST", "/auth/login", account | {"password": "notmypassword"}), {}, 429
    yield "wrong fields", ("POST", "/auth/login", {"phone": 1}), {}, 422
    yield "no body", ("POST", "/auth/login"), {}, 400
    yield "no route", ("GET", "/nothing"), {}, 404
    yield "no route, its headers", ("HEAD", "/nothing"), {}, 404
    yield "no route, deeper", ("GET", "/auth/nothing/at/all"), {}, 404
    yield "wrong method", ("PUT", "/auth/login", account), {}, 405

    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
    yield "preflight", ("OPTIONS", "/auth/login"), {"Origin": PAGE} | asks, 204
    yield "preflight of a stranger", ("OPTIONS", "/auth/login"), {"Origin": "https://evil.example"} | asks, 405
    yield "a page's request", ("GET", "/health"), {"Origin": PAGE}, 200

    yield "document, keys", ("GET", "/.well-known/jwks.json"), {}, 200
    yield "document, issuer", ("GET", "/.well-known/openid-configuration"), {}, 200
    yield "document, issuer", ("GET", "/.well-known/oauth-authorization-server"), {}, 200
    response = yield "document, API", ("GET", "/docs"), {}, 200
    style = re.search(rb'href="(docs/[^"]+[.]css)"', response.body)[1].decode()
    yield "document, its headers", ("HEAD", "/docs"), {}, 200
    yield "document, a file of it", ("GET", f"/{style}"), {"Accept_Encoding": "gzip"}, 200
    yield "document, description", ("GET", "/openapi.json"), {"Accept_Encoding": "gzip"}, 200
    yield "document, description", ("GET", "/openapi.json"), {}, 200


def tell(url, phone):
    """Sends the story to a server. Returns each request with its response and the expected status."""
    told, part, answer = [], story(phone), None
    while True:
        try:
            name, request, options, status = part.send(answer)
        except StopIteration:
            return told
        except (AttributeError, KeyError, TypeError):
            print(f"the story ends at {url}, because a response lacks what the next request needs")
            return told
        answer = send(url, *request, **options)
        told.append((name, *request[:2], answer, status))


def compare(sam, ours):
    """Prints a line for each request. Returns how many responses are wrong or differ."""
    failed = 0
    for (name, method, path, answer, status), (*_, expected, _) in zip(sam, ours):
        path = re.sub(r"^/auth/sessions/.*", "/auth/sessions/{id}", path)
        found = list(answer.differences(expected, name.startswith("document")))
        if expected.status != status:
            found.append(f"cargo run answers {expected.status}, not {status}")
        failed += bool(found)
        print(f"{method} {path} ({name}): {answer.status}, {'; '.join(found) or 'same as cargo run'}")
    return failed


def across(sam, ours):
    """Signs in at either server, and uses the tokens at the other. Returns how many responses are wrong."""
    account = {"phone": "01212345678", "password": "mypassword"}
    pending = send(ours, "POST", "/auth/register", account).json
    steps = [("activate", send(sam, "POST", "/auth/activate", {member: pending[member] for member in ("activation_id", "otp")}), 201)]
    for first, second, names in [(sam, ours, "SAM's at cargo run"), (ours, sam, "cargo run's at SAM")]:
        tokens = send(first, "POST", "/auth/login", account).json
        steps += [
            (f"access token, {names}", send(second, "GET", "/auth/me", token=tokens["access_token"]), 200),
            (f"refresh token, {names}", send(second, "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}), 200),
        ]
    for name, answer, status in steps:
        print(f"{name}: {answer.status}{'' if answer.status == status else f', not {status}'}")
    return sum(answer.status != status for _, answer, status in steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--built", action="store_true", help="take what `sam build` has built before")
    parser.add_argument("--stand-in", action="store_true", help="take the stand-in even where AWS's image is")
    parser.add_argument("--log", help="a file for SAM's log, which has codes")
    options = parser.parse_args()
    if shutil.which("docker") is None or not docker("info"):
        sys.exit("no Docker engine answers: start one, or run this as somebody who may use it")
    os.environ["PATH"] = f"{pathlib.Path(need('sam')).parent}:{os.environ['PATH']}"
    os.environ |= {"SAM_CLI_TELEMETRY": "0"}
    if not options.built:
        need("cargo-lambda")
        subprocess.run(["sam", "build"], cwd=ROOT, check=True)
    bootstrap = ROOT / ".aws-sam/build/HealthFunction/bootstrap"
    if not bootstrap.exists():
        sys.exit(".aws-sam/build is missing: `sam build` makes it")
    image = image_options(options.stand_in, bootstrap)
    dev = ["--host", "0.0.0.0", "--env", "REQUIRE_ACTIVATION=true"]
    with tempfile.TemporaryDirectory() as data, dev_server("--data", data, *dev) as ours:
        port = free_port()
        log = options.log or f"{data}/sam.log"
        with open(log, "w", encoding="utf-8") as said:
            command = ["bash", "-c", sam_command(data, ["--port", str(port), *image])]
            process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            wait_until_it_listens(process, port)
            sam = f"http://127.0.0.1:{port}"
            expected = tell(ours, "01112345678")
            started = time.monotonic()
            told = tell(sam, "01012345678")
            seconds = time.monotonic() - started
            failed = compare(told, expected)
            failed += across(sam, ours) if len(told) == len(expected) else 1
            print(f"{len(told)} requests to SAM in {seconds:.0f} s")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            if image:
                docker("image", "rm", "--force", ITS_COPY, STAND_IN)
    if failed:
        sys.exit(f"{failed} responses are wrong, or not those of cargo run")


main()
