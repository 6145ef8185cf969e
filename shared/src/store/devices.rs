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
        wire::Outcome,
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

/// What a password is compared with at a login.
#[derive(Clone, Debug)]
pub struct LoginTry {
    /// The credential of the phone's account, if the phone has one.
    pub credential: Option<Credential>,
    /// The known device whose count the try is charged to; none if that is the phone's.
    pub device: Option<DeviceToken>,
}

impl Store {
    /// Counts a try of a login, on a device that the phone's account may know, and returns the credential to
    /// compare the password with.
    ///
    /// The device's count and the credential are read at the same time, so that a known device costs no more steps than
    /// an unknown one. If the token is of another account or another epoch, or the device is forgotten, the try is
    /// charged to the phone, and the device gets its own back. The calls are the same for known and unknown phones.
    pub async fn spend_login_attempt_on(
        &self,
        device: Option<DeviceToken>,
        phone: &Phone,
        now: Timestamp,
    ) -> Result<Attempt<LoginTry>, StoreError> {
        let Some(device) = device else {
            let attempt = self.spend_login_attempt(phone, now).await?;
            return Ok(attempt.map(|credential| LoginTry { credential, device: None }));
        };
        let key = Key::device(device.user, device.device);
        let counted = PASSWORDS
            .spend(key.clone(), now)
            // The count lives as long as the token: after a hundred tries, waiting does not bring another hundred.
            .set("#expires_at = :expires_at")
            .and_when("attribute_not_exists(#forgotten_at)")
            .value(":expires_at", ttl(device.ends_at().plus(KEPT)));
        let (counted, credential) = try_join!(self.update(counted), self.credential(phone))?;
        let credential = credential.filter(|found| (found.user, found.epoch) == (device.user, device.epoch));
        let receipt = match (counted, credential) {
            (Outcome::Applied(item), Some(credential)) => {
                let with = LoginTry { credential: Some(credential), device: Some(device) };
                return Ok(Attempt::Admitted { with, receipt: PASSWORDS.receipt(key, &item)? });
            }
            (Outcome::Refused(Some(item)), Some(_)) if !item.has(FORGOTTEN_AT) => {
                let retry_after = PASSWORDS.retry_after(&item, now)?;
                return Ok(Attempt::LimitReached(LimitReached { bucket: Bucket::LoginDevice, retry_after }));
            }
            (Outcome::Applied(item), None) => Some(PASSWORDS.receipt(key, &item)?),
            (Outcome::Refused(_), _) => None,
        };
        let given_back = async {
            match receipt {
                Some(receipt) => self.take_back(receipt).await,
                None => Ok(()),
            }
        };
        let (attempt, ()) = try_join!(self.spend_login_attempt(phone, now), given_back)?;
        Ok(attempt.map(|credential| LoginTry { credential, device: None }))
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
