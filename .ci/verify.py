"""Verifies an access token of the running dev server with an independent library, PyJWT, as docs/protecting-other-apis.md
says: once with each signing algorithm.

    verify.py
"""

import json
import pathlib
import subprocess
import sys
import urllib.request

import jwt

ROOT = pathlib.Path(__file__).resolve().parent.parent


def start_dev_server(algorithm):
    command = ["cargo", "run", "--quiet", "--", "--memory", "--port", "0", "--env", f"SIGNING_ALGORITHM={algorithm}"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if line.startswith("Latchkey is ready on "):
            return server, line.split()[-1]
    sys.exit("the dev server did not start")


def call(url, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


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


def check(algorithm):
    server, url = start_dev_server(algorithm)
    try:
        account = {"phone": "01012345678", "password": "mypassword"}
        user = call(f"{url}/auth/register", account)["id"]
        token = call(f"{url}/auth/login", account)["access_token"]

        metadata = call(f"{url}/.well-known/openid-configuration")
        keys = jwt.PyJWKClient(metadata["jwks_uri"], lifespan=300)
        header, claims = jwt.get_unverified_header(token), verify(token, keys, metadata["issuer"])
        assert header["alg"] == algorithm and header["typ"] == "at+jwt", "the header is not as documented"
        assert claims["sub"] == user and claims["iss"] == url, "the claims are not as documented"
        # The check can fail: by another audience, another issuer, and other claims under the same signature.
        head, body, signature = token.split(".")
        assert refused(token, keys, metadata["issuer"], audience="another")
        assert refused(token, keys, "https://attacker.example")
        assert refused(".".join([head, body[:-4] + "AAAA", signature]), keys, metadata["issuer"])
        print(f"PyJWT {jwt.__version__} verifies {algorithm}, and refuses what it should")
    finally:
        server.terminate()
        server.wait()


for name in ("ES256", "RS256"):
    check(name)
