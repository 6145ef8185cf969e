//! `POST /auth/recover`: signs an owner in to the account that is parked since its phone has another one.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::UserId,
    domain::{
        password::{Password, Verdict},
        phone::{KnownPhone, Phone},
        proof::{Factor, Proof, SignInMethod},
        repeat::RepeatMac,
    },
    flows::{
        admission, login, repeats,
        second_factor::{self, Asked, Refusal},
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::RecoveryProofs,
        openapi::{CodeProblems, CredentialProblems, LimitProblems, RecoveryProblems, ServerProblems},
    },
    request_body,
    store::{AskedAt, Bucket, FactorUse, Parked, Receipt, RightCode},
};

request_body! {
    /// The phone that the account had, and what opens it without that phone.
    pub struct RecoverRequest {
        /// The phone that the account had, in any spelling.
        phone: KnownPhone,
        /// The TOTP code, required if a second factor is on. `recovery_code` may be sent instead.
        proofs: RecoveryProofs,
    }
}

/// Come back to an account whose phone has another owner
///
/// Signs in to an account that was parked when somebody else started anew with its phone (`POST /auth/start-anew`). Then
/// `POST /auth/change-phone` gives it a new phone, and it is as before. The phone that it had names it. An unknown phone, one
/// that no account has left, and a wrong proof get the same response after the same work. Tries are counted as at a login.
/// Repeating a request with a second factor gets the tokens of the same session for five minutes, if they were not used.
#[utoipa::path(
    post,
    path = "/auth/recover",
    operation_id = "recover",
    tag = "Sign-in",
    request_body = RecoverRequest,
    responses(
        (status = 200, description = "The tokens of a session of the parked account", body = TokenResponse),
        CodeProblems, CredentialProblems, RecoveryProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RecoverRequest { phone: KnownPhone(phone), proofs } = request.read(&app.config)?;
    ctx.audit.phone(&phone);
    let keys = TokenKeys::of(app, ctx).await?;
    let (keys, admitted) = tokio::join!(keys.current(app, ctx), Box::pin(admit(app, ctx, &phone, &proofs)));
    let (admitted, keys) = (admitted?, keys?);
    if let Some((parked, _)) = &admitted {
        ctx.audit.user(parked.credential.user);
    }
    let admitted = admitted.filter(|(parked, _)| parked.credential.disabled_at.is_none());
    let (shown, method) = match &proofs {
        RecoveryProofs::Password(password, factor) => {
            let shown = Box::pin(by_password(app, ctx, admitted, password, factor.as_ref())).await?;
            (shown, SignInMethod::Password)
        }
        RecoveryProofs::SecondFactor(factor) => {
            (Box::pin(by_factor(app, ctx, admitted, factor)).await?, SignInMethod::Factor)
        }
    };
    let (parked, code) = match shown {
        Shown::Now(parked, code) => (parked, code),
        Shown::Before(user, by, error) => return repeated(app, ctx, &keys, (user, &by), error).await,
    };

    let Parked { credential, home, ends_at } = &parked;
    let second_factor = credential.mfa_enabled && method == SignInMethod::Password;
    let how = (method, second_factor);
    let (mut session, tokens) = token_pair::new_session(app, ctx, &keys, credential.user, credential.epoch, how)?;
    // Nothing outlives the time that the account waits.
    session.ends_at = session.ends_at.min(*ends_at);
    if let Some((code, proof, request)) = code {
        let user = credential.user;
        let by = FactorUse { request, until: ctx.now.plus(second_factor::REPEATABLE), session: Some(session.id) };
        match Box::pin(second_factor::use_up(app, ctx, &code, proof, &by)).await {
            Ok(()) => {}
            Err(Refusal::BySame(by, error)) => {
                return repeated(app, ctx, &keys, (user, &by), told(error, method)).await;
            }
            Err(refusal) => return Err(told(refusal.into(), method)),
        }
    }
    login::complete(app, ctx, (home, credential), (None, None), (session, tokens)).await
}

/// What a request has shown, all of it right.
enum Shown<'a> {
    /// What opens this account. If a second factor is on, with its code, which is not used up yet, and the hash of the request.
    Now(Parked, Option<(RightCode, &'a Proof, RepeatMac)>),
    /// What opened the account of this user before, to the same request. The error is for a repetition that comes too late.
    Before(UserId, FactorUse, ApiError),
}

/// Where the second factor of a parked account is asked for.
const fn asked<'a>(user: UserId) -> Asked<'a> {
    Asked { user, at: AskedAt::Reset, place: "recover", otp: None, good_for: second_factor::REPEATABLE }
}

/// Compares the second factor of a parked account, and tells if the same request has used it before.
async fn judge<'a>(app: &App, ctx: &Context, parked: Parked, proof: &'a Proof) -> Result<Shown<'a>, ApiError> {
    let user = parked.credential.user;
    let request = asked(user).request(app, ctx, proof).await?;
    match Box::pin(second_factor::judge_request(app, ctx, (user, AskedAt::Reset), proof, Some(&request))).await {
        Ok(code) => Ok(Shown::Now(parked, Some((code, proof, request)))),
        Err(Refusal::BySame(by, error)) => Ok(Shown::Before(user, by, error)),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Answers a request that repeats the one that has used the second factor: by the tokens of its session, if none of them was
/// used since (docs/adr/0029-a-lost-confirmation.md).
async fn repeated(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    (user, by): (UserId, &FactorUse),
    otherwise: ApiError,
) -> Result<Response, ApiError> {
    let session = repeats::session_of_other(app, ctx, user, by).await?.ok_or(otherwise)?;
    let tokens = TokenResponse::of_started_session(app, ctx, keys, &session).await?;
    Ok(Response::json(StatusCode::OK, &tokens))
}

/// Counts the attempt before anything is compared, and returns the account that is parked for the phone. Every phone costs the
/// same calls and the same hash.
///
/// A recovery code waits for no attempts of others, and is no attempt itself: nobody can guess one. A password beside a right
/// one is counted with the second factor, which strangers cannot try without the password.
async fn admit(
    app: &App,
    ctx: &Context,
    phone: &Phone,
    proofs: &RecoveryProofs,
) -> Result<Option<(Parked, Option<Receipt>)>, ApiError> {
    match proofs {
        RecoveryProofs::SecondFactor(Proof::Recovery(_)) => {
            return Ok(app.store.parked(phone, ctx.now).await?.map(|parked| (parked, None)));
        }
        RecoveryProofs::Password(_, Some(proof @ Proof::Recovery(_))) => {
            if let Some(parked) = shows_recovery_code(app, ctx, phone, proof).await? {
                let attempt = app.store.spend_totp_attempt(parked.credential.user, AskedAt::Reset, ctx.now);
                let admitted = admission::admit_with_receipt(app, ctx, attempt).await?;
                return Ok(admitted.map(|(_, receipt)| (parked, Some(receipt))));
            }
        }
        RecoveryProofs::Password(..) | RecoveryProofs::SecondFactor(_) => {}
    }
    let attempt = app.store.spend_recovery_attempt(phone, ctx.now);
    let admitted = admission::admit_with_receipt(app, ctx, attempt).await?;
    Ok(admitted.and_then(|(parked, receipt)| Some((parked?, Some(receipt)))))
}

/// Returns the account that is parked for the phone if this is one of its recovery codes, which stays valid, or the one that
/// the same request has used.
async fn shows_recovery_code(
    app: &App,
    ctx: &Context,
    phone: &Phone,
    proof: &Proof,
) -> Result<Option<Parked>, ApiError> {
    let parked = app.store.parked(phone, ctx.now).await?.filter(|parked| parked.credential.mfa_enabled);
    let judged = match &parked {
        Some(parked) => judge(app, ctx, parked.clone(), proof).await.map(|_| ()),
        None => second_factor::judge_nobody(app, ctx, proof, AskedAt::Reset).await.map(|_| ()),
    };
    match judged {
        Ok(()) => Ok(parked),
        Err(ApiError::WrongRecoveryCode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Compares the password, and asks for the second factor if one is on. Only a caller who knows the password learns that.
async fn by_password<'a>(
    app: &App,
    ctx: &Context,
    admitted: Option<(Parked, Option<Receipt>)>,
    password: &Password,
    proof: Option<&'a Proof>,
) -> Result<Shown<'a>, ApiError> {
    ctx.audit.factor(Factor::Password);
    let is_on = app.config.sign_in_methods.contains(&SignInMethod::Password);
    let stored = admitted.as_ref().and_then(|(parked, _)| parked.credential.password_hash.as_ref()).filter(|_| is_on);
    let verdict = app.hasher.verify_alike(password, stored, app.config.legacy_cost)?;
    let admitted = admitted.filter(|_| !matches!(verdict, Verdict::Wrong));
    let (parked, receipt) = admitted.ok_or(ApiError::InvalidCredentials)?;
    if parked.credential.mfa_enabled {
        // The password was right, so its try is taken back, whatever the outcome of the second factor.
        if let Some(receipt) = receipt {
            app.store.take_back(receipt).await?;
        }
        // A recovery code causes no notice: the account has no phone.
        return judge(app, ctx, parked, proof.ok_or(ApiError::MfaRequired(None))?).await;
    }
    Ok(Shown::Now(parked, None))
}

/// Compares the second factor of an account without a password, which is all that is left of its proofs. Other accounts and
/// phones without one do the same work for a user that does not exist, and every failure gets the same response.
async fn by_factor<'a>(
    app: &App,
    ctx: &Context,
    admitted: Option<(Parked, Option<Receipt>)>,
    proof: &'a Proof,
) -> Result<Shown<'a>, ApiError> {
    let is_on = app.config.sign_in_methods.contains(&SignInMethod::Password);
    let opened = |parked: &Parked| {
        let has_password = is_on && parked.credential.password_hash.is_some();
        parked.credential.mfa_enabled && !has_password
    };
    let parked = admitted.map(|(parked, _)| parked).filter(opened);
    let shown = if let Some(parked) = parked {
        judge(app, ctx, parked, proof).await
    } else {
        let judged = second_factor::judge_nobody(app, ctx, proof, AskedAt::Reset).await;
        Err(judged.err().unwrap_or(ApiError::InvalidCredentials))
    };
    match shown {
        Ok(Shown::Before(user, by, error)) => Ok(Shown::Before(user, by, told(error, SignInMethod::Factor))),
        Ok(shown) => Ok(shown),
        Err(error) => Err(told(error, SignInMethod::Factor)),
    }
}

/// Returns the error that may be told. Without a password, it is the same for every phone.
fn told(error: ApiError, method: SignInMethod) -> ApiError {
    match error {
        // That the caller's address has to wait is told for every phone, and that an authenticator does for none.
        ApiError::TooManyRequests { bucket: Bucket::LoginAddress, .. }
        | ApiError::TemporarilyUnavailable(_)
        | ApiError::Internal(_) => error,
        error if method == SignInMethod::Password => error,
        _ => ApiError::InvalidCredentials,
    }
}
