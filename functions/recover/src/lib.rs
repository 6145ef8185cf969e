//! `POST /auth/recover`: signs an owner in to the account that is parked since its phone has another one.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        password::{Password, Verdict},
        phone::{KnownPhone, Phone},
        proof::{Factor, Proof, SignInMethod},
    },
    flows::{
        admission, login,
        second_factor::{self, Asked},
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        members::RecoveryProofs,
        openapi::{CodeProblems, CredentialProblems, LimitProblems, RecoveryProblems, ServerProblems},
    },
    request_body,
    store::{AskedAt, Bucket, Parked, Receipt},
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
    let (parked, method) = match &proofs {
        RecoveryProofs::Password(password, factor) => {
            let parked = Box::pin(by_password(app, ctx, admitted, password, factor.as_ref())).await?;
            (parked, SignInMethod::Password)
        }
        RecoveryProofs::SecondFactor(factor) => {
            (Box::pin(by_factor(app, ctx, admitted, factor)).await?, SignInMethod::Factor)
        }
    };

    let Parked { credential, home, ends_at } = &parked;
    let second_factor = credential.mfa_enabled && method == SignInMethod::Password;
    let how = (method, second_factor);
    let (mut session, tokens) = token_pair::new_session(app, ctx, &keys, credential.user, credential.epoch, how)?;
    // Nothing outlives the time that the account waits.
    session.ends_at = session.ends_at.min(*ends_at);
    login::complete(app, ctx, (home, credential), (None, None), (session, tokens)).await
}

/// What tells a second factor that is shown here from one that is shown elsewhere.
const PLACE: &str = "recover";

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

/// Returns the account that is parked for the phone if this is one of its recovery codes, which stays valid.
async fn shows_recovery_code(
    app: &App,
    ctx: &Context,
    phone: &Phone,
    proof: &Proof,
) -> Result<Option<Parked>, ApiError> {
    let parked = app.store.parked(phone, ctx.now).await?.filter(|parked| parked.credential.mfa_enabled);
    let judged = match &parked {
        Some(parked) => Box::pin(second_factor::judge(app, ctx, parked.credential.user, proof, AskedAt::Reset)).await,
        None => second_factor::judge_nobody(app, ctx, proof, AskedAt::Reset).await,
    };
    match judged {
        Ok(_) => Ok(parked),
        Err(ApiError::WrongRecoveryCode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Compares the password, and asks for the second factor if one is on. Only a caller who knows the password learns that.
async fn by_password(
    app: &App,
    ctx: &Context,
    admitted: Option<(Parked, Option<Receipt>)>,
    password: &Password,
    proof: Option<&Proof>,
) -> Result<Parked, ApiError> {
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
        let asked = Asked { user: parked.credential.user, at: AskedAt::Reset, place: PLACE, otp: None };
        Box::pin(second_factor::require(app, ctx, asked, None, proof)).await?;
    }
    Ok(parked)
}

/// Compares the second factor of an account without a password, which is all that is left of its proofs. Other accounts and
/// phones without one do the same work for a user that does not exist, and every failure gets the same response.
async fn by_factor(
    app: &App,
    ctx: &Context,
    admitted: Option<(Parked, Option<Receipt>)>,
    proof: &Proof,
) -> Result<Parked, ApiError> {
    let is_on = app.config.sign_in_methods.contains(&SignInMethod::Password);
    let opened = |parked: &Parked| {
        let has_password = is_on && parked.credential.password_hash.is_some();
        parked.credential.mfa_enabled && !has_password
    };
    let parked = admitted.map(|(parked, _)| parked).filter(opened);
    let shown = match &parked {
        Some(parked) => {
            let asked = Asked { user: parked.credential.user, at: AskedAt::Reset, place: PLACE, otp: None };
            Box::pin(second_factor::require(app, ctx, asked, None, Some(proof))).await.map_err(ApiError::from)
        }
        None => second_factor::judge_nobody(app, ctx, proof, AskedAt::Reset).await.map(|_| ()),
    };
    match shown {
        Ok(()) => parked.ok_or(ApiError::InvalidCredentials),
        // That the caller's address has to wait is told for every phone, and that an authenticator does for none.
        Err(
            error @ (ApiError::TooManyRequests { bucket: Bucket::LoginAddress, .. }
            | ApiError::TemporarilyUnavailable(_)
            | ApiError::Internal(_)),
        ) => Err(error),
        Err(_) => Err(ApiError::InvalidCredentials),
    }
}
