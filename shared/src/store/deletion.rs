//! The deletion of an account, and the export of everything that the table holds about it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::try_join;

use super::{
    Store,
    accounts::{self},
    open_codes::OpenCodes,
    profile::{Home, Profile},
    sessions::{self, StoredSession},
    table::{
        error::StoreError,
        expression::{ItemDeletion, Write},
        item::{Item, moment, number, text, ttl},
        keys::{
            self, CREATED_AT, DELETED_AT, ENDS_AT, FAILURES, FAILURES_SINCE, FORGOTTEN_AT, Key, PHONE_PROVED_AT,
            PHONE_VERIFIED_AT, PROFILE_SORT, RECOVERY_CODES, USED, USER_ID,
        },
        wire::Transacted,
    },
    throttle::{Counter, PASSWORDS, TOTP_COUNTERS},
};
use crate::{
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::{otp::Purpose, phone::Phone},
};

/// The time for which a tombstone outlives the longest token.
const KEPT: Duration = Duration::from_hours(24);

/// The outcome of deleting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountDeletion {
    /// The account is deleted.
    Done,
    /// The account changed in the meantime; nothing was written.
    Outrun,
}

/// Everything that the table holds about a user, except secrets and their hashes.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// The time at which a code proved who owns the phone, if one did.
    pub phone_verified_at: Option<Timestamp>,
    /// The time at which a code last proved who has the phone, or at which the phone was given to the account.
    pub phone_proved_at: Option<Timestamp>,
    /// The attempts to sign in since the last success.
    pub password: Guesses,
    /// The second factor, if it is on.
    pub second_factor: Option<StoredFactor>,
    /// The deadline for confirming an enrollment, if the table holds one.
    pub enrollment_ends_at: Option<Timestamp>,
    /// The deadlines of the logins that wait for their second step.
    pub second_steps_end_at: Vec<Timestamp>,
    /// Every session, including those that have ended but that DynamoDB has not deleted yet.
    pub sessions: Vec<StoredSession>,
    /// The devices that have tried wrong passwords, or are forgotten.
    pub devices: Vec<StoredDevice>,
    /// The codes that were sent for this account, to its phone or to a new one.
    pub codes: Vec<StoredCode>,
}

/// A count of guesses.
#[derive(Clone, Copy, Debug)]
pub struct Guesses {
    /// The number of guesses since the last right one.
    pub failures: u64,
    /// The time of the last guess, if there was one.
    pub attempted_at: Option<Timestamp>,
}

/// A second factor, as its owner may see it.
#[derive(Clone, Copy, Debug)]
pub struct StoredFactor {
    /// The time at which the second factor was switched on.
    pub created_at: Timestamp,
    /// The number of unused recovery codes.
    pub recovery_codes_left: usize,
    /// The count of codes that were tried.
    pub guesses: Guesses,
}

/// A known device, as its owner may see it.
#[derive(Clone, Copy, Debug)]
pub struct StoredDevice {
    /// The device's identifier: that of the session that its sign-in started.
    pub id: SessionId,
    /// The passwords that were tried on it since the last right one.
    pub guesses: Guesses,
    /// The time at which its owner ended its session from another one, so that its token counts as none.
    pub forgotten_at: Option<Timestamp>,
}

/// A code, as its owner may see it.
#[derive(Clone, Debug)]
pub struct StoredCode {
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The phone that the code was sent to.
    pub phone: Phone,
    /// The time at which the code expires, or `None` if it was used.
    pub ends_at: Option<Timestamp>,
    /// The number of tries of this code.
    pub attempts: u64,
    /// The number of wrong codes in the phone's window.
    pub failures: u64,
    /// The start of that window.
    pub failures_since: Timestamp,
}

impl Guesses {
    /// Adds up what these counters hold.
    fn read(item: &Item, counters: &[&Counter]) -> Result<Self, StoreError> {
        let mut guesses = Self { failures: 0, attempted_at: None };
        for counter in counters {
            guesses.failures += item.count(counter.failures)?;
            guesses.attempted_at = guesses.attempted_at.max(item.optional_moment(counter.attempted_at)?);
        }
        Ok(guesses)
    }
}

impl StoredFactor {
    fn read(item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            created_at: item.moment(CREATED_AT)?,
            recovery_codes_left: item.set(RECOVERY_CODES).len(),
            guesses: Guesses::read(item, &TOTP_COUNTERS)?,
        })
    }
}

impl StoredDevice {
    fn read(id: &str, item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            id: id.parse().map_err(|_| StoreError::Corrupt { attribute: keys::SORT_KEY })?,
            guesses: Guesses::read(item, &[&PASSWORDS])?,
            forgotten_at: item.optional_moment(FORGOTTEN_AT)?,
        })
    }
}

impl StoredCode {
    fn read(purpose: Purpose, phone: Phone, item: &Item) -> Result<Self, StoreError> {
        let newest = OpenCodes::read(item)?.newest();
        Ok(Self {
            purpose,
            phone,
            ends_at: newest.map(|(_, ends_at)| ends_at),
            attempts: newest.map_or(0, |(tries, _)| tries),
            failures: item.count(FAILURES)?,
            failures_since: item.moment(FAILURES_SINCE)?,
        })
    }
}

/// The purposes of the codes that are sent to an account's own phone.
const OWN_PURPOSES: [Purpose; 2] = [Purpose::Reset, Purpose::VerifyPhone];

/// Builds the writes that delete an account's codes for the phone that it leaves, because those codes lead to the
/// account.
///
/// Those for the phone that a parked account had are somebody else's.
pub(super) fn delete_own_codes(home: &Home) -> Vec<Write> {
    let Some(phone) = home.phone() else { return Vec::new() };
    OWN_PURPOSES.map(|purpose| Write::Delete(ItemDeletion::new(Key::code(phone, purpose)))).into()
}

impl Store {
    /// Deletes an account. Its phone is free at once, and its sessions, tokens and codes are no longer accepted.
    ///
    /// One transaction, under the condition that the account is as it was read, deletes credential, second factor and
    /// codes, and turns the profile into a tombstone without personal data. The tombstone stays until the longest token
    /// has expired. The remaining items have no effect and are deleted afterward. DynamoDB's TTL deletes those that a
    /// fault leaves behind.
    pub async fn delete_account(
        &self,
        profile: &Profile,
        longest_token: Duration,
        now: Timestamp,
    ) -> Result<AccountDeletion, StoreError> {
        let (user, phone, epoch) = (profile.user, profile.home.number(), profile.epoch);
        let left = ItemDeletion::new(profile.home.key())
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
            .remove("#passwordless")
            .remove("#parked_at")
            .remove("#ends_at")
            .set("#deleted_at = :now")
            .set("#expires_at = :expires_at")
            .value(":now", moment(now))
            .value(":expires_at", ttl(now.plus(longest_token).plus(KEPT)));
        let mut writes = vec![
            Write::Delete(left),
            Write::Update(tombstone),
            Write::Delete(ItemDeletion::new(Key::second_factor(user))),
        ];
        writes.extend(delete_own_codes(&profile.home));
        match self.transact(writes).await? {
            Transacted::Committed => {}
            Transacted::Refused(_) => return Ok(AccountDeletion::Outrun),
        }
        self.delete_what_is_left(user, profile.phone()).await;
        Ok(AccountDeletion::Done)
    }

    /// Deletes the remaining items of a deleted account, which have no effect: those of its user, and under its phone the
    /// challenges whose codes were for it. Deletes as many as it can, even if some deletions fail.
    async fn delete_what_is_left(&self, user: UserId, phone: Option<&Phone>) {
        let delete_all = async {
            let (of_user, of_phone) = try_join!(self.items_of(user), self.challenges_of(user, phone))?;
            let deleted = join_all(of_user.into_iter().chain(of_phone).map(|key| self.delete(key))).await;
            deleted.into_iter().collect::<Result<(), StoreError>>()
        };
        if let Err(error) = delete_all.await {
            tracing::warn!(%error, "items of a deleted account were left; DynamoDB's TTL deletes them later");
        }
    }

    /// Returns the keys of a user's items, without the profile's.
    async fn items_of(&self, user: UserId) -> Result<Vec<Key>, StoreError> {
        let sorts = self.read_user(user).await?.into_iter().map(|(sort, _)| sort);
        Ok(sorts.filter(|sort| *sort != PROFILE_SORT).map(|sort| Key::of_user(user, sort)).collect())
    }

    /// Returns the keys of the challenges of a phone whose codes were for this user or were used, and of its cooldowns. What
    /// strangers have begun for the phone stays, and opens nothing.
    async fn challenges_of(&self, user: UserId, phone: Option<&Phone>) -> Result<Vec<Key>, StoreError> {
        let Some(phone) = phone else { return Ok(Vec::new()) };
        let items = self.read_partition(&keys::phone_partition(phone)).await?;
        let is_own = |item: &Item| item.text(USER_ID).is_ok_and(|owner| owner == user.to_string());
        let is_gone = |sort: &str, item: &Item| {
            (keys::is_of_challenge(sort) && (is_own(item) || item.has(USED))) || keys::is_cooldown(sort)
        };
        let challenges = items.into_iter().filter(|(sort, item)| is_gone(sort, item));
        Ok(challenges.map(|(sort, _)| Key::of_phone(phone, sort)).collect())
    }

    /// Returns whether this user's account was deleted, for as long as its tombstone exists. Deletes again what the
    /// deletion left behind, because a client that repeats the request received no response the first time.
    pub async fn was_deleted(&self, user: UserId) -> Result<bool, StoreError> {
        let profile = self.read(Key::profile(user)).await?;
        let is_deleted = profile.is_some_and(|profile| profile.has(DELETED_AT));
        if is_deleted {
            self.delete_what_is_left(user, None).await;
        }
        Ok(is_deleted)
    }

    /// Returns everything that the table holds about an account, from two parallel reads.
    pub async fn stored_account(&self, profile: &Profile) -> Result<StoredAccount, StoreError> {
        let (user, phone) = (profile.user, profile.home.number());
        let [reset, verify_phone] = OWN_PURPOSES.map(|purpose| Key::code(phone, purpose));
        let under_phone = self.read_all([profile.home.key(), reset, verify_phone]);
        let ([credential, codes @ ..], items) = try_join!(under_phone, self.read_user(user))?;

        let under_user = |sort: &str| items.iter().find(|(found, _)| found == sort).map(|(_, item)| item);
        let profile = under_user(PROFILE_SORT);
        let is_waiting =
            |sort: &str, item: &Item| sort.starts_with(keys::SECOND_STEP_PREFIX) && !item.has(keys::SUCCESSOR);
        let waiting = items.iter().filter(|(sort, item)| is_waiting(sort, item));
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
        let devices = items.iter().filter_map(|(sort, item)| Some((sort.strip_prefix(keys::DEVICE_PREFIX)?, item)));
        let credential = credential.filter(of_user).unwrap_or_default();
        Ok(StoredAccount {
            phone_proved_at: credential.optional_moment(PHONE_PROVED_AT)?,
            phone_verified_at: profile.map(|item| item.optional_moment(PHONE_VERIFIED_AT)).transpose()?.flatten(),
            password: Guesses::read(&credential, &[&PASSWORDS])?,
            second_factor: under_user(keys::SECOND_FACTOR_SORT).map(StoredFactor::read).transpose()?,
            enrollment_ends_at: under_user(keys::ENROLLMENT_SORT).map(|item| item.moment(ENDS_AT)).transpose()?,
            second_steps_end_at: waiting.map(|(_, item)| item.moment(ENDS_AT)).collect::<Result<_, _>>()?,
            sessions: sessions::stored(&items)?,
            devices: devices.map(|(id, item)| StoredDevice::read(id, item)).collect::<Result<_, _>>()?,
            codes: codes.chain(to_new_phones).collect::<Result<_, _>>()?,
        })
    }
}
