// Signs up, signs in, refreshes, reads the account and deletes it, from a page of another origin: as an app would, with
// `fetch` and nothing else. The API's address is in the fragment. Every step says what the page could read.
"use strict";

const api = location.hash.slice(1);
const account = { phone: "01012345678", password: "mypassword" };

async function call(method, path, { token, body } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  return { response, status: response.status, answer: text ? JSON.parse(text) : {} };
}

function say(step, { status, answer, response }) {
  const row = document.getElementById("steps").insertRow();
  const more = [answer.code, answer.retry_after, response.headers.get("Retry-After")];
  for (const text of [step, status, ...more.filter((text) => text != null)]) row.insertCell().textContent = text;
}

async function journey() {
  const seen = [];
  const step = async (name, ...request) => {
    const result = await call(...request);
    say(name, result);
    const { status, answer, response } = result;
    const header = (name) => response.headers.get(name);
    const [retry, authenticate] = [header("Retry-After"), header("WWW-Authenticate")];
    seen.push({ name, status, code: answer.code, retryAfter: answer.retry_after, retry, authenticate });
    return answer;
  };
  await step("register", "POST", "/auth/register", { body: account });
  const first = await step("login", "POST", "/auth/login", { body: account });
  const second = await step("refresh", "POST", "/auth/refresh", { body: { refresh_token: first.refresh_token } });
  await step("me", "GET", "/auth/me", { token: second.access_token });
  await step("nothing", "GET", "/auth/nothing");
  await step("wrong method", "DELETE", "/auth/login");
  await step("no token", "GET", "/auth/me");
  await step("wrong field", "POST", "/auth/register", { body: { ...account, phone: "12" } });
  await step("too large", "POST", "/auth/login", { body: { ...account, more: "x".repeat(20000) } });
  for (let tries = 0; seen.at(-1).status !== 429 && tries < 10; tries += 1) {
    await step("wrong password", "POST", "/auth/login", { body: { ...account, phone: "01112345678" } });
  }
  await step("delete", "DELETE", "/auth/me", { token: second.access_token, body: { password: account.password } });
  return seen;
}

window.done = journey().catch((error) => String(error));
