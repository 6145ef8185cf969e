//! `/dev/messages`: shows the messages that would have been sent, newest first, as a page or as JSON. Only the dev
//! server has it.

use std::fmt::Write;

use latchkey::{
    base::time::{Timestamp, in_words},
    messages::SentMessage,
};
use serde_json::{Value, json};

use crate::html::{column_style, escape, head, list_style};

/// Returns the page with these messages. `total` counts all that were sent so far, kept or not.
///
/// The page asks for later messages by itself, as JSON, and adds them above, so that a selected code stays selected.
pub(crate) fn render(messages: &[SentMessage], total: usize, now: Timestamp) -> String {
    let mut list = String::new();
    for message in messages {
        let at = message.at.to_rfc3339();
        let _ = write!(
            list,
            "<li><header><b>{to}</b> <time datetime=\"{at}\" title=\"{at}\">{ago}</time></header><p dir=\"auto\">{text}</p></li>",
            to = escape(message.to.as_e164()),
            ago = ago(now, message.at),
            text = escape(&message.text),
        );
    }
    PAGE.replace("{total}", &total.to_string()).replace("{list}", &list)
}

/// Returns messages as JSON, with the number of all that were sent so far, which a client sends back as `after`.
pub(crate) fn as_json(messages: &[SentMessage], total: usize) -> Value {
    let messages: Vec<_> = messages
        .iter()
        .map(|message| {
            json!({
                "to": message.to.as_e164(),
                "about": message.about,
                "text": message.text,
                "at": message.at.to_rfc3339(),
            })
        })
        .collect();
    json!({"total": total, "messages": messages})
}

fn ago(now: Timestamp, at: Timestamp) -> String {
    let passed = now.since(at);
    if passed.as_secs() < 5 { "just now".to_owned() } else { format!("{} ago", in_words(passed)) }
}

const PAGE: &str = concat!(
    head!(),
    r#"<noscript><meta http-equiv="refresh" content="2"></noscript>
<title>Messages ({total})</title>
<style>
"#,
    column_style!(),
    list_style!(),
    r#"  ol:not(:empty) ~ .none { display: none; }
  header { display: flex; justify-content: space-between; gap: 1rem; }
  time { opacity: .65; font-size: .9rem; }
  li p { margin: .3rem 0 0; white-space: pre-line; }
</style>
</head>
<body>
<h1>Messages</h1>
<p class="about">Messages that <code>SMS_PROVIDER=log</code> kept, newest first. Nothing leaves this machine. Scripts get them as JSON:
<code>curl -H 'Accept: application/json'</code>.</p>
<ol>{list}</ol>
<p class="none">No messages yet. <code>POST /auth/request-reset</code> for a registered phone sends one.</p>
<script>
  const list = document.querySelector("ol");
  let seen = {total};
  const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
  function ago(at) {
    const seconds = Math.round((Date.now() - new Date(at)) / 1000);
    if (seconds < 5) return "just now";
    if (seconds < 120) return `${seconds} s ago`;
    return seconds < 3600 ? `${Math.ceil(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min ago`;
  }
  function item(message) {
    const time = Object.assign(element("time", ago(message.at)), { dateTime: message.at, title: message.at });
    const header = document.createElement("header");
    header.append(element("b", message.to), " ", time);
    const text = Object.assign(element("p", message.text), { dir: "auto" });
    const li = document.createElement("li");
    li.append(header, text);
    return li;
  }
  // The next question waits for the answer to this one: two at a time would both add the same messages.
  async function update() {
    const answer = await fetch(`/dev/messages?after=${seen}`, { headers: { Accept: "application/json" } }).catch(() => null);
    const news = answer?.ok ? await answer.json().catch(() => null) : null;
    if (news) show(news);
    setTimeout(update, 2000);
  }
  function show(news) {
    if (news.total < seen) return location.reload(); // the server was started again
    seen = news.total;
    list.prepend(...news.messages.map(item));
    document.title = `Messages (${seen})`;
    for (const time of list.querySelectorAll("time")) {
      const words = ago(time.dateTime);
      if (time.textContent !== words) time.textContent = words;
    }
  }
  setTimeout(update, 2000);
</script>
</body>
</html>
"#
);

#[cfg(test)]
mod tests {
    use latchkey::domain::phone::PhoneRules;

    use super::*;

    fn message(text: &str, at: u64) -> SentMessage {
        let to = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        SentMessage { to, about: "reset", text: text.to_owned(), at: Timestamp::from_unix_seconds(at) }
    }

    #[test]
    fn messages_are_shown_newest_first_and_escaped() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let page = render(&[message("<b>new</b>", 1_000_000), message("old", 996_400)], 2, now);
        let (new, old) = (page.find("&lt;b&gt;new&lt;/b&gt;").unwrap(), page.find("old</p>").unwrap());
        assert!(new < old);
        assert!(page.contains("just now") && page.contains("1 h ago") && page.contains("+201012345678"));
        assert!(page.contains("<title>Messages (2)</title>") && page.contains("let seen = 2;"));
        // What the script fills in itself is left alone, or it would ask for every message again and again.
        assert!(page.contains("/dev/messages?after=${seen}`") && page.contains("`Messages (${seen})`"));
    }

    #[test]
    fn scripts_get_messages_with_their_purpose() {
        let found = as_json(&[message("hello", 1_000_000)], 7);
        assert_eq!(found["total"], 7);
        let expected = json!({"to": "+201012345678", "about": "reset", "text": "hello", "at": "1970-01-12T13:46:40Z"});
        assert_eq!(found["messages"], json!([expected]));
    }
}
