"""Opens a page of another origin in Chromium. It signs up, signs in, refreshes and reads the account at the dev server,
once with a password and once by codes alone with a second factor on top, and reads what problems say; a page that the
server does not allow can do none of that. Then it runs the code of docs/clients.md, and an activation in Swagger UI, which
signs the next request in.

    browser.py [PICTURE]

Debian's Chromium is driven by Playwright, which downloads none of its own.
"""

import functools
import http.server
import json
import re
import shutil
import sys
import threading

from playwright.sync_api import sync_playwright

from dev_server import ROOT, call, dev_server

PAGE = ROOT / ".ci/page"
# Name, status, and the code of each step, as page.js takes them.
STEPS = [
    ("register", 201, None),
    ("login", 200, None),
    ("refresh", 200, None),
    ("me", 200, None),
    ("nothing", 404, "not-found"),
    ("wrong method", 405, "method-not-allowed"),
    ("no token", 401, "invalid-token"),
    ("wrong field", 422, "invalid-request"),
    ("too large", 413, "body-too-large"),
    *[("wrong password", 401, "invalid-credentials")] * 6,
    ("wrong password", 429, "too-many-requests"),
    ("delete", 204, None),
    ("code", 202, None),
    ("sign up by it", 200, None),
    ("enroll", 200, None),
    ("confirm", 200, None),
    ("code", 202, None),
    ("sign in by it", 403, "mfa-required"),
    ("second step", 200, None),
    ("me", 200, None),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the page and logs nothing."""

    def log_message(self, *_):
        pass


def serve_page():
    """Serves the page on a free port, and returns the server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(PAGE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def journey(browser, origin, api, picture=None):
    """Opens the page on this origin. Returns what it saw, or the text of its error."""
    page = browser.new_page(viewport={"width": 900, "height": 720})
    page.goto(f"{origin}/index.html#{api}")
    seen = page.evaluate("window.done")
    if picture:
        page.screenshot(path=picture)
    page.close()
    return seen


def check(seen):
    """Compares what the page saw with STEPS."""
    assert isinstance(seen, list), seen
    for step in seen:
        print(f"{step['name']}: {step['status']} {step.get('code') or ''} {step.get('retry') or ''}")
    assert [(step["name"], step["status"], step.get("code")) for step in seen] == STEPS
    last_login = next(step for step in seen if step["status"] == 429)
    assert last_login["retry"] == str(last_login["retryAfter"]), last_login
    assert seen[6]["authenticate"] == "Bearer", seen[6]


# What docs/clients.md promises of its code: tabs that refresh at once get one pair, a lost response is repeated, and the end
# of the session forgets the pair.
REFRESHES = """async ([api, first]) => {
  const post = (path, body, token) => fetch(api + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
  const read = async (token) => (await fetch(`${api}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).status;
  let pair = { ...first, attempt: crypto.randomUUID() };
  const [load, save] = [() => pair, (next) => { pair = next; }];
  const stale = pair.access_token;
  const tabs = await Promise.all([1, 2, 3].map(() => refresh(api, stale, load, save)));
  const { refresh_token, attempt } = pair;
  await post("/auth/refresh", { refresh_token, attempt }); // and its response is lost
  const repeated = await refresh(api, tabs[0], load, save);
  const works = await read(repeated);
  await post("/auth/logout", {}, repeated);
  const ended = await refresh(api, repeated, load, save);
  return { same: new Set(tabs).size === 1 && tabs[0] !== stale, works, ended, forgotten: pair === null };
}"""


def sign_up(url):
    """Creates an account by a code, and returns the tokens of its session."""
    asked = call(f"{url}/auth/code", {"phone": "01512345678"})
    tokens = call(f"{url}/auth/code/verify", {key: asked[key] for key in ("challenge", "otp")})
    return {key: tokens[key] for key in ("access_token", "refresh_token")}


def refreshes(browser, origin, api):
    """Runs the code of docs/clients.md in a page."""
    page = browser.new_page()
    page.goto(f"{origin}/index.html#{api}")
    page.evaluate("window.done")
    code = re.search(r"^```js\n(.*?)^```", (ROOT / "docs/clients.md").read_text(), re.DOTALL | re.MULTILINE)[1]
    page.add_script_tag(content=code)
    found = page.evaluate(REFRESHES, [api, sign_up(api)])
    page.close()
    print(f"the code of clients.md: {found}")
    assert found == {"same": True, "works": 200, "ended": None, "forgotten": True}, found


def activation(browser, url):
    """Activates a registration in Swagger UI with `sign_in`, and finds that the page has authorized itself."""
    begun = call(f"{url}/auth/register", {"phone": "01012345678", "password": "mypassword"})
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    page.goto(f"{url}/docs#/Registration/activate")
    operation = page.locator("#operations-Registration-activate")
    body = {"activation_id": begun["activation_id"], "otp": begun["otp"], "sign_in": True}
    operation.locator("textarea").fill(json.dumps(body))
    operation.locator("button.execute").click()
    operation.locator(".live-responses-table").wait_for()
    status = operation.locator(".live-responses-table .response-col_status").nth(1).inner_text().strip()
    is_authorized = page.evaluate("Boolean(ui.authSelectors.authorized().getIn(['bearer', 'value']))")
    page.close()
    print(f"activate in Swagger UI: {status}, authorized: {is_authorized}")
    assert status.startswith("201") and is_authorized


def main(picture=None):
    chromium = shutil.which("chromium")
    assert chromium, "Debian's package chromium is missing"
    pages = serve_page()
    port = pages.server_port
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with dev_server("--memory") as url:
            check(journey(browser, f"http://localhost:{port}", url, picture))
            refreshes(browser, f"http://localhost:{port}", url)
        with dev_server("--memory", "--env", "REQUIRE_ACTIVATION=true") as url:
            activation(browser, url)
        with dev_server("--memory", "--env", "ALLOWED_ORIGINS=https://app.example.com") as url:
            refused = journey(browser, f"http://localhost:{port}", url)
            print(f"from an origin that is not allowed: {refused}")
            assert refused == "TypeError: Failed to fetch", "a page that is not allowed reads nothing"
        browser.close()
    pages.shutdown()


main(*sys.argv[1:])
