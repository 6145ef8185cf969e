//! Twilio's Messages API: `POST /2010-04-01/Accounts/{AccountSid}/Messages.json`.

use std::time::Duration;

use form_urlencoded::Serializer;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::post::{Answer, HttpsPoster, Post, basic, judge_by_code};
use crate::messages::{message::Delivery, senders::is_messaging_service};

/// The URL of the API, unless `SMS_API_URL` is set.
const API: &str = "https://api.twilio.com";

/// The errors that concern the number: it does not exist or cannot receive SMS, the account may not send to its region,
/// or its owner has replied STOP. The operator must fix all other errors.
const REFUSED: [u32; 13] = [21211, 21214, 21217, 21219, 21265, 21266, 21408, 21610, 21612, 21614, 21635, 30003, 30006];

/// The content of the secret: the account's token, or better an API key with its secret.
#[derive(Deserialize)]
pub(super) struct Credentials {
    account_sid: String,
    auth_token: Option<Zeroizing<String>>,
    api_key: Option<String>,
    api_key_secret: Option<Zeroizing<String>>,
}

impl Credentials {
    /// Returns the user name and the password of HTTP's basic authentication.
    fn user_and_password(&self) -> Result<(&str, &str), &'static str> {
        match (&self.api_key, &self.api_key_secret, &self.auth_token) {
            (Some(key), Some(secret), _) => Ok((key, secret)),
            (_, _, Some(token)) => Ok((&self.account_sid, token)),
            _ => Err("lacks the member `auth_token`, or `api_key` and `api_key_secret`"),
        }
    }

    /// Checks that they are complete.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.user_and_password().map(|_| ())
    }
}

/// A response: the message that was taken, or a problem.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Taken {
    sid: Option<String>,
    /// The error of a message that failed at once.
    error_code: Option<u32>,
    /// The error of a problem.
    code: Option<u32>,
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
    let (user, password) = match credentials.user_and_password() {
        Ok(found) => found,
        Err(why) => return Delivery::NotSent(format!("the secret of SMS_CREDENTIALS_ARN {why}")),
    };
    let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", api.unwrap_or(API), credentials.account_sid);
    // A messaging service picks the sender itself.
    let from = if is_messaging_service(sender) { "MessagingServiceSid" } else { "From" };
    let body = Serializer::new(String::new())
        .append_pair("To", to)
        .append_pair(from, sender)
        .append_pair("Body", text)
        .finish();
    let post = Post {
        url: &url,
        headers: vec![
            ("authorization", basic(user, password)),
            ("content-type", Zeroizing::new("application/x-www-form-urlencoded".to_owned())),
        ],
        body: &body,
    };
    poster.deliver(&post, deadline, judge).await
}

fn judge(answer: &Answer) -> Delivery {
    // The error's message repeats the number; its code does not.
    let Taken { sid, error_code, code } = serde_json::from_slice(&answer.body).unwrap_or_default();
    judge_by_code(answer, sid.is_some(), error_code.or(code), |code| REFUSED.contains(code))
}
