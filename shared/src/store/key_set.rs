//! The public keys that verify access tokens.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Store,
    table::{
        error::StoreError,
        expression::ItemUpdate,
        item::{Item, number, text},
        keys::{GENERATION, Key, LEAVING_KEYS, PUBLIC_KEYS, REMOVED_KEYS},
        wire::Outcome,
    },
};
use crate::tokens::key_schedule::KeySet;

/// The outcome of publishing a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The key set is published.
    Done,
    /// Another key set was published first; nothing was written.
    Outrun,
}

impl Store {
    /// Returns the published keys, or `None` before the first rotation.
    pub async fn key_set(&self) -> Result<Option<KeySet>, StoreError> {
        let item = self.read(Key::key_set()).await?;
        item.as_ref().map(KeySet::read).transpose()
    }

    /// Publishes a key set in place of the edition `seen` (0 before the first), and of no other. Keys that it removes
    /// are added to the deny list, and no publication takes one off that list.
    pub async fn publish(&self, keys: &KeySet, seen: u64) -> Result<Publication, StoreError> {
        let json = serde_json::to_string(&keys.keys).map_err(|error| StoreError::Bug(error.into()))?;
        let mut update = ItemUpdate::new(Key::key_set())
            .set("#generation = :generation")
            .set("#public_keys = :public_keys")
            .when("#generation = :seen OR (attribute_not_exists(#generation) AND :seen = :none)")
            .value(":generation", number(keys.generation))
            .value(":public_keys", text(json))
            .value(":seen", number(seen))
            .value(":none", number(0));
        if !keys.removed.is_empty() {
            update = update.add("#removed_keys :removed").value(":removed", kids(&keys.removed));
        }
        // A key that is removed now is no longer to be removed.
        let done: BTreeSet<_> = keys.leaving.intersection(&keys.removed).cloned().collect();
        if !done.is_empty() {
            update = update.delete("#leaving_keys :done").value(":done", kids(&done));
        }
        Ok(match self.update(update).await? {
            Outcome::Applied(_) => Publication::Done,
            Outcome::Refused(_) => Publication::Outrun,
        })
    }

    /// Notes keys that have to be removed as soon as another key can be stored.
    pub async fn note_leaving_keys(&self, leaving: &BTreeSet<String>) -> Result<(), StoreError> {
        let update = ItemUpdate::new(Key::key_set())
            .add("#leaving_keys :leaving")
            .when("attribute_exists(#generation)")
            .value(":leaving", kids(leaving));
        self.update(update).await.map(|_| ())
    }
}

fn kids(kids: &BTreeSet<String>) -> AttributeValue {
    AttributeValue::Ss(kids.iter().cloned().collect())
}

/// Returns the deny list in the item of the key set.
pub(super) fn removed_keys(item: &Item) -> BTreeSet<String> {
    item.set(REMOVED_KEYS).iter().cloned().collect()
}

impl KeySet {
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let keys = serde_json::from_str(item.text(PUBLIC_KEYS)?);
        let keys = keys.map_err(|_| StoreError::Corrupt { attribute: PUBLIC_KEYS })?;
        let set = |name| item.set(name).iter().cloned().collect();
        Ok(Self { generation: item.number(GENERATION)?, keys, removed: set(REMOVED_KEYS), leaving: set(LEAVING_KEYS) })
    }
}
