//! Sessions that a request has started in place of what it ended, for the client that repeats it because the response was
//! lost (docs/adr/0029-a-lost-confirmation.md).

use super::{
    Store,
    profile::Profile,
    sessions::{Session, TokenSession},
    table::{
        error::StoreError,
        expression::ItemUpdate,
        item::{Item, moment, number},
        keys::{ATTEMPTS, GENERATION, KID, Key, RECOVERY_SEED, REQUEST, REQUEST_ENDS_AT, SALT, SUCCESSOR, USER_ID},
        wire::Outcome,
    },
};
use crate::{
    base::{
        id::{SessionId, TokenId, UserId},
        time::Timestamp,
    },
    domain::{recovery_code::RecoverySeed, repeat::RepeatMac},
    tokens::refresh::SessionSalt,
};

/// The number of wrong codes that are compared with the code of a request that has ended a session or a login.
const TRIES: u64 = 5;

/// What a request has ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    /// A session, in whose place the request has started another one.
    Session(SessionId),
    /// A login that waited for its second step.
    SecondStep(TokenId),
}

/// The session that a repeated request has started the first time.
#[derive(Clone, Debug)]
pub struct RepeatedSession {
    /// The session, none of whose tokens has been used.
    pub session: TokenSession,
    /// What the recovery codes in the response were derived from, if it had any.
    pub recovery_seed: Option<RecoverySeed>,
}

impl Store {
    /// Returns the session that the same request has started, if it is live and none of its tokens has been used since:
    /// then the response was lost.
    ///
    /// One conditional update compares the request. A wrong one is counted in the same step, and after five none is
    /// right any more.
    pub async fn repeated_session(
        &self,
        user: UserId,
        ended: Ended,
        request: &RepeatMac,
        now: Timestamp,
    ) -> Result<Option<RepeatedSession>, StoreError> {
        let key = match ended {
            Ended::Session(session) => Key::session(user, session),
            Ended::SecondStep(token) => Key::second_step(user, token),
        };
        let wrong = ItemUpdate::new(key)
            .add("#attempts :one")
            .when(
                "#request_ends_at > :now AND #request <> :request \
                 AND (attribute_not_exists(#attempts) OR #attempts < :tries)",
            )
            .value(":one", number(1))
            .value(":now", moment(now))
            .value(":request", request.into())
            .value(":tries", number(TRIES));
        let Outcome::Refused(Some(item)) = self.update(wrong).await? else { return Ok(None) };
        let is_right = item.has(REQUEST)
            && item.text(REQUEST)? == request.as_str()
            && item.moment(REQUEST_ENDS_AT)? > now
            && item.count(ATTEMPTS)? < TRIES;
        if !is_right {
            return Ok(None);
        }
        // Starting anew has started the session of another account.
        let user = if item.has(USER_ID) { item.parsed(USER_ID)? } else { user };
        let Some(session) = self.unused_session(user, item.parsed(SUCCESSOR)?, now).await? else { return Ok(None) };
        let recovery_seed = item.has(RECOVERY_SEED).then(|| item.bytes(RECOVERY_SEED)).transpose()?;
        // One without a version is no seed of ours, and shows nothing.
        let recovery_seed = recovery_seed.and_then(RecoverySeed::from_stored);
        Ok(Some(RepeatedSession { session, recovery_seed }))
    }

    /// Returns a session that is live and none of whose refresh tokens has been used.
    pub async fn unused_session(
        &self,
        user: UserId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<TokenSession>, StoreError> {
        let [profile, session] = self.read_all([Key::profile(user), Key::session(user, id)]).await?;
        let profile = profile.map(|item| Profile::read(user, &item)).transpose()?.flatten();
        let (Some(profile), Some(session)) = (profile, session) else { return Ok(None) };
        let is_unused = Session::read(&session)?.lives(profile.epoch, now) && session.number(GENERATION)? == 0;
        is_unused.then(|| token_session(user, id, &session)).transpose()
    }

    /// Returns a session as its next tokens are issued for it. None if it does not exist.
    pub async fn token_session(&self, user: UserId, id: SessionId) -> Result<Option<TokenSession>, StoreError> {
        let item = self.read(Key::session(user, id)).await?;
        item.map(|item| token_session(user, id, &item)).transpose()
    }
}

fn token_session(user: UserId, id: SessionId, item: &Item) -> Result<TokenSession, StoreError> {
    let session = Session::read(item)?;
    let generation = u32::try_from(item.number(GENERATION)?);
    Ok(TokenSession {
        user,
        id,
        kid: item.kid(KID)?,
        generation: generation.map_err(|_| StoreError::Corrupt { attribute: GENERATION })?,
        salt: SessionSalt::from_stored(item.bytes(SALT)?),
        epoch: session.epoch,
        authentication: session.authentication,
    })
}
