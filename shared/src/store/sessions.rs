//! Sessions, from a login to its end. A session is alive only while its epoch equals its account's.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use tokio::try_join;

use super::{
    Store, key_set,
    profile::Profile,
    repeatable::{self, Repeatable},
    table::{
        error::StoreError,
        expression::{ItemUpdate, NewItem, Write},
        item::{Item, moment, number, text, ttl},
        keys::{
            ADDRESS, ATTEMPT, AUTHENTICATED_AT, CREATED_AT, DEVICE, ENDS_AT, EPOCH, GENERATION, IDLE_ENDS_AT, KID, Key,
            LAST_USED_AT, LOGIN_ATTEMPTED_AT, LOGIN_FAILURES, METHOD, OTHER_CLIENT, OTHER_GENERATION, PROFILE_SORT,
            PROVED_AT, RENEWED, ROTATED_AT, ROTATED_BY, SALT, SECOND_FACTOR, SESSION_PREFIX, SORT_KEY, TTL_ATTRIBUTE,
        },
        wire::Outcome,
    },
};
use crate::{
    base::{
        id::{SessionId, UserId},
        kid::Kid,
        time::Timestamp,
    },
    domain::proof::{Authentication, SignInMethod},
    tokens::{
        key_schedule::KeySet,
        refresh::{RefreshToken, SessionSalt, UseMac},
    },
};

/// The time after which an unused session ends (docs/threats.md#s6).
pub(crate) const IDLE_LIFETIME: Duration = Duration::from_hours(14 * 24);

/// The largest number of sessions per user (docs/threats.md#s10).
pub const MAX_SESSIONS: usize = 20;

/// How exactly the owner of a session is told when it was last used. More would tell a thief of its tokens when a
/// refresh token has just been spent (docs/threats.md#s2).
const USE_IS_TOLD_BY: Duration = Duration::from_hours(1);

/// The time for which a session is kept after its end before DynamoDB may delete it.
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
    /// The version of the key that makes its first refresh token.
    pub kid: Kid,
    /// The salt that the session's refresh tokens are bound to.
    pub salt: SessionSalt,
    /// The account's epoch, read together with the password hash. If the epoch was raised in the meantime, the session
    /// is dead on arrival.
    pub epoch: u64,
    /// The client's description of itself.
    pub device: Option<String>,
    /// The address of the request that starts it.
    pub address: String,
    /// How and when the user proved who they are.
    pub authentication: Authentication,
    /// The time of the login.
    pub created_at: Timestamp,
    /// The absolute end of the session.
    pub ends_at: Timestamp,
    /// The time at which it starts: the login, or the change of the account that renews it.
    pub now: Timestamp,
}

impl NewSession {
    pub(super) fn into_item(self) -> NewItem {
        let (ends_at, authentication) = (self.ends_at, self.authentication);
        let mut attributes = [
            (GENERATION, number(0)),
            (KID, number(self.kid.as_byte().into())),
            (SALT, (&self.salt).into()),
            (EPOCH, number(self.epoch)),
            (ADDRESS, text(self.address)),
            (CREATED_AT, moment(self.created_at)),
            (AUTHENTICATED_AT, moment(authentication.at)),
            (ROTATED_AT, moment(self.now)),
            (LAST_USED_AT, moment(self.now)),
            (ENDS_AT, moment(ends_at)),
            (IDLE_ENDS_AT, moment(self.now.plus(IDLE_LIFETIME))),
            (TTL_ATTRIBUTE, ttl(ends_at.plus(KEPT))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        if authentication.second_factor {
            attributes.push((SECOND_FACTOR.to_owned(), AttributeValue::Bool(true)));
        }
        if authentication.first_factor_at != authentication.at {
            attributes.push((PROVED_AT.to_owned(), moment(authentication.first_factor_at)));
        }
        attributes.extend(method_attribute(authentication.method));
        if let Some(device) = self.device {
            let device: String = device.chars().take(MAX_DEVICE_LENGTH).collect();
            attributes.push((DEVICE.to_owned(), text(device)));
        }
        NewItem { key: Key::session(self.user, self.id), attributes: attributes.into_iter().collect() }
    }
}

/// The session that a change of the account replaces, which every token of it dies with
/// (docs/adr/0023-a-step-up-starts-a-new-session.md).
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The session that makes the request.
    pub old: SessionId,
    /// The session that continues in its place; none if the caller is to sign in again.
    pub new: Option<NewSession>,
    /// How a repetition of the request is recognized, if it is to get the same response.
    pub repeat: Option<Repeatable>,
}

impl Renewal {
    /// Builds the part of a transaction that replaces the session, under the condition that the old one has not been
    /// ended meanwhile. The raised epoch ends the old session; its item is kept for a while and then collected.
    pub(super) fn into_writes(self, user: UserId, epoch: u64, now: Timestamp) -> Vec<Write> {
        let ended = ItemUpdate::new(Key::session(user, self.old))
            .remove("#op")
            .set("#renewed = :true")
            .set("#expires_at = :expires_at")
            .when("#epoch = :epoch")
            .value(":true", AttributeValue::Bool(true))
            .value(":epoch", number(epoch))
            .value(":expires_at", ttl(now.plus(KEPT)));
        let ended = match (&self.repeat, &self.new) {
            (Some(Repeatable { request, until, recovery_seed }), Some(new)) => {
                let ended = repeatable::leave(ended, request, *until, new.id);
                match recovery_seed {
                    Some(seed) => ended.set("#recovery_seed = :recovery_seed").value(":recovery_seed", seed.into()),
                    None => ended,
                }
            }
            _ => ended,
        };
        let new = self.new.map(|new| Write::Create(NewSession { epoch: epoch + 1, ..new }.into_item()));
        [Write::Update(ended)].into_iter().chain(new).collect()
    }
}

/// Builds the part of a transaction by which a session takes the place of another one of the same epoch, under the
/// condition that the old one is live: it has not been ended or replaced meanwhile. The old one's item is kept for a while,
/// so that a client which missed the response learns why its tokens are dead.
///
/// The new session goes on with these tries of the password, if no other was made meanwhile. Without them it begins with
/// none. A repetition of the request is recognized by `repeat`, if there is one.
pub(super) fn replace(
    old: SessionId,
    new: NewSession,
    (tries, repeat): (Option<PasswordTries>, Option<&Repeatable>),
    now: Timestamp,
) -> [Write; 2] {
    let ended = ItemUpdate::new(Key::session(new.user, old))
        .remove("#op")
        .set("#renewed = :true")
        .set("#ends_at = :now")
        .set("#expires_at = :expires_at")
        .when("#epoch = :epoch AND #ends_at > :now AND #idle_ends_at > :now AND attribute_not_exists(#renewed)")
        .value(":true", AttributeValue::Bool(true))
        .value(":epoch", number(new.epoch))
        .value(":now", moment(now))
        .value(":expires_at", ttl(now.plus(KEPT)));
    let ended = match repeat {
        Some(Repeatable { request, until, .. }) => repeatable::leave(ended, request, *until, new.id),
        None => ended,
    };
    let mut new = new.into_item();
    let ended = match tries {
        None => ended,
        Some(PasswordTries { count, at }) => {
            if let Some(at) = at {
                new.attributes.insert(LOGIN_FAILURES.to_owned(), number(count));
                new.attributes.insert(LOGIN_ATTEMPTED_AT.to_owned(), moment(at));
                ended.and_when("#login_failures = :tries").value(":tries", number(count))
            } else {
                ended.and_when("attribute_not_exists(#login_failures)")
            }
        }
    };
    [Write::Update(ended), Write::Create(new)]
}

/// A stored session, as far as a request of its user needs it. A session keeps its epoch for life.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub(super) epoch: u64,
    /// The time of the login.
    pub created_at: Timestamp,
    /// How and when the user proved who they are.
    pub authentication: Authentication,
    /// The absolute end of the session.
    pub ends_at: Timestamp,
    /// The passwords that were tried in it.
    pub tries: PasswordTries,
    idle_ends_at: Timestamp,
    renewed: bool,
}

/// The passwords that were tried in a session since the last right one.
#[derive(Clone, Copy, Debug)]
pub struct PasswordTries {
    count: u64,
    at: Option<Timestamp>,
}

/// A session, as its owner may see it.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// The session's identifier.
    pub id: SessionId,
    /// The client's description of itself.
    pub device: Option<String>,
    /// The address of the login, or of the change of the account that renewed the session.
    pub address: String,
    /// The time of the login.
    pub created_at: Timestamp,
    /// The time of the last refresh, or of the login if there was none: rounded down to the hour, but not to before the
    /// login.
    pub last_used_at: Timestamp,
    used_at: Timestamp,
    session: Session,
}

/// A session, with everything that its owner may see of it.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The data that the list of sessions shows.
    pub summary: SessionSummary,
    /// How and when the user signed in, and until when that counts.
    pub session: Session,
    /// The end of the session if it is not used before, rounded down to the hour.
    pub idle_ends_at: Timestamp,
}

/// The session that tokens are issued for.
#[derive(Clone, Copy, Debug)]
pub struct TokenSession {
    /// The session's user.
    pub user: UserId,
    /// The session's identifier.
    pub id: SessionId,
    /// The version of the key that makes the session's next refresh token.
    pub kid: Kid,
    /// The number of the session's next refresh token.
    pub generation: u32,
    /// The salt that the session's refresh tokens are bound to.
    pub salt: SessionSalt,
    /// The session's epoch.
    pub epoch: u64,
    /// How and when the user proved who they are.
    pub authentication: Authentication,
}

/// The client that exchanges a refresh token: keyed hashes, bound to the token.
#[derive(Clone, Copy, Debug)]
pub struct TokenUser {
    /// The client's `attempt`, if it sent one.
    pub attempt: Option<UseMac>,
    /// The client itself: its `User-Agent` and its network.
    pub client: UseMac,
}

/// The outcome of exchanging a refresh token.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// The session continues with this generation.
    Next(TokenSession),
    /// The token was spent, and its successor has not been used. The same successor is returned again.
    Repeated(TokenSession, Repetition),
    /// The token was spent, and this is not the request that spent it. So a copy of the token exists.
    Reused(Reuse),
    /// The session has ended, or its account has changed since.
    Ended,
}

/// The reason why a spent refresh token returns its successor again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// The request has the `attempt` of the one that spent the token.
    SameAttempt,
    /// The same client asks within the grace: another tab, or a retry.
    SameClient,
    /// Another client asks within the grace, for the first time in two rotations.
    OtherClient,
}

/// The reason why the use of a spent refresh token is taken for theft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// The token's successor has been used.
    SuccessorUsed,
    /// The token was spent with an `attempt`, and the request has another one, or none.
    OtherAttempt,
    /// The grace is over.
    AfterGrace,
    /// Other clients asked in two rotations running, or two other clients in one.
    OtherClientAgain,
}

impl Reuse {
    /// Returns its name in the log and in counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuccessorUsed => "successor-used",
            Self::OtherAttempt => "other-attempt",
            Self::AfterGrace => "after-grace",
            Self::OtherClientAgain => "other-client-again",
        }
    }
}

/// What the use of a spent refresh token is, before it is recorded.
enum SpentUse {
    Repeated(Repetition),
    Reused(Reuse),
    /// The first use by another client in two rotations: it is recorded before it is answered.
    ByOtherClient,
}

impl SpentUse {
    /// Judges the use of the token of generation `spent` by a client, from the session as it is now.
    fn judge(item: &Item, spent: u64, by: &TokenUser, grace: Duration, now: Timestamp) -> Result<Self, StoreError> {
        if item.number(GENERATION)? != spent + 1 {
            return Ok(Self::Reused(Reuse::SuccessorUsed));
        }
        if item.has(ATTEMPT) {
            let attempt = UseMac::from_stored(item.bytes(ATTEMPT)?);
            return Ok(if by.attempt == Some(attempt) {
                Self::Repeated(Repetition::SameAttempt)
            } else {
                Self::Reused(Reuse::OtherAttempt)
            });
        }
        // Whole seconds, so that a client that waits for exactly the grace is not late by the time of its travel.
        let late = now.since(item.moment(ROTATED_AT)?).as_secs();
        if grace.is_zero() || late > grace.as_secs() {
            return Ok(Self::Reused(Reuse::AfterGrace));
        }
        if by.client == UseMac::from_stored(item.bytes(ROTATED_BY)?) {
            return Ok(Self::Repeated(Repetition::SameClient));
        }
        if !item.has(OTHER_GENERATION) {
            return Ok(Self::ByOtherClient);
        }
        let other = item.number(OTHER_GENERATION)?;
        if other == spent && by.client == UseMac::from_stored(item.bytes(OTHER_CLIENT)?) {
            // It has the successor already.
            return Ok(Self::Repeated(Repetition::OtherClient));
        }
        Ok(if other + 1 < spent { Self::ByOtherClient } else { Self::Reused(Reuse::OtherClientAgain) })
    }
}

impl SessionState {
    /// Returns whether a change of the account that the session itself asked for has replaced it.
    pub fn was_renewed(&self) -> bool {
        self.profile.is_some() && self.session.is_some_and(|session| session.renewed)
    }

    /// Returns account and session if both exist and the session is alive: it has not ended, no change of the account
    /// has raised the epoch since, and the token that names it was issued at this `epoch`.
    pub fn live(self, epoch: u64, now: Timestamp) -> Option<(Profile, Session)> {
        let (profile, session) = (self.profile?, self.session?);
        (session.epoch == epoch && session.lives(profile.epoch, now)).then_some((profile, session))
    }
}

impl SessionSummary {
    /// Returns how and when the user signed in, if the session is of this epoch.
    pub fn of_epoch(&self, epoch: u64) -> Option<Session> {
        (self.session.epoch == epoch).then_some(self.session)
    }

    fn read(id: SessionId, item: &Item) -> Result<Self, StoreError> {
        let created_at = item.moment(CREATED_AT)?;
        Ok(Self {
            id,
            device: if item.has(DEVICE) { Some(item.text(DEVICE)?.to_owned()) } else { None },
            address: item.text(ADDRESS)?.to_owned(),
            created_at,
            // No session was used before it began.
            last_used_at: item.moment(LAST_USED_AT)?.window_start(USE_IS_TOLD_BY).max(created_at),
            used_at: item.moment(LAST_USED_AT)?,
            session: Session::read(item)?,
        })
    }
}

impl Session {
    pub(super) fn lives(&self, epoch: u64, now: Timestamp) -> bool {
        // A session that a step-up replaced has its account's epoch still.
        self.epoch == epoch && !self.renewed && now < self.ends_at && now < self.idle_ends_at
    }

    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let at = item.moment(AUTHENTICATED_AT)?;
        Ok(Self {
            epoch: item.number(EPOCH)?,
            created_at: item.moment(CREATED_AT)?,
            authentication: Authentication {
                method: method_of(item)?,
                second_factor: item.flag(SECOND_FACTOR),
                at,
                first_factor_at: item.optional_moment(PROVED_AT)?.unwrap_or(at),
            },
            ends_at: item.moment(ENDS_AT)?,
            tries: PasswordTries { count: item.count(LOGIN_FAILURES)?, at: item.optional_moment(LOGIN_ATTEMPTED_AT)? },
            idle_ends_at: item.moment(IDLE_ENDS_AT)?,
            renewed: item.flag(RENEWED),
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

/// What a refresh token is worth to a request that does not exchange it.
#[derive(Clone, Debug)]
pub enum SessionOfToken {
    /// The session is alive, and the token is its newest one or the one before, whose exchange may have lost its response.
    Live(Profile),
    /// The session is alive, but the token was exchanged, and so was its successor.
    Superseded,
    /// The session has ended, or it never had this token.
    Ended,
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

    /// Exchanges a refresh token: raises the session's generation if it is still the token's. At the same time it reads the
    /// account and, by the same call, the published keys, of which one signs what is returned. That these cannot be read is
    /// no reason not to judge: a theft ends the session without them.
    ///
    /// One conditional update raises the generation, so that only one of several parallel exchanges does; it records who
    /// that was. A request that repeats it gets the same successor, so that a lost reply ends no session and two tabs do
    /// not fork it. The only use of a spent token that writes is the first one by another client within `grace`.
    ///
    /// `kid` is the version of the key that makes the successor. The session keeps it, so that every repetition gets the
    /// same successor, whichever key writes by then.
    pub async fn rotate_session(
        &self,
        token: &RefreshToken,
        by: &TokenUser,
        kid: Kid,
        grace: Duration,
        now: Timestamp,
    ) -> Result<(Rotation, Result<Option<KeySet>, StoreError>), StoreError> {
        let raised = ItemUpdate::new(Key::session(token.user, token.session))
            .set("#generation = #generation + :one")
            .set("#kid = :kid")
            .set("#rotated_at = :now")
            .set("#rotated_by = :client")
            .set("#last_used_at = :now")
            .set("#idle_ends_at = :idle_ends_at")
            .when("#generation = :generation AND #ends_at > :now AND #idle_ends_at > :now")
            .value(":one", number(1))
            .value(":kid", number(kid.as_byte().into()))
            .value(":generation", number(token.generation.into()))
            .value(":now", moment(now))
            .value(":client", by.client.into())
            .value(":idle_ends_at", moment(now.plus(IDLE_LIFETIME)));
        let raised = match by.attempt {
            Some(attempt) => raised.set("#attempt = :attempt").value(":attempt", attempt.into()),
            None => raised.remove("#attempt"),
        };
        let read = self.read_all([Key::profile(token.user), Key::key_set()]);
        let (raised, [profile, key_set]) = try_join!(self.update(raised), read)?;
        let profile = profile.map(|item| Profile::read(token.user, &item)).transpose()?.flatten();
        let published = key_set.as_ref().map(KeySet::read).transpose();
        let rotation = self.judge_rotation(raised, profile, token, (by, grace), now).await?;
        Ok((rotation, published))
    }

    /// Tells what the exchange was, by the session as it is after it.
    async fn judge_rotation(
        &self,
        raised: Outcome,
        profile: Option<Profile>,
        token: &RefreshToken,
        (by, grace): (&TokenUser, Duration),
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let item = match &raised {
            Outcome::Applied(item) | Outcome::Refused(Some(item)) => item,
            Outcome::Refused(None) => return Ok(Rotation::Ended),
        };
        let session = Session::read(item)?;
        let spent = u64::from(token.generation);
        let is_live = profile.is_some_and(|profile| session.lives(profile.epoch, now));
        if !is_live || item.number(GENERATION)? <= spent {
            return Ok(Rotation::Ended);
        }
        let next = TokenSession {
            user: token.user,
            id: token.session,
            kid: item.kid(KID)?,
            generation: u32::try_from(spent + 1).map_err(|_| StoreError::Corrupt { attribute: GENERATION })?,
            salt: SessionSalt::from_stored(item.bytes(SALT)?),
            epoch: session.epoch,
            authentication: session.authentication,
        };
        if let Outcome::Applied(_) = raised {
            return Ok(Rotation::Next(next));
        }
        Ok(match SpentUse::judge(item, spent, by, grace, now)? {
            SpentUse::Repeated(how) => Rotation::Repeated(next, how),
            SpentUse::Reused(why) => Rotation::Reused(why),
            SpentUse::ByOtherClient => self.record_other_client(next, spent, by, grace, now).await?,
        })
    }

    /// Records that another client than the one that spent a token has asked for its successor.
    ///
    /// One conditional update, so that of several other clients one is answered.
    async fn record_other_client(
        &self,
        next: TokenSession,
        spent: u64,
        by: &TokenUser,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let recorded = ItemUpdate::new(Key::session(next.user, next.id))
            .set("#other_generation = :spent")
            .set("#other_client = :client")
            .when(
                "#generation = :next AND \
                 (attribute_not_exists(#other_generation) OR #other_generation < :previous)",
            )
            .value(":spent", number(spent))
            .value(":client", by.client.into())
            .value(":next", number(spent + 1))
            .value(":previous", number(spent.saturating_sub(1)));
        let item = match self.update(recorded).await? {
            Outcome::Applied(_) => return Ok(Rotation::Repeated(next, Repetition::OtherClient)),
            Outcome::Refused(Some(item)) => item,
            Outcome::Refused(None) => return Ok(Rotation::Ended),
        };
        // Something else used a token of the session meanwhile.
        Ok(match SpentUse::judge(&item, spent, by, grace, now)? {
            SpentUse::Repeated(how) => Rotation::Repeated(next, how),
            SpentUse::Reused(why) => Rotation::Reused(why),
            SpentUse::ByOtherClient => Rotation::Ended,
        })
    }

    /// Returns the account of a refresh token whose session is alive. Does not spend the token.
    pub async fn session_of(
        &self,
        token: &RefreshToken,
        is_of: impl Fn(&SessionSalt) -> bool,
        now: Timestamp,
    ) -> Result<SessionOfToken, StoreError> {
        let keys = [Key::profile(token.user), Key::session(token.user, token.session)];
        let [Some(profile), Some(item)] = self.read_all(keys).await? else { return Ok(SessionOfToken::Ended) };
        let Some(profile) = Profile::read(token.user, &profile)? else { return Ok(SessionOfToken::Ended) };
        let is_live = Session::read(&item)?.lives(profile.epoch, now);
        if !(is_live && is_of(&SessionSalt::from_stored(item.bytes(SALT)?))) {
            return Ok(SessionOfToken::Ended);
        }
        let is_superseded = u64::from(token.generation) + 1 < item.number(GENERATION)?;
        Ok(if is_superseded { SessionOfToken::Superseded } else { SessionOfToken::Live(profile) })
    }

    /// Ends a session. A session that does not exist counts as ended.
    pub async fn end_session(&self, user: UserId, session: SessionId) -> Result<(), StoreError> {
        self.delete(Key::session(user, session)).await
    }

    /// Returns an account with its live sessions, the last used first as far as its owner is told. None if the account
    /// does not exist.
    pub async fn live_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<(Profile, Vec<SessionSummary>)>, StoreError> {
        let mut items = self.read_user_from(user, PROFILE_SORT).await?;
        let Some(at) = items.iter().position(|(sort, _)| sort == PROFILE_SORT) else {
            return Ok(None);
        };
        let Some(profile) = Profile::read(user, &items.swap_remove(at).1)? else { return Ok(None) };
        let mut sessions = summaries(&items)?;
        sessions.retain(|session| session.session.lives(profile.epoch, now));
        // By what is told of the use, and not by the use itself: an order would tell it.
        sessions.sort_by_key(|session| {
            std::cmp::Reverse((session.last_used_at, session.created_at, *session.id.as_bytes()))
        });
        Ok(Some((profile, sessions)))
    }

    /// Makes room for a session that is being started. Deletes dead sessions first, then the one unused longest. Returns
    /// how many live sessions the user has then, with the new one. Does nothing, and returns none, if the account has changed
    /// since the new session's epoch was read, because then the new session is the dead one.
    pub(super) async fn make_room(&self, starting: &NewSession) -> Result<Option<usize>, StoreError> {
        let items = self.read_user_from(starting.user, PROFILE_SORT).await?;
        if any_is_ahead(&items, starting.epoch)? {
            return Ok(None);
        }
        let mut sessions = summaries(&items)?;
        // The new session may exist already, because it is written at the same time.
        sessions.retain(|session| session.id != starting.id);
        let lives = |session: &SessionSummary| session.session.lives(starting.epoch, starting.now);
        sessions.sort_by_key(|session| (lives(session), session.used_at));
        let kept = sessions.split_off((sessions.len() + 1).saturating_sub(MAX_SESSIONS));
        try_join_all(sessions.iter().map(|session| self.end_session(starting.user, session.id))).await?;
        Ok(Some(kept.iter().filter(|session| lives(session)).count() + 1))
    }
}

/// Returns the attribute that says by which method a session began, or a login that waits for its second step. None for
/// a password, as in items that are older than the attribute.
pub(super) fn method_attribute(method: SignInMethod) -> Option<(String, AttributeValue)> {
    (method != SignInMethod::Password).then(|| (METHOD.to_owned(), text(method.amr())))
}

/// Reads that attribute.
pub(super) fn method_of(item: &Item) -> Result<SignInMethod, StoreError> {
    if !item.has(METHOD) {
        return Ok(SignInMethod::Password);
    }
    let stored = item.text(METHOD)?;
    let method = SignInMethod::OF_SESSIONS.into_iter().find(|method| method.amr() == stored);
    method.ok_or(StoreError::Corrupt { attribute: METHOD })
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
        let session = summary.session;
        Ok(StoredSession { summary, session, idle_ends_at: session.idle_ends_at.window_start(USE_IS_TOLD_BY) })
    });
    read.collect()
}
