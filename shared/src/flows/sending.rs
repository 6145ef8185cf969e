//! How messages leave, and what the log says of those that do not.

use std::time::Duration;

use crate::{
    app::App,
    domain::phone::Phone,
    http::context::Context,
    messages::{Content, Delivery, Message, Provider, SmsSettings},
};

/// Sends a message in the client's language, and says in the log why it was not sent.
pub(super) async fn send(app: &App, ctx: &Context, to: &Phone, content: Content) -> Delivery {
    let message = Message { to: to.clone(), content, language: ctx.language, at: ctx.now };
    let (about, country) = (message.content.name(), to.country_code());
    let delivery = app.channel.send(&app.config.sms, &app.keyring, &message).await;
    match &delivery {
        Delivery::Sent => {}
        Delivery::Refused(why) => {
            tracing::warn!(target: "latchkey::events", event = "message-refused", about, country, why, "the provider does not send to a number");
        }
        Delivery::NotSent(why) => {
            tracing::error!(target: "latchkey::events", event = "message-not-sent", about, country, why, "a message was not sent");
        }
        Delivery::Unknown => {
            tracing::warn!(target: "latchkey::events", event = "message-unknown", about, country, "the provider did not answer");
        }
    }
    delivery
}

/// Returns how long a request for a code takes from when the code is stored until it is answered, so that the time of the answer
/// tells nobody whether a message was sent (docs/threats.md#l8). None where nothing is sent, or where `SMS_FLOOR_MS` is
/// 0.
pub fn floor(app: &App) -> Option<Duration> {
    let SmsSettings { provider, floor, .. } = &app.config.sms;
    (*provider != Provider::Log && !floor.is_zero()).then_some(*floor)
}
