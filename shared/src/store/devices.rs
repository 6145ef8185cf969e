//! Known devices, each with a count of wrong passwords of its own, so that strangers who guess at its owner's phone do not
//! keep it waiting (docs/adr/0052-known-devices.md).

use std::time::Duration;

use tokio::try_join;

use super::{
    Credential, Store,
    limits::{Bucket, LimitReached},
    outcome::Attempt,
    table::{
        error::StoreError,
        expression::{ItemDeletion, ItemUpdate, Write},
        item::{moment, ttl},
        keys::{FORGOTTEN_AT, Key},
        wire::{Outcome, Receipt},
    },
    throttle::PASSWORDS,
};
use crate::{
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::phone::Phone,
    tokens::device::{self, DeviceToken},
};

/// The time for which an item outlives the tokens of its device before DynamoDB may delete it.
const KEPT: Duration = Duration::from_hours(24);

/// The outcome of a try of a login on a device that the phone's account may know.
#[derive(Clone, Debug)]
pub enum DeviceTry {
    /// The account knows the device: its own count decided.
    Known(Attempt<Credential>),
    /// The token is of another account or another epoch, or the device is forgotten. The receipt gives the device back what it
    /// has counted, if anything.
    Unknown(Option<Receipt>),
}

/// Adds to an update of a device's item that it is refused if the device is forgotten, and that the item lives as long as the
/// token: after a hundred tries, waiting does not bring another hundred.
fn kept(update: ItemUpdate, device: &DeviceToken) -> ItemUpdate {
    update
        .set("#expires_at = :expires_at")
        .and_when("attribute_not_exists(#forgotten_at)")
        .value(":expires_at", ttl(device.ends_at().plus(KEPT)))
}

/// Begins an update of a device's item, which is refused if the device is forgotten.
pub(super) fn unless_forgotten(device: &DeviceToken) -> ItemUpdate {
    kept(ItemUpdate::new(Key::device(device.user, device.device)), device)
}

impl Store {
    /// Counts a try of a login for a device that the phone's account may know, and returns the credential to compare the
    /// password with.
    ///
    /// The device's count and the credential are read at the same time, so that a known device costs no more steps than
    /// an unknown one. The calls are the same for known and unknown phones.
    pub async fn spend_device_attempt(
        &self,
        device: &DeviceToken,
        phone: &Phone,
        now: Timestamp,
    ) -> Result<DeviceTry, StoreError> {
        let key = Key::device(device.user, device.device);
        let counted = kept(PASSWORDS.spend(key.clone(), now), device);
        let (counted, credential) = try_join!(self.update(counted), self.credential(phone))?;
        let credential = credential.filter(|found| (found.user, found.epoch) == (device.user, device.epoch));
        Ok(match (counted, credential) {
            (Outcome::Applied(item), Some(with)) => {
                DeviceTry::Known(Attempt::Admitted { with, receipt: PASSWORDS.receipt(key, &item)? })
            }
            (Outcome::Refused(Some(item)), Some(_)) if !item.has(FORGOTTEN_AT) => {
                let retry_after = PASSWORDS.retry_after(&item, now)?;
                DeviceTry::Known(Attempt::LimitReached(LimitReached { bucket: Bucket::LoginDevice, retry_after }))
            }
            (Outcome::Applied(item), None) => DeviceTry::Unknown(Some(PASSWORDS.receipt(key, &item)?)),
            (Outcome::Refused(_), _) => DeviceTry::Unknown(None),
        })
    }

    /// Ends a session and forgets its device, in one transaction: the device's token counts as none from now on.
    pub async fn end_session_and_forget(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let forgotten = PASSWORDS
            .forget(ItemUpdate::new(Key::device(user, session)))
            .remove("#op")
            .set("#forgotten_at = :now")
            .set("#expires_at = :expires_at")
            .value(":now", moment(now))
            .value(":expires_at", ttl(now.plus(device::LIFETIME).plus(KEPT)));
        let ended = ItemDeletion::new(Key::session(user, session));
        self.transact(vec![Write::Update(forgotten), Write::Delete(ended)]).await.map(|_| ())
    }

    /// Forgets the wrong passwords on a known device, after a right one. A device that is forgotten stays so.
    pub(super) async fn clear_device(&self, device: &DeviceToken) -> Result<(), StoreError> {
        self.delete_without(Key::device(device.user, device.device), FORGOTTEN_AT).await
    }
}
