//! Registrations that wait for a code. The account is created only after a code has proved who owns the phone.

use std::time::Duration;

use super::{
    CodeIssue, CodeTarget, NewCode, PendingCode, Store, UsedCode,
    accounts::{self, CodeAccount, NewAccount},
    codes::{self, COOLED_DOWN},
    limits::Limit,
    sessions::NewSession,
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{Item, moment, text, ttl},
        keys::{ENDS_AT, Key, PASSWORD_HASH},
        wire::{Part, Transacted},
    },
};
use crate::{
    base::{id::UserId, time::Timestamp},
    domain::{otp::Purpose, password::PasswordHash, phone::Phone, repeat::RepeatMac},
};

/// The time for which a registration and its password hash wait. Until then, another code may be sent for the
/// registration.
const WAITS: Duration = Duration::from_hours(1);

/// The outcome of issuing the code of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationIssue {
    /// The registration waits; the outcome is that of any code.
    Code(CodeIssue),
    /// The registration has ended or never existed.
    NotWaiting,
}

/// The outcome of an activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The account was created, for this user.
    Created(UserId),
    /// The phone got another account in the meantime.
    PhoneTaken,
    /// Another request used the same code first; nothing was written.
    Repeated(UsedCode),
    /// The registration has another code, or none; nothing was written.
    Outrun,
}

impl Store {
    /// Stores the code of a registration, under the cooldown of its phone, the phone's count of tries and the budgets.
    /// Either every write happens or none.
    ///
    /// The first code brings the password hash, which waits with the registration. Another code may follow while the
    /// registration waits. `account` is the one to be created, or one that the phone has and whose owner may have left the
    /// phone; `pseudonym` is the phone's.
    pub async fn issue_activation(
        &self,
        code: NewCode<'_>,
        target: &CodeTarget,
        (account, first, pseudonym): (CodeAccount, Option<&PasswordHash>, &str),
        budgets: &[Limit<'_>],
    ) -> Result<ActivationIssue, StoreError> {
        let now = code.now;
        let update = codes::bind(target.open.issue(&code, Some(account)), account);
        let update = match first {
            Some(password_hash) => update
                .set("#password_hash = :hash")
                .set("#failures_since = :now")
                .set("#ends_at = :waits_until")
                .set("#expires_at = :expires_at")
                .and_when("attribute_not_exists(#pk)")
                .value(":hash", password_hash.into())
                .value(":now", moment(now))
                .value(":waits_until", moment(now.plus(WAITS)))
                .value(":expires_at", ttl(now.plus(WAITS).plus(code.ttl))),
            None => update.and_when("attribute_exists(#password_hash) AND #ends_at > :now").value(":now", moment(now)),
        };
        let waits = |item: &Item| Ok(item.has(PASSWORD_HASH) && item.moment(ENDS_AT)? > now);
        self.issue_pending(code, update, pseudonym, budgets, waits).await
    }

    /// Stores a code of something that waits for it under its own identifier: a registration, or a challenge. `update` is
    /// the write of the item; `waits` tells whether an item that refused it still waits.
    pub(super) async fn issue_pending(
        &self,
        code: NewCode<'_>,
        update: ItemUpdate,
        pseudonym: &str,
        budgets: &[Limit<'_>],
        waits: impl Fn(&Item) -> Result<bool, StoreError>,
    ) -> Result<ActivationIssue, StoreError> {
        let now = code.now;
        // The cooldown belongs to the phone, not to what waits, so that beginning again does not send another message at
        // once.
        let cooldown = ItemUpdate::new(Key::cooldown(code.phone, code.purpose))
            .remove("#op")
            .set("#challenge_id = :challenge")
            .set("#resend_at = :resend_at")
            .set("#expires_at = :expires_at")
            .when(COOLED_DOWN)
            .value(":challenge", text(code.challenge.to_string()))
            .value(":now", moment(now))
            .value(":resend_at", moment(now.plus(code.cooldown)))
            .value(":expires_at", ttl(now.plus(code.cooldown)));
        // A code that would be refused is not paid for.
        let subject = codes::tries_subject(code.purpose, pseudonym);
        let tries = codes::tries_of_phone(&subject);

        let mut writes = vec![Write::Update(update), Write::Update(cooldown), Write::Check(tries.check(now))];
        writes.extend(budgets.iter().map(|budget| budget.of_code(code.is_sent, now)));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => ActivationIssue::Code(CodeIssue::Issued),
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, rest @ ..] => {
                    let limits: Vec<_> = std::iter::once(&tries).chain(budgets).copied().collect();
                    ActivationIssue::Code(codes::refused(rest, &limits, true, now)?)
                }
                [Part::Failed(Some(item)), ..] if waits(item)? => ActivationIssue::Code(CodeIssue::Overtaken),
                _ => ActivationIssue::NotWaiting,
            },
        })
    }

    /// Uses up a right code and creates the account, with the password of this registration and a verified phone, and its
    /// first session if one is asked for. One transaction does all of it, under the condition that the phone has no
    /// account.
    pub async fn activate(
        &self,
        phone: &Phone,
        purpose: Purpose,
        (code, effect): (&PendingCode, &RepeatMac),
        session: Option<NewSession>,
        now: Timestamp,
    ) -> Result<Activation, StoreError> {
        let (Some(CodeAccount { user, .. }), Some(password_hash)) = (code.account, &code.password_hash) else {
            return Ok(Activation::Outrun);
        };
        let spent = codes::spend(phone, purpose, code, effect, now).remove("#password_hash");
        let spent = match &session {
            Some(session) => codes::leave_session(spent, Some(session)),
            None => spent.remove("#user_id"),
        };
        let password_hash = Some(password_hash);
        let starts_session = session.is_some();
        let phone_verified_at = Some(now);
        let new = NewAccount { user, phone, password_hash, phone_verified_at, legacy_id: None, starts_session };
        let [credential, profile] = accounts::create(new, now);
        let mut writes = vec![Write::Update(spent), credential, profile];
        writes.extend(session.map(|session| Write::Create(session.into_item())));
        writes.extend(code.counted(now));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => Activation::Created(user),
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, Part::Failed(_), ..] => Activation::PhoneTaken,
                parts => UsedCode::of_refused(parts, code, now)?.map_or(Activation::Outrun, Activation::Repeated),
            },
        })
    }
}
