//! One-time codes. A code is issued under a cooldown and budgets. Each try is counted before anything is compared. A
//! code is used once.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Store,
    accounts::{self, CodeAccount},
    deletion,
    limits::{Bucket, Limit, LimitReached},
    outcome::{Attempt, Change},
    profile::Profile,
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{Item, moment, number, text, ttl},
        keys::{
            CHALLENGE_ID, CODE_MAC, EPOCH, FAILURES, FAILURES_SINCE, Key, MFA_ENABLED, PASSWORD_HASH, RESEND_AT,
            USER_ID,
        },
        wire::{Outcome, Part, Receipt, Transacted},
    },
};
use crate::{
    base::{
        id::{ChallengeId, SessionId},
        time::Timestamp,
    },
    domain::{
        otp::{OtpMac, Purpose},
        password::PasswordHash,
        phone::Phone,
    },
};

/// The largest number of wrong codes per phone and window, over all codes of one purpose (NIST SP 800-63B section
/// 3.2.2).
const MAX_FAILURES: u64 = 100;

/// The length of that window. An attacker who has used up the number must wait for the end of the window, and so must
/// the owner. Signing in with the password still works.
const FAILURE_WINDOW: Duration = Duration::from_hours(30 * 24);

/// The phone that a code is requested for: its account, and the window in which its failures are counted.
#[derive(Clone, Copy, Debug)]
pub struct CodeTarget {
    /// The account of the phone, if it has one.
    pub account: Option<CodeAccount>,
    failures_since: Option<Timestamp>,
}

impl CodeTarget {
    /// Returns the same phone with this account, which the code will be bound to.
    #[must_use]
    pub fn for_account(self, account: CodeAccount) -> Self {
        Self { account: Some(account), ..self }
    }
}

/// A code to be issued.
#[derive(Clone, Copy, Debug)]
pub struct NewCode<'a> {
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The phone that the code is sent to.
    pub phone: &'a Phone,
    /// The identifier of this sending.
    pub challenge: ChallengeId,
    /// The HMAC of the code.
    pub mac: &'a OtpMac,
    /// The time of issue.
    pub now: Timestamp,
    /// The lifetime of the code.
    pub ttl: Duration,
    /// The time until the next code may be requested.
    pub cooldown: Duration,
}

/// The outcome of issuing a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeIssue {
    /// The code is stored. The caller sends it.
    Issued,
    /// A limit refused the code. An older code stays as it was.
    LimitReached(LimitReached),
}

/// The outcome of a change of phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneChange {
    /// The account has the new phone.
    Done,
    /// The new phone has another account.
    PhoneTaken,
    /// The code was used, or the account or the session changed in the meantime; nothing was written.
    Overtaken,
}

/// A code that waits to be entered.
#[derive(Clone, Debug)]
pub struct PendingCode {
    /// The account that the code is bound to, or `None` if the phone was unknown.
    pub account: Option<CodeAccount>,
    /// The identifier of the sending.
    pub challenge: ChallengeId,
    /// The HMAC of the code.
    pub mac: OtpMac,
    /// The password hash of the account to be created, if the code activates one.
    pub password_hash: Option<PasswordHash>,
    /// The receipt of the counted try, for a right code that stays valid because something else is missing.
    pub receipt: Receipt,
}

impl Store {
    /// Looks up a phone before a code is issued for it. Known and unknown phones take the same read.
    pub async fn code_target(&self, phone: &Phone, purpose: Purpose) -> Result<CodeTarget, StoreError> {
        let [credential, code] = self.read_all([Key::credential(phone), Key::code(phone, purpose)]).await?;
        let since = code.filter(|item| item.has(FAILURES_SINCE)).map(|item| item.moment(FAILURES_SINCE));
        Ok(CodeTarget { account: accounts::account(credential.as_ref())?, failures_since: since.transpose()? })
    }

    /// Replaces the phone's code for this purpose, under the cooldown and the budgets. Either every write happens or
    /// none. Without an account, no message is sent, and the shared budgets are only checked.
    ///
    /// The new code has tries of its own. It does not reset the failures of the window.
    pub async fn issue_code(
        &self,
        code: NewCode<'_>,
        target: CodeTarget,
        budgets: &[Limit<'_>],
    ) -> Result<CodeIssue, StoreError> {
        let now = code.now;
        let update = replace(&code)
            .set("#resend_at = :resend_at")
            .set("#expires_at = :expires_at")
            .value(":now", moment(now))
            .value(":resend_at", moment(now.plus(code.cooldown)))
            .value(":expires_at", ttl(now.plus(FAILURE_WINDOW)));
        let update = match target.account {
            Some(account) => bind(update, account),
            None => update.remove("#user_id").remove("#epoch").remove("#mfa_enabled"),
        };
        let update = match target.failures_since {
            // Begins a new window, unless another request has begun one.
            Some(since) if since.plus(FAILURE_WINDOW) <= now => update
                .set("#failures = :zero")
                .set("#failures_since = :now")
                .value(":since", moment(since))
                .when(format!("{COOLED_DOWN} AND #failures_since = :since")),
            _ => update.set("#failures_since = if_not_exists(#failures_since, :now)").when(COOLED_DOWN),
        };

        let mut writes = vec![Write::Update(update)];
        writes.extend(budgets.iter().map(|budget| budget.of_code(target.account.is_some(), now)));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => CodeIssue::Issued,
            Transacted::Refused(parts) => CodeIssue::LimitReached(limit_reached(&parts, budgets, code.cooldown, now)?),
        })
    }

    /// Takes back a code that was certainly not sent: the code is no longer valid, and the next may be requested at
    /// once. The budgets stay charged. If a slow failure arrives after a newer code was issued, the newer code stays.
    pub async fn withdraw_code(
        &self,
        phone: &Phone,
        purpose: Purpose,
        challenge: ChallengeId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut keys = vec![Key::code(phone, purpose)];
        if let Purpose::Activation(_) = purpose {
            keys.push(Key::activation_cooldown(phone));
        }
        for key in keys {
            let update = ItemUpdate::new(key)
                .remove("#code_mac")
                .set("#resend_at = :now")
                .when("#challenge_id = :challenge")
                .value(":challenge", text(challenge.to_string()))
                .value(":now", moment(now));
            self.update(update).await?;
        }
        Ok(())
    }

    /// Counts a try, and only then returns the code to compare it with.
    ///
    /// One conditional update counts the try, so that `max_attempts` also limits parallel guesses. The count stands
    /// whatever happens next.
    pub async fn spend_code_attempt(
        &self,
        phone: &Phone,
        purpose: Purpose,
        max_attempts: u64,
        now: Timestamp,
    ) -> Result<Attempt<PendingCode>, StoreError> {
        let update = ItemUpdate::new(Key::code(phone, purpose))
            .add("#attempts :one")
            .add("#failures :one")
            .when(
                "attribute_exists(#code_mac) AND #code_ends_at > :now AND #attempts < :max_attempts \
                 AND (attribute_not_exists(#failures) OR #failures < :max_failures)",
            )
            .value(":one", number(1))
            .value(":now", moment(now))
            .value(":max_attempts", number(max_attempts))
            .value(":max_failures", number(MAX_FAILURES));
        match self.update(update).await? {
            Outcome::Applied(item) => {
                let receipt = Receipt::of(
                    Key::code(phone, purpose),
                    &item,
                    &["#attempts = #attempts - :one", "#failures = #failures - :one"],
                    "#attempts >= :one AND #failures >= :one",
                )?;
                Ok(Attempt::Admitted { with: PendingCode::read(&item, receipt.clone())?, receipt })
            }
            Outcome::Refused(None) => Ok(Attempt::Nothing),
            Outcome::Refused(Some(item)) => {
                let used_up = item.count(FAILURES)? >= MAX_FAILURES;
                let retry_after = item.moment(FAILURES_SINCE)?.plus(FAILURE_WINDOW).since(now);
                // After the end of the window, the next code begins a new one. This code can no longer be tried.
                Ok(if used_up && !retry_after.is_zero() {
                    Attempt::LimitReached(LimitReached { bucket: Bucket::OtpPhone, retry_after })
                } else {
                    Attempt::Nothing
                })
            }
        }
    }

    /// Counts a try against a limit that a new registration of the same phone does not reset, because the failures of a
    /// registration end with it. Right codes are counted as well, because after a right one nothing is left to guess.
    ///
    /// The subject of the limit is the phone's pseudonym, because the count outlives a deleted account.
    pub async fn charge_activation_attempt(
        &self,
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        let subject = format!("activation:{pseudonym}");
        let (bucket, window) = (Bucket::OtpPhone, FAILURE_WINDOW);
        self.charge(Limit { bucket, subject: &subject, allowed: MAX_FAILURES, window }, now).await
    }

    /// Uses up a right code and sets the new password, in one transaction, so that only one of two parallel requests
    /// wins. Ends every session, verifies the phone, and clears the login throttle and the failures of the window.
    pub async fn reset_password(
        &self,
        phone: &Phone,
        account: CodeAccount,
        code: &PendingCode,
        new: &PasswordHash,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let spent = Write::Update(spend(phone, Purpose::Reset, code, now));
        let [credential, profile] = accounts::reset_password(phone, account, new, now);
        Ok(self.transact(vec![spent, credential, profile]).await?.into())
    }

    /// Uses up a right code and moves the account to the phone that the code was sent to, which then counts as
    /// verified. Ends every session but one.
    ///
    /// One transaction uses up the code and writes the credential of the new phone, under the condition that the phone
    /// has no account; the credential of the old phone, which becomes a ghost, so that the number is free; the profile;
    /// and the session that stays. It also deletes the codes of the old phone, because they lead to the account.
    pub async fn change_phone(
        &self,
        profile: &Profile,
        new: &Phone,
        code: &PendingCode,
        staying: SessionId,
        now: Timestamp,
    ) -> Result<PhoneChange, StoreError> {
        let Some(credential) = self.credential(&profile.phone).await? else { return Ok(PhoneChange::Overtaken) };
        let mut writes = vec![Write::Update(spend(new, Purpose::ChangePhone(profile.user), code, now))];
        writes.extend(accounts::change_phone(profile, &credential, new, staying, now));
        writes.extend(deletion::delete_own_codes(&profile.phone));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => PhoneChange::Done,
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, Part::Failed(_), ..] => PhoneChange::PhoneTaken,
                _ => PhoneChange::Overtaken,
            },
        })
    }

    /// Uses up a right code and marks the account's phone as verified, in one transaction.
    pub async fn confirm_phone(
        &self,
        phone: &Phone,
        account: CodeAccount,
        code: &PendingCode,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let spent = Write::Update(spend(phone, Purpose::VerifyPhone, code, now));
        Ok(self.transact(vec![spent, accounts::confirm_phone(phone, account, now)]).await?.into())
    }
}

/// The condition that allows the next code to be sent.
pub(super) const COOLED_DOWN: &str = "(attribute_not_exists(#resend_at) OR #resend_at <= :now)";

/// Builds the update that replaces a phone's code with this one, which has tries of its own.
pub(super) fn replace(code: &NewCode<'_>) -> ItemUpdate {
    ItemUpdate::new(Key::code(code.phone, code.purpose))
        .remove("#op")
        .set("#code_mac = :mac")
        .set("#challenge_id = :challenge")
        .set("#attempts = :zero")
        .set("#code_ends_at = :ends_at")
        .value(":mac", code.mac.into())
        .value(":challenge", text(code.challenge.to_string()))
        .value(":zero", number(0))
        .value(":ends_at", moment(code.now.plus(code.ttl)))
}

/// Binds a code to an account at its current epoch.
pub(super) fn bind(code: ItemUpdate, account: CodeAccount) -> ItemUpdate {
    code.set("#user_id = :user")
        .set("#epoch = :epoch")
        .set("#mfa_enabled = :mfa_enabled")
        .value(":user", text(account.user.to_string()))
        .value(":epoch", number(account.epoch))
        .value(":mfa_enabled", AttributeValue::Bool(account.mfa_enabled))
}

/// Returns the limit that refused a code: the cooldown, which is the first of these parts, or a budget, which the other
/// parts are. A budget takes precedence over the cooldown, because it lasts longer.
pub(super) fn limit_reached(
    parts: &[Part],
    budgets: &[Limit<'_>],
    cooldown: Duration,
    now: Timestamp,
) -> Result<LimitReached, StoreError> {
    let reached = parts.iter().skip(1).zip(budgets).find(|(part, _)| matches!(part, Part::Failed(_)));
    Ok(match (reached, parts.first()) {
        (Some((_, budget)), _) => budget.reached(now),
        (None, Some(Part::Failed(Some(item)))) => {
            LimitReached { bucket: Bucket::MessagesCooldown, retry_after: item.moment(RESEND_AT)?.since(now) }
        }
        (None, _) => LimitReached { bucket: Bucket::MessagesCooldown, retry_after: cooldown },
    })
}

/// Builds the part of a transaction that uses up a code, so that only one of two parallel requests wins. Resets the
/// failures of the window.
pub(super) fn spend(phone: &Phone, purpose: Purpose, code: &PendingCode, now: Timestamp) -> ItemUpdate {
    ItemUpdate::new(Key::code(phone, purpose))
        .remove("#op")
        .remove("#code_mac")
        .set("#failures = :zero")
        .set("#failures_since = :now")
        .when("#challenge_id = :challenge AND #code_mac = :mac AND #code_ends_at > :now")
        .value(":zero", number(0))
        .value(":challenge", text(code.challenge.to_string()))
        .value(":mac", (&code.mac).into())
        .value(":now", moment(now))
}

impl PendingCode {
    fn read(item: &Item, receipt: Receipt) -> Result<Self, StoreError> {
        let account = if item.has(USER_ID) {
            let (user, epoch) = (item.parsed(USER_ID)?, item.number(EPOCH)?);
            Some(CodeAccount { user, epoch, mfa_enabled: item.flag(MFA_ENABLED) })
        } else {
            None
        };
        let password_hash = item.has(PASSWORD_HASH).then(|| item.text(PASSWORD_HASH)).transpose()?;
        Ok(Self {
            account,
            challenge: item.parsed(CHALLENGE_ID)?,
            mac: OtpMac::from_stored(item.bytes(CODE_MAC)?),
            password_hash: password_hash.map(|hash| PasswordHash::from_stored(hash.to_owned())),
            receipt,
        })
    }
}
