"""Checks the running dev server with independent libraries: PyJWT verifies an access token of each signing algorithm by the
sample in docs/protecting-other-apis.md, with clocks that differ from the server's, and pyotp is the authenticator of a login
with a second factor, on phones whose clocks differ, and of a sign-in by a code alone.

    verify.py
"""

import datetime
import re
import subprocess
import time
from unittest import mock

import jwt
import pyotp

from dev_server import ROOT, call, command, dev_server

ACCOUNT = {"phone": "01012345678", "password": "mypassword"}

DOCUMENT = ROOT / "docs" / "protecting-other-apis.md"
(SAMPLE,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
# The sample names an issuer; the server of this check is another.
ISSUER = 'issuer = "http://127.0.0.1:8000"'
AUDIENCE = 'audience="latchkey"'
assert ISSUER in SAMPLE and AUDIENCE in SAMPLE, "the sample names no issuer or no audience"


def verify(token, issuer, seconds=0, audience=AUDIENCE):
    """Runs the documented sample on a machine whose clock is so many seconds ahead, or behind if negative."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + datetime.timedelta(seconds=seconds)

    variables = {"token": token}
    with mock.patch("jwt.api_jwt.datetime", Clock):
        exec(SAMPLE.replace(ISSUER, f"issuer = {issuer!r}").replace(AUDIENCE, audience), variables)
    return variables["claims"]


def refused(*arguments, **options):
    try:
        verify(*arguments, **options)
    except jwt.PyJWTError:
        return True
    return False


def check_tokens(algorithm, features=None):
    with dev_server("--memory", "--env", f"SIGNING_ALGORITHM={algorithm}", features=features) as url:
        user = call(f"{url}/auth/register", ACCOUNT)["id"]
        token = call(f"{url}/auth/login", ACCOUNT)["access_token"]

        metadata = call(f"{url}/.well-known/openid-configuration")
        assert (metadata["issuer"], metadata["jwks_uri"]) == (url, f"{url}/.well-known/jwks.json"), "the keys are elsewhere"
        header, claims = jwt.get_unverified_header(token), verify(token, url)
        if algorithm == "RS256":
            (key,) = call(metadata["jwks_uri"])["keys"]
            assert jwt.PyJWK(key).key.key_size == 3072, "an RSA key has another size"
        assert header["alg"] == algorithm and header["typ"] == "at+jwt", "the header is not as documented"
        assert claims["sub"] == user and claims["iss"] == url, "the claims are not as documented"
        # A fresh token is accepted by clocks that are up to 30 s off, and by none that is a minute behind.
        for seconds in (-30, -29, -5, -1, 0, 1, 5, 30):
            assert verify(token, url, seconds) == claims, f"a clock that is off by {seconds} s refuses a fresh token"
        assert refused(token, url, -60), "a clock that is a minute behind accepts a token of the future"
        assert refused(token, url, 15 * 60 + 31), "a token is accepted more than 30 s after its end"
        # The check can fail: for another audience, another issuer, or other claims under the same signature.
        assert refused(token, url, audience='audience="another"')
        head, body, signature = token.split(".")
        assert refused(".".join([head, body[:-4] + "AAAA", signature]), url)
        with dev_server("--memory") as another:
            call(f"{another}/auth/register", ACCOUNT)
            foreign = call(f"{another}/auth/login", ACCOUNT)["access_token"]
            assert refused(foreign, url) and not refused(foreign, another)
        print(f"PyJWT {jwt.__version__} verifies {algorithm} with clocks that are 30 s off, and refuses other tokens")


def check_second_factor():
    with dev_server("--memory") as url:
        call(f"{url}/auth/register", ACCOUNT)
        token = call(f"{url}/auth/login", ACCOUNT)["access_token"]
        otp = call(f"{url}/auth/verify-phone", {}, token)["otp"]
        call(f"{url}/auth/verify-phone/confirm", {"otp": otp}, token)
        enrolled = call(f"{url}/auth/mfa/enroll", {"password": ACCOUNT["password"]}, token)
        authenticator = pyotp.parse_uri(enrolled["otpauth_uri"])
        assert authenticator.secret == enrolled["secret"], "the URI has another secret"
        assert (authenticator.issuer, authenticator.name) == ("Latchkey", "+201012345678"), "the URI names another account"

        # A code is accepted in its step, the one before and the one after. The first code is of the previous step and the last
        # of the next one, as on phones whose clocks are half a minute off, so there is no need to wait for another step. All are
        # generated early in a step, so that none expires on its way.
        elapsed = time.time() % authenticator.interval
        if elapsed > 15:
            time.sleep(authenticator.interval - elapsed)
        step = authenticator.interval
        before, now, ahead = (authenticator.at(time.time() + by) for by in (-step, 0, step))
        call(f"{url}/auth/mfa/confirm", {"code": before}, token)
        pending = call(f"{url}/auth/login", ACCOUNT, status=403)
        assert pending["code"] == "mfa-required", "the password alone signs in"
        second_step = {"mfa_token": pending["mfa_token"], "code": before}
        assert call(f"{url}/auth/login/mfa", second_step, status=400)["code"] == "invalid-otp", "a code works twice"
        token = call(f"{url}/auth/login/mfa", second_step | {"code": now})["access_token"]
        assert call(f"{url}/auth/me", token=token)["mfa_enabled"] is True
        for status in (None, 400):
            pending = call(f"{url}/auth/login", ACCOUNT, status=403)
            call(f"{url}/auth/login/mfa", {"mfa_token": pending["mfa_token"], "code": ahead}, status=status)
        print("pyotp's codes sign in on phones that are half a minute off, and each works once")


def sign_in_by_code(url, status=None):
    """Requests a code and sends it. There is no password."""
    asked = call(f"{url}/auth/code", {"phone": ACCOUNT["phone"]})
    body = {"challenge": asked["challenge"], "otp": asked["otp"]}
    # The next code may be requested after a second.
    time.sleep(asked["resend_in"])
    return call(f"{url}/auth/code/verify", body, status=status)


def check_sign_in_by_code():
    with dev_server("--memory") as url:
        token = sign_in_by_code(url)["access_token"]
        assert verify(token, url)["amr"] == ["sms"], "the claims do not tell how the user signed in"
        account = call(f"{url}/auth/me", token=token)
        assert (account["phone_verified"], account["has_password"]) == (True, False)
        authenticator = pyotp.parse_uri(call(f"{url}/auth/mfa/enroll", {}, token)["otpauth_uri"])
        call(f"{url}/auth/mfa/confirm", {"code": authenticator.now()}, token)
        pending = sign_in_by_code(url, status=403)
        assert pending["code"] == "mfa-required", "the code alone signs in"
        # The next step's code: the one of this step is used up.
        body = {"mfa_token": pending["mfa_token"], "code": authenticator.at(time.time() + authenticator.interval)}
        token = call(f"{url}/auth/login/mfa", body)["access_token"]
        assert verify(token, url)["amr"] == ["sms", "otp", "mfa"] and call(f"{url}/auth/me", token=token)["id"] == account["id"]
        print("a phone signs up and in by codes alone, with pyotp's codes as its second factor")


def check_that_rsa_is_refused():
    """Without what generates RSA keys, the dev server says how to start it, and does not fail at its first key."""
    server = command("--memory", "--env", "SIGNING_ALGORITHM=RS256")
    ended = subprocess.run(server, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and "`cargo run --features rsa`" in ended.stderr, ended.stderr
    print("a dev server without RSA says how to get one")


check_tokens("ES256")
check_that_rsa_is_refused()
check_tokens("RS256", features="rsa")
check_second_factor()
check_sign_in_by_code()
