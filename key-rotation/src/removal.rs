//! The removal of keys that have leaked, and the repair of a secret and a table that disagree.
//!
//! One conditional write to the table decides a removal: it takes the key out of the key set, puts it on the deny list,
//! and publishes a key that signs from then on. Signers have the private half of that key already: it waited its turn,
//! or it was the spare key. Everything after that write is repeated by the next run until it is done
//! (docs/adr/0020-removed-keys.md).

use std::collections::BTreeSet;

use latchkey::{
    ApiError,
    app::Disagreement,
    log::metrics::Metric,
    store::Publication,
    tokens::key_schedule::{KeySchedule, KeySet},
};
use serde_json::{Value, json};

use crate::{Rotation, RotationError, State, internal, next_generation};

/// How often a run begins anew after another run was faster.
const TRIES: usize = 8;

/// What a run came to.
pub(crate) struct Settled {
    pub(crate) state: State,
    /// Whether it changed anything.
    acted: bool,
}

impl Rotation<'_> {
    /// Removes a key for good.
    pub(crate) async fn remove(&self, kid: &str) -> Result<Value, ApiError> {
        let State { current, published, .. } = self.state().await?;
        let is_known = current.has(kid) || published.lists(kid) || published.leaving.contains(kid);
        let is_removed = published.removed.contains(kid) || current.removed().contains(kid);
        if !is_known && !is_removed {
            return Err(RotationError::NoSuchKey(kid.to_owned()).into());
        }
        let Settled { state, acted } = self.settle(&[kid.to_owned()].into()).await?;
        if !is_known && !acted {
            return Err(RotationError::NoSuchKey(kid.to_owned()).into());
        }
        Ok(json!({ "removed": kid, "signs": self.signs(&state.current, &state.published)? }))
    }

    /// Removes every key that the secret or the table has, as after a leak of the secret.
    pub(crate) async fn remove_every_key(&self) -> Result<Value, ApiError> {
        let State { current, published, .. } = self.state().await?;
        let published = published.keys.iter().map(|key| key.key.kid().to_owned());
        let kids: BTreeSet<_> = current.kids().into_iter().chain(published).collect();
        let Settled { state, .. } = self.settle(&kids).await?;
        Ok(json!({ "removed": kids, "signs": self.signs(&state.current, &state.published)? }))
    }

    /// Removes the keys in `wanted`, and every key that is on a deny list, from the table and then from the secret.
    /// Changes nothing if that is done already.
    pub(crate) async fn settle(&self, wanted: &BTreeSet<String>) -> Result<Settled, ApiError> {
        let mut acted = false;
        for tried in 0..TRIES {
            let State { version, current, published } = self.state().await?;
            if tried == 0 {
                self.report(&current, &published);
            }
            let lists = [wanted, &published.removed, &published.leaving, current.removed()];
            let removed: BTreeSet<_> = lists.into_iter().flatten().cloned().collect();
            let generation = next_generation(&current, &published);
            let left = current.without_all(&removed, generation, self.now);
            if !removed.is_empty() && !left.signs(self.now) {
                // The last key goes only when another one is stored, so that sign-in stays up.
                self.store_spare(&version, &current, generation, &removed, &published).await?;
                acted = true;
                continue;
            }

            let key_set = KeySet { leaving: published.leaving.clone(), ..left.key_set() };
            let signs = self.signs(&left, &published)?;
            let is_public = key_set.keys.iter().all(|key| published.lists(key.key.kid()));
            let table_is_behind = !removed.is_subset(&published.removed)
                || !is_public
                || (signs.is_none() && left.signs(self.now))
                || published.keys.iter().any(|key| removed.contains(key.key.kid()));
            let published = if table_is_behind {
                if self.app.store.publish(&key_set, published.generation).await? == Publication::Outrun {
                    continue;
                }
                acted = true;
                self.log(&removed, &published, &left, &key_set)?;
                key_set
            } else {
                published
            };

            let has_removed = removed.iter().any(|kid| current.has(kid));
            if !has_removed && removed.is_subset(current.removed()) {
                return Ok(Settled { state: State { version, current, published }, acted });
            }
            let left = if left.has_spare(self.app.config.keys.algorithm) {
                left
            } else {
                left.with_spare(self.new_key()?, generation).map_err(internal)?
            };
            acted = true;
            // Reads again, no matter which run won, so that the return value is what is stored.
            self.secret.replace(&version, &left).await?;
        }
        Err(RotationError::Outrun.into())
    }

    /// Stores a spare key beside the keys that have to go. If that fails, notes in the table that they have to.
    async fn store_spare(
        &self,
        version: &str,
        current: &KeySchedule,
        generation: u64,
        removed: &BTreeSet<String>,
        published: &KeySet,
    ) -> Result<(), ApiError> {
        let with_spare = current.with_spare(self.new_key()?, generation).map_err(internal)?;
        if let Err(error) = self.secret.replace(version, &with_spare).await {
            let leaving = removed.difference(&published.removed).cloned().collect::<BTreeSet<_>>();
            if !leaving.is_empty() {
                self.app.store.note_leaving_keys(&leaving).await?;
            }
            tracing::error!(
                target: "latchkey::events", event = "signing-key-leaving", kids = ?leaving,
                "a signing key is not removed yet, because no other could be stored; the next run removes it"
            );
            return Err(error.into());
        }
        Ok(())
    }

    /// Returns the key of the schedule that signs now by this key set.
    fn signs(&self, schedule: &KeySchedule, published: &KeySet) -> Result<Option<String>, ApiError> {
        let keys = schedule.signing_keys().map_err(internal)?;
        Ok(keys.at(self.now, published).map(|key| key.verifying().kid().to_owned()))
    }

    /// Reports a key that one place has on its deny list and the other still lists.
    fn report(&self, current: &KeySchedule, published: &KeySet) {
        if published.removed.iter().any(|kid| current.has(kid)) {
            self.app.report_disagreement(Disagreement::Secret, self.now);
        }
        if !current.removed().is_subset(&published.removed) {
            self.app.report_disagreement(Disagreement::Table, self.now);
        }
    }

    fn log(
        &self,
        removed: &BTreeSet<String>,
        before: &KeySet,
        left: &KeySchedule,
        published: &KeySet,
    ) -> Result<(), ApiError> {
        let signs = self.signs(left, published)?;
        for kid in removed.difference(&before.removed) {
            tracing::warn!(
                target: "latchkey::events", event = "signing-key-removed", kid, signs, "a signing key was removed"
            );
            self.app.metrics.count(Metric::KeyRemovals, kid, self.now);
        }
        Ok(())
    }
}
