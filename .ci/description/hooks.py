"""What schemathesis is told about Latchkey: values of our formats, and a check of requests that fit the description."""

import json

import schemathesis
from hypothesis import strategies as st

PHONES = ["01012345678", "+201112345678", "+12015550123", "+4915123456789"]
schemathesis.openapi.format("phone", st.sampled_from(PHONES))
schemathesis.openapi.format("password", st.from_regex(r"^[A-Za-z0-9 ]{12,40}xQ7$", fullmatch=True))

# Requests that fit the description are never refused as malformed. These are about values that only we make.
OURS = {("POST /auth/resend-activation", "/activation_id"), ("POST /auth/activate", "/activation_id")}


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
    raise AssertionError(f"{operation} refuses what its description allows: {problem['code']} {problem.get('errors')}")
