//! Sessions, from a login to its end. A session is alive only while its epoch equals its account's.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use tokio::try_join;

use super::{
    Store, key_set,
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

/// The time after which an unused session ends (docs/threats.md#s6).
pub(crate) const IDLE_LIFETIME: Duration = Duration::from_hours(14 * 24);

/// The largest number of sessions per user (docs/threats.md#s10).
const MAX_SESSIONS: usize = 20;

/// The time for which a session is kept after its absolute end before DynamoDB may delete it.
const KEPT: Duration = Duration::from_hours(24);

/// The longest description of a client that is kept, in characters. The client decides what it sends.
const MAX_DEVICE_LENGTH: usize = 200;

/// A session to be started.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session's user.
    pub user: UserId,
    /// The session's identifier, new at every login.
    pub id: SessionId,
    /// The salt that the session's refresh tokens are bound to.
    pub salt: SessionSalt,
    /// The account's epoch, read together with the password hash. If the epoch was raised in the meantime, the session
    /// is dead on arrival.
    pub epoch: u64,
    /// The client's description of itself.
    pub device: Option<String>,
    /// The address of the login.
    pub address: String,
    /// Whether the login used a second factor.
    pub second_factor: bool,
    /// The time of the login.
    pub now: Timestamp,
    /// The longest lifetime of the session.
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

/// The part of a stored session that decides whether it is alive.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    epoch: u64,
    ends_at: Timestamp,
    idle_ends_at: Timestamp,
}

/// A session, as its owner may see it.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// The session's identifier.
    pub id: SessionId,
    /// The client's description of itself.
    pub device: Option<String>,
    /// The address of the login.
    pub address: String,
    /// The time of the login.
    pub created_at: Timestamp,
    /// The time of the last refresh, or of the login if there was none.
    pub last_used_at: Timestamp,
    liveness: Session,
}

/// A session, with everything that its owner may see of it.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The data that the list of sessions shows.
    pub summary: SessionSummary,
    /// Whether the login used a second factor.
    pub second_factor: bool,
    /// The absolute end of the session.
    pub ends_at: Timestamp,
    /// The end of the session if it is not used before.
    pub idle_ends_at: Timestamp,
}

/// The session that tokens are issued for.
#[derive(Clone, Copy, Debug)]
pub struct TokenSession {
    /// The session's user.
    pub user: UserId,
    /// The session's identifier.
    pub id: SessionId,
    /// The number of the session's next refresh token.
    pub generation: u32,
    /// The salt that the session's refresh tokens are bound to.
    pub salt: SessionSalt,
    /// The session's epoch.
    pub epoch: u64,
    /// The time at which the user signed in.
    pub authenticated_at: Timestamp,
    /// Whether the user signed in with a second factor.
    pub second_factor: bool,
}

/// The outcome of exchanging a refresh token.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// The session continues with this generation.
    Next(TokenSession),
    /// The token is older than the last spent one, or is the last spent one after the grace. So a copy of it exists.
    Reused,
    /// The session has ended, or its account has changed since.
    Ended,
}

impl SessionState {
    /// Returns whether account and session both exist and their epochs differ.
    pub fn is_of_two_epochs(&self) -> bool {
        matches!((&self.profile, &self.session), (Some(profile), Some(session)) if profile.epoch != session.epoch)
    }

    /// Returns the account if it and the session exist and the session is alive: the session has not ended, and no
    /// change of the account has raised the epoch since.
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

/// The table's state of an access token's user and session.
#[derive(Clone, Debug)]
pub struct SessionState {
    /// The account, if it exists.
    pub profile: Option<Profile>,
    /// The session, if it exists.
    pub session: Option<Session>,
    /// The keys whose tokens are refused, whatever a copy of the key set says.
    pub removed_keys: BTreeSet<String>,
}

impl Store {
    /// Reads a user's profile, one session and the deny list of keys together, consistently.
    pub async fn session_state(&self, user: UserId, session: SessionId) -> Result<SessionState, StoreError> {
        let keys = [Key::profile(user), Key::session(user, session), Key::key_set()];
        let [profile, session, key_set] = self.read_all(keys).await?;
        Ok(SessionState {
            profile: profile.map(|item| Profile::read(user, &item)).transpose()?.flatten(),
            session: session.map(|item| Session::read(&item)).transpose()?,
            removed_keys: key_set.as_ref().map(key_set::removed_keys).unwrap_or_default(),
        })
    }

    /// Exchanges a refresh token: raises the session's generation if it is still the token's, and reads the account at
    /// the same time.
    ///
    /// One conditional update raises the generation, so that only one of several parallel exchanges does. An exchange
    /// of the same token within `grace` of it gets the same successor, without a write, so that two tabs do not fork
    /// the session.
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
        // The two reads run at once but not at one moment. A change of password in between makes the session that stays
        // look dead. So a session of another epoch is read again before it counts as ended.
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

    /// Ends a session. A session that does not exist counts as ended.
    pub async fn end_session(&self, user: UserId, session: SessionId) -> Result<(), StoreError> {
        self.delete(Key::session(user, session)).await
    }

    /// Returns the live sessions of an account, the last used first. The list is empty if the account does not exist.
    ///
    /// The items are not read at one moment. A change of password in between makes the session that stays look dead. So
    /// if a session's epoch is ahead of the account's, all items are read again.
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

    /// Makes room for a session that is being started. Deletes dead sessions first, then the oldest. Does nothing if
    /// the account has changed since the new session's epoch was read, because then the new session is the dead one.
    pub(super) async fn make_room(&self, starting: &NewSession) -> Result<(), StoreError> {
        let items = self.read_user_from(starting.user, PROFILE_SORT).await?;
        if any_is_ahead(&items, starting.epoch)? {
            return Ok(());
        }
        let mut sessions = summaries(&items)?;
        // The new session may exist already, because it is written at the same time.
        sessions.retain(|session| session.id != starting.id);
        sessions.sort_by_key(|session| (session.liveness.lives(starting.epoch, starting.now), session.created_at));
        let superfluous = (sessions.len() + 1).saturating_sub(MAX_SESSIONS);
        let ends = sessions.iter().take(superfluous).map(|session| self.end_session(starting.user, session.id));
        try_join_all(ends).await?;
        Ok(())
    }
}

/// Returns whether a session has a higher epoch than the profile, because the profile was read before a change and the
/// session after it.
fn is_torn(items: &[(String, Item)]) -> Result<bool, StoreError> {
    let Some((_, profile)) = items.iter().find(|(sort, _)| sort == PROFILE_SORT) else {
        return Ok(false);
    };
    any_is_ahead(items, profile.number(EPOCH)?)
}

/// Returns whether an item of a user has a higher epoch than this.
fn any_is_ahead(items: &[(String, Item)], epoch: u64) -> Result<bool, StoreError> {
    for (_, item) in items {
        // An item of the second factor has no epoch, or one that no session follows.
        if item.count(EPOCH)? > epoch {
            return Ok(true);
        }
    }
    Ok(false)
}

fn summaries(items: &[(String, Item)]) -> Result<Vec<SessionSummary>, StoreError> {
    Ok(stored(items)?.into_iter().map(|session| session.summary).collect())
}

/// Returns the sessions among a user's items.
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
