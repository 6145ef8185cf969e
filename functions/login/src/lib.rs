//! `POST /auth/login`: signs a user in with phone and password.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::TokenId,
    domain::{
        password::{Password, PasswordHash, Verdict},
        phone::{KnownPhone, Phone},
        proof::{Factor, SignInMethod},
    },
    flows::{
        login::{self, Admitted},
        second_step,
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        members::SealedDeviceToken,
        openapi::{BodyProblems, CredentialProblems, LimitProblems, MethodProblems, MfaProblems, ServerProblems},
    },
    request_body,
    store::{Credential, Home, Receipt},
    tokens::{
        device::DeviceToken,
        mfa::{self, MfaToken},
    },
};

request_body! {
    /// The phone and the password of an account.
    pub struct LoginRequest {
        /// The account's phone, in any spelling.
        phone: KnownPhone,
        /// The account's password.
        password: Password,
        /// The newest `device_token` that this device got, so that wrong passwords on other devices do not keep it waiting. One
        /// that has ended counts as none.
        device_token: Option<SealedDeviceToken>,
    }
}

/// Sign in
///
/// A wrong password and an unknown phone get the same response in the same time. After five wrong passwords in a row,
/// each further try requires a wait of up to 15 minutes; a password reset works meanwhile. A device that sends its
/// `device_token` is counted by itself. If a second factor is on,
/// the right password gets 403 with an `mfa_token` for `POST /auth/login/mfa`.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    tag = "Sign-in",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "The tokens of the new session", body = TokenResponse),
        BodyProblems, MethodProblems, CredentialProblems, MfaProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let LoginRequest { phone: KnownPhone(phone), password, device_token } = request.read(&app.config)?;
    ctx.audit.phone(&phone);
    let keys = TokenKeys::of(app, ctx).await?;
    // The attempt is counted before the password is compared. Known and unknown phones cost the same calls and the same
    // hash.
    let device = token_pair::known_device(app, ctx, device_token.as_ref()).await?;
    let (keys, admitted) = tokio::join!(keys.current(app, ctx), login::admit(app, ctx, device, &phone));
    let (admitted, keys) = (admitted?, keys?);
    ctx.audit.factor(Factor::Password);
    if let Some(admitted) = &admitted {
        ctx.audit.user(admitted.credential.user);
    }
    // From here on, only a device that the account knows counts.
    let (Admitted { credential, receipt, device }, verdict) = compare(app, &password, admitted)?;
    let rehashed = match verdict {
        Verdict::Wrong => return Err(ApiError::InvalidCredentials),
        _ if credential.disabled_at.is_some() => {
            // Nothing is rehashed or cleared, because that would tell a right password from a wrong one.
            ctx.audit.reason("disabled");
            return Err(ApiError::InvalidCredentials);
        }
        Verdict::Right => None,
        Verdict::RightButOutdated => Some(app.hasher.rehash(&password)?),
    };

    if credential.mfa_enabled {
        let counted = (receipt, device.as_ref());
        let begun = begin_second_step(app, ctx, &keys, &phone, &credential, rehashed.as_ref(), counted);
        let token = Box::pin(begun).await?;
        return Err(ApiError::MfaRequired(Some(token)));
    }

    let how = (SignInMethod::Password, false);
    let started = token_pair::new_session(app, ctx, &keys, credential.user, credential.epoch, how)?;
    login::complete(app, ctx, (&Home::Phone(phone), &credential), (rehashed.as_ref(), device.as_ref()), started).await
}

/// Stores the login until its second step and returns the token for that step, because the password alone signs nobody
/// in.
async fn begin_second_step(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    phone: &Phone,
    credential: &Credential,
    rehashed: Option<&PasswordHash>,
    (receipt, device): (Receipt, Option<&DeviceToken>),
) -> Result<MfaToken, ApiError> {
    let (user, id) = (credential.user, TokenId::generate()?);
    let token = second_step::token(app, ctx, keys, user, id)?;
    let ends_at = ctx.now.plus(mfa::LIFETIME);
    let begun = app.store.begin_second_step(phone, credential, rehashed, id, ends_at, (receipt, device));
    login::with_right_password(app, ctx, device, Box::pin(begun)).await?;
    Ok(token)
}

/// Compares the password. For a phone without an account, and for an account without a password, does the same work and
/// returns the error of a wrong password.
fn compare(app: &App, password: &Password, admitted: Option<Admitted>) -> Result<(Admitted, Verdict), ApiError> {
    let stored = admitted.as_ref().and_then(|admitted| admitted.credential.password_hash.as_ref());
    let verdict = app.hasher.verify_alike(password, stored, app.config.legacy_cost)?;
    admitted.map(|admitted| (admitted, verdict)).ok_or(ApiError::InvalidCredentials)
}
