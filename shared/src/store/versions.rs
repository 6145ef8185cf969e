//! What was made with each version of the master secret, for the operator who wants to retire one.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Store,
    table::{
        error::StoreError,
        item::Item,
        keys::{
            CODE_ENDS_AT, CODE_MAC, CODES, ENDS_AT, ENDS_AT_BEFORE, ENROLLMENT_SORT, IDLE_ENDS_AT, KID, PARTITION_KEY,
            RECOVERY_KEY, RENEWED, SECOND_FACTOR_SORT, SESSION_PREFIX, SORT_KEY, TOTP_SECRET, TOTP_SECRET_BEFORE,
            USER_PREFIX,
        },
    },
};
use crate::{
    base::{id::UserId, kid::Kid, time::Timestamp},
    domain::{recovery_code::SealedRecoveryKey, totp::SealedTotpSecret},
};

/// What depends on one version of the master secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionUses {
    /// The users whose authenticator or recovery codes depend on it.
    pub second_factors: Vec<UserId>,
    /// The number of second factors that wait to be confirmed with a code.
    pub enrollments: usize,
    /// The number of sessions whose newest refresh token was made with it. It includes those that a change of the
    /// account has ended, until they would have ended anyway.
    pub sessions: usize,
    /// The number of codes that may still be entered, those of registrations included.
    pub codes: usize,
}

/// What depends on each version.
#[derive(Clone, Debug, Default)]
pub struct UsesByVersion(BTreeMap<Kid, VersionUses>);

impl UsesByVersion {
    /// Returns what depends on this version.
    pub fn of(&self, kid: Kid) -> VersionUses {
        self.0.get(&kid).cloned().unwrap_or_default()
    }

    fn count(&mut self, item: &Item, now: Timestamp) -> Result<(), StoreError> {
        let (partition, sort) = (item.text(PARTITION_KEY)?, item.text(SORT_KEY)?);
        for code in item.list(CODES) {
            if code.moment(CODE_ENDS_AT)? > now {
                self.uses(code.otp_mac(CODE_MAC)?.kid()).codes += 1;
            }
        }
        let Some(user) = partition.strip_prefix(USER_PREFIX) else { return Ok(()) };
        if sort.starts_with(SESSION_PREFIX) {
            let lives = item.moment(ENDS_AT)? > now && item.moment(IDLE_ENDS_AT)? > now && !item.flag(RENEWED);
            self.uses(item.kid(KID)?).sessions += usize::from(lives);
        } else if [SECOND_FACTOR_SORT, ENROLLMENT_SORT].contains(&sort) && item.has(TOTP_SECRET) {
            let corrupt = |attribute| StoreError::Corrupt { attribute };
            let sealed = SealedTotpSecret::from_stored(item.blob(TOTP_SECRET)?.to_vec());
            let kid = sealed.kid().map_err(|_| corrupt(TOTP_SECRET))?;
            if sort == SECOND_FACTOR_SORT {
                let user = user.parse().map_err(|_| corrupt(PARTITION_KEY))?;
                let recovery_key = SealedRecoveryKey::from_stored(item.blob(RECOVERY_KEY)?.to_vec());
                let recovery_kid = recovery_key.kid().map_err(|_| corrupt(RECOVERY_KEY))?;
                for kid in BTreeSet::from([kid, recovery_kid]) {
                    self.uses(kid).second_factors.push(user);
                }
            } else {
                self.uses(kid).enrollments += usize::from(item.moment(ENDS_AT)? > now);
                if item.optional_moment(ENDS_AT_BEFORE)?.is_some_and(|end| end > now) {
                    let before = SealedTotpSecret::from_stored(item.blob(TOTP_SECRET_BEFORE)?.to_vec());
                    let kid_before = before.kid().map_err(|_| corrupt(TOTP_SECRET_BEFORE))?;
                    self.uses(kid_before).enrollments += usize::from(kid_before != kid);
                }
            }
        }
        Ok(())
    }

    fn uses(&mut self, kid: Kid) -> &mut VersionUses {
        self.0.entry(kid).or_default()
    }
}

impl Store {
    /// Counts what depends on each version of the master secret, by reading the whole table.
    pub async fn uses_by_version(&self, now: Timestamp) -> Result<UsesByVersion, StoreError> {
        let mut uses = UsesByVersion::default();
        self.for_each_item(|item| uses.count(item, now), |_| ()).await?;
        Ok(uses)
    }
}
