//! Accounts that are imported from another system. Each keeps the identifier that it had there.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

use super::{
    Store,
    accounts::{self, NewAccount},
    table::{
        error::StoreError,
        expression::{NewItem, Write},
        keys::{Key, LEGACY_ID},
        wire::Transacted,
    },
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::{legacy_id::LegacyId, password::PasswordHash, phone::Phone},
};

/// An account of another system, to be imported.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// The account's identifier in the other system.
    pub legacy_id: LegacyId,
    /// The account's phone.
    pub phone: Phone,
    /// The password, as the other system stored it.
    pub password: OldPassword,
}

/// The password of an account to be imported.
#[derive(Clone, Debug)]
pub enum OldPassword {
    /// The hash of the other system.
    Hash(PasswordHash),
    /// There is none: the owner signs in by a code. The text is a keyed hash of the account's old identifier and phone, which
    /// recognizes the account as the hash's salt does otherwise.
    None(String),
}

impl OldPassword {
    /// Returns the hash, if there is a password.
    pub fn hash(&self) -> Option<&PasswordHash> {
        match self {
            Self::Hash(hash) => Some(hash),
            Self::None(_) => None,
        }
    }
}

impl ImportedAccount {
    /// Returns the key that records the import of this account: a digest of its old identifier, phone and password hash.
    /// So an import of the same user is recognized, and the table keeps nothing readable of a user who is deleted here:
    /// the hash has a salt of 128 random bits, so that nobody can try phones or identifiers without the old database; and
    /// in its place, the keyed hash of an account without a password takes our key to try.
    fn key(&self) -> Key {
        let unguessable = match &self.password {
            OldPassword::Hash(hash) => hash.as_str(),
            OldPassword::None(keyed) => keyed,
        };
        let user = format!("{}#{}#{unguessable}", self.legacy_id, self.phone.as_e164());
        Key::import(&BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, user.as_bytes())))
    }
}

/// The outcome of importing an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// The account was created.
    Created,
    /// The account was imported before.
    AlreadyThere,
    /// The phone has another account.
    PhoneTaken,
}

impl Store {
    /// Creates an account that another system had, unless its phone has an account. One transaction, so that repeating
    /// an import, or continuing one that was cut off, creates no second account. A mark of the import stays, so that no
    /// later import restores an account that was deleted or has another phone since.
    pub async fn import_account(
        &self,
        user: UserId,
        account: &ImportedAccount,
        now: Timestamp,
    ) -> Result<Import, StoreError> {
        let ImportedAccount { legacy_id, phone, password } = account;
        let password_hash = password.hash();
        let new = NewAccount {
            user,
            phone,
            password_hash,
            phone_verified_at: None,
            legacy_id: Some(legacy_id),
            starts_session: false,
        };
        let mark = Write::Create(NewItem { key: account.key(), attributes: HashMap::new() });
        let [credential, profile] = accounts::create(new, now);
        match self.transact(vec![credential, profile, mark]).await? {
            Transacted::Committed => Ok(Import::Created),
            Transacted::Refused(_) => Ok(self.imported(account).await?.unwrap_or(Import::PhoneTaken)),
        }
    }

    /// Returns what prevents the import of this account, or `None` if nothing does.
    pub async fn imported(&self, account: &ImportedAccount) -> Result<Option<Import>, StoreError> {
        if self.read(account.key()).await?.is_some() {
            return Ok(Some(Import::AlreadyThere));
        }
        let Some(credential) = self.credential(&account.phone).await? else { return Ok(None) };
        let profile = self.read(Key::profile(credential.user)).await?;
        let legacy_id = profile.map(|profile| profile.optional_legacy_id(LEGACY_ID)).transpose()?.flatten();
        Ok(Some(if legacy_id.as_ref() == Some(&account.legacy_id) { Import::AlreadyThere } else { Import::PhoneTaken }))
    }
}
