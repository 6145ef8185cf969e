//! Registrations that wait for a code. The account is created only after a code has proved who owns the phone.

use std::time::Duration;

use super::{
    CodeIssue, CodeTarget, NewCode, PendingCode, Store, UsedCode,
    accounts::{self, CodeAccount, NewAccount},
    codes, devices,
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
    /// Stores the code of a registration, under the cooldown of its phone and these limits. Either every write happens or
    /// none.
    ///
    /// The first code brings the password hash, which waits with the registration. Another code may follow while the
    /// registration waits. `account` is the one to be created, or one that the phone has and whose owner may have left the
    /// phone.
    pub async fn issue_activation(
        &self,
        code: NewCode<'_>,
        target: &CodeTarget,
        (account, first): (CodeAccount, Option<&PasswordHash>),
        limits: &[Limit<'_>],
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
        self.issue_pending(code, update, limits, waits).await
    }

    /// Issues the code of a reset that is stored under a challenge alone, under the cooldown and these limits: that of a known
    /// device, so that whoever names the phone tries other codes, or another one of a challenge that waits, beside the code
    /// that it has.
    pub async fn issue_reset_by_challenge(
        &self,
        code: NewCode<'_>,
        target: &CodeTarget,
        limits: &[Limit<'_>],
    ) -> Result<ActivationIssue, StoreError> {
        let update = if code.purpose == Purpose::ResetBy(code.challenge) {
            codes::under_challenge(code, target.account)
        } else {
            codes::bind_to(target.open.issue(&code, target.account), target.account)
                .set("#failures_since = if_not_exists(#failures_since, :now)")
                .set("#expires_at = :expires_at")
                .value(":now", moment(code.now))
                .value(":expires_at", ttl(code.now.plus(code.ttl)))
        };
        self.issue_pending(code, update, limits, |_| Ok(false)).await
    }

    /// Stores a code of something that waits for it under its own identifier: a registration, or a challenge. `update` is
    /// the write of the item; `waits` tells whether an item that refused it still waits.
    pub(super) async fn issue_pending(
        &self,
        code: NewCode<'_>,
        update: ItemUpdate,
        limits: &[Limit<'_>],
        waits: impl Fn(&Item) -> Result<bool, StoreError>,
    ) -> Result<ActivationIssue, StoreError> {
        let now = code.now;
        // The cooldown belongs to the phone or the device, not to what waits, so that beginning again does not send another
        // message at once.
        let kept = code.cooldown_of();
        let by = |update: ItemUpdate| update.set(kept.begun_by).value(":challenge", text(code.challenge.to_string()));
        let cooldown = match (code.device, code.purpose) {
            (Some(device), _) => by(devices::unless_forgotten(&device)),
            // That of all resets of the phone, in the item of the codes that are tried by the phone.
            (None, Purpose::ResetBy(_)) => ItemUpdate::new(Key::code(code.phone, Purpose::Reset))
                .set("#expires_at = if_not_exists(#expires_at, :expires_at)")
                .value(":expires_at", ttl(now.plus(code.cooldown))),
            (None, _) => by(ItemUpdate::new(Key::cooldown(code.phone, code.purpose)))
                .set("#expires_at = :expires_at")
                .value(":expires_at", ttl(now.plus(code.cooldown))),
        };
        let cooldown = cooldown
            .remove("#op")
            .set(kept.begin)
            .and_when(kept.is_over)
            .value(":now", moment(now))
            .value(":resend_at", moment(now.plus(code.cooldown)));
        let mut writes = vec![Write::Update(update), Write::Update(cooldown)];
        writes.extend(limits.iter().map(|limit| limit.of_code(code.is_sent, now)));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => ActivationIssue::Code(CodeIssue::Issued),
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, rest @ ..] => {
                    ActivationIssue::Code(codes::refused(rest, limits, (true, kept.attribute), now)?)
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
