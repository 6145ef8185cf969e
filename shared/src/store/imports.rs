//! Accounts that come from another system, each with the identifier that it had there.

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
    domain::{password::PasswordHash, phone::Phone},
};

/// An account of another system.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// Its identifier there.
    pub legacy_id: i64,
    /// Its phone.
    pub phone: Phone,
    /// The hash of its password, as it was there.
    pub password_hash: PasswordHash,
}

impl ImportedAccount {
    /// Under which the import of this account is remembered: by a digest of phone and hash, which has a salt. So the same
    /// user is known again, and nothing is kept of a user who is deleted here.
    fn key(&self) -> Key {
        let user = [self.password_hash.as_str(), self.phone.as_e164()].concat();
        Key::import(self.legacy_id, BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, user.as_bytes())))
    }
}

/// What became of importing an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// It exists now.
    Created,
    /// It was imported before.
    AlreadyThere,
    /// The phone has another account.
    PhoneTaken,
}

impl Store {
    /// Makes an account that another system had, unless its phone has one: in one transaction, so that the same import
    /// again, or one that was cut off and goes on, makes no second one. A mark of it stays, so that none comes back that was
    /// deleted or has another phone since.
    pub async fn import_account(
        &self,
        user: UserId,
        account: &ImportedAccount,
        now: Timestamp,
    ) -> Result<Import, StoreError> {
        let ImportedAccount { legacy_id, phone, password_hash } = account;
        let new = NewAccount { user, phone, password_hash, phone_verified_at: None, legacy_id: Some(*legacy_id) };
        let mark = Write::Create(NewItem { key: account.key(), attributes: HashMap::new() });
        let [credential, profile] = accounts::create(new, now);
        match self.transact(vec![credential, profile, mark]).await? {
            Transacted::Committed => Ok(Import::Created),
            Transacted::Refused(_) => Ok(self.imported(account).await?.unwrap_or(Import::PhoneTaken)),
        }
    }

    /// What an import of this account would find: none when nothing is in its way.
    pub async fn imported(&self, account: &ImportedAccount) -> Result<Option<Import>, StoreError> {
        if self.read(account.key()).await?.is_some() {
            return Ok(Some(Import::AlreadyThere));
        }
        let Some(credential) = self.credential(&account.phone).await? else { return Ok(None) };
        let profile = self.read(Key::profile(credential.user)).await?;
        let legacy_id = profile.map(|profile| profile.optional_integer(LEGACY_ID)).transpose()?.flatten();
        Ok(Some(if legacy_id == Some(account.legacy_id) { Import::AlreadyThere } else { Import::PhoneTaken }))
    }
}
