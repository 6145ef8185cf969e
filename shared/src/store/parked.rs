//! Phones that may have another owner: second steps that a code has begun, accounts that leave their phone to a new one, and
//! their owners, who come back (docs/adr/0050-recycled-numbers.md).

use super::{
    CodeAccount, CodeUse, PendingCode, Store,
    accounts::{self, Credential, NewAccount},
    codes, deletion,
    outcome::{Attempt, Change},
    profile::{Home, Profile},
    repeatable, second_factors,
    sessions::NewSession,
    table::{
        error::StoreError,
        expression::{ItemCheck, ItemUpdate, Write},
        item::{Item, moment, number, text},
        keys::{ENDS_AT, Key, PASSWORD_HASH, PHONE_PROVED_AT},
        wire::{Part, Transacted},
    },
};
use crate::{
    base::{
        id::{TokenId, UserId},
        time::Timestamp,
    },
    domain::{otp::Purpose, password::PasswordHash, phone::Phone, proof::SignInMethod, repeat::RepeatMac},
};

/// An account that is parked, as its owner tries to come back to it.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Its credential.
    pub credential: Credential,
    /// Where that lies.
    pub home: Home,
    /// The time until which it waits.
    pub ends_at: Timestamp,
}

/// The account that a phone gets in place of its old one.
#[derive(Clone, Copy, Debug)]
pub struct NewLife<'a> {
    /// Its user.
    pub user: UserId,
    /// The phone, which the old account leaves to it.
    pub phone: &'a Phone,
    /// The hash of its password, if it has one.
    pub password_hash: Option<&'a PasswordHash>,
    /// The time until which the old account is parked.
    pub old_ends_at: Timestamp,
}

/// The outcome of starting anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAnew {
    /// The phone has the new account, and the old one is parked.
    Done,
    /// Another account that had this phone is parked still.
    Occupied,
    /// The claim was used, or the old account has changed since.
    Over,
}

impl Parked {
    /// Reads a parked account; none if the item is a ghost's, or its time is over.
    fn read(
        former: &Phone,
        credential: Option<Credential>,
        item: &Item,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let Some(credential) = credential else { return Ok(None) };
        let ends_at = item.moment(ENDS_AT)?;
        let home = Home::Parked { former: former.clone(), ends_at };
        // DynamoDB may keep it for days after its end.
        Ok((ends_at > now).then_some(Self { credential, home, ends_at }))
    }
}

impl Store {
    /// Uses up a right code and stores the sign-in that it has begun until its second step: the second factor, or another
    /// proof because the phone was not proved for long. The new password of a registration waits with it.
    ///
    /// One transaction, under the condition that the account is as it was when the code was bound to it. It does not count
    /// the phone as proved: only the second step shows whose it is. The code's item remembers the second step until the end
    /// of the code, for a client whose response is lost.
    pub async fn begin_second_step_by_code(
        &self,
        (phone, purpose): (&Phone, Purpose),
        (account, code, effect): (CodeAccount, &PendingCode, &RepeatMac),
        (token, ends_at): (TokenId, Timestamp),
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<CodeUse, StoreError> {
        let spent = codes::spend(phone, purpose, code, effect, now)
            .remove("#password_hash")
            .set("#second_step = :second_step")
            .value(":second_step", text(token.to_string()));
        let unchanged = ItemCheck::new(Key::credential(phone), "#user_id = :user AND #epoch = :epoch")
            .value(":user", text(account.user.to_string()))
            .value(":epoch", number(account.epoch));
        let mut waiting = second_factors::waiting_login(account, SignInMethod::Code, token, ends_at);
        waiting.attributes.insert(PHONE_PROVED_AT.to_owned(), moment(now));
        if let Some(hash) = &code.password_hash {
            waiting.attributes.insert(PASSWORD_HASH.to_owned(), hash.into());
        }
        let mut writes = vec![Write::Update(spent), Write::Check(unchanged), Write::Create(waiting)];
        if !purpose.is_counted_apart() {
            writes.push(Write::Update(codes::clear_codes(purpose, pseudonym, now)));
        }
        writes.extend(codes::end_copy(phone, purpose, code, now));
        writes.extend(code.counted(now));
        CodeUse::of(self.transact(writes).await?, code, now)
    }

    /// Gives the phone to a new account, for a caller who has proved by a code that they have it. The old account is parked,
    /// and its sessions, codes and second steps end.
    ///
    /// One transaction ends the claim and writes both accounts and the first session of the new one, under the condition
    /// that the old one is as it was when the code was used. So of several callers who start anew, and of its owner who
    /// comes back, changes the phone or deletes the account at the same time, one succeeds.
    pub async fn start_anew(
        &self,
        old: &Profile,
        credential: &Credential,
        new: NewLife<'_>,
        (token, request, until): (TokenId, &RepeatMac, Timestamp),
        session: NewSession,
        now: Timestamp,
    ) -> Result<StartAnew, StoreError> {
        let NewLife { user, phone, password_hash, old_ends_at } = new;
        let is_same = (credential.user, credential.epoch, Some(phone)) == (old.user, old.epoch, old.phone());
        let Some(proved_at) = credential.phone_proved_at.filter(|_| is_same) else { return Ok(StartAnew::Over) };
        let ended = ItemUpdate::new(Key::second_step(old.user, token))
            .remove("#op")
            .remove("#password_hash")
            .set("#user_id = :successors_user")
            .when("#ends_at > :now AND attribute_not_exists(#successor) AND attribute_exists(#phone_proved_at)")
            .value(":successors_user", text(user.to_string()))
            .value(":now", moment(now));
        let mut writes = vec![Write::Update(repeatable::leave(ended, request, until, session.id))];
        let new = NewAccount {
            user,
            phone,
            password_hash,
            phone_verified_at: Some(now),
            legacy_id: None,
            starts_session: true,
        };
        writes.extend(accounts::park(old, credential, proved_at, new, old_ends_at, now));
        writes.push(Write::Create(session.into_item()));
        writes.extend(deletion::delete_own_codes(&old.home));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => StartAnew::Done,
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, Part::Failed(_), Part::Fine, ..] => StartAnew::Occupied,
                _ => StartAnew::Over,
            },
        })
    }

    /// Counts an attempt to come back to the account that is parked for this phone, and only then returns it. As at a login,
    /// the same update serves phones for which none is parked.
    pub async fn spend_recovery_attempt(
        &self,
        former: &Phone,
        now: Timestamp,
    ) -> Result<Attempt<Option<Parked>>, StoreError> {
        Ok(match self.spend_attempt_at(Key::parked(former), now).await? {
            Attempt::Admitted { with: (credential, item), receipt } => {
                Attempt::Admitted { with: Parked::read(former, credential, &item, now)?, receipt }
            }
            Attempt::LimitReached(reached) => Attempt::LimitReached(reached),
            Attempt::Nothing => Attempt::Nothing,
        })
    }

    /// Returns the account that is parked for this phone, without counting an attempt: for a proof that nobody can guess.
    pub async fn parked(&self, former: &Phone, now: Timestamp) -> Result<Option<Parked>, StoreError> {
        let Some(item) = self.read(Key::parked(former)).await? else { return Ok(None) };
        Parked::read(former, Credential::read(&item)?, &item, now)
    }

    /// Gives a parked account a phone again, as an operator has found its owner to have it, and ends its sessions. One
    /// transaction, under the condition that the phone has no account.
    pub async fn unpark(
        &self,
        profile: &Profile,
        credential: &Credential,
        phone: &Phone,
        now: Timestamp,
    ) -> Result<Unparked, StoreError> {
        let Home::Parked { ends_at, .. } = profile.home else { return Ok(Unparked::Overtaken) };
        if ends_at <= now {
            return Ok(Unparked::Overtaken);
        }
        let writes = accounts::change_phone(profile, credential, phone, now);
        Ok(match self.transact(writes).await? {
            Transacted::Committed => Unparked::Done,
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Failed(_), ..] => Unparked::PhoneTaken,
                _ => Unparked::Overtaken,
            },
        })
    }

    /// Counts an account's phone as proved now, as an operator has found its owner to have it.
    pub async fn confirm_owner(&self, profile: &Profile, now: Timestamp) -> Result<Change, StoreError> {
        let Some(phone) = profile.phone() else { return Ok(Change::Overtaken) };
        let renewed = accounts::renew_proof(phone, profile.user, profile.epoch, now);
        Ok(self.transact(vec![Write::Update(renewed)]).await?.into())
    }
}

/// The outcome of giving a parked account a phone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparked {
    /// The account has the phone.
    Done,
    /// The phone has another account.
    PhoneTaken,
    /// The account changed, or its time is over; nothing was written.
    Overtaken,
}
