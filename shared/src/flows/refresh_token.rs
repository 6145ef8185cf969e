//! A refresh token in place of an access token, for requests that end sessions: a client whose access token has expired
//! still has it.

use utoipa::ToSchema;

use crate::{
    app::App,
    domain::proof::Factor,
    error::{ApiError, TokenProblem},
    http::{Fields, FromFields, Request, context::Context},
    tokens::refresh::RefreshToken,
};

/// The refresh token of the session, if the access token has expired.
#[derive(ToSchema)]
pub struct RefreshTokenRequest {
    /// The refresh token as it was issued.
    #[schema(value_type = Option<String>, example = "AVwMeg5qVUxAnkQPen08ijs…")]
    refresh_token: Option<String>,
}

impl FromFields for RefreshTokenRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { refresh_token: fields.optional("refresh_token") })
    }
}

/// Returns the refresh token in the body of a request, which may have none. Our seal proves which session it is of;
/// whether it was spent is not checked.
pub async fn of_body(app: &App, ctx: &Context, request: &Request) -> Result<RefreshToken, ApiError> {
    let text = if request.has_body() {
        let RefreshTokenRequest { refresh_token } = request.read(&app.config)?;
        refresh_token
    } else {
        None
    };
    let text = text.ok_or(ApiError::InvalidToken(TokenProblem::Missing))?;
    let secret = app.keyring.secret(ctx.now).await?;
    let token = RefreshToken::open(&secret.refresh_token, &text).map_err(TokenProblem::from);
    let token = token.map_err(ApiError::InvalidToken)?;
    ctx.audit.factor(Factor::RefreshToken);
    Ok(token)
}
