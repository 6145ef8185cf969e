//! Amazon SNS: `Publish` to a phone number.

use std::time::Duration;

use aws_sdk_sns::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::publish::PublishError,
    types::MessageAttributeValue,
};

use super::post::{hand_over, is_ambiguous, never_arrived};
use crate::messages::message::Delivery;

pub(super) async fn send(
    client: &Client,
    sender: Option<&str>,
    max_price: Option<&str>,
    to: &str,
    text: &str,
    deadline: Duration,
) -> Delivery {
    let attributes = [
        ("AWS.SNS.SMS.SMSType", "String", Some("Transactional")),
        // The sender is a long number or a short code of the AWS account, or a name.
        ("AWS.MM.SMS.OriginationNumber", "String", sender.filter(|sender| is_number(sender))),
        ("AWS.SNS.SMS.SenderID", "String", sender.filter(|sender| !is_number(sender))),
        ("AWS.SNS.SMS.MaxPrice", "Number", max_price),
    ];
    let mut call = client.publish().phone_number(to).message(text);
    for (name, data_type, value) in attributes {
        let Some(value) = value else { continue };
        match MessageAttributeValue::builder().data_type(data_type).string_value(value).build() {
            Ok(value) => call = call.message_attributes(name, value),
            Err(error) => return Delivery::NotSent(error.to_string()),
        }
    }
    hand_over(deadline, || async { call.clone().send().await.map_or_else(|error| judge(&error), |_| Delivery::Sent) })
        .await
}

/// Returns whether a sender is a number; a name has a letter in it.
fn is_number(sender: &str) -> bool {
    sender.bytes().all(|b| b.is_ascii_digit() || b == b'+')
}

/// Derives the outcome from the error's code. The error's message may repeat the number, so it is not logged.
fn judge(error: &SdkError<PublishError>) -> Delivery {
    match error {
        // SNS has no idempotency key for text messages.
        SdkError::ServiceError(answer) if is_ambiguous(answer.raw().status().as_u16()) => Delivery::Unknown,
        SdkError::ServiceError(_) => {
            // Without a code, the response is not from SNS but, for example, from a gateway before it.
            let Some(code) = error.code() else { return Delivery::Unknown };
            let about_the_number = error.message().is_some_and(|message| message.contains("PhoneNumber"));
            match code {
                "InvalidParameter" | "InvalidParameterValue" if about_the_number => Delivery::Refused(code.to_owned()),
                "OptedOut" => Delivery::Refused(code.to_owned()),
                _ => Delivery::NotSent(code.to_owned()),
            }
        }
        SdkError::ConstructionFailure(_) => Delivery::NotSent("the call to SNS cannot be built".to_owned()),
        SdkError::DispatchFailure(failure) if failure.as_connector_error().is_some_and(never_arrived) => {
            Delivery::NotSent("SNS cannot be reached".to_owned())
        }
        // The connection broke, or the response cannot be read: the message may have been sent.
        _ => Delivery::Unknown,
    }
}
