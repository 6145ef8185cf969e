//! `authorizer`: a Lambda authorizer that other HTTP APIs attach (payload format 2.0, simple responses). It asks what our
//! own endpoints ask, whether the session lives included, so that a logout counts there at once too.
//!
//! `docs/protecting-other-apis.md` shows how another stack uses it.

use std::collections::HashMap;

use latchkey::{
    ApiError, App,
    base::id::{SessionId, UserId},
    flows::caller::Caller,
    http::{bearer_token, context::SourceAddress},
    log::audit::{Audit, Circumstances, Outcome},
    runtime::Invocation,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What API Gateway asks. Where the token is, is not for the other API to choose: `identitySource` is not looked at.
#[derive(Deserialize)]
struct AuthorizerRequest {
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default, rename = "requestContext")]
    context: RequestContext,
}

/// Where the request to the other API came from.
#[derive(Default, Deserialize)]
struct RequestContext {
    #[serde(default)]
    http: RequestOrigin,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestOrigin {
    #[serde(default)]
    source_ip: String,
}

/// What API Gateway is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerResponse {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<AuthorizedCaller>,
}

/// Who asks: `$context.authorizer.sub` and `.sid`, for the integration behind.
#[derive(Serialize)]
struct AuthorizedCaller {
    sub: UserId,
    sid: SessionId,
}

/// Judges a request to another API by its bearer token. What cannot be judged is an error, which API Gateway answers with
/// 500: never a yes, and never a no that would sign people out.
pub async fn handle(app: &App, invocation: &Invocation, event: Value) -> Result<Value, ApiError> {
    let request: AuthorizerRequest = serde_json::from_value(event)
        .map_err(|_| ApiError::Internal("not an event of an HTTP API's authorizer, payload format 2.0".into()))?;
    // HTTP APIs write header names in lower case; emulators do not always.
    let mut headers = request.headers.iter();
    let header = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value.as_str());

    let audit = Audit::default();
    let caller = match bearer_token(header) {
        Ok(token) => Caller::of_token(app, token, app.own_issuer()?, &audit, invocation.now).await,
        Err(missing) => Err(missing),
    };
    let of = Circumstances {
        event: env!("CARGO_PKG_NAME"),
        now: invocation.now,
        address: Some(SourceAddress::parse(&request.context.http.source_ip).to_string()),
        operator: None,
        request_id: &invocation.request_id,
    };
    app.write_audit_event(&audit, of, caller.as_ref().map_or_else(ApiError::outcome, |_| Outcome::SUCCESS));
    let context = match caller {
        Ok(caller) => Some(AuthorizedCaller { sub: caller.profile.user, sid: caller.session }),
        Err(refused @ ApiError::InvalidToken(_)) => {
            refused.log();
            None
        }
        Err(error) => return Err(error),
    };
    let response = AuthorizerResponse { is_authorized: context.is_some(), context };
    serde_json::to_value(response).map_err(|error| ApiError::Internal(error.into()))
}
