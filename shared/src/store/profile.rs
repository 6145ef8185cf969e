//! The profile: the part of an account that its owner may see.

use super::table::{
    error::StoreError,
    item::Item,
    keys::{CREATED_AT, DELETED_AT, EPOCH, LEGACY_ID, MFA_ENABLED, PASSWORDLESS, PHONE, PHONE_VERIFIED_AT},
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::phone::Phone,
};

/// The data of an account that its owner may see.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The account's user.
    pub user: UserId,
    /// The account's phone.
    pub phone: Phone,
    /// Whether a code has proved who owns the phone.
    pub phone_verified: bool,
    /// Whether the account has a password.
    pub has_password: bool,
    /// Whether a second factor is on.
    pub mfa_enabled: bool,
    /// The time at which the account was created.
    pub created_at: Timestamp,
    /// The account's identifier in the system that it was imported from, if it was.
    pub legacy_id: Option<i64>,
    /// The account's epoch. Sessions of an earlier epoch have ended.
    pub epoch: u64,
}

impl Profile {
    /// Reads a profile from its item. Returns `None` for a tombstone, which has no account.
    pub(super) fn read(user: UserId, item: &Item) -> Result<Option<Self>, StoreError> {
        if item.has(DELETED_AT) {
            return Ok(None);
        }
        Ok(Some(Self {
            user,
            phone: item.phone(PHONE)?,
            phone_verified: item.has(PHONE_VERIFIED_AT),
            has_password: !item.flag(PASSWORDLESS),
            mfa_enabled: item.flag(MFA_ENABLED),
            created_at: item.moment(CREATED_AT)?,
            legacy_id: item.optional_integer(LEGACY_ID)?,
            epoch: item.number(EPOCH)?,
        }))
    }
}
