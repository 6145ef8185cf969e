//! The settings of SMS, from environment variables.

use std::time::Duration;

use super::{senders::Senders, text::TextSettings};
use crate::base::variables::Variables;

/// The provider that sends text messages: `SMS_PROVIDER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `log`: none. The message, code included, is written to the log, as the origin's stub did.
    Log,
    /// `sns`: Amazon SNS.
    Sns,
    /// `twilio`: Twilio's Messages API.
    Twilio,
    /// `vonage`: Vonage's Messages API.
    Vonage,
    /// `http`: the operator's signed webhook.
    Http,
}

/// The settings of SMS: `SMS_*` and `SERVICE_NAME`.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// `SMS_PROVIDER`: the provider.
    pub provider: Provider,
    /// `SMS_SENDER_ID`: the senders, by country.
    pub senders: Senders,
    /// `SMS_MAX_PRICE`: the highest price of one message, in US dollars (`sns`).
    pub max_price: Option<String>,
    /// `SMS_API_URL`: the URL of the provider's API; for `http`, of the webhook.
    pub api_url: Option<String>,
    /// `SMS_FLOOR_MS`: the minimum duration of a password-reset request, so that its duration does not reveal whether a
    /// message was sent.
    pub floor: Duration,
    /// The settings of the messages' text.
    pub text: TextSettings,
}

impl SmsSettings {
    /// Reads `SMS_*` and `SERVICE_NAME`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        let provider = read.one_of(
            "SMS_PROVIDER",
            &[
                ("log", Provider::Log),
                ("sns", Provider::Sns),
                ("twilio", Provider::Twilio),
                ("vonage", Provider::Vonage),
                ("http", Provider::Http),
            ],
        );
        let provider = provider.unwrap_or(Provider::Log);
        let senders = read.with("SMS_SENDER_ID", str::parse::<Senders>);
        let needs_sender = matches!(provider, Provider::Twilio | Provider::Vonage);
        if needs_sender && senders.as_ref().is_none_or(|senders| !senders.has_default()) {
            read.wrong("SMS_SENDER_ID", "must name a sender for every country, because SMS_PROVIDER requires one");
        }
        let max_price = read.with("SMS_MAX_PRICE", |value| match value.parse::<f64>() {
            Ok(price) if price > 0.0 && price <= 10.0 => Ok(value.to_owned()),
            _ => Err("must be an amount in US dollars, above 0 and at most 10"),
        });
        let api_url = read.with("SMS_API_URL", |value| {
            let is_url = value.starts_with("https://") || value.starts_with("http://127.0.0.1:");
            let is_whole = !value.ends_with('/') && !value.contains([' ', '#']);
            if is_url && is_whole { Ok(value.to_owned()) } else { Err("must be an https URL without a trailing slash") }
        });
        if provider == Provider::Http && api_url.is_none() {
            read.wrong("SMS_API_URL", "must be set: SMS_PROVIDER=http sends messages to it");
        }
        let floor = Duration::from_millis(read.number("SMS_FLOOR_MS", 1500, 0..=3000));
        let text = TextSettings::read(read);
        Self { provider, senders: senders.unwrap_or_default(), max_price, api_url, floor, text }
    }
}
