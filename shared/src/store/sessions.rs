//! Sessions: from a login to its end. A session counts only while its epoch is its account's.

use std::time::Duration;

use super::{
    Store,
    accounts::Profile,
    expression::NewItem,
    item::{Item, moment, number, text, ttl},
    keys::{
        ADDRESS, CREATED_AT, DEVICE, ENDS_AT, EPOCH, GENERATION, IDLE_ENDS_AT, Key, LAST_USED_AT, ROTATED_AT, SALT,
        TTL_ATTRIBUTE,
    },
    wire::StoreError,
};
use crate::{
    id::{SessionId, UserId},
    refresh_token::SessionSalt,
    time::Timestamp,
};

/// How long a session lives that is not used (SECURITY S6).
pub(crate) const IDLE_LIFETIME: Duration = Duration::from_hours(14 * 24);

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

impl SessionState {
    /// Whether both are there and their epochs differ.
    pub fn is_of_two_epochs(&self) -> bool {
        matches!((&self.profile, &self.session), (Some(profile), Some(session)) if profile.epoch != session.epoch)
    }

    /// The account, if it and the session are there and the session is alive: neither over nor outlived by a change of
    /// its account.
    pub fn live_profile(self, now: Timestamp) -> Option<Profile> {
        let (profile, session) = (self.profile?, self.session?);
        let lives = session.epoch == profile.epoch && now < session.ends_at && now < session.idle_ends_at;
        lives.then_some(profile)
    }
}

impl Session {
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
            profile: profile.map(|item| Profile::read(user, &item)).transpose()?,
            session: session.map(|item| Session::read(&item)).transpose()?,
        })
    }
}
