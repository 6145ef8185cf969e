//! The profile: the part of an account that its owner may see.

use super::table::{
    error::StoreError,
    item::Item,
    keys::{
        CREATED_AT, DELETED_AT, ENDS_AT, EPOCH, Key, LEGACY_ID, MFA_ENABLED, PARKED_AT, PASSWORDLESS, PHONE,
        PHONE_VERIFIED_AT,
    },
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::{legacy_id::LegacyId, phone::Phone},
};

/// The data of an account that its owner may see.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The account's user.
    pub user: UserId,
    /// Where the account's credential lies: under its phone, unless it is parked.
    pub home: Home,
    /// Whether a code has proved who owns the phone. False for a parked account, which has none.
    pub phone_verified: bool,
    /// Whether the account has a password.
    pub has_password: bool,
    /// Whether a second factor is on.
    pub mfa_enabled: bool,
    /// The time at which the account was created.
    pub created_at: Timestamp,
    /// The account's identifier in the system that it was imported from, if it was.
    pub legacy_id: Option<LegacyId>,
    /// The account's epoch. Sessions of an earlier epoch have ended.
    pub epoch: u64,
}

/// Where the credential of an account lies, and so which phone it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// The account has this phone.
    Phone(Phone),
    /// The account is parked: another one has its phone (docs/adr/0050-recycled-numbers.md).
    Parked {
        /// The phone that it had, by which its owner names it.
        former: Phone,
        /// The time until which its owner may come back.
        ends_at: Timestamp,
    },
}

impl Home {
    fn read(profile: &Item) -> Result<Self, StoreError> {
        let phone = profile.phone(PHONE)?;
        Ok(if profile.has(PARKED_AT) {
            Self::Parked { former: phone, ends_at: profile.moment(ENDS_AT)? }
        } else {
            Self::Phone(phone)
        })
    }

    /// Returns the account's phone; none if it is parked.
    pub const fn phone(&self) -> Option<&Phone> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::Parked { .. } => None,
        }
    }

    /// Returns the account's phone, or the one that it had. Nothing is sent to the latter: it is somebody else's.
    pub const fn number(&self) -> &Phone {
        match self {
            Self::Phone(phone) | Self::Parked { former: phone, .. } => phone,
        }
    }

    /// Returns the time until which a parked account waits for its owner; none if it is not parked.
    pub const fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Phone(_) => None,
            Self::Parked { ends_at, .. } => Some(*ends_at),
        }
    }

    /// Returns the key of the credential.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Phone(phone) => Key::credential(phone),
            Self::Parked { former, .. } => Key::parked(former),
        }
    }
}

impl Profile {
    /// Returns the account's phone; none if it is parked.
    pub const fn phone(&self) -> Option<&Phone> {
        self.home.phone()
    }

    /// Returns the time until which a parked account waits for its owner; none if it is not parked.
    pub const fn parked_until(&self) -> Option<Timestamp> {
        self.home.ends_at()
    }

    /// Reads a profile from its item. Returns `None` for a tombstone, which has no account.
    pub(super) fn read(user: UserId, item: &Item) -> Result<Option<Self>, StoreError> {
        if item.has(DELETED_AT) {
            return Ok(None);
        }
        Ok(Some(Self {
            user,
            home: Home::read(item)?,
            phone_verified: item.has(PHONE_VERIFIED_AT),
            has_password: !item.flag(PASSWORDLESS),
            mfa_enabled: item.flag(MFA_ENABLED),
            created_at: item.moment(CREATED_AT)?,
            legacy_id: item.optional_legacy_id(LEGACY_ID)?,
            epoch: item.number(EPOCH)?,
        }))
    }
}
