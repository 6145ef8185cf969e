//! One message, and how its delivery ended.

use std::fmt;

use super::{content::Content, language::Language};
use crate::{base::time::Timestamp, domain::phone::Phone};

/// A message to the owner of a phone. Each channel renders it in its own way.
#[derive(Clone)]
pub struct Message {
    /// Whom it goes to.
    pub to: Phone,
    /// What it is about.
    pub content: Content,
    /// The language that the recipient prefers; none when the client named none of ours.
    pub language: Option<Language>,
    /// When it was handed over.
    pub at: Timestamp,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message(to {:?})", self.to)
    }
}

/// What came of a message. The reasons are for the log: they name neither number nor code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The provider took it.
    Sent,
    /// The provider does not send to this number; another try is useless.
    Refused(String),
    /// It was certainly not sent, and another time it may be: the provider is down or throttles, or our account with it
    /// is not in order.
    NotSent(String),
    /// Nobody knows: the answer did not come. The message may arrive.
    Unknown,
}

impl Delivery {
    /// Whether somebody may get the message.
    pub fn may_arrive(&self) -> bool {
        matches!(self, Self::Sent | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::phone::PhoneRules, messages::Notice};

    #[test]
    fn nothing_prints_a_message() {
        let to = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        let content = Content::Notice(Notice::PhoneChanged);
        let message = Message { to, content, language: None, at: Timestamp::from_unix_seconds(0) };
        assert_eq!(format!("{message:?}"), "Message(to Phone(+20********78))");
    }
}
