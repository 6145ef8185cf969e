"""What schemathesis is told about Latchkey: values of our formats, accounts, and a check of requests that fit."""

import json
import urllib.error
import urllib.request

import schemathesis
from hypothesis import strategies as st

PHONES = ["01012345678", "+201112345678", "+12015550123", "+4915123456789"]
PASSWORD = "correct horse 42"
schemathesis.openapi.format("phone", st.sampled_from(PHONES))
schemathesis.openapi.format("password", st.from_regex(r"^[A-Za-z0-9 ]{12,40}xQ7$", fullmatch=True))

# Requests that fit the description are never refused as malformed. These are about values that only we make.
OURS = {("POST /auth/resend-activation", "/activation_id"), ("POST /auth/activate", "/activation_id"),
        ("POST /auth/code/resend", "/challenge"), ("POST /auth/request-reset", "/challenge")}
# Whether these need the password depends on the account, which may have none; no schema tells.
OF_ACCOUNT = {"POST /auth/change-phone", "DELETE /auth/me", "POST /auth/me/delete", "POST /auth/mfa/disable",
              "POST /auth/mfa/enroll", "POST /auth/mfa/recovery-codes", "DELETE /auth/sessions/{id}"}


def call(url, body=None, token=None):
    """Sends a request and returns the body of the response, or none for a problem."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=json.dumps(body).encode() if body else None, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError:
        return None


# Not kept: what is right for one operation is not for another.
@schemathesis.auth(refresh_interval=None)
class Bearer:
    """Marks the requests that are to have an access token, which `before_call` knows only when it is their turn."""

    def get(self, case, _):
        """Returns the mark, for the operations that take a token."""
        return MARK if case.operation.definition.raw.get("security") else None

    def set(self, case, mark, _):
        """Puts the mark into a request."""
        case.headers["Authorization"] = mark


MARK = "Bearer of-an-account"
# So many requests in an account do not meet the limit of wrong passwords yet.
REQUESTS = 6
accounts = {"number": 0, "left": 0, "token": None}


@schemathesis.hook
def before_call(_, case, __):
    """Puts a token that works into a request. Signs in another account if the one before has ended its session, or itself,
    or has had its share."""
    if (case.headers or {}).get("Authorization") != MARK:
        return
    base = case.operation.base_url.rstrip("/")
    if accounts["left"] == 0 or call(f"{base}/auth/me", token=accounts["token"]) is None:
        accounts["number"] += 1
        accounts["left"] = REQUESTS
        account = {"phone": f"+2010{20000000 + accounts['number']}", "password": PASSWORD}
        call(f"{base}/auth/register", account)
        accounts["token"] = call(f"{base}/auth/login", account)["access_token"]
    accounts["left"] -= 1
    case.headers["Authorization"] = f"Bearer {accounts['token']}"


@schemathesis.check
def valid_requests_are_read(ctx, response, case):
    """Fails if a request that the description allows is refused for its form."""
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in (400, 413, 415, 422):
        return
    problem = json.loads(response.content)
    operation = f"{case.method.upper()} {case.path}"
    errors = {(operation, error["pointer"]) for error in problem.get("errors", [])}
    if problem["code"] == "invalid-otp" or (errors and errors <= OURS):
        return
    if operation in OF_ACCOUNT and problem.get("errors") == [{"pointer": "/password", "detail": "is required"}]:
        return
    raise AssertionError(f"{operation} refuses what its description allows: {problem['code']} {problem.get('errors')}")
