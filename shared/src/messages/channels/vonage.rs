//! Vonage's Messages API: `POST /v1/messages`.

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::post::{Answer, HttpsPoster, Post, basic};
use crate::messages::message::Delivery;

/// Where it is, unless `SMS_API_URL` says otherwise.
const API: &str = "https://api.nexmo.com";

/// Errors that are about the number: an unknown prefix, a number that is barred, not in the list of a trial account, no
/// number at all, one that is gone, or one that has opted out.
const REFUSED: [&str; 6] = ["1040", "1050", "1160", "1170", "1190", "1240"];

/// What the secret holds.
#[derive(Deserialize)]
pub(super) struct Credentials {
    api_key: String,
    api_secret: Zeroizing<String>,
}

/// RFC 7807; the code is the fragment of the type.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    type_: String,
}

pub(super) async fn send(
    poster: &HttpsPoster,
    api: Option<&str>,
    credentials: &Credentials,
    sender: &str,
    to: &str,
    text: &str,
) -> Delivery {
    let Credentials { api_key, api_secret } = credentials;
    // Numbers without the plus sign.
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
    poster.deliver(&post, judge).await
}

fn judge(answer: &Answer) -> Delivery {
    if (200..300).contains(&answer.status) {
        return Delivery::Sent;
    }
    let type_ = serde_json::from_slice::<Problem>(&answer.body).map(|problem| problem.type_).unwrap_or_default();
    let code = type_.rsplit_once('#').map(|(_, code)| code).filter(|code| code.len() <= 40);
    match code {
        Some(code) if REFUSED.contains(&code) => Delivery::Refused(format!("error {code}")),
        Some(code) => Delivery::NotSent(format!("status {}, error {code}", answer.status)),
        None => Delivery::NotSent(format!("status {}", answer.status)),
    }
}
