//! The settings of SMS, from environment variables.

use std::time::Duration;

use http::Uri;

use super::{
    senders::{Senders, is_messaging_service},
    text::TextSettings,
};
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

impl Provider {
    /// Returns whether it needs the credentials of `SMS_CREDENTIALS_ARN`.
    pub const fn needs_credentials(self) -> bool {
        matches!(self, Self::Twilio | Self::Vonage | Self::Http)
    }
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
        if let Some(why) = senders.as_ref().and_then(|senders| refused_sender(senders, provider)) {
            read.wrong("SMS_SENDER_ID", why);
        }
        let needs_sender = matches!(provider, Provider::Twilio | Provider::Vonage);
        if needs_sender && senders.as_ref().is_none_or(|senders| !senders.has_default()) {
            read.wrong("SMS_SENDER_ID", "must name a sender for every country, because SMS_PROVIDER requires one");
        }
        let max_price = read.with("SMS_MAX_PRICE", |value| match value.parse::<f64>() {
            Ok(price) if price > 0.0 && price <= 10.0 => Ok(value.to_owned()),
            _ => Err("must be an amount in US dollars, above 0 and at most 10"),
        });
        let api_url = read.with("SMS_API_URL", |value| {
            if is_api_url(value) {
                Ok(value.to_owned())
            } else {
                Err("must be an https URL without user name, password and trailing slash")
            }
        });
        if provider == Provider::Http && api_url.is_none() {
            read.wrong("SMS_API_URL", "must be set: SMS_PROVIDER=http sends messages to it");
        }
        let floor = Duration::from_millis(read.number("SMS_FLOOR_MS", 1500, 0..=3000));
        let text = TextSettings::read(read);
        Self { provider, senders: senders.unwrap_or_default(), max_price, api_url, floor, text }
    }
}

/// Returns why this provider would refuse one of the senders, each time a message is sent.
fn refused_sender(senders: &Senders, provider: Provider) -> Option<String> {
    let is_name = |sender: &&str| sender.bytes().any(|b| b.is_ascii_alphabetic());
    senders.all().filter(is_name).find_map(|sender| {
        let why = match provider {
            Provider::Twilio if is_messaging_service(sender) => return None,
            Provider::Sns | Provider::Vonage if is_messaging_service(sender) => "only twilio has messaging services",
            Provider::Sns if sender.contains(' ') => "sns accepts 1 to 11 letters, digits and hyphens, and no spaces",
            Provider::Vonage if sender.contains('-') => "vonage accepts letters, digits and spaces",
            Provider::Log | Provider::Sns | Provider::Twilio | Provider::Vonage | Provider::Http => return None,
        };
        Some(format!("must have senders that SMS_PROVIDER takes, and {sender:?} is none: {why}"))
    })
}

/// Returns whether messages may be sent to this URL: over TLS, or on this machine. What stands before an `@` is not the
/// host, however much it looks like one.
fn is_api_url(value: &str) -> bool {
    if value.ends_with('/') || value.contains([' ', '#', '\\', '@']) {
        return false;
    }
    let Ok(url) = value.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default();
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => host == "127.0.0.1" && url.port().is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_by_tls_or_stay_on_this_machine() {
        for url in ["https://sms.example", "https://sms.example/hook?a=b", "http://127.0.0.1:8099/hook"] {
            assert!(is_api_url(url), "{url}");
        }
        for url in [
            "http://sms.example",
            "http://127.0.0.1:x@sms.example",
            "http://127.0.0.1:80@sms.example/",
            "http://127.0.0.1:@sms.example:80",
            "http://127.0.0.1.sms.example:80",
            "http://127.0.0.1\\@sms.example:80",
            "https://user:password@sms.example",
            "https://",
            "https:///hook",
            "https://sms.example/",
            "https://sms.example/#hook",
            "ftp://sms.example",
        ] {
            assert!(!is_api_url(url), "{url}");
        }
    }

    #[test]
    fn names_that_a_provider_refuses_are_found_at_start() {
        use Provider::{Http, Sns, Twilio, Vonage};
        for (name, accepted) in [
            ("Acme", &[Sns, Twilio, Vonage, Http][..]),
            ("My-App", &[Sns, Twilio, Http]),
            ("My App", &[Twilio, Vonage, Http]),
            ("EG=ab cd", &[Twilio, Vonage, Http]),
            ("4546", &[Sns, Twilio, Vonage, Http]),
            ("MG00000000000000000000000000000000", &[Twilio, Http]),
        ] {
            let senders: Senders = name.parse().unwrap();
            for provider in [Sns, Twilio, Vonage, Http] {
                let why = refused_sender(&senders, provider);
                assert_eq!(why.is_none(), accepted.contains(&provider), "{name}, {provider:?}: {why:?}");
            }
        }
    }
}
