//! Callers: the owners of access tokens whose session is live.

use super::second_factor;
use crate::{
    app::App,
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::{
        password::{Password, Verdict},
        proof::{Factor, Proof},
    },
    error::{ApiError, TokenProblem},
    http::{Request, context::Context},
    log::audit::Audit,
    store::{AskedAt, Attempt, Credential, Profile, Receipt, SessionSummary},
    tokens::{
        access::Claims,
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
}

impl Caller {
    /// Verifies the bearer token, and then that account and session are live, by one round trip. So a logout, a reset
    /// or a change of password takes effect at once, whatever the token's lifetime.
    pub async fn authenticate(app: &App, ctx: &Context, request: &Request) -> Result<Self, ApiError> {
        Self::of_token(app, request.bearer_token()?, app.issuer(&ctx.origin), &ctx.audit, ctx.now).await
    }

    /// Verifies like [`Self::authenticate`] a token that did not arrive in the `Authorization` header of a request.
    pub async fn of_token(
        app: &App,
        token: &str,
        issuer: &str,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let claims = claims(app, token, issuer, audit, now).await?;
        let profile = live_profile(app, claims.sub, claims.sid, now).await?;
        let profile = profile.ok_or(ApiError::InvalidToken(TokenProblem::SessionEnded))?;
        Ok(Self { profile, session: claims.sid })
    }

    /// Checks the caller's password again, under the throttle of a login. Returns the credential and the receipt of the
    /// counted try, which must be taken back unless a later step resets the count.
    pub async fn confirm_password(
        &self,
        app: &App,
        ctx: &Context,
        password: &Password,
    ) -> Result<(Credential, Receipt), ApiError> {
        let (credential, receipt) = match app.store.spend_login_attempt(&self.profile.phone, ctx.now).await? {
            Attempt::Admitted { with, receipt } => (with, receipt),
            Attempt::LimitReached(reached) => return Err(reached.into()),
            Attempt::Nothing => return Err(ApiError::WrongPassword),
        };
        // Without a credential, the phone has left this account since the token was verified.
        let credential = credential.filter(|credential| credential.user == self.profile.user);
        let credential = credential.ok_or(ApiError::InvalidToken(TokenProblem::SessionEnded))?;
        ctx.audit.factor(Factor::Password);
        match app.hasher.verify(password, &credential.password_hash)? {
            Verdict::Wrong => Err(ApiError::WrongPassword),
            Verdict::Right | Verdict::RightButOutdated => Ok((credential, receipt)),
        }
    }

    /// Requires the caller to prove again who they are: by the password, and by the second factor if the account has
    /// one.
    pub async fn reauthenticate(
        &self,
        app: &App,
        ctx: &Context,
        password: &Password,
        proof: Option<&Proof>,
    ) -> Result<Credential, ApiError> {
        let (credential, receipt) = self.confirm_password(app, ctx, password).await?;
        // The password was right, so its try is taken back, whatever the outcome of the second factor. One read
        // returned the password hash and `mfa_enabled`, so a second factor that was switched on a moment ago is
        // required, too.
        let factor = Box::pin(async {
            if credential.mfa_enabled {
                second_factor::require(app, ctx, credential.user, &self.profile.phone, proof, AskedAt::Session).await
            } else {
                Ok(())
            }
        });
        let (taken_back, shown) = tokio::join!(app.store.take_back(receipt), factor);
        taken_back?;
        shown?;
        Ok(credential)
    }

    /// Returns the error for a request during which another one changed the account: that the session has ended, if the
    /// change ended it, or `otherwise`.
    pub async fn overtaken(&self, app: &App, ctx: &Context, otherwise: ApiError) -> ApiError {
        match live_profile(app, self.profile.user, self.session, ctx.now).await {
            Ok(Some(_)) => otherwise,
            Ok(None) => ApiError::InvalidToken(TokenProblem::SessionEnded),
            Err(error) => error,
        }
    }
}

/// Verifies the bearer token and returns its claims. Does not check that its session is live.
pub async fn bearer_claims(app: &App, ctx: &Context, request: &Request) -> Result<Claims, ApiError> {
    claims(app, request.bearer_token()?, app.issuer(&ctx.origin), &ctx.audit, ctx.now).await
}

async fn claims(app: &App, token: &str, issuer: &str, audit: &Audit, now: Timestamp) -> Result<Claims, ApiError> {
    let token = Unverified::<Claims>::read(token)?;
    let key = app.keyring.verifying_key(token.kid(), now).await?.ok_or(InvalidSignedToken::WrongHeader)?;
    let claims = token.verify(&key, issuer, &app.config.tokens.audience, now)?;
    audit.session(claims.sub, claims.sid);
    Ok(claims)
}

/// Returns the caller's claims and live sessions by one read, which also shows that the caller's own session is live.
pub async fn own_sessions(
    app: &App,
    ctx: &Context,
    request: &Request,
) -> Result<(Claims, Vec<SessionSummary>), ApiError> {
    let claims = bearer_claims(app, ctx, request).await?;
    let sessions = app.store.live_sessions(claims.sub, ctx.now).await?;
    if sessions.iter().any(|session| session.id == claims.sid) {
        Ok((claims, sessions))
    } else {
        Err(ApiError::InvalidToken(TokenProblem::SessionEnded))
    }
}

/// Returns the profile of a live session.
///
/// A batch is no snapshot: a change of password may be committed between its two reads, and then the session that stays
/// seems to be of an old epoch. So session and profile are read once more if their epochs differ.
async fn live_profile(app: &App, user: UserId, id: SessionId, now: Timestamp) -> Result<Option<Profile>, ApiError> {
    let mut state = app.store.session_state(user, id).await?;
    if state.is_of_two_epochs() {
        state = app.store.session_state(user, id).await?;
    }
    Ok(state.live_profile(now))
}
