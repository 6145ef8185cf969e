//! Sessions: from a login to its end. A session counts only while its epoch is its account's.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use tokio::try_join;

use super::{
    Store,
    profile::Profile,
    table::{
        error::StoreError,
        expression::{ItemUpdate, NewItem},
        item::{Item, moment, number, text, ttl},
        keys::{
            ADDRESS, CREATED_AT, DEVICE, ENDS_AT, EPOCH, GENERATION, IDLE_ENDS_AT, Key, LAST_USED_AT, PROFILE_SORT,
            ROTATED_AT, SALT, SECOND_FACTOR, SESSION_PREFIX, SORT_KEY, TTL_ATTRIBUTE,
        },
        wire::Outcome,
    },
};
use crate::{
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    tokens::refresh::{RefreshToken, SessionSalt},
};

/// How long a session lives that is not used (docs/threats.md#s6).
pub(crate) const IDLE_LIFETIME: Duration = Duration::from_hours(14 * 24);

/// How many sessions a user has at the most (docs/threats.md#s10).
const MAX_SESSIONS: usize = 20;

/// How long an ended session is kept before it is collected.
const KEPT: Duration = Duration::from_hours(24);

/// The longest description of a client that is kept, in characters: it is whatever the client sent.
const MAX_DEVICE_LENGTH: usize = 200;

/// A session to be started.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose.
    pub user: UserId,
    /// Its identifier: new at every login.
    pub id: SessionId,
    /// What its refresh tokens are bound to.
    pub salt: SessionSalt,
    /// The account's epoch as it was read together with the password hash: when it was raised meanwhile, the session is
    /// dead on arrival.
    pub epoch: u64,
    /// The client, as it described itself.
    pub device: Option<String>,
    /// Where it came from.
    pub address: String,
    /// Whether it began with a second factor.
    pub second_factor: bool,
    /// When the login was.
    pub now: Timestamp,
    /// How long it lives at the most.
    pub lifetime: Duration,
}

impl NewSession {
    pub(super) fn into_item(self) -> NewItem {
        let ends_at = self.now.plus(self.lifetime);
        let mut attributes = [
            (GENERATION, number(0)),
            (SALT, (&self.salt).into()),
            (EPOCH, number(self.epoch)),
            (ADDRESS, text(self.address)),
            (CREATED_AT, moment(self.now)),
            (ROTATED_AT, moment(self.now)),
            (LAST_USED_AT, moment(self.now)),
            (ENDS_AT, moment(ends_at)),
            (IDLE_ENDS_AT, moment(self.now.plus(IDLE_LIFETIME))),
            (TTL_ATTRIBUTE, ttl(ends_at.plus(KEPT))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        if self.second_factor {
            attributes.push((SECOND_FACTOR.to_owned(), AttributeValue::Bool(true)));
        }
        if let Some(device) = self.device {
            let device: String = device.chars().take(MAX_DEVICE_LENGTH).collect();
            attributes.push((DEVICE.to_owned(), text(device)));
        }
        NewItem { key: Key::session(self.user, self.id), attributes: attributes.into_iter().collect() }
    }
}

/// A session as stored, as far as its liveness goes.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    epoch: u64,
    ends_at: Timestamp,
    idle_ends_at: Timestamp,
}

/// A session as its owner may see it.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// Which.
    pub id: SessionId,
    /// The client, as it described itself.
    pub device: Option<String>,
    /// Where the login came from.
    pub address: String,
    /// When the login was.
    pub created_at: Timestamp,
    /// When it was last refreshed, or the login.
    pub last_used_at: Timestamp,
    liveness: Session,
}

/// A session, with everything that its owner may see of it.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// What the list of sessions shows.
    pub summary: SessionSummary,
    /// Whether it began with a second factor.
    pub second_factor: bool,
    /// Its end, at the latest.
    pub ends_at: Timestamp,
    /// Its end, unless it is used before.
    pub idle_ends_at: Timestamp,
}

/// The session that tokens are handed out for.
#[derive(Clone, Copy, Debug)]
pub struct TokenSession {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub id: SessionId,
    /// Which refresh token of it is next.
    pub generation: u32,
    /// What its refresh tokens are bound to.
    pub salt: SessionSalt,
    /// Its epoch.
    pub epoch: u64,
    /// When its user proved who they are.
    pub authenticated_at: Timestamp,
    /// Whether with a second factor.
    pub second_factor: bool,
}

/// What became of exchanging a refresh token.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// The session goes on with this generation.
    Next(TokenSession),
    /// A token older than the last spent one, or the last spent one too late: somebody has a copy.
    Reused,
    /// The session is over, or its account has changed since.
    Ended,
}

impl SessionState {
    /// Whether both are there and their epochs differ.
    pub fn is_of_two_epochs(&self) -> bool {
        matches!((&self.profile, &self.session), (Some(profile), Some(session)) if profile.epoch != session.epoch)
    }

    /// The account, if it and the session are there and the session is alive: neither over nor outlived by a change of
    /// its account.
    pub fn live_profile(self, now: Timestamp) -> Option<Profile> {
        let (profile, session) = (self.profile?, self.session?);
        session.lives(profile.epoch, now).then_some(profile)
    }
}

impl SessionSummary {
    fn read(id: SessionId, item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            id,
            device: if item.has(DEVICE) { Some(item.text(DEVICE)?.to_owned()) } else { None },
            address: item.text(ADDRESS)?.to_owned(),
            created_at: item.moment(CREATED_AT)?,
            last_used_at: item.moment(LAST_USED_AT)?,
            liveness: Session::read(item)?,
        })
    }
}

impl Session {
    fn lives(&self, epoch: u64, now: Timestamp) -> bool {
        self.epoch == epoch && now < self.ends_at && now < self.idle_ends_at
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            epoch: item.number(EPOCH)?,
            ends_at: item.moment(ENDS_AT)?,
            idle_ends_at: item.moment(IDLE_ENDS_AT)?,
        })
    }
}

/// What the table knows about an access token's user and session.
#[derive(Clone, Debug)]
pub struct SessionState {
    /// The account, if there is one.
    pub profile: Option<Profile>,
    /// The session, if there is one.
    pub session: Option<Session>,
}

impl Store {
    /// Reads a user's profile and one session together, consistently.
    pub async fn session_state(&self, user: UserId, session: SessionId) -> Result<SessionState, StoreError> {
        let [profile, session] = self.read_all([Key::profile(user), Key::session(user, session)]).await?;
        Ok(SessionState {
            profile: profile.map(|item| Profile::read(user, &item)).transpose()?.flatten(),
            session: session.map(|item| Session::read(&item)).transpose()?,
        })
    }

    /// Exchanges a refresh token: raises the session's generation if it is still the token's, and reads the account, in
    /// one step.
    ///
    /// One conditional update: of any number at once one raises it. Those that come within `grace` of it with the same
    /// token get the same successor, without a write, so that two tabs do not fork the session.
    pub async fn rotate_session(
        &self,
        token: &RefreshToken,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let raised = ItemUpdate::new(Key::session(token.user, token.session))
            .set("#generation = #generation + :one")
            .set("#rotated_at = :now")
            .set("#last_used_at = :now")
            .set("#idle_ends_at = :idle_ends_at")
            .when("#generation = :generation AND #ends_at > :now AND #idle_ends_at > :now")
            .value(":one", number(1))
            .value(":generation", number(token.generation.into()))
            .value(":now", moment(now))
            .value(":idle_ends_at", moment(now.plus(IDLE_LIFETIME)));
        let (raised, profile) = try_join!(self.update(raised), self.read(Key::profile(token.user)))?;

        let item = match &raised {
            Outcome::Applied(item) | Outcome::Refused(Some(item)) => item,
            Outcome::Refused(None) => return Ok(Rotation::Ended),
        };
        let Some(profile) = profile.map(|item| Profile::read(token.user, &item)).transpose()?.flatten() else {
            return Ok(Rotation::Ended);
        };
        // The two were read at once and not at one moment: a change of password in between makes the session that stays
        // look outlived. So one of another epoch is looked at again before it is called over.
        let (session, mut epoch) = (Session::read(item)?, profile.epoch);
        if session.epoch != epoch {
            let state = self.session_state(token.user, token.session).await?;
            let Some(profile) = state.live_profile(now) else {
                return Ok(Rotation::Ended);
            };
            epoch = profile.epoch;
        } else if !session.lives(epoch, now) {
            return Ok(Rotation::Ended);
        }
        let generation = item.number(GENERATION)?;
        let spent = u64::from(token.generation);
        let is_repeated = generation == spent + 1 && now.since(item.moment(ROTATED_AT)?) <= grace;
        Ok(if matches!(raised, Outcome::Applied(_)) || is_repeated {
            Rotation::Next(TokenSession {
                user: token.user,
                id: token.session,
                generation: u32::try_from(generation).map_err(|_| StoreError::Corrupt { attribute: GENERATION })?,
                salt: SessionSalt::from_stored(item.bytes(SALT)?),
                epoch,
                authenticated_at: item.moment(CREATED_AT)?,
                second_factor: item.flag(SECOND_FACTOR),
            })
        } else if generation > spent {
            Rotation::Reused
        } else {
            Rotation::Ended
        })
    }

    /// Ends a session; one that is not there has ended.
    pub async fn end_session(&self, user: UserId, session: SessionId) -> Result<(), StoreError> {
        self.delete(Key::session(user, session)).await
    }

    /// The sessions of an account that live, the last used first; none when there is no account.
    ///
    /// The items are not read at one moment: a change of password in between makes the session that stays look outlived.
    /// So when one is ahead of its account, all are read again.
    pub async fn live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<SessionSummary>, StoreError> {
        let mut items = self.read_user_from(user, PROFILE_SORT).await?;
        if is_torn(&items)? {
            items = self.read_user_from(user, PROFILE_SORT).await?;
        }
        let Some(at) = items.iter().position(|(sort, _)| sort == PROFILE_SORT) else {
            return Ok(Vec::new());
        };
        let Some(profile) = Profile::read(user, &items.swap_remove(at).1)? else { return Ok(Vec::new()) };
        let mut sessions = summaries(&items)?;
        sessions.retain(|session| session.liveness.lives(profile.epoch, now));
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
        Ok(sessions)
    }

    /// Makes room for a session that is being started: those that are over go first, then the oldest. Does nothing when
    /// the account has changed since the session's epoch was read: then it is this session that is over.
    pub(super) async fn make_room(&self, starting: &NewSession) -> Result<(), StoreError> {
        let items = self.read_user_from(starting.user, PROFILE_SORT).await?;
        if any_is_ahead(&items, starting.epoch)? {
            return Ok(());
        }
        let mut sessions = summaries(&items)?;
        // It may be there already: it is written at the same time.
        sessions.retain(|session| session.id != starting.id);
        sessions.sort_by_key(|session| (session.liveness.lives(starting.epoch, starting.now), session.created_at));
        let superfluous = (sessions.len() + 1).saturating_sub(MAX_SESSIONS);
        let ends = sessions.iter().take(superfluous).map(|session| self.end_session(starting.user, session.id));
        try_join_all(ends).await?;
        Ok(())
    }
}

/// Whether a session has a higher epoch than the profile: the profile was read before a change and the session after it.
fn is_torn(items: &[(String, Item)]) -> Result<bool, StoreError> {
    let Some((_, profile)) = items.iter().find(|(sort, _)| sort == PROFILE_SORT) else {
        return Ok(false);
    };
    any_is_ahead(items, profile.number(EPOCH)?)
}

/// Whether an item of a user has a higher epoch than this.
fn any_is_ahead(items: &[(String, Item)], epoch: u64) -> Result<bool, StoreError> {
    for (_, item) in items {
        // What is of the second factor has no epoch, or one that no session follows.
        if item.count(EPOCH)? > epoch {
            return Ok(true);
        }
    }
    Ok(false)
}

fn summaries(items: &[(String, Item)]) -> Result<Vec<SessionSummary>, StoreError> {
    Ok(stored(items)?.into_iter().map(|session| session.summary).collect())
}

/// The sessions among a user's items.
pub(super) fn stored(items: &[(String, Item)]) -> Result<Vec<StoredSession>, StoreError> {
    let sessions = items.iter().filter_map(|(sort, item)| Some((sort.strip_prefix(SESSION_PREFIX)?, item)));
    let read = sessions.map(|(id, item)| {
        let id = id.parse().map_err(|_| StoreError::Corrupt { attribute: SORT_KEY })?;
        let summary = SessionSummary::read(id, item)?;
        let Session { ends_at, idle_ends_at, .. } = summary.liveness;
        Ok(StoredSession { summary, second_factor: item.flag(SECOND_FACTOR), ends_at, idle_ends_at })
    });
    read.collect()
}
