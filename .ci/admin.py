"""Uses the operators' commands on the running dev server as an operator at a terminal does: shows an account, declines, confirms.

    admin.py FOLDER-OF-BINARIES
"""

import os
import pathlib
import pty
import subprocess
import sys
import tempfile

from dev_server import ROOT, call, dev_server

ACCOUNT = {"phone": "01012345678", "password": "mypassword"}


def main(folder):
    binary = pathlib.Path(folder).resolve() / "admin"
    with tempfile.TemporaryDirectory() as data, dev_server("--data", data) as url:

        def run(*arguments, answer=None, code=0):
            """Runs a command, types `answer` when it asks for confirmation, and returns what it prints."""
            command = [binary, "--data", data, *arguments]
            keyboard, terminal = pty.openpty()
            if answer is not None:
                os.write(keyboard, answer.encode() + b"\n")
            done = subprocess.run(
                command, cwd=ROOT, stdin=terminal if answer is not None else subprocess.DEVNULL,
                capture_output=True, text=True, timeout=60,
            )
            os.close(keyboard)
            os.close(terminal)
            said = done.stdout + done.stderr
            assert done.returncode == code, f"{arguments}: {done.returncode}\n{said}"
            assert "argon2id" not in said, "the output contains a hash"
            return said

        def sign_in(status=200):
            return call(f"{url}/auth/login", ACCOUNT, status=status)

        call(f"{url}/auth/register", ACCOUNT, status=201)
        token = sign_in()["access_token"]
        assert "sessions        1" in run("user", "show", "+20 10 1234 5678")
        assert "no account has this phone" in run("user", "show", "01112345678", code=1)
        assert "the phone is not a number" in run("user", "show", "12", code=1)

        # No terminal to ask on, a refusal, and a confirmation.
        assert "say --yes" in run("user", "disable", ACCOUNT["phone"], code=1)
        assert "Nothing was done" in run("user", "disable", ACCOUNT["phone"], answer="n", code=1)
        call(f"{url}/auth/me", token=token)
        said = run("user", "disable", ACCOUNT["phone"], answer="y")
        assert '"result":"begun"' in said and '"operator":"local:' in said and "Disabled" in said
        call(f"{url}/auth/me", token=token, status=401)
        sign_in(status=401)
        assert "state           disabled since" in run("user", "show", ACCOUNT["phone"])
        run("user", "enable", ACCOUNT["phone"])
        token = sign_in()["access_token"]
        run("user", "end-sessions", ACCOUNT["phone"], "--yes")
        call(f"{url}/auth/me", token=token, status=401)
        assert "no second factor" in run("user", "reset-mfa", ACCOUNT["phone"], "--yes", code=1)

        said = run("stats")
        assert "accounts                         1" in said, said
        said = run("doctor")
        assert "WRONG" not in said, said
        for line in ("table", "time to live", "clock", "public keys", "signing key", "secret key", "text messages"):
            assert f"ok     {line:17}" in said, said

        run("user", "delete", ACCOUNT["phone"], answer="yes")
        sign_in(status=401)
        call(f"{url}/auth/register", ACCOUNT, status=201)
        print("the operators' commands work, and ask for confirmation")


main(*sys.argv[1:])
