//! `POST /auth/verify-reset`: sets a new password for a caller who has the code.

use latchkey::{
    ApiError, App, Context, Fields, Request, Response,
    domain::{
        otp::{OtpCode, Purpose},
        password::NewPassword,
        phone::{KnownPhone, Phone},
        proof::SignInMethod,
    },
    flows::{
        admission,
        codes::{self, Compared},
        recycled,
        registration::{PendingRegistration, Waiting},
        repeats,
        second_factor::{self, Asked, Refusal, UNDER_WAY},
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::{ResetAsked, ResetProofs, SealedChallenge},
        openapi::{CodeProblems, LimitProblems, ResetProblems, ServerProblems},
    },
    log::audit,
    messages::Notice,
    request_body,
    store::{AskedAt, CodeUse, SpentCode, UsedCode},
};

request_body! {
    /// The challenge or the phone, its code, the new password and, if one is on, a second factor.
    pub struct VerifyResetRequest {
        /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
        proofs: ResetProofs,
        /// The six digits of the code.
        otp: OtpCode,
        /// The new password: at least 8 characters of any kind; not a common one, the phone, or the service's name.
        new_password: NewPassword = "newPass456",
        /// Whether to sign in as well.
        sign_in: bool,
    }
    check password_is_not_the_phone;
}

/// Refuses the phone as its own password, where the request names the phone.
fn password_is_not_the_phone(request: VerifyResetRequest, fields: &mut Fields<'_>) -> Option<VerifyResetRequest> {
    let VerifyResetRequest { proofs, otp, new_password, sign_in } = request;
    let new_password = match &proofs.asked {
        ResetAsked::Phone(KnownPhone(phone)) => {
            new_password.not_the_phone(phone).map_err(|why| fields.refuse("new_password", &why)).ok()?
        }
        ResetAsked::Challenge(_) => new_password,
    };
    Some(VerifyResetRequest { proofs, otp, new_password, sign_in })
}

/// Returns the phone that a code was sent to, and the purpose under which its tries are counted.
async fn asked(app: &App, ctx: &Context, asked: ResetAsked) -> Result<(Phone, Purpose), ApiError> {
    match asked {
        ResetAsked::Phone(KnownPhone(phone)) => Ok((phone, Purpose::Reset)),
        ResetAsked::Challenge(SealedChallenge(text)) => {
            let reset = PendingRegistration::of_id(app, ctx, Waiting::Reset, &text).await?;
            let reset = reset.ok_or(ApiError::InvalidOtp)?;
            let purpose = reset.purpose();
            Ok((reset.phone, purpose))
        }
    }
}

/// Reset the password
///
/// Every session ends, and the phone counts as verified and gets a notice. A code allows five tries with its `challenge`,
/// which strangers cannot use up, and five with its phone, which they can. The response is the same for a wrong, expired
/// or used code and for that of another challenge. A second factor stays on and is required as well; if it is missing, the code
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
    let VerifyResetRequest { proofs, otp, new_password, sign_in } = request.read(&app.config)?;
    let ResetProofs { asked: by, second: proof } = proofs;
    let (phone, purpose) = asked(app, ctx, by).await?;
    let refused = |why| ApiError::invalid_field("/new_password", &why);
    let new_password = new_password.not_the_phone(&phone).map_err(refused)?;
    let keys = if sign_in { Some(TokenKeys::of(app, ctx).await?) } else { None };
    let compared = codes::compare(app, ctx, purpose, &phone, &otp);
    let (keys, code) = tokio::join!(TokenKeys::current_if(keys, app, ctx), compared);
    let (code, keys) = (code?, keys?);
    let code = match code {
        Compared::Right(code) => code,
        Compared::Repeated(used) => {
            return repeated(app, ctx, (&phone, purpose), keys, &used, (&otp, &new_password)).await;
        }
    };
    // The phone has no account, so that nobody was sent this code: the caller guessed it.
    let account = code.account.ok_or(ApiError::InvalidOtp)?;
    let shows_factor = account.mfa_enabled && proof.is_some();
    if !shows_factor && recycled::asks_for_identity(app, ctx, &request, account).await? {
        let keys = TokenKeys::or_current(keys, app, ctx).await?;
        return Err(recycled::begin_second_step(app, ctx, &keys, (&phone, purpose), (account, &code, true)).await?);
    }
    if account.mfa_enabled {
        if !app.store.is_still(&phone, account).await? {
            // The account has changed, which made the code invalid; it must not cost a recovery code. Unless it is the same
            // request that has changed it.
            let used = app.store.used_meanwhile(&phone, purpose, &code, ctx.now).await?;
            let used = used.ok_or(ApiError::InvalidOtp)?;
            return repeated(app, ctx, (&phone, purpose), keys, &used, (&otp, &new_password)).await;
        }
        // Checked only now, so that only a caller who can read the phone's messages learns that a second factor is on.
        let asked = Asked {
            user: account.user,
            at: AskedAt::Reset,
            place: purpose.as_str(),
            otp: Some(&otp),
            good_for: UNDER_WAY,
        };
        let shown = second_factor::require(app, ctx, asked, Some(&phone), proof.as_ref()).await;
        if let Err(Refusal::BySame(..)) = shown
            && let Some(used) = codes::use_by_other(app, ctx, (&phone, purpose), &code).await?
        {
            return repeated(app, ctx, (&phone, purpose), keys, &used, (&otp, &new_password)).await;
        }
        if let Err(refusal) = shown {
            // The code itself is right and stays valid, so that its try is taken back: wrong TOTP codes have a count of
            // their own, and must not use up the code before the right one, or a recovery code, is shown.
            admission::with_right_try(app, ctx, app.store.take_back(code.receipt)).await?;
            return Err(refusal.into());
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
    let secret = app.keyring.secret(ctx.now).await?;
    let pseudonym = audit::pseudonym(&secret.counting.audit, &phone);
    let used = SpentCode { purpose, code: &code, effect: &effect, pseudonym: &pseudonym };
    let reset = app.store.reset_password((&phone, account), used, &new_hash, session, ctx.now);
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
        CodeUse::Repeated(used) => repeated(app, ctx, (&phone, purpose), keys, &used, (&otp, &new_password)).await,
        CodeUse::Overtaken => Err(ApiError::InvalidOtp),
    }
}

/// Answers a request that repeats the one that used the code: its password is the account's, and nothing has changed the
/// account since. Another password is a wrong try. The second factor is not asked for again, because nothing happens.
async fn repeated(
    app: &App,
    ctx: &Context,
    (phone, purpose): (&Phone, Purpose),
    keys: Option<TokenKeys>,
    used: &UsedCode,
    (otp, new_password): (&OtpCode, &NewPassword),
) -> Result<Response, ApiError> {
    if used.second_step.is_some() {
        let keys = TokenKeys::or_current(keys, app, ctx).await?;
        return Err(recycled::repeated_second_step(app, ctx, &keys, used, true)?);
    }
    let credential = app.store.credential_of(phone).await?.ok_or(ApiError::InvalidOtp)?;
    let password_hash = credential.password_hash.as_ref().ok_or(ApiError::InvalidOtp)?;
    let hash = app.hasher.hash_like(new_password, password_hash)?.ok_or(ApiError::InvalidOtp)?;
    let effect = codes::effect(app, ctx, credential.user, credential.epoch, Some(&hash)).await?;
    let guess = codes::guess(app, ctx, purpose, phone, otp).await?;
    if !app.store.has_made(phone, purpose, &guess, &effect, ctx.now).await? {
        return Err(ApiError::InvalidOtp);
    }
    ctx.audit.user(credential.user);
    ctx.audit.reason("already-done");
    let tokens = repeats::tokens_of_code(app, ctx, keys.as_ref(), used).await?;
    Ok(answer(tokens))
}

fn answer(tokens: Option<TokenResponse>) -> Response {
    match tokens {
        Some(tokens) => Response::json(StatusCode::OK, &tokens),
        None => Response::no_content(),
    }
}
