//! One-time codes: issued under a cooldown and budgets, tried under a count that is charged before anything is compared,
//! used once.

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

/// How many wrong codes a phone has in a window, over all its codes of one purpose (NIST SP 800-63B section 3.2.2).
const MAX_FAILURES: u64 = 100;

/// How long that window is: so long an attacker who used it up has to wait, and so long its owner too. Signing in with
/// the password goes on working.
const FAILURE_WINDOW: Duration = Duration::from_hours(30 * 24);

/// The phone that a code is asked for: its account, and the window that its failures are counted in.
#[derive(Clone, Copy, Debug)]
pub struct CodeTarget {
    /// The account behind the phone, if there is one.
    pub account: Option<CodeAccount>,
    failures_since: Option<Timestamp>,
}

impl CodeTarget {
    /// The same phone, for a code of this account's.
    #[must_use]
    pub fn for_account(self, account: CodeAccount) -> Self {
        Self { account: Some(account), ..self }
    }
}

/// A code to be issued.
#[derive(Clone, Copy, Debug)]
pub struct NewCode<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// Whom it is sent to.
    pub phone: &'a Phone,
    /// Which sending.
    pub challenge: ChallengeId,
    /// Its hash.
    pub mac: &'a OtpMac,
    /// When it is issued.
    pub now: Timestamp,
    /// How long it lives.
    pub ttl: Duration,
    /// How soon the next may be asked for.
    pub cooldown: Duration,
}

/// What became of issuing a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeIssue {
    /// It is stored; send it.
    Issued,
    /// Not now; an older code is as it was.
    LimitReached(LimitReached),
}

/// What became of a change of phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneChange {
    /// The account has the new phone.
    Done,
    /// The new phone has an account.
    PhoneTaken,
    /// The code was used, or account or session changed meanwhile; nothing was written.
    Overtaken,
}

/// A code that waits to be typed in.
#[derive(Clone, Debug)]
pub struct PendingCode {
    /// Whose account it is for; none when the phone was unknown.
    pub account: Option<CodeAccount>,
    /// Which sending.
    pub challenge: ChallengeId,
    /// Its hash.
    pub mac: OtpMac,
    /// The password that the account is to have, when the code is to make one.
    pub password_hash: Option<PasswordHash>,
}

impl Store {
    /// Looks a phone up before a code is issued for it, known or not, with the same read.
    pub async fn code_target(&self, phone: &Phone, purpose: Purpose) -> Result<CodeTarget, StoreError> {
        let [credential, code] = self.read_all([Key::credential(phone), Key::code(phone, purpose)]).await?;
        let since = code.filter(|item| item.has(FAILURES_SINCE)).map(|item| item.moment(FAILURES_SINCE));
        Ok(CodeTarget { account: accounts::account(credential.as_ref())?, failures_since: since.transpose()? })
    }

    /// Replaces the phone's code for this purpose, under the cooldown and the budgets, all or nothing. Without an account no
    /// message is sent, and the budgets that all share are only looked at.
    ///
    /// The tries are the new code's own; the failures of the window are not reset by it.
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
            // A new window, unless somebody else has begun it.
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

    /// Takes a code back that certainly was not sent: it is no code any more, and the next may be asked for at once. Not
    /// its place in the budgets; and not a newer code, should a slow failure come after one.
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

    /// Counts a try, and only then says what to compare the code with.
    ///
    /// One conditional update: of any number of parallel guesses only so many are ever compared, and the count stands
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
            Outcome::Applied(item) => Ok(Attempt::Admitted {
                with: PendingCode::read(&item)?,
                receipt: Receipt::of(
                    Key::code(phone, purpose),
                    &item,
                    &["#attempts = #attempts - :one", "#failures = #failures - :one"],
                    "#attempts >= :one AND #failures >= :one",
                )?,
            }),
            Outcome::Refused(None) => Ok(Attempt::Nothing),
            Outcome::Refused(Some(item)) => {
                let used_up = item.count(FAILURES)? >= MAX_FAILURES;
                let retry_after = item.moment(FAILURES_SINCE)?.plus(FAILURE_WINDOW).since(now);
                // Once the window is over the next code begins another; this one cannot be tried any more.
                Ok(if used_up && !retry_after.is_zero() {
                    Attempt::LimitReached(LimitReached { bucket: Bucket::OtpPhone, retry_after })
                } else {
                    Attempt::Nothing
                })
            }
        }
    }

    /// Counts a try that a new registration of the same phone must not forgive: the failures of one registration die with
    /// it. Right ones are counted as well, for after a right one there is nothing left to guess.
    ///
    /// Counted for the phone's pseudonym: the count outlives an account that is deleted.
    pub async fn charge_activation_attempt(
        &self,
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        let subject = format!("activation:{pseudonym}");
        let (bucket, window) = (Bucket::OtpPhone, FAILURE_WINDOW);
        self.charge(Limit { bucket, subject: &subject, allowed: MAX_FAILURES, window }, now).await
    }

    /// Uses a right code up and sets the new password, in one transaction: of two right codes at once one wins. Ends
    /// every session, verifies the phone, and clears the login throttle and the failures of the window.
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

    /// Uses a right code up and moves the account to the phone that it was sent to, which counts as verified; ends every
    /// session but one.
    ///
    /// One transaction: the code, the credential of the new phone under the condition that it has no account, that of the
    /// old one (which becomes a ghost: the number is free), the profile, the session that stays, and the old phone's codes,
    /// which lead to the account.
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

    /// Uses a right code up and marks the account's phone as verified, in one transaction.
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

/// The condition under which the next code may be sent.
pub(super) const COOLED_DOWN: &str = "(attribute_not_exists(#resend_at) OR #resend_at <= :now)";

/// Puts a code in the place of the one before, with tries of its own.
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

/// Binds a code to an account as it is.
pub(super) fn bind(code: ItemUpdate, account: CodeAccount) -> ItemUpdate {
    code.set("#user_id = :user")
        .set("#epoch = :epoch")
        .set("#mfa_enabled = :mfa_enabled")
        .value(":user", text(account.user.to_string()))
        .value(":epoch", number(account.epoch))
        .value(":mfa_enabled", AttributeValue::Bool(account.mfa_enabled))
}

/// What refused a code: the cooldown, which is the first of these parts, or a budget, which are the others. A budget says
/// more than the cooldown: it lasts longer.
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

/// The part of a transaction that uses a code up: of two right ones at once one wins. The failures of the window are
/// forgiven.
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
    fn read(item: &Item) -> Result<Self, StoreError> {
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
        })
    }
}
