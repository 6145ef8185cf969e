//! Accounts that come from another system, each with the identifier that it had there.

use std::collections::HashMap;

use super::{
    Store,
    accounts::{self, NewAccount},
    expression::{NewItem, Write},
    keys::{Key, LEGACY_ID},
    wire::{StoreError, Transacted},
};
use crate::{id::UserId, password::PasswordHash, phone::Phone, time::Timestamp};

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
        let mark = Write::Create(NewItem { key: Key::import(account), attributes: HashMap::new() });
        let [credential, profile] = accounts::create(new, now);
        match self.transact(vec![credential, profile, mark]).await? {
            Transacted::Committed => Ok(Import::Created),
            Transacted::Refused(_) => Ok(self.imported(account).await?.unwrap_or(Import::PhoneTaken)),
        }
    }

    /// What an import of this account would find: none when nothing is in its way.
    pub async fn imported(&self, account: &ImportedAccount) -> Result<Option<Import>, StoreError> {
        if self.read(Key::import(account)).await?.is_some() {
            return Ok(Some(Import::AlreadyThere));
        }
        let Some(credential) = self.credential(&account.phone).await? else { return Ok(None) };
        let profile = self.read(Key::profile(credential.user)).await?;
        let legacy_id = profile.map(|profile| profile.optional_integer(LEGACY_ID)).transpose()?.flatten();
        Ok(Some(if legacy_id == Some(account.legacy_id) { Import::AlreadyThere } else { Import::PhoneTaken }))
    }
}
