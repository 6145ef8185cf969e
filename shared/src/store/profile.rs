//! The profile: what an account is to its owner.

use super::table::{
    error::StoreError,
    item::Item,
    keys::{CREATED_AT, DELETED_AT, EPOCH, LEGACY_ID, MFA_ENABLED, PHONE, PHONE_VERIFIED_AT},
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::phone::Phone,
};

/// What an account's owner may see of it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Whose it is.
    pub user: UserId,
    /// The phone.
    pub phone: Phone,
    /// Whether a code that was sent to the phone came back.
    pub phone_verified: bool,
    /// Whether a second factor is on.
    pub mfa_enabled: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The identifier that it had in the system that it was imported from.
    pub legacy_id: Option<i64>,
    /// The session epoch: sessions of an earlier one are dead.
    pub epoch: u64,
}

impl Profile {
    /// A tombstone is of no account.
    pub(super) fn read(user: UserId, item: &Item) -> Result<Option<Self>, StoreError> {
        if item.has(DELETED_AT) {
            return Ok(None);
        }
        Ok(Some(Self {
            user,
            phone: item.phone(PHONE)?,
            phone_verified: item.has(PHONE_VERIFIED_AT),
            mfa_enabled: item.flag(MFA_ENABLED),
            created_at: item.moment(CREATED_AT)?,
            legacy_id: item.optional_integer(LEGACY_ID)?,
            epoch: item.number(EPOCH)?,
        }))
    }
}
