//! Messages to phones. A message has content, a recipient and a language; each channel renders and carries it in its
//! own way.

mod channels;
mod content;
mod language;
mod message;
mod outbox;
mod senders;
mod settings;
mod text;

pub use channels::{Channel, DEADLINE, check_credentials};
pub use content::{Content, Notice};
pub use language::Language;
pub use message::{Delivery, Message};
pub use outbox::{Outbox, SentMessage};
pub use senders::{InvalidSenders, Senders};
pub use settings::{Provider, SmsSettings};
pub use text::{TextSettings, segments};
