//! Text messages: who sends them, and what came of it. The outside world is an enum, not a mocked trait.

mod post;
mod sns;
mod text;
mod twilio;
mod vonage;
mod webhook;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::de::DeserializeOwned;

use crate::{
    error::Source,
    keyring::Keyring,
    otp::{OtpCode, Purpose},
    phone::{Country, Phone},
    time::Timestamp,
};

pub use post::HttpsPoster;
pub use text::{Language, Notice, TextSettings, segments};

/// Who sends text messages: `SMS_PROVIDER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `log`: nobody. The message, code included, is written to the log, as the origin's stub did.
    Log,
    /// `sns`: Amazon SNS.
    Sns,
    /// `twilio`: Twilio's Messages API.
    Twilio,
    /// `vonage`: Vonage's Messages API.
    Vonage,
    /// `http`: a signed webhook of the operator's.
    Http,
}

/// How messages are sent here: `SMS_*`.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// `SMS_PROVIDER`.
    pub provider: Provider,
    /// `SMS_SENDER_ID`.
    pub senders: Senders,
    /// `SMS_MAX_PRICE`: the most that one message may cost, in US dollars (`sns`).
    pub max_price: Option<String>,
    /// `SMS_API_URL`: where the provider is; for `http`, the webhook.
    pub api_url: Option<String>,
    /// `SMS_FLOOR_MS`: how long a request for a code takes at the least, so that its time does not tell whether a message
    /// was sent.
    pub floor: Duration,
    /// What messages say.
    pub text: TextSettings,
}

/// From whom messages come: `SMS_SENDER_ID`, such as `Acme,US=+12025550123,UZ=4546`.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    default: Option<String>,
    by_country: Vec<(Country, String)>,
}

/// The list of senders is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSenders {
    /// Not what networks take for a sender.
    #[error(
        "must be names of at most 11 letters and digits, or numbers, and separated by commas: Acme,US=+12025550123"
    )]
    NotASender,
    /// Two for one country, or two for all others.
    #[error("names two senders for one country")]
    Twice,
    /// No such country.
    #[error("names a country that is not an ISO 3166-1 code such as EG")]
    UnknownCountry,
}

impl std::str::FromStr for Senders {
    type Err = InvalidSenders;

    fn from_str(text: &str) -> Result<Self, InvalidSenders> {
        let mut senders = Self::default();
        for item in text.split(',').map(str::trim) {
            let (country, sender) = match item.split_once('=') {
                Some((country, sender)) => (Some(country.trim()), sender.trim()),
                None => (None, item),
            };
            let digits = sender.trim_start_matches('+');
            let is_number = (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            let is_name =
                (1..=11).contains(&sender.len()) && sender.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
            if !is_number && !is_name && !twilio::is_service(sender) {
                return Err(InvalidSenders::NotASender);
            }
            let sender = sender.to_owned();
            match country {
                None if senders.default.is_some() => return Err(InvalidSenders::Twice),
                None => senders.default = Some(sender),
                Some(country) => {
                    let country: Country = country.parse().map_err(|_| InvalidSenders::UnknownCountry)?;
                    if senders.by_country.iter().any(|(known, _)| *known == country) {
                        return Err(InvalidSenders::Twice);
                    }
                    senders.by_country.push((country, sender));
                }
            }
        }
        Ok(senders)
    }
}

impl Senders {
    /// The sender of a message to this phone.
    fn of(&self, to: &Phone) -> Option<&str> {
        let country = to.country();
        let own = self.by_country.iter().find(|(known, _)| Some(*known) == country).map(|(_, sender)| sender);
        own.or(self.default.as_ref()).map(String::as_str)
    }

    /// Whether there is one for every country.
    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }
}

/// The way out for text messages.
#[derive(Clone, Debug)]
pub enum Sms {
    /// Into the log.
    Log,
    /// Nowhere: the messages are kept in memory, for the dev server's `/dev/sms` and the tests.
    Outbox(Outbox),
    /// By Amazon SNS.
    Sns(Box<aws_sdk_sns::Client>),
    /// By a provider's HTTP API, with credentials from Secrets Manager.
    Api(Provider, HttpsPoster),
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

impl Sms {
    /// The way out that the settings ask for; into this outbox what would only be logged, if there is one.
    pub fn new(settings: &SmsSettings, sns: aws_sdk_sns::Client, outbox: Option<Outbox>) -> Result<Self, Source> {
        Ok(match (settings.provider, outbox) {
            (Provider::Log, None) => Self::Log,
            (Provider::Log, Some(outbox)) => Self::Outbox(outbox),
            (Provider::Sns, _) => Self::Sns(Box::new(sns)),
            (provider @ (Provider::Twilio | Provider::Vonage | Provider::Http), _) => {
                Self::Api(provider, HttpsPoster::new()?)
            }
        })
    }

    /// Sends one message.
    pub async fn send(&self, settings: &SmsSettings, keyring: &Keyring, message: Message) -> Delivery {
        let (to, text) = (message.to.as_e164(), message.text.as_str());
        match self {
            // The one place where a code may reach a log, and what `SMS_PROVIDER=log` is for.
            Self::Log => {
                tracing::info!(to, text, "SMS not sent, only logged");
                Delivery::Sent
            }
            Self::Outbox(outbox) => {
                outbox.push(message);
                Delivery::Sent
            }
            Self::Sns(client) => {
                sns::send(client, settings.senders.of(&message.to), settings.max_price.as_deref(), to, text).await
            }
            Self::Api(provider, poster) => {
                by_api(*provider, poster, settings, keyring, &message).await.unwrap_or_else(Delivery::NotSent)
            }
        }
    }
}

/// Sends a message by a provider's HTTP API; says why it was not even tried.
async fn by_api(
    provider: Provider,
    poster: &HttpsPoster,
    settings: &SmsSettings,
    keyring: &Keyring,
    message: &Message,
) -> Result<Delivery, String> {
    let (sender, api) = (settings.senders.of(&message.to), settings.api_url.as_deref());
    let (to, text) = (message.to.as_e164(), message.text.as_str());
    let credentials = keyring.sms_credentials(message.at).await;
    let credentials = credentials.map_err(|error| format!("its credentials cannot be read: {error}"))?;
    match (provider, sender, api) {
        (Provider::Twilio, Some(sender), _) => {
            Ok(twilio::send(poster, api, &read(&credentials)?, sender, to, text).await)
        }
        (Provider::Vonage, Some(sender), _) => {
            Ok(vonage::send(poster, api, &read(&credentials)?, sender, to, text).await)
        }
        (Provider::Http, _, Some(url)) => Ok(webhook::send(poster, url, &read(&credentials)?, sender, message).await),
        _ => Err("there is no sender for the country, or no address".to_owned()),
    }
}

/// Whether the credentials that a secret holds are those of this provider; says why not, without repeating them.
pub fn check_credentials(provider: Provider, credentials: &str) -> Result<(), String> {
    match provider {
        Provider::Log | Provider::Sns => Ok(()),
        Provider::Twilio => read::<twilio::Credentials>(credentials).map(|_| ()),
        Provider::Vonage => read::<vonage::Credentials>(credentials).map(|_| ()),
        Provider::Http => read::<webhook::Credentials>(credentials).map(|_| ()),
    }
}

/// What serde says of a value may repeat it.
fn read<T: DeserializeOwned>(credentials: &str) -> Result<T, String> {
    serde_json::from_str(credentials)
        .map_err(|_| "the secret of SMS_CREDENTIALS_ARN is not as docs/sms.md describes it".to_owned())
}

/// One text message.
#[derive(Clone)]
pub struct Message {
    /// Whom it goes to.
    pub to: Phone,
    /// What it is about: the purpose of its code, or the notice that it is.
    pub about: &'static str,
    /// What it says.
    pub text: String,
    /// When it was handed over.
    pub at: Timestamp,
}

impl Message {
    /// The message that carries a code.
    pub fn with_code(
        settings: &TextSettings,
        purpose: Purpose,
        language: Option<Language>,
        to: &Phone,
        code: &OtpCode,
        at: Timestamp,
    ) -> Self {
        Self { to: to.clone(), about: purpose.as_str(), text: settings.write(purpose, language, code.reveal()), at }
    }

    /// A message that tells of something.
    pub fn notice(
        settings: &TextSettings,
        notice: Notice,
        language: Option<Language>,
        to: &Phone,
        at: Timestamp,
    ) -> Self {
        Self { to: to.clone(), about: notice.as_str(), text: settings.write_notice(notice, language), at }
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

    fn phone(typed: &str) -> Phone {
        PhoneRules::new("EG".parse().unwrap(), None).parse(typed).unwrap()
    }

    #[test]
    fn senders_are_picked_by_country() {
        let senders: Senders = "Acme, US=+12025550123,UZ = 4546".parse().unwrap();
        assert_eq!(senders.of(&phone("01012345678")), Some("Acme"));
        assert_eq!(senders.of(&phone("+12015550123")), Some("+12025550123"));
        assert_eq!(senders.of(&phone("+998901234567")), Some("4546"));
        let one: Senders = "US=+12025550123".parse().unwrap();
        assert_eq!((one.of(&phone("01012345678")), one.has_default()), (None, false));
        for wrong in ["", "A name that is too long", "Acme,Other", "US=1234,US=2345", "XX=Acme", "EG=", "+12", "Ac/me"]
        {
            assert!(wrong.parse::<Senders>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_prints_a_message() {
        let message = Message {
            to: phone("01012345678"),
            about: "reset",
            text: "042424".to_owned(),
            at: Timestamp::from_unix_seconds(0),
        };
        assert_eq!(format!("{message:?}"), "Message(to Phone(+20********78))");
    }

    #[test]
    fn the_outbox_keeps_the_newest_first() {
        let outbox = Outbox::default();
        for second in 0..250 {
            let at = Timestamp::from_unix_seconds(second);
            outbox.push(Message { to: phone("01012345678"), about: "reset", text: String::new(), at });
        }
        let messages = outbox.messages();
        assert_eq!(messages.len(), Outbox::KEPT);
        assert_eq!(messages[0].at.unix_seconds(), 249);
        let (new, total) = outbox.messages_after(248);
        assert_eq!((new.len(), total), (2, 250));
        assert_eq!(new[0].at.unix_seconds(), 248);
    }
}
