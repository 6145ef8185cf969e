//! Who is asking: an access token whose session still lives.

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
    store::{Attempt, Credential, Profile, Receipt, SessionSummary},
    tokens::{
        access::Claims,
        signed::{InvalidSignedToken, Unverified},
    },
};

/// The user behind a request, and the session that they ask from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub profile: Profile,
    /// The session of the access token.
    pub session: SessionId,
}

impl Caller {
    /// Judges the bearer token, and then whether account and session still hold: one round trip. So a logout, a reset or
    /// a change of password is immediate here, whatever the token's lifetime.
    pub async fn authenticate(app: &App, ctx: &Context, request: &Request) -> Result<Self, ApiError> {
        Self::of_token(app, request.bearer_token()?, app.issuer(&ctx.origin), &ctx.audit, ctx.now).await
    }

    /// [`Self::authenticate`] for a token that came in another way.
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

    /// Asks for the caller's password again, under the throttle of a login: the credential that it is right for, and the
    /// count, for the case that nothing else takes it back.
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
        // No credential: the phone left this account after the token was judged.
        let credential = credential.filter(|credential| credential.user == self.profile.user);
        let credential = credential.ok_or(ApiError::InvalidToken(TokenProblem::SessionEnded))?;
        ctx.audit.factor(Factor::Password);
        match app.hasher.verify(password, &credential.password_hash)? {
            Verdict::Wrong => Err(ApiError::WrongPassword),
            Verdict::Right | Verdict::RightButOutdated => Ok((credential, receipt)),
        }
    }

    /// Asks the caller to prove again who they are: with the password, and with the second factor where one is on.
    pub async fn reauthenticate(
        &self,
        app: &App,
        ctx: &Context,
        password: &Password,
        proof: Option<&Proof>,
    ) -> Result<Credential, ApiError> {
        let (credential, receipt) = self.confirm_password(app, ctx, password).await?;
        // The password was right: that was no failure, whatever becomes of the second factor. Whether there is one is read
        // together with the password: one that was switched on a moment ago is asked for.
        let factor = Box::pin(async {
            if credential.mfa_enabled {
                second_factor::require(app, ctx, credential.user, &self.profile.phone, proof).await
            } else {
                Ok(())
            }
        });
        let (taken_back, shown) = tokio::join!(app.store.take_back(receipt), factor);
        taken_back?;
        shown?;
        Ok(credential)
    }

    /// What to answer when something else has changed the account meanwhile: that the session has ended, if that is what it
    /// did; else this.
    pub async fn overtaken(&self, app: &App, ctx: &Context, otherwise: ApiError) -> ApiError {
        match live_profile(app, self.profile.user, self.session, ctx.now).await {
            Ok(Some(_)) => otherwise,
            Ok(None) => ApiError::InvalidToken(TokenProblem::SessionEnded),
            Err(error) => error,
        }
    }
}

/// What the bearer token says, once it is found to be ours; whether its session still holds is not asked.
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

/// The caller's sessions, and which one asks: one read tells both.
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

/// The profile behind a session that lives.
///
/// A batch is no snapshot: a change of password may be committed between its two reads, and then the session that stays
/// looks outlived. So a session of another epoch is looked at once more before it is called dead.
async fn live_profile(app: &App, user: UserId, id: SessionId, now: Timestamp) -> Result<Option<Profile>, ApiError> {
    let mut state = app.store.session_state(user, id).await?;
    if state.is_of_two_epochs() {
        state = app.store.session_state(user, id).await?;
    }
    Ok(state.live_profile(now))
}
