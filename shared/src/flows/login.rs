//! The steps that sign-ins with a password share, and those with what else opens an account without its phone.

use super::{admission, token_pair::TokenResponse};
use crate::{
    app::App,
    domain::{password::PasswordHash, phone::Phone},
    error::ApiError,
    http::{Response, StatusCode, context::Context},
    store::{Attempt, Credential, DeviceTry, Home, LoginCompletion, NewSession, Receipt},
    tokens::device::DeviceToken,
};

/// What a password is compared with at a login.
pub struct Admitted {
    /// The account's credential.
    pub credential: Credential,
    /// The receipt of the counted try.
    pub receipt: Receipt,
    /// The known device whose count the try is charged to; none if that is the phone's.
    pub device: Option<DeviceToken>,
}

/// Counts a try of a login. Returns none if the phone has no account.
///
/// On a device that the phone's account knows, the device's own count decides, and neither that of the phone nor that of the
/// caller's address is asked: strangers use up both. Otherwise those two decide.
pub async fn admit(
    app: &App,
    ctx: &Context,
    device: Option<DeviceToken>,
    phone: &Phone,
) -> Result<Option<Admitted>, ApiError> {
    let mut given_back = None;
    if let Some(device) = device {
        match app.store.spend_device_attempt(&device, phone, ctx.now).await? {
            DeviceTry::Known(Attempt::Admitted { with: credential, receipt }) => {
                return Ok(Some(Admitted { credential, receipt, device: Some(device) }));
            }
            DeviceTry::Known(Attempt::LimitReached(reached)) => return Err(reached.into()),
            DeviceTry::Known(Attempt::Nothing) => return Ok(None),
            DeviceTry::Unknown(receipt) => given_back = receipt,
        }
    }
    let given_back = async {
        match given_back {
            Some(receipt) => app.store.take_back(receipt).await,
            None => Ok(()),
        }
    };
    let attempt = admission::admit_with_receipt(app, ctx, app.store.spend_login_attempt(phone, ctx.now));
    let (admitted, given_back) = tokio::join!(attempt, given_back);
    let (admitted, ()) = (admitted?, given_back?);
    Ok(admitted.and_then(|(credential, receipt)| Some(Admitted { credential: credential?, receipt, device: None })))
}

/// Does what a right password leads to, and takes its count back from the caller's address if it was counted there.
pub async fn with_right_password<T>(
    app: &App,
    ctx: &Context,
    device: Option<&DeviceToken>,
    what: impl Future<Output = T>,
) -> T {
    match device {
        Some(_) => what.await,
        None => admission::with_right_try(app, ctx, what).await,
    }
}

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
    match with_right_password(app, ctx, device, Box::pin(completed)).await? {
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
