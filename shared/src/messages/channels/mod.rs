//! Channels for messages: SMS by several providers. They are an enum, so that no trait needs a mock.

mod post;
mod sns;
mod twilio;
mod vonage;
mod webhook;

use std::time::Duration;

use serde::de::DeserializeOwned;

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
    read(&stored.map_err(|error| format!("the provider's credentials cannot be read: {error}"))?)
}

/// Checks that credentials have the form that this provider requires. The error does not repeat them.
pub fn check_credentials(provider: Provider, credentials: &str) -> Result<(), String> {
    match provider {
        Provider::Log | Provider::Sns => Ok(()),
        Provider::Twilio => read::<twilio::Credentials>(credentials).map(|_| ()),
        Provider::Vonage => read::<vonage::Credentials>(credentials).map(|_| ()),
        Provider::Http => read::<webhook::Credentials>(credentials).map(|_| ()),
    }
}

/// Reads credentials. Serde's own error may repeat a value, so it is dropped.
fn read<T: DeserializeOwned>(credentials: &str) -> Result<T, String> {
    serde_json::from_str(credentials)
        .map_err(|_| "the secret of SMS_CREDENTIALS_ARN does not have the form in docs/sms.md".to_owned())
}
