//! A signed webhook, for every provider that is not built in: an adapter of a few lines receives the message and passes
//! it to the provider. It follows Standard Webhooks 1.0.0; `docs/sms.md` describes it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::post::{Answer, HttpsPoster, Post, is_ambiguous};
use crate::{
    base::id::OperationId,
    messages::message::{Delivery, Message},
};

/// The length of the shortest key, in bytes (Standard Webhooks 1.0.0: 24 to 64). An attacker who guesses the key can
/// sign.
const SHORTEST_KEY: usize = 24;

/// The content of the secret: the key that signs, as `whsec_` and base64.
#[derive(Deserialize)]
#[serde(try_from = "Stored")]
pub(super) struct Credentials {
    key: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Stored {
    secret: Zeroizing<String>,
}

impl TryFrom<Stored> for Credentials {
    type Error = &'static str;

    fn try_from(Stored { secret }: Stored) -> Result<Self, &'static str> {
        let text = secret.strip_prefix("whsec_").unwrap_or(&secret);
        let key = BASE64_STANDARD.decode(text).map(Zeroizing::new).map_err(|_| "has a `secret` that is not base64")?;
        if key.len() < SHORTEST_KEY { Err("has a `secret` of fewer than 24 bytes") } else { Ok(Self { key }) }
    }
}

pub(super) async fn send(
    poster: &HttpsPoster,
    url: &str,
    credentials: &Credentials,
    sender: Option<&str>,
    message: &Message,
    text: &str,
    deadline: Duration,
) -> Delivery {
    // Both tries have the same identifier, so that the adapter recognizes them as one message.
    let Ok(id) = OperationId::generate() else {
        return Delivery::NotSent("the system's random generator failed".into());
    };
    let timestamp = message.at.unix_seconds();
    let body = json!({
        "type": "sms.send",
        "timestamp": message.at.to_rfc3339(),
        "data": {
            "to": message.to.as_e164(),
            "from": sender,
            "text": text,
            "purpose": message.content.name(),
        },
    });
    let body = Zeroizing::new(body.to_string());
    let signed = Zeroizing::new(format!("{id}.{timestamp}.{}", body.as_str()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &credentials.key), signed.as_bytes());
    let post = Post {
        url,
        headers: vec![
            ("content-type", Zeroizing::new("application/json".to_owned())),
            ("webhook-id", Zeroizing::new(id.to_string())),
            ("webhook-timestamp", Zeroizing::new(timestamp.to_string())),
            ("webhook-signature", Zeroizing::new(format!("v1,{}", BASE64_STANDARD.encode(signature)))),
        ],
        body: &body,
    };
    poster.deliver(&post, deadline, judge).await
}

fn judge(answer: &Answer) -> Delivery {
    match answer.status {
        200..=299 => Delivery::Sent,
        422 => Delivery::Refused("status 422".into()),
        // The adapter knew both tries as one message by their `webhook-id`, and vouches that it sent neither.
        status if is_ambiguous(status) => Delivery::Doubtful(format!("status {status}")),
        status => Delivery::NotSent(format!("status {status}")),
    }
}
