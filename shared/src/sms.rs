//! Text messages. The outside world is an enum, not a mocked trait.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    otp::{OtpCode, Purpose},
    phone::Phone,
    time::Timestamp,
};

/// Who sends text messages: `SMS_PROVIDER`.
#[derive(Clone, Debug)]
pub enum Sms {
    /// `log`: nobody. The message, code included, is written to the log, as the origin's stub did.
    Log,
    /// Nobody either: the messages are kept in memory, for the dev server's `/dev/sms` and the tests.
    Outbox(Outbox),
}

impl Sms {
    /// Sends one message.
    pub fn send(&self, message: Message) {
        match self {
            // The one place where a code may reach a log, and what `SMS_PROVIDER=log` is for.
            Self::Log => tracing::info!(to = message.to.as_e164(), text = message.text, "SMS not sent, only logged"),
            Self::Outbox(outbox) => outbox.push(message),
        }
    }
}

/// One text message.
#[derive(Clone)]
pub struct Message {
    /// Whom it goes to.
    pub to: Phone,
    /// What it says.
    pub text: String,
    /// When it was handed over.
    pub at: Timestamp,
}

impl Message {
    /// The message that carries a code. It names the service and the purpose, says not to share the code, and has no
    /// link (SECURITY O13); in GSM-7 it is one segment.
    pub fn with_code(purpose: Purpose, to: &Phone, code: &OtpCode, at: Timestamp) -> Self {
        let code = code.reveal();
        let text = match purpose {
            Purpose::Reset => format!(
                "Latchkey: {code} is your code to set a new password. Do not share it. If you did not ask for it, ignore this message."
            ),
        };
        Self { to: to.clone(), text, at }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message(to {:?})", self.to)
    }
}

/// The last messages that were "sent", newest first.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Sent>>);

#[derive(Default)]
struct Sent {
    /// Newest first.
    kept: VecDeque<Message>,
    /// How many there ever were.
    total: usize,
}

impl Outbox {
    /// How many messages are kept.
    const KEPT: usize = 200;

    fn push(&self, message: Message) {
        let mut sent = self.sent();
        sent.kept.push_front(message);
        sent.kept.truncate(Self::KEPT);
        sent.total += 1;
    }

    /// The messages, newest first.
    pub fn messages(&self) -> Vec<Message> {
        self.sent().kept.iter().cloned().collect()
    }

    /// The messages that were sent after the first `seen`, oldest first, and how many there were in all.
    pub fn messages_after(&self, seen: usize) -> (Vec<Message>, usize) {
        let sent = self.sent();
        let mut new: Vec<_> = sent.kept.iter().take(sent.total.saturating_sub(seen)).cloned().collect();
        new.reverse();
        (new, sent.total)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::PhoneRules;

    #[test]
    fn a_message_is_one_gsm7_segment_that_names_service_and_purpose() {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        let code = "042424".parse().unwrap();
        let message = Message::with_code(Purpose::Reset, &phone, &code, Timestamp::from_unix_seconds(0));
        assert!(message.text.is_ascii() && message.text.len() <= 160, "{} characters", message.text.len());
        assert!(message.text.contains("Latchkey") && message.text.contains("password"));
        assert!(!message.text.contains("http"));
        assert_eq!(format!("{message:?}"), "Message(to Phone(+20********78))");
    }

    #[test]
    fn the_outbox_keeps_the_newest_first() {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        let outbox = Outbox::default();
        for second in 0..250 {
            let at = Timestamp::from_unix_seconds(second);
            Sms::Outbox(outbox.clone()).send(Message { to: phone.clone(), text: String::new(), at });
        }
        let messages = outbox.messages();
        assert_eq!(messages.len(), Outbox::KEPT);
        assert_eq!(messages[0].at.unix_seconds(), 249);
        let (new, total) = outbox.messages_after(248);
        assert_eq!((new.len(), total), (2, 250));
        assert_eq!(new[0].at.unix_seconds(), 248);
    }
}
