//! `GET /auth/sessions`: lists the caller's sessions.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::SessionId,
    domain::device,
    flows::caller::own_sessions,
    http::{
        StatusCode,
        openapi::{ServerProblems, TokenProblems},
    },
    store::{MAX_SESSIONS, SessionSummary},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The caller's sessions.
#[derive(Serialize, ToSchema)]
pub struct SessionsResponse {
    /// The live sessions, the last used one first, as far as `last_used_at` tells.
    sessions: Vec<SessionEntry>,
    /// The largest number of sessions. A login beyond it ends the session that has been unused longest.
    #[schema(example = 20)]
    limit: usize,
}

/// A live session.
#[derive(Serialize, ToSchema)]
pub struct SessionEntry {
    /// The session's identifier, for `DELETE /auth/sessions/{id}`.
    #[schema(value_type = String, example = "0b6f1c5e-3c1f-4d0a-9d55-3a1c8f7f2f10")]
    id: SessionId,
    /// A description of the client, such as its browser and system.
    #[schema(example = "Chrome on Android")]
    device: String,
    /// The network address of the login, or of the change of the account that renewed the session.
    #[schema(example = "203.0.113.7")]
    address: String,
    /// The time of the login, in RFC 3339.
    #[schema(format = DateTime, example = "2026-11-22T20:16:46Z")]
    created_at: String,
    /// The time of the last refresh, rounded down to the hour, or that of the login if it is later, in RFC 3339.
    #[schema(format = DateTime, example = "2026-11-22T20:00:00Z")]
    last_used_at: String,
    /// Whether the request belongs to this session.
    current: bool,
}

/// List sessions
///
/// Shows where the caller is signed in. Of more than `limit` sessions, the one that has been unused longest ends.
#[utoipa::path(
    get,
    path = "/auth/sessions",
    operation_id = "sessions",
    tag = "Sign-in",
    security(("bearer" = [])),
    responses((status = 200, description = "The live sessions", body = SessionsResponse), TokenProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let (caller, sessions) = own_sessions(app, ctx, &request).await?;
    let entry = |session: SessionSummary| SessionEntry {
        id: session.id,
        device: device::in_words(session.device.as_deref()),
        address: session.address,
        created_at: session.created_at.to_rfc3339(),
        last_used_at: session.last_used_at.to_rfc3339(),
        current: session.id == caller.session,
    };
    let answer = SessionsResponse { sessions: sessions.into_iter().map(entry).collect(), limit: MAX_SESSIONS };
    Ok(Response::json(StatusCode::OK, &answer))
}
