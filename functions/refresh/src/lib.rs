//! `POST /auth/refresh`: a new pair of tokens for the last refresh token.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::proof::Factor,
    error::TokenProblem,
    flows::token_pair::{TokenKeys, TokenResponse},
    http::{
        StatusCode,
        openapi::{BodyProblems, ServerProblems, TokenProblems},
    },
    store::Rotation,
    tokens::refresh::RefreshToken,
};
use utoipa::ToSchema;

/// The refresh token of the last login or refresh.
#[derive(ToSchema)]
pub struct RefreshRequest {
    /// As it was handed out; each is good for one use.
    #[schema(example = "AVwMeg5qVUxAnkQPen08ijs…")]
    refresh_token: String,
}

impl FromFields for RefreshRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { refresh_token: fields.text("refresh_token")? })
    }
}

/// Continues a session
///
/// The refresh token is spent by this, and the answer has the next one. Within a few seconds the spent one gets the same
/// successor again, so that two tabs stay signed in; later, it is taken for stolen, and the session ends.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    tag = "Sign-in",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The session goes on", body = TokenResponse),
        BodyProblems, TokenProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RefreshRequest { refresh_token } = request.read(&app.config)?;
    let keys = TokenKeys::of(app, ctx).await?;
    let key = &keys.secret.refresh_token;
    // What we did not make dies here, before anything is read.
    let token = RefreshToken::open(key, &refresh_token).map_err(TokenProblem::from).map_err(ApiError::InvalidToken)?;
    ctx.audit.factor(Factor::RefreshToken);
    ctx.audit.session(token.user, token.session);

    match app.store.rotate_session(&token, app.config.tokens.refresh_grace, ctx.now).await? {
        Rotation::Next(session) if token.is_of(key, &session.salt) => {
            Ok(Response::json(StatusCode::OK, &TokenResponse::issue(app, ctx, &keys, &session)?))
        }
        Rotation::Next(_) | Rotation::Ended => Err(ApiError::InvalidToken(TokenProblem::SessionEnded)),
        Rotation::Reused => {
            // Logged first, so that it is known even when the end fails.
            tracing::warn!(
                target: "latchkey::events", event = "refresh-reuse",
                user = %token.user, session = %token.session, request = ctx.request_id,
                "a spent refresh token was used again: the session ends"
            );
            app.store.end_session(token.user, token.session).await?;
            Err(ApiError::InvalidToken(TokenProblem::Reused))
        }
    }
}
