//! `/`: what the dev server offers, and the settings in force. Only the dev server has this page.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    html::{escape, head},
    settings::Settings,
    template::Template,
};

/// The variables whose values are not shown, because they are or may contain secrets.
const HIDDEN: [&str; 2] = ["SMS_API_URL", "TEST_NUMBERS"];

/// What to try first where users sign in by a code.
const BY_CODE: &str = r#"<pre>curl <span class="origin"></span>/auth/code \
  -H 'Content-Type: application/json' \
  -d '{"phone": "{example}"}'</pre>
<p>The code is in the message inbox. Send it with the <code>challenge</code> of the response to <code>POST /auth/code/verify</code>:
  it signs in, and makes the account the first time.</p>"#;

/// The same where they sign in by a password alone.
const BY_PASSWORD: &str = r#"<pre>curl <span class="origin"></span>/auth/register \
  -H 'Content-Type: application/json' \
  -d '{"phone": "{example}", "password": "mypassword"}'
curl <span class="origin"></span>/auth/login \
  -H 'Content-Type: application/json' \
  -d '{"phone": "{example}", "password": "mypassword"}'</pre>"#;

/// Returns the page of a server with this template and these settings. `example` is a phone to try, `kept` says where data
/// is kept, and `data_option` is what operators' commands need to find it.
pub fn render(template: &Template, settings: &Settings, example: &str, (kept, data_option): (&str, &str)) -> String {
    let overrides = &settings.overrides;
    let functions = template.functions.iter().flat_map(|function| &function.environment);
    let mut all: BTreeMap<&str, &str> = functions.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend(overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut rows = String::new();
    for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
        let (class, note) = if overrides.contains_key(name) { (" class=\"set\"", "set here") } else { ("", "") };
        let value = if HIDDEN.contains(&name) { "…" } else { value };
        let _ = write!(
            rows,
            "<tr{class}><td><code>{}</code></td><td><code>{}</code></td><td>{note}</td></tr>",
            escape(name),
            escape(value)
        );
    }
    PAGE.replace("{rows}", &rows)
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{kept}", &escape(kept))
        .replace("{data}", &escape(data_option))
        .replace("{try}", if settings.signs_in_by_code() { BY_CODE } else { BY_PASSWORD })
        .replace("{example}", &escape(example))
}

const PAGE: &str = concat!(
    head!(),
    r#"<title>Latchkey</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin: 0; }
  h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
  .about { margin: .2rem 0 1.5rem; opacity: .7; }
  ul { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: .8rem; }
  li { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: .7rem; padding: .7rem 1rem; }
  li small { display: block; opacity: .7; }
  pre { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: .7rem; padding: .7rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
  table { border-collapse: collapse; font-size: .9rem; width: 100%; }
  td { padding: .1rem .8rem .1rem 0; vertical-align: top; overflow-wrap: anywhere; }
  tr.set { font-weight: 600; }
  @media (max-width: 40rem) {
    pre { font-size: .8rem; }
    td { display: block; padding: 0; }
    td + td { padding-left: 1rem; }
    tr { display: block; margin-bottom: .4rem; }
  }
</style>
</head>
<body>
<h1>Latchkey</h1>
<p class="about">Version {version}, data kept {kept}. This page and <code>/dev</code> exist on this machine only, not on AWS.</p>
<ul>
  <li><a href="/docs">API documentation</a><small>every endpoint, to try</small></li>
  <li><a href="/dev/messages">Message inbox</a><small>texts that would have been sent</small></li>
  <li><a href="/dev/users">Users</a><small>accounts, sessions and wrong tries</small></li>
  <li><a href="/dev/qr">QR code</a><small>of <code>mfa/enroll</code>, to scan</small></li>
  <li><a href="/openapi.json">OpenAPI description</a><small>for generators of clients</small></li>
  <li><a href="/.well-known/openid-configuration">Discovery</a><small>how others verify tokens</small></li>
</ul>
<h2>Try it</h2>
{try}
<h2>Manage accounts</h2>
<pre>cargo run -p admin -- {data}list
cargo run -p admin -- {data}user show {example}
cargo run -p admin -- {data}stats
cargo run -p admin -- --help</pre>
<h2>Settings</h2>
<p>Set one with <code>--env NAME=VALUE</code>, <code>--env-file FILE</code>, or an environment variable of its name; <code>docs/configuration.md</code> describes each.</p>
<table>{rows}</table>
<script>for (const part of document.querySelectorAll(".origin")) part.textContent = location.origin;</script>
</body>
</html>
"#
);
