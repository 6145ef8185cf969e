//! `/dev/messages`: shows the messages that would have been sent, newest first. Only the dev server has this page.

use std::fmt::Write;

use latchkey::{base::time::Timestamp, messages::SentMessage};

/// The interval at which the page reloads itself, in seconds.
const REFRESH: u32 = 2;

/// Returns the page with these messages as HTML.
pub(crate) fn render(messages: &[SentMessage], now: Timestamp) -> String {
    let mut list = String::new();
    for message in messages {
        let at = message.at.to_rfc3339();
        let _ = write!(
            list,
            "<li><header><b>{to}</b> <time datetime=\"{at}\" title=\"{at}\">{ago}</time></header><p dir=\"auto\">{text}</p></li>",
            to = escape(message.to.as_e164()),
            ago = ago(now.since(message.at).as_secs()),
            text = escape(&message.text),
        );
    }
    if list.is_empty() {
        list.push_str(
            "<li class=\"none\">No messages yet. <code>POST /auth/request-reset</code> for a registered phone sends one.</li>",
        );
    }
    PAGE.replace("{refresh}", &REFRESH.to_string())
        .replace("{count}", &messages.len().to_string())
        .replace("{list}", &list)
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3600),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{refresh}">
<link rel="icon" href="data:,">
<title>Messages ({count})</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.4rem; margin: 0; }
  .about { margin: .2rem 0 1.5rem; opacity: .7; }
  ol { list-style: none; margin: 0; padding: 0; }
  li { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: .7rem; padding: .7rem 1rem; margin-bottom: .8rem; }
  li.none { border-style: dashed; opacity: .8; }
  header { display: flex; justify-content: space-between; gap: 1rem; }
  time { opacity: .65; font-size: .9rem; }
  p { margin: .3rem 0 0; white-space: pre-line; }
</style>
</head>
<body>
<h1>Messages</h1>
<p class="about">Messages that <code>SMS_PROVIDER=log</code> kept, newest first. Nothing leaves this machine.</p>
<ol>{list}</ol>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use latchkey::domain::phone::PhoneRules;

    use super::*;

    #[test]
    fn messages_are_shown_newest_first_and_escaped() {
        let to = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        let now = Timestamp::from_unix_seconds(1_000_000);
        let message = |text: &str, at| SentMessage { to: to.clone(), about: "reset", text: text.to_owned(), at };
        let page = render(&[message("<b>new</b>", now), message("old", Timestamp::from_unix_seconds(996_400))], now);
        let (new, old) = (page.find("&lt;b&gt;new&lt;/b&gt;").unwrap(), page.find("old</p>").unwrap());
        assert!(new < old);
        assert!(page.contains("just now") && page.contains("1 h ago") && page.contains("+201012345678"));
        assert!(page.contains("http-equiv=\"refresh\""));
        assert!(render(&[], now).contains("No messages yet"));
    }
}
