"""Checks the running dev server with independent libraries: PyJWT verifies an access token of each signing algorithm, as
docs/protecting-other-apis.md describes, and pyotp is the authenticator of a login with a second factor.

    verify.py
"""

import time

import jwt
import pyotp

from dev_server import call, dev_server

ACCOUNT = {"phone": "01012345678", "password": "mypassword"}


def verify(token, keys, issuer, audience="latchkey"):
    key = keys.get_signing_key_from_jwt(token)
    options = {"require": ["exp", "iat", "sub"]}
    algorithms = [key.algorithm_name]
    return jwt.decode(token, key, algorithms=algorithms, issuer=issuer, audience=audience, options=options)


def refused(*arguments, **options):
    try:
        verify(*arguments, **options)
    except jwt.PyJWTError:
        return True
    return False


def check_tokens(algorithm):
    with dev_server("--memory", "--env", f"SIGNING_ALGORITHM={algorithm}") as url:
        user = call(f"{url}/auth/register", ACCOUNT)["id"]
        token = call(f"{url}/auth/login", ACCOUNT)["access_token"]

        metadata = call(f"{url}/.well-known/openid-configuration")
        keys = jwt.PyJWKClient(metadata["jwks_uri"], lifespan=300)
        header, claims = jwt.get_unverified_header(token), verify(token, keys, metadata["issuer"])
        assert header["alg"] == algorithm and header["typ"] == "at+jwt", "the header is not as documented"
        assert claims["sub"] == user and claims["iss"] == url, "the claims are not as documented"
        # The check can fail: with another audience, another issuer, or other claims under the same signature.
        head, body, signature = token.split(".")
        assert refused(token, keys, metadata["issuer"], audience="another")
        assert refused(token, keys, "https://attacker.example")
        assert refused(".".join([head, body[:-4] + "AAAA", signature]), keys, metadata["issuer"])
        print(f"PyJWT {jwt.__version__} verifies {algorithm}, and refuses tokens that are not as documented")


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

        # A code is accepted in its step and the next. The first code is of the previous step, so that there is no need to wait
        # for the second. Both are generated early in a step, so that neither expires on its way.
        elapsed = time.time() % authenticator.interval
        if elapsed > 15:
            time.sleep(authenticator.interval - elapsed)
        before, now = (authenticator.at(time.time() - ago) for ago in (authenticator.interval, 0))
        call(f"{url}/auth/mfa/confirm", {"code": before}, token)
        pending = call(f"{url}/auth/login", ACCOUNT, status=403)
        assert pending["code"] == "mfa-required", "the password alone signs in"
        second_step = {"mfa_token": pending["mfa_token"], "code": before}
        assert call(f"{url}/auth/login/mfa", second_step, status=400)["code"] == "invalid-otp", "a code works twice"
        token = call(f"{url}/auth/login/mfa", second_step | {"code": now})["access_token"]
        assert call(f"{url}/auth/me", token=token)["mfa_enabled"] is True
        print("pyotp's codes sign in, and each works once")


for name in ("ES256", "RS256"):
    check_tokens(name)
check_second_factor()
