//! The pair of tokens that a login and a refresh return.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Disagreement},
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::proof::{Authentication, SignInMethod},
    error::{ApiError, TokenProblem},
    flows::caller::Caller,
    http::{context::Context, members::SealedDeviceToken},
    keyring::KeyringError,
    store::{NewSession, Profile, Renewal, Session, StoreError, TokenSession},
    tokens::{
        access::{AccessToken, Grant},
        device::{DeviceToken, SealError},
        key_schedule::KeySet,
        keys::SigningKey,
        refresh::{RefreshToken, SessionSalt},
        secret::{Keys, Secret},
    },
};

/// The keys that make tokens.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// The key that signs access tokens.
    pub signing: SigningKey,
    /// The secret that authenticates refresh tokens.
    pub secret: Secret,
}

impl TokenKeys {
    /// Reads the keys. Endpoints call this before they change anything, because without keys they could return no
    /// tokens.
    pub async fn of(app: &App, ctx: &Context) -> Result<Self, ApiError> {
        let (signing, secret) = tokio::join!(app.keyring.signing_key(ctx.now), app.keyring.secret(ctx.now));
        // Reported before it fails: where the table was restored, it may publish no key that may sign.
        report_disagreement(app, ctx);
        Ok(Self { signing: signing?, secret: secret? })
    }

    /// Returns the master secret's keys by the newest copy: something that named an unknown version may have caused
    /// another read since. No token is made with a version that has leaked by then.
    pub fn newest_secret(&self, app: &App, ctx: &Context) -> Secret {
        app.keyring.secret_at_hand(ctx.now).unwrap_or_else(|| self.secret.clone())
    }

    /// Returns the keys with the one that signs by what is published now. Endpoints call this beside their first
    /// access to the table, so that no token is signed with a key that was removed a moment ago.
    pub async fn current(self, app: &App, ctx: &Context) -> Result<Self, ApiError> {
        let signing = app.keyring.current_signing_key(ctx.now).await;
        self.signing_with(signing, app, ctx).await
    }

    /// Returns the same where that access has read what is published, too, or has tried to.
    pub async fn current_of(
        self,
        published: Result<Option<KeySet>, StoreError>,
        app: &App,
        ctx: &Context,
    ) -> Result<Self, ApiError> {
        let signing = app.keyring.signing_key_of(published?, ctx.now).await;
        self.signing_with(signing, app, ctx).await
    }

    async fn signing_with(
        self,
        signing: Result<SigningKey, KeyringError>,
        app: &App,
        ctx: &Context,
    ) -> Result<Self, ApiError> {
        report_disagreement(app, ctx);
        let signing = signing?;
        if app.keyring.secret_has_removed_key(ctx.now).await {
            app.report_disagreement(Disagreement::Secret, ctx.now);
        }
        Ok(Self { signing, ..self })
    }
}

/// Reports a removed key that the secret denies and the table does not, by the copies that were just read.
fn report_disagreement(app: &App, ctx: &Context) {
    if app.keyring.table_lacks_removed_key() {
        app.report_disagreement(Disagreement::Table, ctx.now);
    }
}

impl TokenKeys {
    /// Returns the same of keys that are read only if the request asks for tokens.
    pub async fn current_if(keys: Option<Self>, app: &App, ctx: &Context) -> Result<Option<Self>, ApiError> {
        match keys {
            Some(keys) => keys.current(app, ctx).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns these keys, or the current ones where a response has tokens that the request did not ask for.
    pub async fn or_current(keys: Option<Self>, app: &App, ctx: &Context) -> Result<Self, ApiError> {
        match keys {
            Some(keys) => Ok(keys),
            None => Self::of(app, ctx).await?.current(app, ctx).await,
        }
    }
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct TokenResponse {
    /// The access token. Send it as `Authorization: Bearer …`.
    #[schema(
        example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6IjhlNE9fM04xNVpUSWhHY3RuMjM3NENtRjlESXlIb2JLNC1G\
        R0tDZWk3dUUifQ.eyJpc3MiOiJodHRwczovL2FiYzEyMy5leGVjdXRlLWFwaS5ldS13ZXN0LTEuYW1hem9uYXdzLmNvbSIsI\
        mF1ZCI6ImxhdGNoa2V5Iiwic3ViIjoiNWMwYzdhMGUtNmE1NS00YzQwLTllNDQtMGY3YTdkM2M4YTNiIiwiY2xpZW50X2lkI\
        joibGF0Y2hrZXkiLCJzaWQiOiIwYjZmMWM1ZS0zYzFmLTRkMGEtOWQ1NS0zYTFjOGY3ZjJmMTAiLCJpYXQiOjE3OTUzODIyM\
        DYsImV4cCI6MTc5NTM4MzEwNiwianRpIjoiYWRmOGI1YzctYjdiNi00NDBhLTliNDMtZDc2YmI3NTgxMmU3IiwiYXV0aF90a\
        W1lIjoxNzk1MzgyMjA2LCJhbXIiOlsicHdkIl0sInZlciI6MX0.9LbV-k8_Tz2s0BCdfXZVY7cW-j5WWNqJ4kEj8LFhGeM6q\
        zFANBLhdf9u_jR4StcPT8oEWkRxiWRESfubm3QXdA"
    )]
    access_token: String,
    /// The type of the access token: always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// The refresh token. Send it to `POST /auth/refresh`, once, when the access token has expired. Keep it as safe as
    /// a password.
    #[schema(
        example = "AgFcDHoOalVMQJ5ED3p9PIo7C28cXjwfTQqdVTocj38vEAAAAAD8LAP06oiFrsrjx5CboGIiZdj1fwz0wbhzLyragoy4e_LY\
        pMux43x1JjaZ776kelDxNvfJ1nIhMLwx1bjIhU1O"
    )]
    refresh_token: String,
    /// The device token, when a session starts. Keep the newest after the session has ended as well, and send it to
    /// `POST /auth/login`: then nobody's wrong passwords on other devices keep this one waiting. It signs nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "AQFPTR3blHLHYSIBwIFJCFIDYPVqCLsVs7OrqKJtYBVwbbbYKLOTqCrhUbwMXZrnPvnPvz6g2nF0mUXDBLnz9GPVzyPOKZBl3g5kU1Ig"
    )]
    device_token: Option<String>,
}

/// Returns a session that is about to be started, and its tokens. The tokens are made first, so that no session is
/// started whose tokens cannot be returned.
pub fn new_session(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    user: UserId,
    epoch: u64,
    (method, second_factor): (SignInMethod, bool),
) -> Result<(NewSession, TokenResponse), ApiError> {
    let ends_at = ctx.now.plus(app.config.tokens.session_ttl);
    let authentication = Authentication::new(method, second_factor, ctx.now);
    start(app, ctx, keys, (user, epoch), Login { created_at: ctx.now, authentication, ends_at })
}

/// Returns the session that takes the place of the caller's when a change of the account ends all of them, and its
/// tokens (docs/adr/0023-a-step-up-starts-a-new-session.md). It has another identifier and another salt, so that nothing
/// of the old session opens it, and the old one's absolute end.
///
/// `proof` is what the caller has proved in this request.
pub fn renewed_session(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    caller: &Caller,
    proof: StepUp,
) -> Result<(Renewal, TokenResponse), ApiError> {
    let Profile { user, epoch, .. } = caller.profile;
    let (new, answer) = start(app, ctx, keys, (user, epoch + 1), Login::stepped_up(caller, proof, ctx.now))?;
    Ok((Renewal { old: caller.session, new: Some(new), repeat: None }, answer))
}

/// Returns the session that takes the place of the caller's after another proof, and its tokens: with another identifier,
/// another salt and the same end, at the account's epoch, which stays. Without a first factor, the second one alone is the
/// proof.
pub fn stepped_up_session(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    caller: &Caller,
    first: Option<SignInMethod>,
    second_factor: bool,
) -> Result<(NewSession, TokenResponse), ApiError> {
    let mut login = Login::stepped_up(caller, StepUp { first, second_factor }, ctx.now);
    login.authentication.at = ctx.now;
    start(app, ctx, keys, (caller.profile.user, caller.profile.epoch), login)
}

/// The proofs that a caller has shown in a request that renews the session.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepUp {
    /// The first factor, if one was among them.
    pub first: Option<SignInMethod>,
    /// Whether a second factor was.
    pub second_factor: bool,
}

/// How and when the user of a session signed in, and until when that counts.
struct Login {
    created_at: Timestamp,
    authentication: Authentication,
    ends_at: Timestamp,
}

impl Login {
    /// Returns the login of the caller's session after these proofs. It does not live longer.
    fn stepped_up(caller: &Caller, StepUp { first, second_factor }: StepUp, now: Timestamp) -> Self {
        let Session { created_at, authentication, ends_at, .. } = caller.login;
        Self { created_at, authentication: authentication.stepped_up(first, second_factor, now), ends_at }
    }
}

fn start(
    app: &App,
    ctx: &Context,
    keys: &TokenKeys,
    (user, epoch): (UserId, u64),
    Login { created_at, authentication, ends_at }: Login,
) -> Result<(NewSession, TokenResponse), ApiError> {
    let writing = keys.newest_secret(app, ctx).writing;
    let session = NewSession {
        user,
        id: SessionId::generate()?,
        kid: writing.kid,
        salt: SessionSalt::generate()?,
        epoch,
        device: ctx.user_agent.clone(),
        address: ctx.source.to_string(),
        authentication,
        created_at,
        ends_at,
        now: ctx.now,
    };
    let (id, salt) = (session.id, session.salt);
    let kid = session.kid;
    let tokens = TokenSession { user, id, kid, generation: 0, salt, epoch, authentication };
    let answer = TokenResponse::issue(app, ctx, &keys.signing, &writing, &tokens)?;
    Ok((session, answer.with_device_token(&writing, &tokens, ctx.now)?))
}

/// Returns the device that a text is a token of, if we made it, it has not expired, and its key may still be used.
pub async fn known_device(
    app: &App,
    ctx: &Context,
    token: Option<&SealedDeviceToken>,
) -> Result<Option<DeviceToken>, ApiError> {
    let Some(SealedDeviceToken(text)) = token else { return Ok(None) };
    let Ok(kid) = DeviceToken::kid_of(text) else { return Ok(None) };
    let keys = app.keyring.known(kid, ctx.now).await?;
    Ok(keys.and_then(|keys| DeviceToken::open(&keys.activation, text, ctx.now).ok()))
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::Internal(error.into())
    }
}

impl TokenResponse {
    /// Returns the next tokens of a session. The version of the refresh token's key is the session's, and not the one
    /// that writes now: a repeated request gets the same token.
    pub async fn of_session(
        app: &App,
        ctx: &Context,
        keys: &TokenKeys,
        session: &TokenSession,
    ) -> Result<Self, ApiError> {
        let own = app.keyring.reading(session.kid, ctx.now).await?;
        let own = own.ok_or(ApiError::InvalidToken(TokenProblem::WithdrawnKey))?;
        Self::issue(app, ctx, &keys.signing, &own, session)
    }

    /// Returns the first tokens of a session once more, for a client that missed the response which had them.
    pub async fn of_started_session(
        app: &App,
        ctx: &Context,
        keys: &TokenKeys,
        session: &TokenSession,
    ) -> Result<Self, ApiError> {
        let writing = keys.newest_secret(app, ctx).writing;
        Self::of_session(app, ctx, keys, session).await?.with_device_token(&writing, session, ctx.now)
    }

    /// Adds the token of the device on which a session starts.
    fn with_device_token(self, keys: &Keys, session: &TokenSession, now: Timestamp) -> Result<Self, ApiError> {
        let TokenSession { user, id: device, epoch, .. } = *session;
        let token = DeviceToken { user, device, epoch, issued_at: now };
        Ok(Self { device_token: Some(token.seal(&keys.activation)?), ..self })
    }

    /// Signs an access token and makes a refresh token with the keys of the version that the session names.
    fn issue(
        app: &App,
        ctx: &Context,
        signing: &SigningKey,
        keys: &Keys,
        session: &TokenSession,
    ) -> Result<Self, ApiError> {
        let settings = &app.config.tokens;
        let grant = Grant {
            issuer: app.issuer(ctx.url.as_deref())?,
            audience: &settings.audience,
            user: session.user,
            session: session.id,
            epoch: session.epoch,
            authentication: session.authentication,
            lifetime: settings.access_ttl,
        };
        let key = &keys.refresh_token;
        let refresh_token = RefreshToken::new(key, session.user, session.id, session.generation, &session.salt);
        Ok(Self {
            access_token: AccessToken::issue(signing, grant, ctx.now)?.reveal().to_owned(),
            token_type: "bearer",
            expires_in: settings.access_ttl.as_secs(),
            refresh_token: refresh_token.reveal(key),
            device_token: None,
        })
    }
}
