//! `POST /auth/refresh`: exchanges a refresh token for a new pair of tokens.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::proof::Factor,
    error::TokenProblem,
    flows::{
        refresh_token,
        token_pair::{TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::SealedRefreshToken,
        openapi::{BodyProblems, ServerProblems, TokenProblems},
    },
    log::metrics::Metric,
    request_body,
    store::{Repetition, Rotation, TokenSession, TokenUser},
    tokens::refresh::RefreshAttempt,
};

request_body! {
    /// The refresh token of the last login or refresh.
    pub struct RefreshRequest {
        /// The refresh token as it was issued. Each works once.
        refresh_token: SealedRefreshToken,
        /// A random value that the client makes before it asks, stores with the refresh token, and keeps until it has the
        /// response: 16 to 128 of the characters `A-Z a-z 0-9 - . _ ~ + / =`, such as a UUID. A request that repeats it
        /// gets the same tokens again, however late, until they are used.
        attempt: Option<RefreshAttempt>,
    }
}

/// Continue a session
///
/// Spends the refresh token and returns the next one. A response may be lost: the same request with the same `attempt`
/// gets the same tokens again. Without `attempt`, the spent token gets its successor for half a minute. Any other use of a
/// spent token counts as theft and ends the session.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    tag = "Sign-in",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The new pair of tokens", body = TokenResponse),
        BodyProblems, TokenProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RefreshRequest { refresh_token: SealedRefreshToken(refresh_token), attempt } = request.read(&app.config)?;
    let keys = TokenKeys::of(app, ctx).await?;
    // A token that we did not issue is refused here, before anything is read.
    let (token, own_keys) = refresh_token::open(app, ctx, &refresh_token).await?;
    let key = &own_keys.refresh_token;
    ctx.audit.factor(Factor::RefreshToken);
    ctx.audit.session(token.user, token.session);

    let by = TokenUser {
        attempt: attempt.map(|attempt| token.attempt_mac(key, &attempt)),
        client: token.client_mac(key, ctx.user_agent.as_deref().unwrap_or_default(), &ctx.source.network()),
    };
    let (next, grace) = (keys.newest_secret(app, ctx).writing.kid, app.config.tokens.refresh_grace);
    let (rotation, published) = app.store.rotate_session(&token, &by, next, grace, ctx.now).await?;
    let keys = keys.current_of(published, app, ctx).await;
    match rotation {
        Rotation::Next(session) | Rotation::Repeated(session, _) if !token.is_of(key, &session.salt) => {
            Err(ApiError::InvalidToken(TokenProblem::SessionEnded))
        }
        Rotation::Next(session) => successor(app, ctx, &keys?, &session).await,
        Rotation::Repeated(session, how) => {
            record_repetition(app, ctx, how);
            successor(app, ctx, &keys?, &session).await
        }
        Rotation::Ended => Err(ApiError::InvalidToken(TokenProblem::SessionEnded)),
        Rotation::Reused(why) => {
            // Recorded first, so that the reuse is known even if ending the session fails.
            let why = why.as_str();
            tracing::warn!(
                target: "latchkey::events", event = "refresh-reuse", why,
                user = %token.user, session = %token.session, request = ctx.request_id,
                "a spent refresh token was used again: the session ends"
            );
            app.metrics.count(Metric::RefreshTokenReuse, why, ctx.now);
            // Whoever has the token may have the device's, too.
            app.store.end_session_and_forget(token.user, token.session, ctx.now).await?;
            Err(ApiError::InvalidToken(TokenProblem::Reused))
        }
    }
}

async fn successor(app: &App, ctx: &Context, keys: &TokenKeys, session: &TokenSession) -> Result<Response, ApiError> {
    Ok(Response::json(StatusCode::OK, &TokenResponse::of_session(app, ctx, keys, session).await?))
}

/// Records that a spent token got its successor again: in the audit event, and, where only the grace allowed it, as a
/// count.
fn record_repetition(app: &App, ctx: &Context, how: Repetition) {
    let (reason, client) = match how {
        Repetition::SameAttempt => ("repeated-attempt", None),
        Repetition::SameClient => ("grace", Some("same")),
        Repetition::OtherClient => ("grace-other-client", Some("other")),
    };
    ctx.audit.reason(reason);
    if let Some(client) = client {
        app.metrics.count(Metric::RefreshGraceUses, client, ctx.now);
    }
}
