//! One-time codes. A code is issued under a cooldown and budgets. Each try is counted before anything is compared. A
//! code is used once.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Store,
    accounts::{self, CodeAccount},
    deletion,
    limits::{Bucket, Limit, LimitReached},
    open_codes::{NewCode, OpenCodes},
    outcome::{Attempt, Change},
    profile::Profile,
    sessions::{NewSession, Renewal},
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{Item, moment, number, text, texts, ttl},
        keys::{FAILURES, FAILURES_SINCE, Key, PASSWORD_HASH, RESEND_AT, USER_ID},
        wire::{Outcome, Part, Receipt, Transacted},
    },
};
use crate::{
    base::{
        id::{ChallengeId, UserId},
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

/// The phone that a code is requested for: its account, its open codes, and the window in which its failures are
/// counted.
#[derive(Clone, Debug)]
pub struct CodeTarget {
    /// The account of the phone, if it has one.
    pub account: Option<CodeAccount>,
    /// Whether the phone has an account, be it one that an operator disabled.
    pub has_account: bool,
    pub(super) open: OpenCodes,
    failures_since: Option<Timestamp>,
}

impl CodeTarget {
    /// Returns the same phone with this account, which the code will be bound to.
    #[must_use]
    pub fn for_account(self, account: Option<CodeAccount>) -> Self {
        Self { account, ..self }
    }

    /// Returns the account that the open codes are bound to.
    pub fn bound_account(&self) -> Option<CodeAccount> {
        self.open.account
    }

    /// Returns the user whom the open codes are bound to. For a registration, that is who will have the account.
    pub fn bound_user(&self) -> Option<UserId> {
        self.open.account.map(|account| account.user)
    }
}

/// The outcome of issuing a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeIssue {
    /// The code is stored. The caller sends it.
    Issued,
    /// A limit refused the code. Older codes stay as they were.
    LimitReached(LimitReached),
    /// A code of the phone was issued or used since the target was read; nothing was written.
    Overtaken,
}

/// How a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It certainly was not sent: nobody knows the code.
    Certain,
    /// The provider said that it was not sent. Should it arrive all the same, the code works.
    Doubtful,
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

/// The codes that may be entered at one try.
#[derive(Clone, Debug)]
pub struct PendingCodes {
    /// The account that the codes are bound to, or `None` if the phone was unknown.
    pub account: Option<CodeAccount>,
    /// The identifiers of their sendings, and their HMACs, newest first.
    pub codes: Vec<(ChallengeId, OtpMac)>,
    password_hash: Option<PasswordHash>,
    /// The receipt of the counted try, for a right code that stays valid because something else is missing.
    pub receipt: Receipt,
}

/// A code that was entered and is right, but not used up yet.
#[derive(Clone, Debug)]
pub struct PendingCode {
    /// The account that the code is bound to, or `None` if the phone was unknown.
    pub account: Option<CodeAccount>,
    /// The identifier of the sending.
    pub challenge: ChallengeId,
    /// The password hash of the account to be created, if the code activates one.
    pub password_hash: Option<PasswordHash>,
    /// The receipt of the counted try, for a right code that stays valid because something else is missing.
    pub receipt: Receipt,
}

impl PendingCodes {
    fn read(item: &Item, receipt: Receipt, now: Timestamp) -> Result<Self, StoreError> {
        let open = OpenCodes::read(item)?;
        let password_hash = item.has(PASSWORD_HASH).then(|| item.text(PASSWORD_HASH)).transpose()?;
        Ok(Self {
            account: open.account,
            codes: open.usable(now).into_iter().map(|code| (code.challenge, code.mac)).collect(),
            password_hash: password_hash.map(|hash| PasswordHash::from_stored(hash.to_owned())),
            receipt,
        })
    }

    /// Returns the code of this sending, which was entered.
    pub fn entered(self, challenge: ChallengeId) -> PendingCode {
        PendingCode { account: self.account, challenge, password_hash: self.password_hash, receipt: self.receipt }
    }
}

impl Store {
    /// Looks up a phone before a code is issued for it. Known and unknown phones take the same read.
    pub async fn code_target(&self, phone: &Phone, purpose: Purpose) -> Result<CodeTarget, StoreError> {
        let [credential, code] = self.read_all([Key::credential(phone), Key::code(phone, purpose)]).await?;
        let code = code.unwrap_or_default();
        Ok(CodeTarget {
            account: accounts::account(credential.as_ref())?,
            has_account: credential.is_some_and(|credential| credential.has(USER_ID)),
            open: OpenCodes::read(&code)?,
            failures_since: code.optional_moment(FAILURES_SINCE)?,
        })
    }

    /// Issues another code for this purpose, under the cooldown, the failures of the window and the budgets. Either
    /// every write happens or none. If no message will be sent, the budgets are only checked.
    ///
    /// The new code has tries of its own. It does not reset the failures of the window, and the code before it may
    /// still be entered.
    pub async fn issue_code(
        &self,
        code: NewCode<'_>,
        target: &CodeTarget,
        budgets: &[Limit<'_>],
    ) -> Result<CodeIssue, StoreError> {
        let now = code.now;
        let update = target
            .open
            .issue(&code, target.account)
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
                .and_when(&format!("{COOLED_DOWN} AND #failures_since = :since")),
            // A code whose failures are used up would be refused, so no message is paid for it.
            _ => update
                .set("#failures_since = if_not_exists(#failures_since, :now)")
                .value(":max_failures", number(MAX_FAILURES))
                .and_when(&format!("{COOLED_DOWN} AND (attribute_not_exists(#failures) OR #failures < :max_failures)")),
        };

        let mut writes = vec![Write::Update(update)];
        writes.extend(budgets.iter().map(|budget| budget.of_code(code.is_sent, now)));
        Ok(match self.transact(writes).await? {
            Transacted::Committed => CodeIssue::Issued,
            Transacted::Refused(parts) => refused(&parts, budgets, now)?,
        })
    }

    /// Takes back a code whose message was not sent, in one transaction: gives back exactly what it was charged, so that
    /// the code before it may be entered as if it had not been issued; and with `is_free`, the next may be requested at
    /// once. The code itself stays, and its tries count as before.
    ///
    /// A newer code, should a slow failure come after one, keeps its cooldown. Of a code that was used, or whose account
    /// was deleted, only the budgets are left to give back.
    pub async fn take_back_code(
        &self,
        code: NewCode<'_>,
        failure: Failure,
        is_free: bool,
        charged: &[Limit<'_>],
    ) -> Result<(), StoreError> {
        let marked = || {
            let update = ItemUpdate::new(Key::code(code.phone, code.purpose));
            let update = match failure {
                Failure::Certain => update.add("#not_sent :marked"),
                Failure::Doubtful => update.add("#doubtful :marked"),
            };
            update.value(":marked", texts([code.challenge])).value(":challenge", text(code.challenge.to_string()))
        };
        let free = |update: ItemUpdate| {
            update.set("#resend_at = :now").value(":now", moment(code.now)).when("#challenge_id = :challenge")
        };
        let mut ways = Vec::new();
        if is_free && let Purpose::Activation(_) | Purpose::SignIn(_) = code.purpose {
            let cooldown = ItemUpdate::new(Key::cooldown(code.phone, code.purpose));
            let cooldown = cooldown.value(":challenge", text(code.challenge.to_string()));
            ways.push(vec![marked().when("contains(#open_challenges, :challenge)"), free(cooldown)]);
        } else if is_free {
            ways.push(vec![free(marked())]);
        }
        ways.push(vec![marked().when("contains(#open_challenges, :challenge)")]);
        ways.push(Vec::new());
        for way in ways {
            let given_back = charged.iter().map(|limit| limit.give_back(code.now));
            let writes: Vec<_> = way.into_iter().chain(given_back).map(Write::Update).collect();
            if writes.is_empty() || matches!(self.transact(writes).await?, Transacted::Committed) {
                break;
            }
        }
        Ok(())
    }

    /// Counts a try, and only then returns the codes to compare it with.
    ///
    /// One conditional update counts the try for all of them, so that their number of tries also limits parallel
    /// guesses. The count stands whatever happens next.
    pub async fn spend_code_attempt(
        &self,
        phone: &Phone,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Attempt<PendingCodes>, StoreError> {
        let update = ItemUpdate::new(Key::code(phone, purpose))
            .add("#attempts :one")
            .add("#failures :one")
            .when(
                "attribute_exists(#codes) AND #code_ends_at > :now AND #attempts < #attempts_end \
                 AND (attribute_not_exists(#failures) OR #failures < :max_failures)",
            )
            .value(":one", number(1))
            .value(":now", moment(now))
            .value(":max_failures", number(MAX_FAILURES));
        match self.update(update).await? {
            Outcome::Applied(item) => {
                let receipt = Receipt::of(
                    Key::code(phone, purpose),
                    &item,
                    &["#attempts = #attempts - :one", "#failures = #failures - :one"],
                    "#attempts >= :one AND #failures >= :one",
                )?;
                Ok(Attempt::Admitted { with: PendingCodes::read(&item, receipt.clone(), now)?, receipt })
            }
            Outcome::Refused(None) => Ok(Attempt::Nothing),
            Outcome::Refused(Some(item)) => {
                // After the end of the window, the next code begins a new one. These codes can no longer be tried.
                Ok(failures_used_up(&item, now)?.map_or(Attempt::Nothing, Attempt::LimitReached))
            }
        }
    }

    /// Counts a try against a limit that a new registration or challenge of the same phone does not reset, because their
    /// failures end with them. Right codes are counted as well: after that of a registration nothing is left to guess, and
    /// a right sign-in clears the count.
    ///
    /// The subject of the limit is the phone's pseudonym, because the count outlives a deleted account.
    pub async fn charge_phone_attempt(
        &self,
        purpose: Purpose,
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        self.charge(phone_attempts(&phone_subject(purpose, pseudonym)), now).await
    }

    /// Gives that count back, for a try that was not compared after all.
    pub async fn give_phone_attempt_back(
        &self,
        purpose: Purpose,
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.give_back_all(&[phone_attempts(&phone_subject(purpose, pseudonym))], now).await
    }

    /// Uses up a right code and sets the new password, in one transaction, so that only one of two parallel requests
    /// wins. Ends every session, verifies the phone, and clears the login throttle and the failures of the window. Starts a
    /// session if one is asked for.
    pub async fn reset_password(
        &self,
        phone: &Phone,
        account: CodeAccount,
        code: &PendingCode,
        new: &PasswordHash,
        session: Option<NewSession>,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let spent = Write::Update(spend(phone, Purpose::Reset, code, now));
        let [credential, profile] = accounts::reset_password(phone, account, new, now);
        let mut writes = vec![spent, credential, profile];
        writes.extend(session.map(|session| Write::Create(session.into_item())));
        Ok(self.transact(writes).await?.into())
    }

    /// Uses up a right code and moves the account to the phone that the code was sent to, which then counts as
    /// verified. Ends every session; the one that asked is renewed.
    ///
    /// One transaction uses up the code and writes the credential of the new phone, under the condition that the phone
    /// has no account; the credential of the old phone, which becomes a ghost, so that the number is free; the profile;
    /// and the session that takes the place of the old one. It also deletes the codes of the old phone, because they lead to the account.
    pub async fn change_phone(
        &self,
        profile: &Profile,
        new: &Phone,
        code: &PendingCode,
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<PhoneChange, StoreError> {
        let Some(credential) = self.credential(&profile.phone).await? else { return Ok(PhoneChange::Overtaken) };
        let mut writes = vec![Write::Update(spend(new, Purpose::ChangePhone(profile.user), code, now))];
        writes.extend(accounts::change_phone(profile, &credential, new, now));
        writes.extend(renewal.into_writes(profile.user, profile.epoch, now));
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

/// Returns the subject under which the tries at codes of a phone's registrations are counted, or those of its sign-ins.
pub(super) fn phone_subject(purpose: Purpose, pseudonym: &str) -> String {
    format!("{}:{pseudonym}", purpose.as_str())
}

/// Returns the limit of those tries.
pub(super) fn phone_attempts(subject: &str) -> Limit<'_> {
    Limit { bucket: Bucket::OtpPhone, subject, allowed: MAX_FAILURES, window: FAILURE_WINDOW }
}

/// The condition that allows the next code to be sent.
pub(super) const COOLED_DOWN: &str = "(attribute_not_exists(#resend_at) OR #resend_at <= :now)";

/// Binds a code to an account at its current epoch.
pub(super) fn bind(code: ItemUpdate, account: CodeAccount) -> ItemUpdate {
    code.set("#user_id = :user")
        .set("#epoch = :epoch")
        .set("#mfa_enabled = :mfa_enabled")
        .value(":user", text(account.user.to_string()))
        .value(":epoch", number(account.epoch))
        .value(":mfa_enabled", AttributeValue::Bool(account.mfa_enabled))
}

/// Returns why a code was refused: by a budget, which all parts but the first are, or by its item, which is the first. A
/// budget takes precedence over the cooldown, because it lasts longer.
pub(super) fn refused(parts: &[Part], budgets: &[Limit<'_>], now: Timestamp) -> Result<CodeIssue, StoreError> {
    let reached = parts.iter().skip(1).zip(budgets).find(|(part, _)| matches!(part, Part::Failed(_)));
    if let Some((_, budget)) = reached {
        return Ok(CodeIssue::LimitReached(budget.reached(now)));
    }
    let Some(Part::Failed(Some(item))) = parts.first() else { return Ok(CodeIssue::Overtaken) };
    if let Some(reached) = failures_used_up(item, now)? {
        return Ok(CodeIssue::LimitReached(reached));
    }
    Ok(match item.optional_moment(RESEND_AT)? {
        Some(resend_at) if resend_at > now => CodeIssue::LimitReached(LimitReached {
            bucket: Bucket::MessagesCooldown,
            retry_after: resend_at.since(now),
        }),
        _ => CodeIssue::Overtaken,
    })
}

/// Returns the limit of wrong codes, if the phone has reached it in a window that is not over.
fn failures_used_up(item: &Item, now: Timestamp) -> Result<Option<LimitReached>, StoreError> {
    if item.count(FAILURES)? < MAX_FAILURES {
        return Ok(None);
    }
    let retry_after = item.moment(FAILURES_SINCE)?.plus(FAILURE_WINDOW).since(now);
    Ok((!retry_after.is_zero()).then_some(LimitReached { bucket: Bucket::OtpPhone, retry_after }))
}

/// Builds the part of a transaction that uses up a code, and the others with it, so that only one of two parallel
/// requests wins. Resets the failures of the window.
pub(super) fn spend(phone: &Phone, purpose: Purpose, code: &PendingCode, now: Timestamp) -> ItemUpdate {
    ItemUpdate::new(Key::code(phone, purpose))
        .remove("#op")
        .remove("#codes")
        .remove("#challenge_id")
        .remove("#open_challenges")
        .remove("#not_sent")
        .remove("#doubtful")
        .set("#failures = :zero")
        .set("#failures_since = :now")
        .when("contains(#open_challenges, :challenge)")
        .value(":zero", number(0))
        .value(":challenge", text(code.challenge.to_string()))
        .value(":now", moment(now))
}
