//! Channels for messages: SMS by several providers. They are an enum, so that no trait needs a mock.

mod post;
mod sns;
mod twilio;
mod vonage;
mod webhook;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::post::DEADLINE;
use self::post::HttpsPoster;
use super::{
    message::{Delivery, Message},
    outbox::{Outbox, SentMessage},
    settings::{Provider, SmsSettings},
};
use crate::{aws::OnFirstUse, base::fault::Source, keyring::Keyring};

/// A channel that carries messages.
#[derive(Clone, Debug)]
pub enum Channel {
    /// The log: nothing is sent.
    Log,
    /// An outbox in memory, for the dev server's `/dev/messages` and the tests: nothing is sent.
    Outbox(Outbox),
    /// SMS by Amazon SNS.
    Sns(OnFirstUse<aws_sdk_sns::Client>),
    /// SMS by Twilio, with credentials from Secrets Manager.
    Twilio(HttpsPoster),
    /// SMS by Vonage, with credentials from Secrets Manager.
    Vonage(HttpsPoster),
    /// SMS by the operator's signed webhook, whose key is in Secrets Manager.
    Webhook(HttpsPoster),
}

impl Channel {
    /// Returns the channel of the settings' provider. With an outbox, messages are kept there instead of logged.
    pub fn new(
        settings: &SmsSettings,
        sns: OnFirstUse<aws_sdk_sns::Client>,
        outbox: Option<Outbox>,
    ) -> Result<Self, Source> {
        Ok(match settings.provider {
            Provider::Log => outbox.map_or(Self::Log, Self::Outbox),
            Provider::Sns => Self::Sns(sns),
            Provider::Twilio => Self::Twilio(HttpsPoster::new(settings.floor)?),
            Provider::Vonage => Self::Vonage(HttpsPoster::new(settings.floor)?),
            Provider::Http => Self::Webhook(HttpsPoster::new(settings.floor)?),
        })
    }

    /// Sends one message.
    pub async fn send(
        &self,
        settings: &SmsSettings,
        keyring: &Keyring,
        message: &Message,
        deadline: Duration,
    ) -> Delivery {
        let text = settings.text.write(&message.content, message.language);
        self.send_sms(settings, keyring, message, &text, deadline).await.unwrap_or_else(Delivery::NotSent)
    }

    /// Sends a message as an SMS with this text. The error is the reason why no provider was called.
    async fn send_sms(
        &self,
        settings: &SmsSettings,
        keyring: &Keyring,
        message: &Message,
        text: &str,
        deadline: Duration,
    ) -> Result<Delivery, String> {
        let to = message.to.as_e164();
        let (sender, api) = (settings.senders.of(&message.to), settings.api_url.as_deref());
        let some_sender = || sender.ok_or("SMS_SENDER_ID names no sender for this country");
        Ok(match self {
            // This is the only place where a code may reach a log, and the purpose of `SMS_PROVIDER=log`.
            Self::Log => {
                tracing::info!(to, text, "SMS not sent, only logged");
                Delivery::Sent
            }
            Self::Outbox(outbox) => {
                let (to, about, at) = (message.to.clone(), message.content.name(), message.at);
                outbox.push(SentMessage { to, about, text: text.to_owned(), at });
                Delivery::Sent
            }
            Self::Sns(client) => sns::send(client, sender, settings.max_price.as_deref(), to, text, deadline).await,
            Self::Twilio(poster) => {
                let credentials = credentials(keyring, message).await?;
                twilio::send(poster, api, &credentials, some_sender()?, to, text, deadline).await
            }
            Self::Vonage(poster) => {
                let credentials = credentials(keyring, message).await?;
                vonage::send(poster, api, &credentials, some_sender()?, to, text, deadline).await
            }
            Self::Webhook(poster) => {
                let credentials = credentials(keyring, message).await?;
                let url = api.ok_or("SMS_API_URL is not set")?;
                webhook::send(poster, url, &credentials, sender, message, text, deadline).await
            }
        })
    }
}

async fn credentials<T: DeserializeOwned>(keyring: &Keyring, message: &Message) -> Result<T, String> {
    let stored = keyring.sms_credentials(message.at).await;
    let stored = stored.map_err(|error| format!("the provider's credentials cannot be read: {error}"))?;
    read(&stored).map_err(|why| format!("the secret of SMS_CREDENTIALS_ARN {why}"))
}

/// Checks that credentials have the form that this provider requires. The error continues a sentence that begins with
/// their name, and does not repeat them.
pub fn check_credentials(provider: Provider, credentials: &str) -> Result<(), String> {
    match provider {
        Provider::Log | Provider::Sns => Ok(()),
        Provider::Twilio => read::<twilio::Credentials>(credentials)?.check().map_err(str::to_owned),
        Provider::Vonage => read::<vonage::Credentials>(credentials).map(|_| ()),
        Provider::Http => read::<webhook::Credentials>(credentials).map(|_| ()),
    }
}

/// Reads credentials.
fn read<T: DeserializeOwned>(credentials: &str) -> Result<T, String> {
    let why = match serde_json::from_str::<Value>(credentials) {
        Err(_) => "is not JSON".to_owned(),
        Ok(value) if !value.is_object() => "is not a JSON object".to_owned(),
        Ok(value) => match serde_json::from_value(value) {
            Ok(read) => return Ok(read),
            // Serde's other errors may repeat a value.
            Err(error) => match error.to_string() {
                known if known.starts_with("missing field") || known.starts_with("has a") => known,
                _ => "has a member of a wrong type".to_owned(),
            },
        },
    };
    let why = why.replace("missing field", "lacks the member");
    Err(format!("{why}; docs/sms.md describes its form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_credentials_is_said_without_repeating_them() {
        for (provider, credentials, why) in [
            (Provider::Http, "whsec_hidden", "is not JSON"),
            (Provider::Http, "[]", "is not a JSON object"),
            (Provider::Http, "{}", "lacks the member `secret`"),
            (Provider::Http, r#"{"secret": 4711}"#, "has a member of a wrong type"),
            (Provider::Http, r#"{"secret": "whsec_hidden!"}"#, "has a `secret` that is not base64"),
            (Provider::Http, r#"{"secret": "whsec_aGlkZGVu"}"#, "has a `secret` of fewer than 24 bytes"),
            (Provider::Vonage, r#"{"api_key": "hidden"}"#, "lacks the member `api_secret`"),
            (Provider::Twilio, r#"{"auth_token": "hidden"}"#, "lacks the member `account_sid`"),
            (Provider::Twilio, r#"{"account_sid": "hidden"}"#, "lacks the member `auth_token`"),
            (Provider::Twilio, r#"{"account_sid": "AC1", "api_key": "hidden"}"#, "lacks the member `auth_token`"),
        ] {
            let error = check_credentials(provider, credentials).unwrap_err();
            assert!(error.starts_with(why), "{error}");
            assert!(!error.contains("hidden") && !error.contains("4711"), "{error}");
        }
        let good = r#"{"account_sid": "AC1", "api_key": "SK1", "api_key_secret": "hidden"}"#;
        assert_eq!(check_credentials(Provider::Twilio, good), Ok(()));
    }
}
