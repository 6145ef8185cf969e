//! `send-notices`: sends the notices to owners that could not be sent when they were due, because the provider was down or
//! the account's budget of notices was used up. `EventBridge` invokes it every five minutes.

use latchkey::{ApiError, App, runtime::Invocation};
use serde_json::{Value, json};

/// Sends the notices that are owed and due. Returns how many were settled: sent, or given up after three days.
pub async fn handle(app: &App, invocation: &Invocation, _event: Value) -> Result<Value, ApiError> {
    let settled = app.send_owed_notices(invocation.now).await?;
    Ok(json!({ "settled": settled }))
}
