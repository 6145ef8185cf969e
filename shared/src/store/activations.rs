//! Registrations that wait for a code: the account is written when the code is right, and nothing of it before.

use std::time::Duration;

use super::{
    CodeIssue, NewCode, PendingCode, Store,
    accounts::{self, CodeAccount, NewAccount},
    codes::{self, COOLED_DOWN},
    limits::Limit,
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{moment, text, ttl},
        keys::Key,
        wire::{Part, Transacted},
    },
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::{otp::Purpose, password::PasswordHash, phone::Phone},
};

/// How long a registration waits, and its password hash with it: so long another code may be sent for it.
const WAITS: Duration = Duration::from_hours(1);

/// What became of issuing the code of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationIssue {
    /// As of any code.
    Code(CodeIssue),
    /// The registration is over, or never was.
    NotWaiting,
}

/// What became of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The account exists now: this user's.
    Created(UserId),
    /// The phone got an account meanwhile.
    PhoneTaken,
    /// The code was used meanwhile; nothing was written.
    Outrun,
}

impl Store {
    /// Whether a phone has an account.
    pub async fn has_account(&self, phone: &Phone) -> Result<bool, StoreError> {
        Ok(self.credential(phone).await?.is_some())
    }

    /// Stores the code of a registration, under the cooldown of its phone and the budgets, all or nothing.
    ///
    /// The first one brings the password's hash, which waits with the registration; each later one replaces the one
    /// before, while the registration waits. `user` is who will have the account.
    pub async fn issue_activation(
        &self,
        code: NewCode<'_>,
        user: UserId,
        first: Option<&PasswordHash>,
        budgets: &[Limit<'_>],
    ) -> Result<ActivationIssue, StoreError> {
        let now = code.now;
        let update = codes::bind(codes::replace(&code), CodeAccount::new(user));
        let update = match first {
            Some(password_hash) => update
                .set("#password_hash = :hash")
                .set("#failures_since = :now")
                .set("#ends_at = :waits_until")
                .set("#expires_at = :expires_at")
                .when("attribute_not_exists(#pk)")
                .value(":hash", password_hash.into())
                .value(":now", moment(now))
                .value(":waits_until", moment(now.plus(WAITS)))
                .value(":expires_at", ttl(now.plus(WAITS).plus(code.ttl))),
            None => update.when("attribute_exists(#password_hash) AND #ends_at > :now").value(":now", moment(now)),
        };
        // Of the phone, and not of the registration: whoever registers again does not get another message at once.
        let cooldown = ItemUpdate::new(Key::activation_cooldown(code.phone))
            .remove("#op")
            .set("#challenge_id = :challenge")
            .set("#resend_at = :resend_at")
            .set("#expires_at = :expires_at")
            .when(COOLED_DOWN)
            .value(":challenge", text(code.challenge.to_string()))
            .value(":now", moment(now))
            .value(":resend_at", moment(now.plus(code.cooldown)))
            .value(":expires_at", ttl(now.plus(code.cooldown)));

        let mut writes = vec![Write::Update(update), Write::Update(cooldown)];
        writes.extend(budgets.iter().map(|budget| Write::Update(budget.charge(now))));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => ActivationIssue::Code(CodeIssue::Issued),
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, rest @ ..] => ActivationIssue::Code(CodeIssue::LimitReached(codes::limit_reached(
                    rest,
                    budgets,
                    code.cooldown,
                    now,
                )?)),
                _ => ActivationIssue::NotWaiting,
            },
        })
    }

    /// Uses a right code up and makes the account, with the password of this registration and a phone that counts as
    /// verified; in one transaction, under the condition that the phone has no account.
    pub async fn activate(
        &self,
        phone: &Phone,
        purpose: Purpose,
        code: &PendingCode,
        now: Timestamp,
    ) -> Result<Activation, StoreError> {
        let (Some(CodeAccount { user, .. }), Some(password_hash)) = (code.account, &code.password_hash) else {
            return Ok(Activation::Outrun);
        };
        let spent = codes::spend(phone, purpose, code, now).remove("#password_hash").remove("#user_id");
        let new = NewAccount { user, phone, password_hash, phone_verified_at: Some(now), legacy_id: None };
        let [credential, profile] = accounts::create(new, now);
        Ok(match self.transact(vec![Write::Update(spent), credential, profile]).await? {
            Transacted::Committed => Activation::Created(user),
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, Part::Failed(_), ..] => Activation::PhoneTaken,
                _ => Activation::Outrun,
            },
        })
    }
}
