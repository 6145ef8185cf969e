//! `POST /auth/refresh`: exchanges a refresh token for a new pair of tokens.

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
    /// The refresh token as it was issued. Each works once.
    #[schema(example = "AVwMeg5qVUxAnkQPen08ijs…")]
    refresh_token: String,
}

impl FromFields for RefreshRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { refresh_token: fields.text("refresh_token")? })
    }
}

/// Continue a session
///
/// Spends the refresh token and returns the next one. For a few seconds, the spent token gets the same successor again,
/// so that two tabs stay signed in. After that, its use counts as theft, and the session ends.
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
    let RefreshRequest { refresh_token } = request.read(&app.config)?;
    let keys = TokenKeys::of(app, ctx).await?;
    let secret = keys.secret.clone();
    let key = &secret.refresh_token;
    // A token that we did not issue is refused here, before anything is read.
    let token = RefreshToken::open(key, &refresh_token).map_err(TokenProblem::from).map_err(ApiError::InvalidToken)?;
    ctx.audit.factor(Factor::RefreshToken);
    ctx.audit.session(token.user, token.session);

    let rotation = app.store.rotate_session(&token, app.config.tokens.refresh_grace, ctx.now);
    let (keys, rotation) = tokio::join!(keys.current(app, ctx), rotation);
    match rotation? {
        Rotation::Next(session) if token.is_of(key, &session.salt) => {
            Ok(Response::json(StatusCode::OK, &TokenResponse::issue(app, ctx, &keys?, &session)?))
        }
        Rotation::Next(_) | Rotation::Ended => Err(ApiError::InvalidToken(TokenProblem::SessionEnded)),
        Rotation::Reused => {
            // Logged first, so that the reuse is recorded even if ending the session fails.
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
