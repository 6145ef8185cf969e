//! The end of an account, and everything that the table holds about one.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::try_join;

use super::{
    Store,
    accounts::{self},
    profile::Profile,
    sessions::{self, StoredSession},
    table::{
        error::StoreError,
        expression::{ItemDeletion, Write},
        item::{Item, moment, number, text, ttl},
        keys::{
            self, ATTEMPTS, CODE_ENDS_AT, CODE_MAC, CREATED_AT, DELETED_AT, ENDS_AT, FAILURES, FAILURES_SINCE, Key,
            LOGIN_ATTEMPTED_AT, LOGIN_FAILURES, PHONE_VERIFIED_AT, PROFILE_SORT, RECOVERY_CODES, USER_ID,
        },
        wire::Transacted,
    },
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::{otp::Purpose, phone::Phone},
};

/// How much longer a tombstone stays than the longest token.
const KEPT: Duration = Duration::from_hours(24);

/// What became of deleting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountDeletion {
    /// It is gone.
    Done,
    /// The account changed meanwhile; nothing was written.
    Outrun,
}

/// Everything that the table holds about a user, but secrets and their hashes.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// When a code that was sent to the phone came back.
    pub phone_verified_at: Option<Timestamp>,
    /// Attempts to sign in since the last success.
    pub password: Guesses,
    /// The second factor that is on.
    pub second_factor: Option<StoredFactor>,
    /// Until when an authenticator may confirm that it was set up, if one was.
    pub enrolment_ends_at: Option<Timestamp>,
    /// Until when logins wait for their second step.
    pub second_steps_end_at: Vec<Timestamp>,
    /// Every session, those that are over and not collected yet included.
    pub sessions: Vec<StoredSession>,
    /// Codes that were sent for this account, to its phone or to one that it was to have.
    pub codes: Vec<StoredCode>,
}

/// Guesses that were counted.
#[derive(Clone, Copy, Debug)]
pub struct Guesses {
    /// How many since the last right one.
    pub failures: u64,
    /// When the last of them was.
    pub attempted_at: Option<Timestamp>,
}

/// A second factor, as its owner may see it.
#[derive(Clone, Copy, Debug)]
pub struct StoredFactor {
    /// Since when it is on.
    pub created_at: Timestamp,
    /// How many recovery codes are left.
    pub recovery_codes_left: usize,
    /// Codes that were tried.
    pub guesses: Guesses,
}

/// A code, as its owner may see it.
#[derive(Clone, Debug)]
pub struct StoredCode {
    /// What it is for.
    pub purpose: Purpose,
    /// Whom it was sent to.
    pub phone: Phone,
    /// When it dies; none when it was used.
    pub ends_at: Option<Timestamp>,
    /// Tries of it.
    pub attempts: u64,
    /// Wrong codes in the phone's window.
    pub failures: u64,
    /// When that window began.
    pub failures_since: Timestamp,
}

impl Guesses {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let attempted_at = item.optional_moment(LOGIN_ATTEMPTED_AT)?;
        Ok(Self { failures: item.count(LOGIN_FAILURES)?, attempted_at })
    }
}

impl StoredFactor {
    fn read(item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            created_at: item.moment(CREATED_AT)?,
            recovery_codes_left: item.set(RECOVERY_CODES).len(),
            guesses: Guesses::read(item)?,
        })
    }
}

impl StoredCode {
    fn read(purpose: Purpose, phone: Phone, item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            purpose,
            phone,
            ends_at: if item.has(CODE_MAC) { Some(item.moment(CODE_ENDS_AT)?) } else { None },
            attempts: item.count(ATTEMPTS)?,
            failures: item.count(FAILURES)?,
            failures_since: item.moment(FAILURES_SINCE)?,
        })
    }
}

/// What an account's codes that are sent to its own phone are for.
const OWN_PURPOSES: [Purpose; 2] = [Purpose::Reset, Purpose::VerifyPhone];

/// Deletes an account's codes that were sent to its phone, which it leaves: they lead to it.
pub(super) fn delete_own_codes(phone: &Phone) -> [Write; 2] {
    OWN_PURPOSES.map(|purpose| Write::Delete(ItemDeletion::new(Key::code(phone, purpose))))
}

impl Store {
    /// Deletes an account: its phone is free at once, and no session, token or code of it is worth anything.
    ///
    /// One transaction under the condition that the account is as it was read: credential, second factor and codes go, and
    /// the profile becomes a tombstone without personal data, which stays until the longest token has expired. What is
    /// inert then goes after it: DynamoDB's TTL collects what a fault leaves behind.
    pub async fn delete_account(
        &self,
        profile: &Profile,
        longest_token: Duration,
        now: Timestamp,
    ) -> Result<AccountDeletion, StoreError> {
        let (user, phone, epoch) = (profile.user, &profile.phone, profile.epoch);
        let left = ItemDeletion::new(Key::credential(phone))
            .when("#user_id = :user AND #epoch = :epoch")
            .value(":user", text(user.to_string()))
            .value(":epoch", number(epoch));
        let tombstone = accounts::raise_epoch(user, phone, epoch)
            .remove("#op")
            .remove("#phone")
            .remove("#phone_verified_at")
            .remove("#mfa_enabled")
            .remove("#created_at")
            .remove("#legacy_id")
            .set("#deleted_at = :now")
            .set("#expires_at = :expires_at")
            .value(":now", moment(now))
            .value(":expires_at", ttl(now.plus(longest_token).plus(KEPT)));
        let mut writes = vec![
            Write::Delete(left),
            Write::Update(tombstone),
            Write::Delete(ItemDeletion::new(Key::second_factor(user))),
        ];
        writes.extend(delete_own_codes(phone));
        match self.transact(writes).await? {
            Transacted::Committed => {}
            Transacted::Refused(_) => return Ok(AccountDeletion::Outrun),
        }
        self.delete_what_is_left(user).await;
        Ok(AccountDeletion::Done)
    }

    /// Deletes what is inert: of as much as it can, whatever becomes of the rest.
    async fn delete_what_is_left(&self, user: UserId) {
        let delete_all = async {
            let items = self.read_user(user).await?;
            let dead = items.iter().map(|(sort, _)| sort).filter(|sort| *sort != PROFILE_SORT);
            let deleted = join_all(dead.map(|sort| self.delete(Key::of_user(user, sort)))).await;
            deleted.into_iter().collect::<Result<(), StoreError>>()
        };
        if let Err(error) = delete_all.await {
            tracing::warn!(%error, "what is left of a deleted account is collected later");
        }
    }

    /// Whether this user's account was deleted, and not so long ago that no token of it can be about. What that left is
    /// deleted again: whoever asks twice did not get an answer the first time.
    pub async fn was_deleted(&self, user: UserId) -> Result<bool, StoreError> {
        let profile = self.read(Key::profile(user)).await?;
        let is_deleted = profile.is_some_and(|profile| profile.has(DELETED_AT));
        if is_deleted {
            self.delete_what_is_left(user).await;
        }
        Ok(is_deleted)
    }

    /// Everything that the table holds about an account, read at once.
    pub async fn stored_account(&self, profile: &Profile) -> Result<StoredAccount, StoreError> {
        let (user, phone) = (profile.user, &profile.phone);
        let [reset, verify_phone] = OWN_PURPOSES.map(|purpose| Key::code(phone, purpose));
        let under_phone = self.read_all([Key::credential(phone), reset, verify_phone]);
        let ([credential, codes @ ..], items) = try_join!(under_phone, self.read_user(user))?;

        let under_user = |sort: &str| items.iter().find(|(found, _)| found == sort).map(|(_, item)| item);
        let profile = under_user(PROFILE_SORT);
        let waiting = items.iter().filter(|(sort, _)| sort.starts_with(keys::SECOND_STEP_PREFIX));
        let of_user = |item: &Item| item.text(USER_ID).is_ok_and(|owner| owner == user.to_string());
        let codes = OWN_PURPOSES.into_iter().zip(codes);
        let codes = codes.filter_map(|(purpose, item)| Some((purpose, item.filter(of_user)?)));
        let codes = codes.map(|(purpose, item)| StoredCode::read(purpose, phone.clone(), &item));
        let to_new_phones =
            items.iter().filter_map(|(sort, item)| Some((sort.strip_prefix(keys::NEW_PHONE_PREFIX)?, item)));
        let to_new_phones = to_new_phones.map(|(e164, item)| {
            let new = Phone::from_stored(e164).map_err(|_| StoreError::Corrupt { attribute: keys::SORT_KEY })?;
            StoredCode::read(Purpose::ChangePhone(user), new, item)
        });
        Ok(StoredAccount {
            phone_verified_at: profile.map(|item| item.optional_moment(PHONE_VERIFIED_AT)).transpose()?.flatten(),
            password: Guesses::read(&credential.filter(of_user).unwrap_or_default())?,
            second_factor: under_user(keys::SECOND_FACTOR_SORT).map(StoredFactor::read).transpose()?,
            enrolment_ends_at: under_user(keys::ENROLMENT_SORT).map(|item| item.moment(ENDS_AT)).transpose()?,
            second_steps_end_at: waiting.map(|(_, item)| item.moment(ENDS_AT)).collect::<Result<_, _>>()?,
            sessions: sessions::stored(&items)?,
            codes: codes.chain(to_new_phones).collect::<Result<_, _>>()?,
        })
    }
}
