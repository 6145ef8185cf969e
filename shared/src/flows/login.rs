//! The end of a sign-in with a password, or with what else opens an account without its phone.

use super::{admission, token_pair::TokenResponse};
use crate::{
    app::App,
    domain::password::PasswordHash,
    error::ApiError,
    http::{Response, StatusCode, context::Context},
    store::{Credential, Home, LoginCompletion, NewSession},
    tokens::device::DeviceToken,
};

/// Starts the session of a caller who has proved who they are, and responds with its tokens.
pub async fn complete(
    app: &App,
    ctx: &Context,
    (home, credential): (&Home, &Credential),
    (rehashed, device): (Option<&PasswordHash>, Option<&DeviceToken>),
    (session, tokens): (NewSession, TokenResponse),
) -> Result<Response, ApiError> {
    let id = session.id;
    let completed = app.store.complete_login(home, credential, rehashed, device, session);
    match admission::with_right_try(app, ctx, Box::pin(completed)).await? {
        LoginCompletion::Done => {
            ctx.audit.session(credential.user, id);
            Ok(Response::json(StatusCode::OK, &tokens))
        }
        LoginCompletion::EpochRaised => {
            Err(ApiError::TemporarilyUnavailable("every session was ended meanwhile, including this one".into()))
        }
        LoginCompletion::Overtaken => Err(ApiError::InvalidCredentials),
    }
}
