//! `POST /auth/verify-reset`: sets a new password for a caller who has the code.

use latchkey::{
    ApiError, App, Context, Fields, Request, Response,
    domain::{
        otp::{OtpCode, Purpose},
        password::NewPassword,
        phone::{KnownPhone, Phone},
        proof::{Proof, SignInMethod},
    },
    flows::{
        admission,
        codes::{self, Compared},
        recycled, repeats, second_factor,
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, LimitProblems, ResetProblems, ServerProblems},
    },
    messages::Notice,
    request_body,
    store::{AskedAt, CodeUse, UsedCode},
};

request_body! {
    /// The phone, its code, the new password and, if one is on, a second factor.
    pub struct VerifyResetRequest {
        /// The phone that the code was sent to, in any spelling.
        phone: KnownPhone,
        /// The six digits of the code.
        otp: OtpCode,
        /// The new password: at least 8 characters of any kind; not a common one, the phone, or the service's name.
        new_password: NewPassword = "newPass456",
        /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
        code: Option<Proof>,
        /// Whether to sign in as well.
        sign_in: bool,
    }
    check password_is_not_the_phone;
}

/// Refuses the phone as its own password.
fn password_is_not_the_phone(request: VerifyResetRequest, fields: &mut Fields<'_>) -> Option<VerifyResetRequest> {
    let VerifyResetRequest { phone, otp, new_password, code, sign_in } = request;
    let new_password = new_password.not_the_phone(&phone.0).map_err(|why| fields.refuse("new_password", &why)).ok()?;
    Some(VerifyResetRequest { phone, otp, new_password, code, sign_in })
}

/// Reset the password
///
/// Every session ends, and the phone counts as verified and gets a notice. A code allows five tries. The response is the
/// same for a wrong, expired or used code. A second factor stays on and is required as well; if it is missing, the code
/// stays valid. With `"sign_in": true`, the response has the tokens of a new session. Repeating the request that used the
/// code succeeds again until the code expires, and gets the tokens of the same session if they were not used.
///
/// If the phone may have another owner by now, the right code gets 403 `identity-required`, as at `POST
/// /auth/code/verify`; a second factor in the request shows that it has not.
#[utoipa::path(
    post,
    path = "/auth/verify-reset",
    operation_id = "verify-reset",
    tag = "Password reset",
    request_body = VerifyResetRequest,
    responses(
        (status = 200, description = "The tokens of a new session, with `sign_in`; every other session has ended",
         body = TokenResponse),
        (status = 204, description = "The password was reset; every session has ended"),
        CodeProblems, ResetProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let VerifyResetRequest { phone: KnownPhone(phone), otp, new_password, code: proof, sign_in } =
        request.read(&app.config)?;
    let keys = if sign_in { Some(TokenKeys::of(app, ctx).await?) } else { None };
    let compared = codes::compare(app, ctx, Purpose::Reset, &phone, &otp);
    let (keys, code) = tokio::join!(TokenKeys::current_if(keys, app, ctx), compared);
    let (code, keys) = (code?, keys?);
    let code = match code {
        Compared::Right(code) => code,
        Compared::Repeated(used) => return repeated(app, ctx, &phone, keys, &used, (&otp, &new_password)).await,
    };
    // The phone has no account, so that nobody was sent this code: the caller guessed it.
    let account = code.account.ok_or(ApiError::InvalidOtp)?;
    let shows_factor = account.mfa_enabled && proof.is_some();
    if !shows_factor && recycled::asks_for_identity(app, ctx, &request, account).await? {
        let keys = TokenKeys::or_current(keys, app, ctx).await?;
        return Err(
            recycled::begin_second_step(app, ctx, &keys, (&phone, Purpose::Reset), (account, &code, true)).await?
        );
    }
    if account.mfa_enabled {
        if !app.store.is_still(&phone, account).await? {
            // The account has changed, which made the code invalid; it must not cost a recovery code.
            return Err(ApiError::InvalidOtp);
        }
        // Checked only now, so that only a caller who can read the phone's messages learns that a second factor is on.
        let shown = second_factor::require(app, ctx, account.user, Some(&phone), proof.as_ref(), AskedAt::Reset).await;
        if let Err(error) = shown {
            // The code itself is right and stays valid, so that its try is taken back: wrong TOTP codes have a count of
            // their own, and must not use up the code before the right one, or a recovery code, is shown.
            admission::with_right_try(app, ctx, app.store.take_back(code.receipt)).await?;
            return Err(error);
        }
    }

    let new_hash = app.hasher.hash(&new_password)?;
    let started = keys.as_ref().map(|keys| {
        let how = (SignInMethod::Code, account.mfa_enabled);
        token_pair::new_session(app, ctx, keys, account.user, account.epoch + 1, how)
    });
    let (session, tokens) = started.transpose()?.unzip();
    let session_id = session.as_ref().map(|session| session.id);
    let effect = codes::effect(app, ctx, account.user, account.epoch + 1, Some(&new_hash)).await?;
    let reset = app.store.reset_password(&phone, account, (&code, &effect), &new_hash, session, ctx.now);
    match admission::with_right_try(app, ctx, reset).await? {
        CodeUse::Done => {
            codes::count_verified(app, ctx, &phone);
            // The code has proved whose the phone is. Should someone else have read it there, its owner learns of it.
            app.notify(ctx, &phone, Notice::PasswordReset).await;
            if let Some(id) = session_id {
                ctx.audit.session(account.user, id);
            }
            Ok(answer(tokens))
        }
        CodeUse::Repeated(used) => repeated(app, ctx, &phone, keys, &used, (&otp, &new_password)).await,
        CodeUse::Overtaken => Err(ApiError::InvalidOtp),
    }
}

/// Answers a request that repeats the one that used the code: its password is the account's, and nothing has changed the
/// account since. Another password is a wrong try. The second factor is not asked for again, because nothing happens.
async fn repeated(
    app: &App,
    ctx: &Context,
    phone: &Phone,
    keys: Option<TokenKeys>,
    used: &UsedCode,
    (otp, new_password): (&OtpCode, &NewPassword),
) -> Result<Response, ApiError> {
    if used.second_step.is_some() {
        let keys = TokenKeys::or_current(keys, app, ctx).await?;
        return Err(recycled::repeated_second_step(app, ctx, &keys, used, true).await?);
    }
    let credential = app.store.credential_of(phone).await?.ok_or(ApiError::InvalidOtp)?;
    let password_hash = credential.password_hash.as_ref().ok_or(ApiError::InvalidOtp)?;
    let hash = app.hasher.hash_like(new_password, password_hash)?.ok_or(ApiError::InvalidOtp)?;
    let effect = codes::effect(app, ctx, credential.user, credential.epoch, Some(&hash)).await?;
    let guess = codes::guess(app, ctx, Purpose::Reset, phone, otp).await?;
    if !app.store.has_made(phone, Purpose::Reset, &guess, &effect, ctx.now).await? {
        return Err(ApiError::InvalidOtp);
    }
    ctx.audit.user(credential.user);
    ctx.audit.reason("already-done");
    let tokens = match keys {
        Some(keys) => repeats::tokens_of_code(app, ctx, &keys, used).await?,
        None => None,
    };
    Ok(answer(tokens))
}

fn answer(tokens: Option<TokenResponse>) -> Response {
    match tokens {
        Some(tokens) => Response::json(StatusCode::OK, &tokens),
        None => Response::no_content(),
    }
}
