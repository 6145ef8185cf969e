//! An outbox: messages that are kept in memory instead of sent, for the dev server's `/dev/messages` and the tests.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{base::time::Timestamp, domain::phone::Phone};

/// A message with the text of its SMS. It has no `Debug`, because it may carry a code.
#[derive(Clone)]
pub struct SentMessage {
    /// The phone that the message was for.
    pub to: Phone,
    /// The purpose of its code, or the name of the notice.
    pub about: &'static str,
    /// The text of the SMS.
    pub text: String,
    /// The time of the request that caused the message.
    pub at: Timestamp,
}

/// The last messages that would have been sent.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Sent>>);

#[derive(Default)]
struct Sent {
    /// The last messages, newest first.
    kept: VecDeque<SentMessage>,
    /// The number of all messages so far, dropped ones included.
    total: usize,
}

impl Outbox {
    /// The largest number of messages that are kept.
    const KEPT: usize = 200;

    pub(super) fn push(&self, message: SentMessage) {
        let mut sent = self.sent();
        sent.kept.push_front(message);
        sent.kept.truncate(Self::KEPT);
        sent.total += 1;
    }

    /// Returns an outbox with the same messages, which gets its own from now on.
    #[must_use]
    pub fn copy(&self) -> Self {
        let Sent { kept, total } = &*self.sent();
        Self(Arc::new(Mutex::new(Sent { kept: kept.clone(), total: *total })))
    }

    /// Returns the messages, newest first.
    pub fn messages(&self) -> Vec<SentMessage> {
        self.sent().kept.iter().cloned().collect()
    }

    /// Returns the messages after the first `seen`, oldest first, and the number of all messages so far.
    pub fn messages_after(&self, seen: usize) -> (Vec<SentMessage>, usize) {
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
    use crate::domain::phone::PhoneRules;

    #[test]
    fn the_outbox_keeps_the_newest_first() {
        let outbox = Outbox::default();
        let to = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        for second in 0..250 {
            let at = Timestamp::from_unix_seconds(second);
            outbox.push(SentMessage { to: to.clone(), about: "reset", text: String::new(), at });
        }
        let messages = outbox.messages();
        assert_eq!(messages.len(), Outbox::KEPT);
        assert_eq!(messages[0].at.unix_seconds(), 249);
        let (new, total) = outbox.messages_after(248);
        assert_eq!((new.len(), total), (2, 250));
        assert_eq!(new[0].at.unix_seconds(), 248);
    }
}
