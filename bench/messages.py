"""Makes Latchkey send every kind of message in three languages, and checks that `/dev/messages` shows each: codes for four purposes,
and every notice. Prints the messages.

    python3 bench/messages.py [FOLDER]

With FOLDER, stores the pages there as HTML files, to view them. Needs nothing but Python.
"""

import html
import pathlib
import re
import sys
import time

from dev_server import connect, dev_server, send, totp

LANGUAGES = ["en", "ar", "uz"]
PASSWORD, OTHER = "mypassword", "newPass123"


class Client:
    def __init__(self, address, phone, language):
        self.connection, self.phone, self.language, self.token = connect(address), phone, language, None

    def call(self, method, path, body=None, status=None):
        found, answer = send(self.connection, method, path, body, self.token, self.language)
        assert found == status, f"{path}: {found} {answer}"
        return answer

    def post(self, path, status, **body):
        return self.call("POST", path, body, status)

    def step_up(self, path, **body):
        """Posts a change that ends the session, and goes on with the tokens of the new one."""
        answer = self.post(path, 200, **body)
        self.token = answer["access_token"]
        return answer

    def sign_in(self, password, recovery_code=None):
        self.token = None
        answer = self.post("/auth/login", 403 if recovery_code else 200, phone=self.phone, password=password)
        if recovery_code:
            answer = self.post("/auth/login/mfa", 200, mfa_token=answer["mfa_token"], recovery_code=recovery_code)
        self.token = answer["access_token"]


def with_activation(client):
    """Activates a new account, and registers its phone again."""
    waiting = client.post("/auth/register", 202, phone=client.phone, password=PASSWORD)
    client.post("/auth/activate", 201, activation_id=waiting["activation_id"], otp=waiting["otp"])
    time.sleep(1.1)  # the cooldown
    client.post("/auth/register", 202, phone=client.phone, password=PASSWORD)
    return ["activation", "already-registered"]


def without_activation(client):
    """Causes all other messages, in the life of one account."""
    client.post("/auth/register", 201, phone=client.phone, password=PASSWORD)
    client.sign_in(PASSWORD)
    otp = client.post("/auth/verify-phone", 202)["otp"]
    client.post("/auth/verify-phone/confirm", 204, otp=otp)
    client.step_up("/auth/change-password", old_password=PASSWORD, new_password=OTHER, tokens=True)
    secret = client.post("/auth/mfa/enroll", 200, password=OTHER)["secret"]
    codes = client.step_up("/auth/mfa/confirm", code=totp(secret))["recovery_codes"]
    client.sign_in(OTHER, codes[0])
    codes = client.step_up("/auth/mfa/recovery-codes", password=OTHER, recovery_code=codes[1])["recovery_codes"]
    client.step_up("/auth/mfa/disable", password=OTHER, recovery_code=codes[0])
    otp = client.post("/auth/request-reset", 202, phone=client.phone)["otp"]
    client.post("/auth/verify-reset", 204, phone=client.phone, otp=otp, new_password=PASSWORD)
    client.sign_in(PASSWORD)
    new = client.phone.replace("+2010", "+2011")
    otp = client.post("/auth/change-phone", 202, password=PASSWORD, phone=new)["otp"]
    client.step_up("/auth/change-phone/verify", phone=new, otp=otp)
    client.call("DELETE", "/auth/me", {"password": PASSWORD}, 204)
    used = ["recovery-code-used"] * 3
    factor = ["second-factor-on", "recovery-codes-replaced", "second-factor-off"]
    reset = ["reset", "password-reset"]
    return ["verify-phone", "password-changed", *factor, *used, *reset, "change-phone", "phone-changed", "account-deleted"]


def main(folder=None):
    for name, variable, life in [
        ("activation", "REQUIRE_ACTIVATION=true", with_activation),
        ("account", "REQUIRE_ACTIVATION=false", without_activation),
    ]:
        with dev_server(variable, "SERVICE_NAME=Acme", "LIMIT_MESSAGES_PER_PHONE=100") as address:
            expected = 0
            for at, language in enumerate(LANGUAGES):
                expected += len(life(Client(address, f"+20101234567{at}", language)))
            _, page = send(connect(address), "GET", "/dev/messages")
            page = page.decode()
        texts = [html.unescape(text) for text in re.findall(r'<p dir="auto">(.*?)</p>', page, re.DOTALL)]
        assert len(texts) == expected, f"{len(texts)} messages, and not {expected}"
        assert all("Acme" in text for text in texts)
        # Each message is in its language, and within a language all differ (a recovery code is used three times).
        each = expected // len(LANGUAGES)
        for at, (language, letters) in enumerate([("en", r"\byour?\b"), ("ar", "[\u0621-\u064a]"), ("uz", r"\b(hisob|kod|parol)")]):
            own = texts[::-1][at * each : (at + 1) * each]
            assert all(re.search(letters, text) for text in own), f"a message in {language} is not"
            kinds = {re.sub(r"\d{6}", "", text) for text in own}
            assert len(kinds) == min(each, 11 if name == "account" else 2), f"{language}: {len(kinds)} kinds"
        print(f"{name}: {len(texts)} messages in {', '.join(LANGUAGES)}")
        for text in reversed(texts):
            print(f"  {text}")
        if folder:
            pathlib.Path(folder).mkdir(exist_ok=True)
            # Without its reload, because the server will have stopped.
            page = re.sub(r'<meta http-equiv="refresh"[^>]*>', "", page)
            (pathlib.Path(folder) / f"{name}.html").write_text(page)


main(*sys.argv[1:])
