//! The public keys that verify access tokens.

use super::{
    Store,
    table::{
        error::StoreError,
        expression::ItemUpdate,
        item::{Item, number, text},
        keys::{GENERATION, Key, PUBLIC_KEYS},
        wire::Outcome,
    },
};
use crate::tokens::key_schedule::KeySet;

/// The outcome of publishing a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The key set is published.
    Done,
    /// A later key set was published first; nothing was written.
    Outrun,
}

impl Store {
    /// Returns the published keys, or `None` before the first rotation.
    pub async fn key_set(&self) -> Result<Option<KeySet>, StoreError> {
        let item = self.read(Key::key_set()).await?;
        item.as_ref().map(KeySet::read).transpose()
    }

    /// Publishes a key set in place of any earlier one. Publishing the same set again changes nothing.
    pub async fn publish(&self, keys: &KeySet) -> Result<Publication, StoreError> {
        let json = serde_json::to_string(&keys.keys).map_err(|error| StoreError::Bug(error.into()))?;
        let update = ItemUpdate::new(Key::key_set())
            .set("#generation = :generation")
            .set("#public_keys = :public_keys")
            .when(
                "attribute_not_exists(#generation) OR #generation < :generation \
                 OR (#generation = :generation AND #public_keys = :public_keys)",
            )
            .value(":generation", number(keys.generation))
            .value(":public_keys", text(json));
        Ok(match self.update(update).await? {
            Outcome::Applied(_) => Publication::Done,
            Outcome::Refused(_) => Publication::Outrun,
        })
    }
}

impl KeySet {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let keys = serde_json::from_str(item.text(PUBLIC_KEYS)?);
        let keys = keys.map_err(|_| StoreError::Corrupt { attribute: PUBLIC_KEYS })?;
        Ok(Self { generation: item.number(GENERATION)?, keys })
    }
}
