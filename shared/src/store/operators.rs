//! Use cases of operators: reading accounts, disabling them, and counting items. No function has the rights for all of
//! them.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use super::{
    Bucket, Store,
    accounts::{self, Credential},
    deletion,
    limits::Limit,
    outcome::Change,
    profile::{Home, Profile},
    table::{
        error::StoreError,
        expression::{ItemUpdate, NewItem, Write},
        item::{Item, moment, number, text, ttl},
        keys::{
            self, AUDIT_LINE, CREDENTIAL_SORT, DELETED_AT, DISABLED_AT, ENDS_AT, FORGOTTEN_AT, Key, LEGACY_ID,
            MFA_ENABLED, PARKED_AT, PARTITION_KEY, PASSWORD_HASH, PASSWORDLESS, PHONE_VERIFIED_AT, PROFILE_SORT,
            SORT_KEY, TTL_ATTRIBUTE, USES,
        },
        wire::Outcome,
    },
    throttle::TOTP_COUNTERS,
};
use crate::{
    base::{
        id::{OperationId, UserId},
        time::Timestamp,
    },
    domain::{password::PasswordHash, phone::Phone},
};

/// The time for which audit lines of operators' actions are kept.
const AUDIT_KEPT: Duration = Duration::from_hours(400 * 24);

/// Counts of what the table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of accounts, without those that are parked.
    pub accounts: usize,
    /// The number of accounts whose phone is verified.
    pub verified: usize,
    /// The number of accounts with a second factor.
    pub with_second_factor: usize,
    /// The number of accounts without a password.
    pub without_password: usize,
    /// The number of accounts that an operator disabled.
    pub disabled: usize,
    /// The number of accounts that were imported from another system.
    pub imported: usize,
    /// The number of accounts that still have the password hash of the other system.
    pub with_legacy_hash: usize,
    /// The highest bcrypt cost of those hashes, or zero if there are none. `LEGACY_COST` may not be lower.
    pub highest_legacy_cost: u32,
    /// The number of sessions, including those that have ended but that DynamoDB has not deleted yet.
    pub sessions: usize,
    /// The number of accounts that are parked and wait for their owners.
    pub parked: usize,
    /// The number of tombstones: deleted accounts whose tokens may not have expired yet.
    pub tombstones: usize,
    /// The number of messages that were sent today (UTC), whatever paid for them.
    pub messages: u64,
    /// The number of those to phones that were never verified, by country; `reset:` stands before those for resets.
    pub messages_to_new_phones: BTreeMap<String, u64>,
    /// The number of notices that are owed to owners.
    pub owed_notices: usize,
    /// The number of all items in the table.
    pub items: usize,
}

const DAY: Duration = Duration::from_hours(24);

impl Stats {
    fn count(&mut self, item: &Item, now: Timestamp) -> Result<(), StoreError> {
        self.items += 1;
        let (partition, sort) = (item.text(PARTITION_KEY)?, item.text(SORT_KEY)?);
        let of_today = |bucket: Bucket| {
            let subject = partition.strip_prefix("LIMIT#")?.strip_prefix(bucket.as_str())?.strip_prefix('#')?;
            (sort == now.window_start(DAY).unix_seconds().to_string()).then_some(subject)
        };
        if of_today(Bucket::MessagesPhone).is_some() {
            self.messages += item.count(USES)?;
        } else if let Some(country) = of_today(Bucket::MessagesCountry).and_then(|subject| subject.strip_suffix("/day"))
        {
            self.messages_to_new_phones.insert(country.to_owned(), item.count(USES)?);
        }
        self.owed_notices += usize::from(partition == keys::OWED_NOTICES);
        let is_credential = [CREDENTIAL_SORT, keys::PARKED_SORT].contains(&sort);
        if partition.starts_with(keys::PHONE_PREFIX) && is_credential && item.has(keys::USER_ID) {
            self.disabled += usize::from(item.has(DISABLED_AT));
            let hash = item.has(PASSWORD_HASH).then(|| item.text(PASSWORD_HASH)).transpose()?;
            let hash = hash.map(|hash| PasswordHash::from_stored(hash.to_owned()));
            if let Some(cost) = hash.and_then(|hash| hash.bcrypt_cost()) {
                self.with_legacy_hash += 1;
                self.highest_legacy_cost = self.highest_legacy_cost.max(cost);
            }
        } else if partition.starts_with(keys::USER_PREFIX) && sort == PROFILE_SORT {
            if item.has(DELETED_AT) {
                self.tombstones += 1;
                return Ok(());
            }
            if item.has(PARKED_AT) {
                self.parked += usize::from(item.moment(ENDS_AT)? > now);
                return Ok(());
            }
            self.accounts += 1;
            self.verified += usize::from(item.has(PHONE_VERIFIED_AT));
            self.with_second_factor += usize::from(item.flag(MFA_ENABLED));
            self.without_password += usize::from(item.flag(PASSWORDLESS));
            self.imported += usize::from(item.has(LEGACY_ID));
        } else if sort.starts_with(keys::SESSION_PREFIX) {
            self.sessions += 1;
        }
        Ok(())
    }
}

impl Store {
    /// Returns the profile and the credential of a phone's account, if the phone has one.
    pub async fn account_by_phone(&self, phone: &Phone) -> Result<Option<(Profile, Credential)>, StoreError> {
        self.account_at(&Home::Phone(phone.clone())).await
    }

    /// Returns the profile and the credential of the account that lies here, if there is one.
    pub async fn account_at(&self, home: &Home) -> Result<Option<(Profile, Credential)>, StoreError> {
        let Some(credential) = self.credential_at(home.key()).await? else { return Ok(None) };
        let profile = self.profile(credential.user).await?;
        // Returns `None` if the account was deleted, moved or parked between the two reads.
        Ok(profile.filter(|profile| profile.home == *home).map(|profile| (profile, credential)))
    }

    /// Disables an account, so that every sign-in fails, and ends every session, in one transaction. Raising the epoch
    /// kills open codes, and no other codes are sent.
    pub async fn disable_account(&self, profile: &Profile, now: Timestamp) -> Result<Change, StoreError> {
        let credential = accounts::raise_credential_epoch(profile.home.key(), profile.user, profile.epoch)
            .remove("#op")
            .set("#disabled_at = if_not_exists(#disabled_at, :now)")
            .value(":now", moment(now));
        let raised = accounts::raise_epoch(profile.user, profile.home.number(), profile.epoch);
        Ok(self.transact(vec![Write::Update(credential), Write::Update(raised)]).await?.into())
    }

    /// Enables an account again, with the password that it has.
    pub async fn enable_account(&self, profile: &Profile) -> Result<Change, StoreError> {
        let update = ItemUpdate::new(profile.home.key())
            .remove("#disabled_at")
            .when("#user_id = :user AND #epoch = :epoch")
            .value(":user", text(profile.user.to_string()))
            .value(":epoch", number(profile.epoch));
        Ok(match self.update(update).await? {
            Outcome::Applied(_) => Change::Done,
            Outcome::Refused(_) => Change::Overtaken,
        })
    }

    /// Clears every count that keeps an account's owner waiting: wrong passwords of its known devices; then, in one
    /// transaction, those of the phone, codes by SMS, which end, and codes of the second factor; and these messages of today.
    /// The password, the second factor and forgotten devices stay as they are.
    pub async fn unlock(&self, profile: &Profile, limits: &[Limit<'_>], now: Timestamp) -> Result<Change, StoreError> {
        let cleared = accounts::clear(profile.home.key(), profile.user, profile.epoch).remove("#op");
        for (sort, _) in self.read_user_from(profile.user, keys::DEVICE_PREFIX).await? {
            let Some(device) = sort.strip_prefix(keys::DEVICE_PREFIX) else { break };
            let device = device.parse().map_err(|_| StoreError::Corrupt { attribute: SORT_KEY })?;
            self.delete_without(Key::device(profile.user, device), FORGOTTEN_AT).await?;
        }
        let mut writes = vec![Write::Update(cleared)];
        writes.extend(deletion::delete_own_codes(&profile.home));
        if profile.mfa_enabled {
            let factor = ItemUpdate::new(Key::second_factor(profile.user)).remove("#op").when("attribute_exists(#pk)");
            let cleared = TOTP_COUNTERS.into_iter().fold(factor, |update, counter| counter.forget(update));
            writes.push(Write::Update(cleared));
        }
        writes.extend(limits.iter().map(|limit| limit.forget(now)));
        Ok(self.transact(writes).await?.into())
    }

    /// Returns the profile of a user, if there is such an account.
    pub async fn profile(&self, user: UserId) -> Result<Option<Profile>, StoreError> {
        let item = self.read(Key::profile(user)).await?;
        item.map(|item| Profile::read(user, &item)).transpose().map(Option::flatten)
    }

    /// Returns the profiles of at most `limit` accounts, in the order of the table.
    pub async fn profiles(&self, limit: usize) -> Result<Vec<Profile>, StoreError> {
        self.profiles_that(limit, |_| true).await
    }

    /// Returns the profiles of at most `limit` parked accounts, in the order of the table.
    pub async fn parked_profiles(&self, limit: usize, now: Timestamp) -> Result<Vec<Profile>, StoreError> {
        self.profiles_that(limit, |profile| profile.parked_until().is_some_and(|ends_at| ends_at > now)).await
    }

    async fn profiles_that(
        &self,
        limit: usize,
        is_wanted: impl Fn(&Profile) -> bool,
    ) -> Result<Vec<Profile>, StoreError> {
        let mut profiles = Vec::new();
        let mut read = |item: &Item| {
            let (partition, sort) = (item.text(PARTITION_KEY)?, item.text(SORT_KEY)?);
            if let Some(user) = partition.strip_prefix(keys::USER_PREFIX)
                && sort == PROFILE_SORT
            {
                let user = user.parse().map_err(|_| StoreError::Corrupt { attribute: PARTITION_KEY })?;
                profiles.extend(Profile::read(user, item)?.filter(&is_wanted));
            }
            Ok(if profiles.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let _ = self.read_items(&mut read).await?;
        profiles.truncate(limit);
        Ok(profiles)
    }

    /// Returns whether an account has a password hash of another system, among the first `items` items of the table.
    /// Returns `None` if there is none among them but the table has more items.
    pub async fn has_legacy_hash(&self, items: usize) -> Result<Option<bool>, StoreError> {
        let (mut left, mut found) = (items, false);
        let mut read = |item: &Item| {
            if left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            left -= 1;
            let hash = item.has(PASSWORD_HASH).then(|| item.text(PASSWORD_HASH)).transpose()?;
            found = hash.is_some_and(|hash| PasswordHash::from_stored(hash.to_owned()).bcrypt_cost().is_some());
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let is_whole = self.read_items(&mut read).await?.is_continue();
        Ok(if found || is_whole { Some(found) } else { None })
    }

    /// Counts everything in the table, by reading all of it. Tells `progress` from time to time how many items were read.
    pub async fn stats(&self, now: Timestamp, progress: impl Fn(usize)) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        self.for_each_item(|item| stats.count(item, now), progress).await?;
        Ok(stats)
    }

    /// Stores an audit line of an operator's action, under a key of its own, so that it outlives the account.
    pub async fn keep_audit_line(&self, line: &str, now: Timestamp) -> Result<(), StoreError> {
        let attributes = [(AUDIT_LINE, text(line)), (TTL_ATTRIBUTE, ttl(now.plus(AUDIT_KEPT)))]
            .map(|(name, value)| (name.to_owned(), value));
        let key = Key::audit(now, OperationId::generate()?);
        self.create(NewItem { key, attributes: attributes.into() }).await.map(|_| ())
    }
}
