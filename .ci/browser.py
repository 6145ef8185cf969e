"""Opens a page of another origin in Chromium. It signs up, signs in, refreshes and reads the account at the dev server,
once with a password and once by codes alone with a second factor on top, and reads what problems say; a page that the
server does not allow can do none of that.

    browser.py [PICTURE]

Debian's Chromium is driven by Playwright, which downloads none of its own.
"""

import functools
import http.server
import shutil
import sys
import threading

from playwright.sync_api import sync_playwright

from dev_server import ROOT, dev_server

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


def main(picture=None):
    chromium = shutil.which("chromium")
    assert chromium, "Debian's package chromium is missing"
    pages = serve_page()
    port = pages.server_port
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with dev_server("--memory") as url:
            check(journey(browser, f"http://localhost:{port}", url, picture))
        with dev_server("--memory", "--env", "ALLOWED_ORIGINS=https://app.example.com") as url:
            refused = journey(browser, f"http://localhost:{port}", url)
            print(f"from an origin that is not allowed: {refused}")
            assert refused == "TypeError: Failed to fetch", "a page that is not allowed reads nothing"
        browser.close()
    pages.shutdown()


main(*sys.argv[1:])
