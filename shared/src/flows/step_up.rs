//! Another proof within a session, which renews it (docs/adr/0042-step-up.md).

use super::{
    admission,
    caller::{Caller, bearer_claims},
    codes::{self, Compared},
    repeats, second_factor, sign_in,
    token_pair::{self, TokenKeys, TokenResponse},
};
use crate::{
    app::App,
    base::id::SessionId,
    domain::{
        otp::{OtpCode, Purpose},
        password::Password,
        proof::{Proof, SignInMethod},
        repeat::RepeatMac,
    },
    error::{ApiError, TokenProblem},
    http::{Request, context::Context},
    log::audit,
    store::{Change, CodeAccount, Ended, PendingCode, Repeatable, SpentCode},
};

/// A first factor in a request, not verified yet.
#[derive(Debug)]
pub enum FirstFactor {
    /// The account's password.
    Password(Password),
    /// A challenge, and the code that was sent for it.
    Code(String, OtpCode),
}

/// Compares the caller's proofs and starts the session that takes the place of the caller's. Without a first factor, the
/// second one is the proof.
///
/// The same step-up may have ended the session meanwhile. Then the error says that the session was renewed.
pub async fn renew(
    app: &App,
    ctx: &Context,
    caller: &Caller,
    first: Option<&FirstFactor>,
    proof: Option<&Proof>,
) -> Result<TokenResponse, ApiError> {
    let keys = TokenKeys::of(app, ctx).await?;
    let proved = async {
        match first {
            Some(FirstFactor::Password(password)) => {
                let proved = caller.reauthenticate(app, ctx, Some(password), proof).await?;
                Ok::<_, ApiError>((proved.account, None))
            }
            Some(FirstFactor::Code(challenge, otp)) => {
                let (purpose, code) = own_code(app, ctx, caller, challenge, otp, proof).await?;
                Ok((CodeAccount::from(&caller.profile), Some((purpose, code))))
            }
            None if !caller.profile.mfa_enabled => Err(ApiError::MfaNotEnabled),
            None => {
                caller.show_factor(app, ctx, proof).await?;
                Ok((CodeAccount::from(&caller.profile), None))
            }
        }
    };
    let (keys, proved) = tokio::join!(keys.current(app, ctx), Box::pin(proved));
    let ((account, code), keys): ((_, Option<(Purpose, PendingCode)>), _) = (proved?, keys?);

    let method = first.map(|first| match first {
        FirstFactor::Password(_) => SignInMethod::Password,
        FirstFactor::Code(..) => SignInMethod::Code,
    });
    let second_factor = account.mfa_enabled || first.is_none();
    let (session, tokens) = token_pair::stepped_up_session(app, ctx, &keys, caller, method, second_factor)?;
    let id = session.id;
    let number = caller.profile.home.number();
    let pseudonym = audit::pseudonym(&keys.secret.counting.audit, number);
    let effect = codes::effect(app, ctx, caller.profile.user, caller.profile.epoch, None).await?;
    let used = code.as_ref().map(|(purpose, code)| SpentCode {
        purpose: *purpose,
        code,
        effect: &effect,
        pseudonym: &pseudonym,
    });
    // Only the right password clears the count of wrong ones: a code would buy a thief of the session new guesses.
    let tries = (method != Some(SignInMethod::Password)).then_some(caller.login.tries);
    let repeat = request_of(app, ctx, caller.session, first, proof).await?.map(|request| {
        let until = ctx.now.plus(second_factor::REPEATABLE);
        Repeatable { request, until, recovery_seed: None }
    });
    let stepped_up = app.store.step_up(&caller.profile, used, (caller.session, tries), (session, repeat), ctx.now);
    let stepped_up = match &code {
        // What the other proofs were counted for is taken back already.
        Some(_) => admission::with_right_try(app, ctx, stepped_up).await?,
        None => stepped_up.await?,
    };
    match stepped_up {
        Change::Done => {
            if code.is_some() {
                codes::count_verified(app, ctx, number);
            }
            ctx.audit.session(caller.profile.user, id);
            Ok(tokens)
        }
        // Another request used the code, or ended the session.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await),
    }
}

/// Returns the tokens of the session that the same step-up has started, if its response was lost: the caller's token is of the
/// session that it ended. One by the password is not repeated, because a repetition would have to prove and count it again
/// (docs/adr/0029-a-lost-confirmation.md).
pub async fn repeated(
    app: &App,
    ctx: &Context,
    request: &Request,
    first: Option<&FirstFactor>,
    proof: Option<&Proof>,
) -> Result<TokenResponse, ApiError> {
    let renewed = || ApiError::InvalidToken(TokenProblem::SessionRenewed);
    let claims = bearer_claims(app, ctx, request).await?;
    let mac = request_of(app, ctx, claims.sid, first, proof).await?.ok_or_else(renewed)?;
    let found = repeats::repeated(app, ctx, claims.sub, Ended::Session(claims.sid), &mac).await?;
    repeats::tokens(app, ctx, &found.ok_or_else(renewed)?).await
}

/// Returns the hash of a step-up of this session; none if it is by the password.
async fn request_of(
    app: &App,
    ctx: &Context,
    session: SessionId,
    first: Option<&FirstFactor>,
    proof: Option<&Proof>,
) -> Result<Option<RepeatMac>, ApiError> {
    let otp = match first {
        Some(FirstFactor::Password(_)) => return Ok(None),
        Some(FirstFactor::Code(_, otp)) => Some(otp),
        None => None,
    };
    let secret = app.keyring.secret(ctx.now).await?;
    Ok(Some(RepeatMac::of_proofs(&secret.counting.otp.key, session, "step-up", (otp, proof))))
}

/// Compares the code of a challenge for the caller's own phone, and requires the second factor if one is on. If that is
/// missing or wrong, the code stays valid and its try is taken back.
async fn own_code(
    app: &App,
    ctx: &Context,
    caller: &Caller,
    challenge: &str,
    otp: &OtpCode,
    proof: Option<&Proof>,
) -> Result<(Purpose, PendingCode), ApiError> {
    let profile = &caller.profile;
    let account = CodeAccount::from(profile);
    let challenge = sign_in::challenge(app, ctx, challenge).await?;
    let challenge = challenge.filter(|challenge| Some(&challenge.phone) == profile.phone());
    let challenge = challenge.ok_or(ApiError::InvalidOtp)?;
    let (purpose, phone) = (challenge.purpose(), &challenge.phone);
    let code = match codes::compare(app, ctx, purpose, phone, otp).await? {
        Compared::Right(code) => code,
        // If the same step-up used it, that has ended the session.
        Compared::Repeated(_) => return Err(caller.overtaken(app, ctx, ApiError::InvalidOtp).await),
    };
    if code.account != Some(account) {
        // The account has changed since the code was sent.
        return Err(ApiError::InvalidOtp);
    }
    if let Err(error) = caller.require_factor(app, ctx, account, proof).await {
        if let ApiError::InvalidToken(_) = error {
            // The same step-up has used up both.
            return Err(error);
        }
        admission::with_right_try(app, ctx, app.store.take_back(code.receipt.clone())).await?;
        return Err(error);
    }
    Ok((purpose, code))
}
