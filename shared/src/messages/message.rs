//! Messages, and the outcomes of their delivery.

use std::fmt;

use super::{content::Content, language::Language};
use crate::{base::time::Timestamp, domain::phone::Phone};

/// A message to the owner of a phone. Each channel renders it in its own way.
#[derive(Clone)]
pub struct Message {
    /// The phone that receives the message.
    pub to: Phone,
    /// The content of the message.
    pub content: Content,
    /// The language that the client prefers; none if the client named none of ours.
    pub language: Option<Language>,
    /// The time of the request that causes the message.
    pub at: Timestamp,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message(to {:?})", self.to)
    }
}

/// The outcome of a message. The reasons are for the log: they contain neither number nor code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The provider accepted the message.
    Sent,
    /// The provider does not send to this number, so another try is useless.
    Refused(String),
    /// The message certainly was not sent, and a later one may be: the provider is down or throttles, or our account
    /// with it is not in order.
    NotSent(String),
    /// The provider said that it did not send the message, in a way that does not prove it: the 5xx of a webhook. Its
    /// adapter vouches for that, so the message costs nothing; but if it arrives, its code works.
    Doubtful(String),
    /// It is unknown whether the message was sent, because the provider reported no outcome. The message may arrive.
    Unknown,
}

impl Delivery {
    /// Returns whether the message may arrive.
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
