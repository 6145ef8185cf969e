//! Vonage's Messages API: `POST /v1/messages`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::post::{Answer, HttpsPoster, Post, basic, judge_by_code};
use crate::messages::message::Delivery;

/// The URL of the API, unless `SMS_API_URL` is set.
const API: &str = "https://api.nexmo.com";

/// The errors that concern the number: its prefix is unknown, it is barred, it is not in the list of a trial account,
/// it is not a number, it is no longer in service, or it has opted out.
const REFUSED: [&str; 6] = ["1040", "1050", "1160", "1170", "1190", "1240"];

/// The content of the secret.
#[derive(Deserialize)]
pub(super) struct Credentials {
    api_key: String,
    api_secret: Zeroizing<String>,
}

/// A response: the message that was taken, or a problem (RFC 7807), whose code is the fragment of its type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Taken {
    message_uuid: Option<String>,
    #[serde(rename = "type")]
    type_: Option<String>,
}

pub(super) async fn send(
    poster: &HttpsPoster,
    api: Option<&str>,
    credentials: &Credentials,
    sender: &str,
    to: &str,
    text: &str,
    deadline: Duration,
) -> Delivery {
    let Credentials { api_key, api_secret } = credentials;
    // Vonage takes numbers without the plus sign.
    let digits = |number: &'_ str| number.trim_start_matches('+').to_owned();
    let body = json!({
        "message_type": "text", "channel": "sms", "to": digits(to), "from": digits(sender), "text": text,
    });
    let post = Post {
        url: &format!("{}/v1/messages", api.unwrap_or(API)),
        headers: vec![
            ("authorization", basic(api_key, api_secret)),
            ("content-type", Zeroizing::new("application/json".to_owned())),
            ("accept", Zeroizing::new("application/json".to_owned())),
        ],
        body: &body.to_string(),
    };
    poster.deliver(&post, deadline, judge).await
}

fn judge(answer: &Answer) -> Delivery {
    let Taken { message_uuid, type_ } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = type_.as_deref().and_then(|type_| type_.rsplit_once('#'));
    let code = code.map(|(_, code)| code).filter(|code| code.len() <= 40);
    judge_by_code(answer, message_uuid.is_some(), code, |code| REFUSED.contains(code))
}
