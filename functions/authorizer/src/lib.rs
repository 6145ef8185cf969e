//! `authorizer`: a Lambda authorizer that other HTTP APIs attach (payload format 2.0, simple responses). It makes the
//! same checks as our own endpoints, including whether the session is alive, so that a logout takes effect there at
//! once too.
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

/// An authorizer event from API Gateway. `identitySource` is ignored, so that the other API cannot choose where the
/// token is read from.
#[derive(Deserialize)]
struct AuthorizerRequest {
    version: String,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default, rename = "requestContext")]
    context: RequestContext,
}

/// The origin of the request to the other API.
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

/// The authorizer's response to API Gateway.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerResponse {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<AuthorizedCaller>,
}

/// The caller: `$context.authorizer.sub` and `.sid`, for the integration behind the other API.
#[derive(Serialize)]
struct AuthorizedCaller {
    sub: UserId,
    sid: SessionId,
}

/// Authorizes a request to another API by its bearer token. A token that cannot be checked is an error, to which API
/// Gateway responds with 500: it is never authorized, and never refused in a way that would sign users out.
pub async fn handle(app: &App, invocation: &Invocation, event: Value) -> Result<Value, ApiError> {
    // Authorizers of REST and WebSocket APIs have no version, and expect another response.
    let request = serde_json::from_value(event).ok().filter(|request: &AuthorizerRequest| request.version == "2.0");
    let request = request.ok_or_else(|| {
        ApiError::Internal(
            "not an authorizer event of an HTTP API: set the authorizer's payload format version to 2.0".into(),
        )
    })?;
    // HTTP APIs write header names in lower case; some emulators do not.
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
