//! Callers: the owners of access tokens whose session is live.

use std::time::Duration;

use super::{
    second_factor::{self, Asked, Refusal},
    waiting,
};
use crate::{
    app::App,
    base::{id::SessionId, time::Timestamp},
    domain::{
        password::{Password, Verdict},
        phone::Phone,
        proof::{Factor, Proof, SignInMethod},
    },
    error::{ApiError, TokenProblem},
    http::{Request, context::Context},
    log::{audit::Audit, metrics::Metric},
    store::{AskedAt, Attempt, CodeAccount, Profile, Receipt, Session, SessionState, SessionSummary},
    tokens::{
        access::Claims,
        keys::VerifyingKey,
        signed::{InvalidSignedToken, Unverified},
    },
};

/// The user who makes a request, and the session of the access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The profile of the account.
    pub profile: Profile,
    /// The session of the access token.
    pub session: SessionId,
    /// How and when its user signed in.
    pub login: Session,
}

/// A caller who has proved again who they are.
#[derive(Clone, Copy, Debug)]
pub struct Reauthenticated {
    /// The account, at the epoch of the proof.
    pub account: CodeAccount,
    /// The first factor that the request itself proved; none if an earlier proof in the session was recent enough.
    pub first: Option<SignInMethod>,
}

/// The age up to which a proof counts as recent.
pub const RECENT: Duration = Duration::from_mins(10);

impl Caller {
    /// Verifies the bearer token, and then that account and session are live, by one round trip. So a logout, a reset
    /// or a change of password takes effect at once, whatever the token's lifetime.
    pub async fn authenticate(app: &App, ctx: &Context, request: &Request) -> Result<Self, ApiError> {
        Self::of_token(app, request.bearer_token()?, app.issuer(ctx.url.as_deref())?, &ctx.audit, ctx.now).await
    }

    /// Verifies like [`Self::authenticate`] a token that did not arrive in the `Authorization` header of a request.
    pub async fn of_token(
        app: &App,
        token: &str,
        issuer: &str,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let token = Unverified::<Claims>::read(token)?;
        let kid = token.kid().to_owned();
        let key = app.keyring.verifying_key(&kid, now).await?;
        let claims = verified(app, token, key, issuer, audit, now)?;
        let state = app.store.session_state(claims.sub, claims.sid).await?;
        if state.removed_keys.contains(&kid) {
            app.metrics.count(Metric::RemovedKeyUses, &kid, now);
            return Err(InvalidSignedToken::WrongHeader.into());
        }
        let (profile, login) = live(state, claims.ver, now)?;
        Ok(Self { profile, session: claims.sid, login })
    }

    /// Checks the caller's password again, under the throttle of a login, which this session has for itself. Returns the
    /// account and the receipt of the counted try, which must be taken back unless a later step resets the count.
    async fn confirm_password(
        &self,
        app: &App,
        ctx: &Context,
        password: &Password,
    ) -> Result<(CodeAccount, Receipt), ApiError> {
        let attempt = app.store.spend_session_attempt(&self.profile, self.session, ctx.now);
        let (credential, receipt) = match attempt.await? {
            Attempt::Admitted { with, receipt } => (with, receipt),
            Attempt::LimitReached(reached) => return Err(reached.into()),
            Attempt::Nothing => return Err(ApiError::InvalidToken(TokenProblem::SessionEnded)),
        };
        // Without a credential, the phone has left this account since the token was verified.
        let credential = credential.filter(|credential| credential.user == self.profile.user);
        let credential = credential.ok_or(ApiError::InvalidToken(TokenProblem::SessionEnded))?;
        ctx.audit.factor(Factor::Password);
        match app.hasher.verify_alike(password, credential.password_hash.as_ref(), None)? {
            Verdict::Wrong if credential.password_hash.is_none() => Err(ApiError::NoPassword),
            Verdict::Wrong => Err(ApiError::WrongPassword),
            Verdict::Right | Verdict::RightButOutdated => Ok(((&credential).into(), receipt)),
        }
    }

    /// Requires the caller to prove again who they are: by the password, and by the second factor if the account has
    /// one.
    ///
    /// An account without a password takes a recent proof of the first factor in its place: the sign-in, or
    /// `POST /auth/step-up` (docs/adr/0042-step-up.md).
    pub async fn reauthenticate(
        &self,
        app: &App,
        ctx: &Context,
        password: Option<&Password>,
        proof: Option<&Proof>,
    ) -> Result<Reauthenticated, ApiError> {
        self.reauthenticate_to(app, ctx, None, (password, proof)).await
    }

    /// The same for a request that may be repeated with the same second factor, since its repetition gains nothing: `what`
    /// it does, and to what. If the message of this request was not sent, or its response was lost, the code that it has
    /// used up is good for the same request of this session until five minutes are over.
    pub async fn reauthenticate_to(
        &self,
        app: &App,
        ctx: &Context,
        what: Option<&str>,
        (password, proof): (Option<&Password>, Option<&Proof>),
    ) -> Result<Reauthenticated, ApiError> {
        let Some(password) = password else {
            self.require_recent_proof(ctx.now)?;
            // The epoch was read with this, and whatever the caller goes on to change requires that epoch.
            let account = CodeAccount::from(&self.profile);
            Box::pin(self.require_factor_to(app, ctx, what, account, proof)).await?;
            return Ok(Reauthenticated { account, first: None });
        };
        let (account, receipt) = self.confirm_password(app, ctx, password).await?;
        // The password was right, so its try is taken back, whatever the outcome of the second factor. One read
        // returned the password hash and `mfa_enabled`, so a second factor that was switched on a moment ago is
        // required, too.
        Box::pin(self.take_back_and_require_factor(app, ctx, what, (account, receipt), proof)).await?;
        Ok(Reauthenticated { account, first: Some(SignInMethod::Password) })
    }

    /// Returns the account's phone, or refuses a parked account, which has none.
    pub fn phone(&self) -> Result<&Phone, ApiError> {
        self.profile.phone().ok_or(ApiError::AccountParked)
    }

    /// Returns whether the account has a password that it may be opened by (`SIGN_IN_METHODS`).
    pub fn has_password(&self, app: &App) -> bool {
        self.profile.has_password && app.config.sign_in_methods.contains(&SignInMethod::Password)
    }

    /// Requires a proof of the first factor that is at most ten minutes old.
    pub fn require_recent_proof(&self, now: Timestamp) -> Result<(), ApiError> {
        let is_recent = now.since(self.login.authentication.first_factor_at) <= RECENT;
        is_recent.then_some(()).ok_or(ApiError::ReauthenticationRequired)
    }

    /// Requires the same as [`Self::reauthenticate`] for a change that clears the count of passwords itself: it is taken
    /// back only where the second factor may still stop the change.
    pub async fn reauthenticate_for_new_password(
        &self,
        app: &App,
        ctx: &Context,
        password: &Password,
        proof: Option<&Proof>,
    ) -> Result<CodeAccount, ApiError> {
        let (account, receipt) = self.confirm_password(app, ctx, password).await?;
        if account.mfa_enabled {
            self.take_back_and_require_factor(app, ctx, None, (account, receipt), proof).await?;
        }
        Ok(account)
    }

    /// Takes the try of a right password back, and requires the second factor if the account has one.
    async fn take_back_and_require_factor(
        &self,
        app: &App,
        ctx: &Context,
        what: Option<&str>,
        (account, receipt): (CodeAccount, Receipt),
        proof: Option<&Proof>,
    ) -> Result<(), ApiError> {
        let factor = Box::pin(self.require_factor_to(app, ctx, what, account, proof));
        let (taken_back, shown) = tokio::join!(app.store.take_back(receipt), factor);
        taken_back?;
        shown
    }

    /// Requires the second factor if the account has one.
    pub async fn require_factor(
        &self,
        app: &App,
        ctx: &Context,
        account: CodeAccount,
        proof: Option<&Proof>,
    ) -> Result<(), ApiError> {
        self.require_factor_to(app, ctx, None, account, proof).await
    }

    async fn require_factor_to(
        &self,
        app: &App,
        ctx: &Context,
        what: Option<&str>,
        account: CodeAccount,
        proof: Option<&Proof>,
    ) -> Result<(), ApiError> {
        if account.mfa_enabled { self.show_factor_to(app, ctx, what, proof).await } else { Ok(()) }
    }

    /// Requires the second factor. The same request of this session may have used up its code a moment ago: then this one
    /// waits until that one has ended the session, and the error says so.
    pub async fn show_factor(&self, app: &App, ctx: &Context, proof: Option<&Proof>) -> Result<(), ApiError> {
        self.show_factor_to(app, ctx, None, proof).await
    }

    async fn show_factor_to(
        &self,
        app: &App,
        ctx: &Context,
        what: Option<&str>,
        proof: Option<&Proof>,
    ) -> Result<(), ApiError> {
        let place = format!("{}{}", self.session, what.map(|what| format!("/{what}")).unwrap_or_default());
        let good_for = if what.is_some() { second_factor::REPEATABLE } else { second_factor::UNDER_WAY };
        let asked = Asked { user: self.profile.user, at: AskedAt::Session, place: &place, otp: None, good_for };
        match second_factor::require(app, ctx, asked, self.profile.phone(), proof).await {
            Ok(()) => Ok(()),
            Err(Refusal::BySame(..)) if what.is_some() => Ok(()),
            Err(Refusal::BySame(_, error)) => Err(self.outcome_of_other(app, ctx, error).await),
            Err(Refusal::Gone(error)) => Err(self.overtaken(app, ctx, error).await),
            Err(Refusal::Because(error)) => Err(error),
        }
    }

    /// Waits until the session is ended by a request that is under way, and returns the error that says so.
    pub async fn outcome_of_other(&self, app: &App, ctx: &Context, otherwise: ApiError) -> ApiError {
        let mut outcome = otherwise;
        for _ in 0..waiting::ASKED {
            if waiting::pause().await.is_err() {
                break;
            }
            outcome = self.overtaken(app, ctx, outcome).await;
            if let ApiError::InvalidToken(_) = outcome {
                break;
            }
        }
        outcome
    }

    /// Returns the error for a request during which another one changed the account: that the session has ended, if the
    /// change ended it, or `otherwise`.
    pub async fn overtaken(&self, app: &App, ctx: &Context, otherwise: ApiError) -> ApiError {
        // The session keeps its epoch, so an account of another one has ended it.
        let state = app.store.session_state(self.profile.user, self.session).await;
        match state.map_err(ApiError::from).and_then(|state| live(state, self.profile.epoch, ctx.now)) {
            Ok(_) => otherwise,
            Err(error) => error,
        }
    }
}

/// Returns account and session if both are live, and the session is of this epoch.
fn live(state: SessionState, epoch: u64, now: Timestamp) -> Result<(Profile, Session), ApiError> {
    let ended = if state.was_renewed() { TokenProblem::SessionRenewed } else { TokenProblem::SessionEnded };
    state.live(epoch, now).ok_or(ApiError::InvalidToken(ended))
}

/// Verifies the bearer token and returns its claims. Does not check that its session is live, and accepts a removed key
/// for ten seconds.
pub async fn bearer_claims(app: &App, ctx: &Context, request: &Request) -> Result<Claims, ApiError> {
    let token = Unverified::<Claims>::read(request.bearer_token()?)?;
    let key = app.keyring.verifying_key_without_session(token.kid(), ctx.now).await?;
    verified(app, token, key, app.issuer(ctx.url.as_deref())?, &ctx.audit, ctx.now)
}

/// The same for a token that may have expired: its signature still proves which session it was issued for, which is
/// enough to end that session and for nothing else.
pub async fn bearer_claims_of_any_age(app: &App, ctx: &Context, request: &Request) -> Result<Claims, ApiError> {
    claims_of_any_age(app, ctx, request.bearer_token()?).await
}

/// The same for a token that did not arrive in the `Authorization` header of a request.
pub async fn claims_of_any_age(app: &App, ctx: &Context, token: &str) -> Result<Claims, ApiError> {
    let token = Unverified::<Claims>::read(token)?;
    let key = app.keyring.verifying_key_without_session(token.kid(), ctx.now).await?;
    let key = key.ok_or(InvalidSignedToken::WrongHeader)?;
    Ok(token.verify_of_any_age(&key, app.issuer(ctx.url.as_deref())?, &app.config.tokens.audience, ctx.now)?)
}

fn verified(
    app: &App,
    token: Unverified<'_, Claims>,
    key: Option<VerifyingKey>,
    issuer: &str,
    audit: &Audit,
    now: Timestamp,
) -> Result<Claims, ApiError> {
    let key = key.ok_or(InvalidSignedToken::WrongHeader)?;
    let claims = token.verify(&key, issuer, &app.config.tokens.audience, now)?;
    audit.session(claims.sub, claims.sid);
    Ok(claims)
}

/// Returns the caller and their live sessions by one read, which also shows that the caller's own session is live.
pub async fn own_sessions(
    app: &App,
    ctx: &Context,
    request: &Request,
) -> Result<(Caller, Vec<SessionSummary>), ApiError> {
    let claims = bearer_claims(app, ctx, request).await?;
    let ended = || ApiError::InvalidToken(TokenProblem::SessionEnded);
    let (profile, sessions) = app.store.live_sessions(claims.sub, ctx.now).await?.ok_or_else(ended)?;
    let own = sessions.iter().find(|session| session.id == claims.sid);
    let login = own.and_then(|own| own.of_epoch(claims.ver)).ok_or_else(ended)?;
    Ok((Caller { profile, session: claims.sid, login }, sessions))
}
