// Signs up, signs in, refreshes, reads the account and deletes it, from a page of another origin: as an app would, with
// `fetch` and nothing else. Then does so by codes alone, with a second factor on top. The API's address is in the fragment.
// Every step says what the page could read.
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

// The code that an authenticator shows at a time (RFC 6238), for a secret in base32.
async function totp(secret, milliseconds) {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => digits.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const bytes = Uint8Array.from(bits.match(/.{8}/g), (byte) => parseInt(byte, 2));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const step = new DataView(new ArrayBuffer(8));
  step.setBigUint64(0, BigInt(Math.floor(milliseconds / 30000)));
  const mac = new DataView(await crypto.subtle.sign("HMAC", key, step));
  const number = mac.getUint32(mac.getUint8(19) & 15) & 0x7fffffff;
  return String(number % 1000000).padStart(6, "0");
}

// Signs up by a code, switches a second factor on, and signs in by another code and that.
async function journeyByCode(step) {
  const ask = async () => {
    const { challenge, otp, resend_in } = await step("code", "POST", "/auth/code", { body: { phone: "01212345678" } });
    // The next code may be requested after a second.
    await new Promise((done) => setTimeout(done, resend_in * 1000));
    return { challenge, otp };
  };
  const { access_token: token } = await step("sign up by it", "POST", "/auth/code/verify", { body: await ask() });
  const { secret } = await step("enroll", "POST", "/auth/mfa/enroll", { token, body: {} });
  const now = Date.now();
  await step("confirm", "POST", "/auth/mfa/confirm", { token, body: { code: await totp(secret, now) } });
  const { mfa_token } = await step("sign in by it", "POST", "/auth/code/verify", { body: await ask() });
  // The next step's code: the one of this step is used up.
  const body = { mfa_token, code: await totp(secret, now + 30000) };
  const signedIn = await step("second step", "POST", "/auth/login/mfa", { body });
  await step("me", "GET", "/auth/me", { token: signedIn.access_token });
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
  await journeyByCode(step);
  return seen;
}

window.done = journey().catch((error) => String(error));
