//! Sending messages, and logging those that were not sent.

use std::time::Duration;

use crate::{
    app::App,
    base::time::Timestamp,
    domain::phone::Phone,
    messages::{Content, Delivery, Language, Message, Provider, SmsSettings},
};

/// Sends a message in the client's language, and waits for the provider until the deadline. Logs the reason if the
/// message was not sent.
pub(super) async fn send(
    app: &App,
    (at, language): (Timestamp, Option<Language>),
    to: &Phone,
    content: Content,
    deadline: Duration,
) -> Delivery {
    let message = Message { to: to.clone(), content, language, at };
    let (about, country) = (message.content.name(), to.country_code());
    let delivery = match app.check_recipient(to) {
        Ok(()) => app.channel.send(&app.config.sms, &app.keyring, &message, deadline).await,
        Err(why) => Delivery::Refused(format!("the phone {why}")),
    };
    match &delivery {
        Delivery::Sent => {}
        Delivery::Refused(why) => {
            tracing::warn!(target: "latchkey::events", event = "message-refused", about, country, why, "the provider does not send to this number");
        }
        Delivery::NotSent(why) | Delivery::Doubtful(why) => {
            tracing::error!(target: "latchkey::events", event = "message-not-sent", about, country, why, "a message was not sent");
        }
        Delivery::Unknown => {
            tracing::warn!(target: "latchkey::events", event = "message-unknown", about, country, "the provider reported no outcome; the message may have been sent");
        }
    }
    delivery
}

/// Returns the time from storing a code to the response (`SMS_FLOOR_MS`), so that the response's time does not reveal
/// whether a message was sent (docs/threats.md#l8). Returns none if `SMS_PROVIDER` is `log` or `SMS_FLOOR_MS` is 0.
pub fn floor(app: &App) -> Option<Duration> {
    let SmsSettings { provider, floor, .. } = &app.config.sms;
    (*provider != Provider::Log && !floor.is_zero()).then_some(*floor)
}
