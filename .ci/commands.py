"""Holds every command in the documents to a check that runs it, or to a reason why none does; and runs those that no other
check runs: the walkthrough literally, by bash and curl, and the AWS CLI's lines against a stub.

    commands.py [AWS]

AWS is the program `aws`; without it, its lines are only listed. A new command in a document fails until it is in KNOWN.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import uuid

from dev_server import ROOT, dev_server

WALKTHROUGH = "docs/walkthrough.md"

# Each command begins with one of these, and each of these begins a command. The first that matches counts.
KNOWN = {
    # Run by other checks.
    "cargo run -p import -- --from sqlite:///": ".ci/import.py, with another file",
    "cargo run -p import -- --from postgresql://": ".ci/import.py writes into the dev server's data: a table on AWS needs an account",
    "cargo run -p admin -- ": ".ci/admin.py",
    "cargo run -q -p admin -- ": ".ci/admin.py",
    "cargo run -- --host 0.0.0.0": ".ci/sam_local.py, where there is Docker: the containers need a port that is open to them",
    "cargo run": ".ci/dev_server.py, on a free port",
    "cargo test -p local --test it -- ": ".ci/run, the step of a new endpoint, with other filters",
    "cargo test": ".ci/run, its last step",
    "cargo xtask endpoint ": ".ci/run, the step of a new endpoint",
    "bash .ci/run": "CI itself",
    # Run here.
    "curl http://127.0.0.1:8000/": "here, by bash",
    "curl -w ' (%{http_code})\\n' ": "here, by bash",
    "echo '{": "here, with the line after it",
    "aws ": "here: the AWS CLI sends it to a stub",
    # Not run.
    "python3 -m venv .venv && ": "not run: .ci/run makes a venv of its own, and installs the SAM CLI into it",
    "pip install aws-sam-cli ": "not run: .ci/run installs the SAM CLI; cargo-lambda takes a minute and 0.8 GB with zig",
    "export AWS_DEFAULT_REGION=": ".ci/run, in its first lines",
    "sam build": ".ci/sam_local.py, where there is Docker; .ci/run validates the template instead",
    "FRONT_SECRET=$(openssl ": "not run: belongs to the line after it",
    "printf %s \"$FRONT_SECRET\" | sha256sum": "front.rs, with other secrets",
    "sam deploy ": "not run: needs an AWS account; .ci/run validates and translates the templates",
    "sam deploy": "not run: needs an AWS account; .ci/run validates and translates the templates",
    "cargo lambda --global ": "not run: needs cargo-lambda; contract::cargo_lambda_watch_routes_as_the_template_does holds its routes",
    "cargo lambda invoke ": "not run: needs cargo-lambda; .ci/binaries.py sends the same events to the same binaries",
    "(set -a; . ./latchkey.env; ": "not run: needs a stack; .ci/admin.py runs the commands",
    "(set -a; . .latchkey/lambda.env; sam local start-api ": ".ci/sam_local.py, where there is Docker; a test holds its file (server.rs)",
    "curl http://127.0.0.1:3000/": ".ci/sam_local.py, where there is Docker, among other requests",
    "SMS_CREDENTIALS=": "not run: needs an account with a provider; sms.rs drives each provider's protocol",
    "curl $ApiUrl/": "not run: needs a stack",
    "cd docs/examples/": "belongs to the line after it; .ci/run validates both templates",
}


def commands():
    """Yields document and command of every fenced block of a shell, with continued lines joined and comments left out."""
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for path in tracked.stdout.split():
        text = (ROOT / path).read_text()
        for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            lines = re.sub(r" *(#[^\n]*)?\\\n\s*", " ", block).split("\n")
            if kind == "console":
                lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
            elif kind not in ("sh", "bash"):
                continue
            for line in lines:
                command = re.sub(r"(^|\s+)#\s.*$", "", line).strip()
                if command:
                    yield path, command


def classify():
    """Returns the commands, each with what KNOWN says of it."""
    used, unknown, found = set(), [], []
    for path, command in commands():
        # A start that ends with a word is a whole command.
        start = next((s for s in KNOWN if (command == s if s[-1].isalnum() else command.startswith(s))), None)
        if start is None:
            unknown.append(f"{path}: {command}")
        else:
            used.add(start)
            found.append((path, command, KNOWN[start]))
    if unknown:
        sys.exit("no check runs these commands, and no reason is given in .ci/commands.py:\n" + "\n".join(unknown))
    if stale := [start for start in KNOWN if start not in used]:
        sys.exit(f"no document has these commands of .ci/commands.py: {stale}")
    return found


def as_documented(line, documented):
    """Returns whether an output is the documented one, in which … stands for anything, and so does a time."""
    pattern = re.escape(documented).replace("…", ".*")
    return re.fullmatch(re.sub(r"\d{4}\\-\d\d\\-\d\dT[\d:]+Z", r"\\d{4}-\\d\\d-\\d\\dT[\\d:]+Z", pattern), line) is not None


def bash(command, url, variables):
    """Runs a command of a document by bash, at this server. Returns what it prints."""
    command = command.replace("http://127.0.0.1:8000", url)
    environment = {"PATH": os.environ["PATH"]} | variables
    result = subprocess.run(["bash", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return result.stdout


def walk():
    """Takes the walkthrough as a reader does: each command as it is written, and the variables that the text names."""
    text = (ROOT / WALKTHROUGH).read_text()
    count = 0
    # A part that starts another server says so.
    for part in re.split(r"\n## (?=Sign up as in production)|\n## (?=Make a mistake)", text):
        options = re.findall(r"cargo run -- (--memory --env [A-Z_=a-z]+)", part)
        options = options[0].split() if options else ["--memory"]
        with dev_server(*options) as url:
            variables = {}
            for block in re.findall(r"^```console\n(.*?)^```", part, re.DOTALL | re.MULTILINE):
                block = re.sub(r" *\\\n\s*", " ", block)
                for step in block.split("$ ")[1:]:
                    command, documented = step.rstrip("\n").split("\n", 1)
                    output = bash(command, url, variables).rstrip("\n")
                    # The output may hold tokens.
                    assert as_documented(output, documented), f"{command}: not as documented, {output[-6:]}"
                    answer = output.rsplit(" (", 1)[0]
                    answer = json.loads(answer) if answer else {}
                    names = {"TOKEN": "access_token", "REFRESH": "refresh_token", "OTP": "otp", "ID": "activation_id", "CHALLENGE": "challenge"}
                    variables |= {name: answer[member] for name, member in names.items() if member in answer}
                    count += 1
    assert count >= 16, f"the walkthrough has only {count} commands"
    print(f"the walkthrough: {count} commands, as documented")


def readme():
    """Runs the README's curl lines."""
    lines = [command for path, command in commands() if path == "README.md" and command.startswith("curl http://127.0.0.1:8000/")]
    with dev_server("--memory") as url:
        answer = {}
        for command in lines:
            # What a person puts in from the response before.
            for written, member in [('"challenge": "…"', "challenge"), ('"otp": "123456"', "otp")]:
                if written in command:
                    command = command.replace(written, f'"{member}": "{answer[member]}"')
            answer = json.loads(bash(command, url, {}))
            assert "code" not in answer, f"a line of README.md: {answer.get('code')}"
    print(f"README.md: {len(lines)} requests, each a success")


class Stub(http.server.BaseHTTPRequestHandler):
    """Takes every request of the AWS CLI for one of AWS's services, and answers with nothing in it."""

    bodies = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Stub.bodies.append(body)
        action = dict(urllib.parse.parse_qsl(body.decode())).get("Action")
        answer = f"<{action}Response><{action}Result/></{action}Response>" if action else "{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


def aws(program, lines):
    """Runs these lines, and what writes their files, against the stub: the AWS CLI knows the commands and their options,
    and finds the parameters right."""
    stub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=stub.serve_forever, daemon=True).start()
    variables = {name: "a-name-of-some-length" for name in re.findall(r"\$(\w+)", " ".join(lines))}
    environment = variables | {
        "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{stub.server_port}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "credentials.json").write_text("{}")
        for line in lines:
            # The only placeholder that AWS refuses for its length.
            line = line.replace(" --remove-from-version-id ID", f" --remove-from-version-id {uuid.uuid4()}")
            result = subprocess.run(["bash", "-c", line], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert result.returncode == 0, f"{line}: {result.stderr}"
    stub.shutdown()
    assert b'{"remove_key": "KID"}\n' in Stub.bodies, "the payload arrives as it is written"
    print(f"the AWS CLI: {len(Stub.bodies)} requests to a stub")


def main(program=None):
    found = classify()
    for how in sorted({how for _, _, how in found}):
        print(f"{sum(1 for entry in found if entry[2] == how):3} {how}")
    readme()
    walk()
    if program:
        aws(str(pathlib.Path(program).absolute()), [command for _, command, _ in found if command.startswith(("aws ", "echo "))])


main(*sys.argv[1:])
