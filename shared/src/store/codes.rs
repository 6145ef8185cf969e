//! One-time codes. A code is issued under a cooldown and budgets. Each try is counted before anything is compared. A
//! code is used once.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Store,
    accounts::{self, CodeAccount},
    deletion,
    limits::{Bucket, Limit, LimitReached},
    open_codes::{COOLDOWN, NewCode, OpenCodes},
    outcome::Attempt,
    profile::Profile,
    sessions::{NewSession, Renewal},
    table::{
        error::StoreError,
        expression::{ItemUpdate, Write},
        item::{Item, moment, number, text, texts, ttl},
        keys::{
            ATTEMPTS, ATTEMPTS_END, CODES, FAILURES, FAILURES_SINCE, FORGOTTEN_AT, Key, PASSWORD_HASH, RESEND_AT,
            SECOND_STEP, SUCCESSOR, TRIED, USED, USED_EFFECT, USED_ENDS_AT, USER_ID,
        },
        wire::{Outcome, Part, Receipt, Transacted},
    },
    verified,
};
use crate::{
    base::{
        id::{ChallengeId, SessionId, TokenId, UserId},
        time::Timestamp,
    },
    domain::{
        otp::{OtpMac, Purpose},
        password::PasswordHash,
        phone::Phone,
        repeat::RepeatMac,
    },
    tokens::device::DeviceToken,
};

/// The largest number of wrong codes per phone and window, over all codes of one purpose (NIST SP 800-63B section
/// 3.2.2).
const MAX_FAILURES: u64 = 100;

/// The length of that window. An attacker who has used up the number must wait for the end of the window, and so must
/// the owner. Signing in with the password still works. The next window begins with half of the failures of this one, so
/// that an attacker who goes on has 50 tries a day.
const FAILURE_WINDOW: Duration = Duration::from_hours(24);

/// The number of wrong tries at a code that was used. They gain nothing, but could tell what it was used for.
const TRIES_OF_USED: u64 = 5;

/// The phone that a code is requested for: its account, its open codes, and the window in which its failures are
/// counted.
#[derive(Clone, Debug)]
pub struct CodeTarget {
    /// The account of the phone, if it has one.
    pub account: Option<CodeAccount>,
    /// Whether the phone has an account, be it one that an operator disabled.
    pub has_account: bool,
    /// Whether a code has verified that the phone belongs to its account.
    pub is_verified: bool,
    /// The number of codes of the phone's country that were entered and right today or in the 14 days before.
    pub verified_in_country: u64,
    /// The device that asks, if the phone's account knows it.
    pub known_device: Option<DeviceToken>,
    pub(super) open: OpenCodes,
    failures: u64,
    failures_since: Option<Timestamp>,
    resend_at: Option<Timestamp>,
}

impl CodeTarget {
    /// Returns the same phone with this account, which the code will be bound to.
    #[must_use]
    pub fn for_account(self, account: Option<CodeAccount>) -> Self {
        Self { account, ..self }
    }

    /// Returns the cooldown of the item's last code, if it is not over.
    pub fn cooldown(&self, now: Timestamp) -> Option<LimitReached> {
        cooldown_until(self.resend_at, now)
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
    /// The provider said nothing. The message may arrive, and then the code works; but it displaces none that was sent.
    Unknown,
}

/// What a code was charged to whose message was not sent.
#[derive(Clone, Copy, Debug)]
pub struct Charges<'a> {
    /// The limits that give back what they were charged.
    pub charged: &'a [Limit<'a>],
    /// Those that do so only as often in a window as they allow uses.
    pub forgiven: &'a [Limit<'a>],
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
    ends: Vec<Timestamp>,
    guess: RepeatMac,
    password_hash: Option<PasswordHash>,
    /// The receipt of the counted try, for a right code that stays valid because something else is missing.
    pub receipt: Receipt,
}

/// What a try of a code is compared with.
#[derive(Clone, Debug)]
pub enum CodeTry {
    /// The open codes. None of them is right if the list is empty.
    Open(PendingCodes),
    /// Codes without tries. The same code was tried before they were used up: if it is right, that request is under way,
    /// and its outcome is this one's, too.
    UnderWay(PendingCodes),
    /// Nothing: the code was used, and the table has compared it.
    Used(UsedCode),
}

/// A code that was used, for a request that repeats its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedCode {
    effect: RepeatMac,
    /// The session that its use started, if any, and its user.
    pub session: Option<(UserId, SessionId)>,
    /// The second step that its use began, if any, and the account.
    pub second_step: Option<(CodeAccount, TokenId)>,
}

/// The outcome of using up a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeUse {
    /// Everything was written.
    Done,
    /// Another request used the same code first; nothing was written.
    Repeated(UsedCode),
    /// Another code was used first, or the account changed; nothing was written.
    Overtaken,
}

/// A code that was entered and is right, but not used up yet.
#[derive(Clone, Debug)]
pub struct PendingCode {
    /// The account that the code is bound to, or `None` if the phone was unknown.
    pub account: Option<CodeAccount>,
    /// The identifier of the sending.
    pub challenge: ChallengeId,
    ends_at: Timestamp,
    guess: RepeatMac,
    /// The password hash of the account to be created, if the code activates one.
    pub password_hash: Option<PasswordHash>,
    /// The receipt of the counted try, for a right code that stays valid because something else is missing.
    pub receipt: Receipt,
    /// The country whose verified codes this one is counted with when it is used up. None for a test number.
    pub counted_in: Option<&'static str>,
}

/// A right code that a request uses up.
#[derive(Clone, Copy, Debug)]
pub struct SpentCode<'a> {
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The code.
    pub code: &'a PendingCode,
    /// The hash of what the code makes of the account.
    pub effect: &'a RepeatMac,
    /// The pseudonym of its phone, whose count of tries it clears.
    pub pseudonym: &'a str,
}

impl PendingCode {
    /// Builds the write that counts the code, for the transaction that uses it up.
    pub(super) fn counted(&self, now: Timestamp) -> Option<Write> {
        self.counted_in.map(|country| verified::count(country, now))
    }
}

impl PendingCodes {
    fn read(item: &Item, guess: RepeatMac, receipt: Receipt, now: Timestamp) -> Result<Self, StoreError> {
        let open = OpenCodes::read(item)?;
        let usable = open.usable(now);
        let password_hash = item.has(PASSWORD_HASH).then(|| item.text(PASSWORD_HASH)).transpose()?;
        Ok(Self {
            account: open.account,
            codes: usable.iter().map(|code| (code.challenge, code.mac)).collect(),
            ends: usable.iter().map(|code| code.ends_at).collect(),
            guess,
            password_hash: password_hash.map(|hash| PasswordHash::from_stored(hash.to_owned())),
            receipt,
        })
    }

    /// Returns the code of this sending, which was entered; none if it is not among the codes.
    pub fn entered(self, challenge: ChallengeId, counted_in: Option<&'static str>) -> Option<PendingCode> {
        let at = self.codes.iter().position(|(sent, _)| *sent == challenge)?;
        let ends_at = *self.ends.get(at)?;
        let Self { account, guess, password_hash, receipt, .. } = self;
        Some(PendingCode { account, challenge, ends_at, guess, password_hash, receipt, counted_in })
    }
}

impl PendingCode {
    /// Returns the end of the code, until which a request that repeats its use is recognized.
    pub fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}

impl UsedCode {
    /// Reads the used code if it is the one that was tried, has not expired, and has tries left.
    fn read(item: &Item, guess: &RepeatMac, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let is_repeated = item.has(USED)
            && item.text(USED)? == guess.as_str()
            && item.moment(USED_ENDS_AT)? > now
            && item.count(ATTEMPTS)? < item.count(ATTEMPTS_END)?;
        if !is_repeated {
            return Ok(None);
        }
        let session = if item.has(SUCCESSOR) { Some((item.parsed(USER_ID)?, item.parsed(SUCCESSOR)?)) } else { None };
        let second_step = match OpenCodes::read(item)?.account {
            Some(account) if item.has(SECOND_STEP) => Some((account, item.parsed(SECOND_STEP)?)),
            _ => None,
        };
        Ok(Some(Self { effect: RepeatMac::from_stored(item.text(USED_EFFECT)?.to_owned()), session, second_step }))
    }

    /// Reads the code that another request used first, from the first part of a transaction that was refused.
    pub(super) fn of_refused(parts: &[Part], code: &PendingCode, now: Timestamp) -> Result<Option<Self>, StoreError> {
        match parts.first() {
            Some(Part::Failed(Some(item))) => Self::read(item, &code.guess, now),
            _ => Ok(None),
        }
    }

    /// Returns whether the account still is what the code has made of it.
    pub fn has_made(&self, effect: &RepeatMac) -> bool {
        self.effect == *effect
    }
}

impl CodeUse {
    pub(super) fn of(transacted: Transacted, code: &PendingCode, now: Timestamp) -> Result<Self, StoreError> {
        let Transacted::Refused(parts) = transacted else { return Ok(Self::Done) };
        Ok(UsedCode::of_refused(&parts, code, now)?.map_or(Self::Overtaken, Self::Repeated))
    }
}

impl Store {
    /// Looks up a phone before a code is issued for it, and how many codes its country verifies. Known and unknown phones
    /// take the same read.
    pub async fn code_target(&self, phone: &Phone, purpose: Purpose, now: Timestamp) -> Result<CodeTarget, StoreError> {
        self.code_target_on(None, phone, purpose, now).await
    }

    /// The same for a code that is requested on a device that the phone's account may know. A token of another account, or
    /// of another epoch, or of a device that was forgotten counts as none.
    pub async fn code_target_on(
        &self,
        device: Option<DeviceToken>,
        phone: &Phone,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<CodeTarget, StoreError> {
        let mut keys = vec![Key::credential(phone), Key::code(phone, purpose)];
        keys.extend(device.map(|device| Key::device(device.user, device.device)));
        let own = keys.len();
        keys.extend(verified::keys(phone.country_code(), now));
        let mut items = self.read_every(keys).await?;
        let of_country = items.split_off(own);
        let mut items = items.into_iter();
        let (credential, code) = (items.next().flatten(), items.next().flatten().unwrap_or_default());
        let is_forgotten = items.next().flatten().is_some_and(|item| item.has(FORGOTTEN_AT));
        let account = accounts::account(credential.as_ref())?;
        let is_of_account = |device: &DeviceToken| {
            account.is_some_and(|found| (found.user, found.epoch) == (device.user, device.epoch))
        };
        Ok(CodeTarget {
            account,
            known_device: device.filter(|device| is_of_account(device) && !is_forgotten),
            is_verified: credential.as_ref().is_some_and(accounts::is_verified),
            verified_in_country: verified::sum(&of_country, now)?,
            has_account: credential.is_some_and(|credential| credential.has(USER_ID)),
            open: OpenCodes::read(&code)?,
            failures: code.count(FAILURES)?,
            failures_since: code.optional_moment(FAILURES_SINCE)?,
            resend_at: code.optional_moment(RESEND_AT)?,
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
            .value(":expires_at", ttl(now.plus(FAILURE_WINDOW * WINDOWS_KEPT)));
        let update = bind_to(update, target.account);
        let bars_when_guessed = code.purpose != Purpose::Reset;
        let update = match target.failures_since {
            // Begins a new window, unless another request has begun one.
            Some(since) if since.plus(FAILURE_WINDOW) <= now => update
                .set("#failures = :carried")
                .set("#failures_since = :now")
                .value(":carried", number(carried(target.failures, since, now)))
                .value(":since", moment(since))
                .and_when(&format!("{COOLED_DOWN} AND #failures_since = :since")),
            // The tries of strangers who name the phone must not keep its owner from a code with a challenge.
            _ if !bars_when_guessed => {
                update.set("#failures_since = if_not_exists(#failures_since, :now)").and_when(COOLED_DOWN)
            }
            // A code whose failures are used up would be refused, so no message is paid for it.
            _ => update
                .set("#failures_since = if_not_exists(#failures_since, :now)")
                .value(":max_failures", number(MAX_FAILURES))
                .and_when(&format!("{COOLED_DOWN} AND (attribute_not_exists(#failures) OR #failures < :max_failures)")),
        };

        let mut writes = vec![Write::Update(update)];
        writes.extend(budgets.iter().map(|budget| budget.of_code(code.is_sent, now)));
        if code.purpose == Purpose::Reset {
            writes.push(Write::Update(under_challenge(code, target.account)));
        }
        Ok(match self.transact(writes).await? {
            Transacted::Committed => CodeIssue::Issued,
            Transacted::Refused(parts) => refused(&parts, budgets, (bars_when_guessed, RESEND_AT), now)?,
        })
    }

    /// Takes back a code whose message was not sent, in one transaction: gives back exactly what it was charged, so that
    /// the code before it may be entered as if it had not been issued; and with `is_free`, the next may be requested at
    /// once. The code itself stays, and its tries count as before.
    ///
    /// A newer code, should a slow failure come after one, keeps its cooldown. Of a code that was used, or whose account
    /// was deleted, only the budgets are left to give back. A limit that has forgiven as many as it allows keeps what it
    /// was charged, and so do the others that only forgive.
    pub async fn take_back_code(
        &self,
        code: NewCode<'_>,
        failure: Failure,
        is_free: bool,
        Charges { charged, mut forgiven }: Charges<'_>,
    ) -> Result<(), StoreError> {
        let mark = |key: Key| {
            let update = ItemUpdate::new(key);
            let update = match failure {
                Failure::Certain => update.add("#not_sent :marked"),
                Failure::Doubtful | Failure::Unknown => update.add("#doubtful :marked"),
            };
            update.value(":marked", texts([code.challenge])).value(":challenge", text(code.challenge.to_string()))
        };
        let copy = || {
            let copy = Key::code(code.phone, Purpose::ResetBy(code.challenge));
            (code.purpose == Purpose::Reset).then(|| mark(copy).when("contains(#open_challenges, :challenge)"))
        };
        let kept = code.cooldown_of();
        let free = |update: ItemUpdate| update.set(kept.end).value(":now", moment(code.now)).when(kept.begun_by);
        let marked = || mark(Key::code(code.phone, code.purpose));
        let open = || marked().when("contains(#open_challenges, :challenge)");
        let freed = || match code.purpose {
            Purpose::Activation(_) | Purpose::SignIn(_) | Purpose::ResetBy(_) => {
                let cooldown = ItemUpdate::new(match code.device {
                    Some(device) => Key::device(device.user, device.device),
                    None => Key::cooldown(code.phone, code.purpose),
                });
                let cooldown = cooldown.value(":challenge", text(code.challenge.to_string()));
                vec![open(), free(cooldown)]
            }
            _ => [free(marked())].into_iter().chain(copy()).collect(),
        };
        // Newer codes may have displaced the one of the phone, and then that of the challenge may be over.
        let marks = |way: usize| match way {
            0 => freed(),
            1 => [open()].into_iter().chain(copy()).collect(),
            2 => copy().into_iter().collect(),
            _ => Vec::new(),
        };
        let last = if code.purpose == Purpose::Reset { 3 } else { 2 };
        let mut way = usize::from(!is_free);
        while way <= last {
            let mut writes = marks(way);
            writes.extend(charged.iter().map(|limit| limit.give_back(code.now)));
            let forgiving = writes.len();
            writes.extend(forgiven.iter().flat_map(|limit| limit.forgive(code.now)));
            if writes.is_empty() {
                break;
            }
            match self.transact(writes.into_iter().map(Write::Update).collect()).await? {
                Transacted::Committed => break,
                Transacted::Refused(parts) => {
                    let is_unforgiven = parts.iter().skip(forgiving).any(|part| matches!(part, Part::Failed(_)));
                    if is_unforgiven { forgiven = &[] } else { way += 1 }
                }
            }
        }
        Ok(())
    }

    /// Counts a try, and only then returns the codes to compare it with.
    ///
    /// One conditional update counts the try for all of them, so that their number of tries also limits parallel
    /// guesses. The count stands whatever happens next. Only a used code is compared by the update itself: the right one
    /// is not counted, and wrong ones are.
    ///
    /// `guess` is the hash of the code that was typed.
    pub async fn spend_code_attempt(
        &self,
        phone: &Phone,
        purpose: Purpose,
        guess: &RepeatMac,
        now: Timestamp,
    ) -> Result<Attempt<CodeTry>, StoreError> {
        let key = Key::code(phone, purpose);
        let update = ItemUpdate::new(key.clone())
            .add("#attempts :one")
            .add("#failures :one")
            .add("#tried :guesses")
            .when(
                "#code_ends_at > :now AND #attempts < #attempts_end \
                 AND (attribute_not_exists(#failures) OR #failures < :max_failures) \
                 AND (attribute_exists(#codes) OR (#used_ends_at > :now AND #used <> :guess))",
            )
            .value(":guess", guess.into())
            .value(":guesses", texts([guess]))
            .value(":one", number(1))
            .value(":now", moment(now))
            .value(":max_failures", number(MAX_FAILURES));
        match self.update(update).await? {
            Outcome::Applied(item) => {
                let receipt = Receipt::of(
                    key,
                    &item,
                    &["#attempts = #attempts - :one", "#failures = #failures - :one"],
                    "#attempts >= :one AND #failures >= :one",
                )?
                .forgetting("#tried :forgotten", texts([guess]));
                let with = CodeTry::Open(PendingCodes::read(&item, guess.clone(), receipt.clone(), now)?);
                Ok(Attempt::Admitted { with, receipt })
            }
            Outcome::Refused(None) => Ok(Attempt::Nothing),
            Outcome::Refused(Some(item)) => {
                let receipt = Receipt::of_nothing(key);
                if let Some(used) = UsedCode::read(&item, guess, now)? {
                    return Ok(Attempt::Admitted { with: CodeTry::Used(used), receipt });
                }
                // After the end of the window, the next code begins a new one. These codes can no longer be tried.
                if let Some(reached) = failures_used_up(&item, now)? {
                    return Ok(Attempt::LimitReached(reached));
                }
                let was_tried = item.set(TRIED).iter().any(|tried| tried == guess.as_str());
                if was_tried && item.has(CODES) {
                    let with = CodeTry::UnderWay(PendingCodes::read(&item, guess.clone(), receipt.clone(), now)?);
                    return Ok(Attempt::Admitted { with, receipt });
                }
                Ok(Attempt::Nothing)
            }
        }
    }

    /// Returns what the use of a code by the same request has left, for one whose own try of it was right and is counted.
    pub async fn used_meanwhile(
        &self,
        phone: &Phone,
        purpose: Purpose,
        code: &PendingCode,
        now: Timestamp,
    ) -> Result<Option<UsedCode>, StoreError> {
        let item = self.read(Key::code(phone, purpose)).await?;
        Ok(item.map(|item| UsedCode::read(&item, &code.guess, now)).transpose()?.flatten())
    }

    /// Returns whether a used code has made this of its account. Like a try, a wrong answer is counted, in the update
    /// that compares it: a reset's new password could otherwise be guessed by whoever has its used code.
    pub async fn has_made(
        &self,
        phone: &Phone,
        purpose: Purpose,
        guess: &RepeatMac,
        effect: &RepeatMac,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = ItemUpdate::new(Key::code(phone, purpose))
            .add("#attempts :one")
            .add("#failures :one")
            .when("#used = :guess AND #used_effect <> :effect AND #used_ends_at > :now AND #attempts < #attempts_end")
            .value(":guess", guess.into())
            .value(":effect", effect.into())
            .value(":one", number(1))
            .value(":now", moment(now));
        Ok(match self.update(update).await? {
            Outcome::Refused(Some(item)) => {
                UsedCode::read(&item, guess, now)?.is_some_and(|used| used.has_made(effect))
            }
            Outcome::Applied(_) | Outcome::Refused(None) => false,
        })
    }

    /// Counts a try against a limit of the phone that neither a new registration nor another account resets
    /// ([`Purpose::is_counted_apart`]). Right codes are counted as well, because after a right one nothing is left to
    /// guess.
    ///
    /// The subject of the limit is the phone's pseudonym, because the count outlives a deleted account.
    pub async fn charge_try(
        &self,
        purpose: Purpose,
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        self.charge(tries_of_phone(&tries_subject(purpose, pseudonym)), now).await
    }

    /// Uses up a right code and sets the new password, in one transaction, so that only one of two parallel requests
    /// wins. Ends every session, verifies the phone, and clears the login throttle and the failures of the window. Starts a
    /// session if one is asked for.
    pub async fn reset_password(
        &self,
        (phone, account): (&Phone, CodeAccount),
        used: SpentCode<'_>,
        new: &PasswordHash,
        session: Option<NewSession>,
        now: Timestamp,
    ) -> Result<CodeUse, StoreError> {
        let SpentCode { purpose, code, effect, pseudonym } = used;
        let spent = leave_session(spend(phone, purpose, code, effect, now), session.as_ref());
        let [credential, profile] = accounts::reset_password(phone, account, new, session.is_some(), now);
        let mut writes = vec![Write::Update(spent), credential, profile];
        writes.extend(end_copy(phone, purpose, code, now));
        writes.push(Write::Update(clear_codes(purpose, pseudonym, now)));
        writes.extend(session.map(|session| Write::Create(session.into_item())));
        writes.extend(code.counted(now));
        CodeUse::of(self.transact(writes).await?, code, now)
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
        (code, effect): (&PendingCode, &RepeatMac),
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<PhoneChange, StoreError> {
        let credential = self.credential_at(profile.home.key()).await?;
        let credential = credential.filter(|credential| credential.user == profile.user);
        let Some(credential) = credential else { return Ok(PhoneChange::Overtaken) };
        let mut writes = vec![Write::Update(spend(new, Purpose::ChangePhone(profile.user), code, effect, now))];
        writes.extend(accounts::change_phone(profile, &credential, new, now));
        writes.extend(renewal.into_writes(profile.user, profile.epoch, now));
        writes.extend(deletion::delete_own_codes(&profile.home));
        writes.extend(code.counted(now));
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
        (code, effect): (&PendingCode, &RepeatMac),
        now: Timestamp,
    ) -> Result<CodeUse, StoreError> {
        let spent = Write::Update(spend(phone, Purpose::VerifyPhone, code, effect, now));
        let [credential, profile] = accounts::confirm_phone(phone, account, false, now);
        let writes = [spent, credential, profile].into_iter().chain(code.counted(now)).collect();
        CodeUse::of(self.transact(writes).await?, code, now)
    }
}

/// The number of windows for which failures are kept. After those, a hundred have decayed to one.
const WINDOWS_KEPT: u32 = 7;

/// Returns the failures that a new window begins with: half of them for every window since theirs began.
fn carried(failures: u64, since: Timestamp, now: Timestamp) -> u64 {
    let windows = now.since(since).as_secs() / FAILURE_WINDOW.as_secs();
    u32::try_from(windows).ok().and_then(|windows| failures.checked_shr(windows)).unwrap_or(0)
}

/// Returns the subject under which the tries at a phone's codes of this purpose are counted.
pub fn tries_subject(purpose: Purpose, pseudonym: &str) -> String {
    format!("{}:{pseudonym}", purpose.as_str())
}

/// Returns the limit of the codes for resets, or for sign-ins, that are sent to a phone in a day. A challenge cannot be tried
/// more often than its code allows, so a limit of the codes is one of the guesses, which callers cannot use up by wrong tries.
pub fn codes_of_phone(subject: &str, max_attempts: u64) -> Limit<'_> {
    Limit::new(Bucket::CodesPhone, subject, MAX_FAILURES / max_attempts.max(1), FAILURE_WINDOW)
}

/// Builds the write that forgets those codes, after a right one.
pub(super) fn clear_codes(purpose: Purpose, pseudonym: &str, now: Timestamp) -> ItemUpdate {
    codes_of_phone(&tries_subject(purpose, pseudonym), 1).clear(now)
}

/// Returns the limit of those tries.
pub fn tries_of_phone(subject: &str) -> Limit<'_> {
    Limit::new(Bucket::OtpPhone, subject, MAX_FAILURES, FAILURE_WINDOW)
}

/// The condition that allows the next code to be sent.
const COOLED_DOWN: &str = COOLDOWN.is_over;

/// Returns the write that stores the code of a reset under its challenge, with tries of its own.
pub(super) fn under_challenge(code: NewCode<'_>, account: Option<CodeAccount>) -> ItemUpdate {
    let code = NewCode { purpose: Purpose::ResetBy(code.challenge), ..code };
    bind_to(OpenCodes::default().issue(&code, account), account)
        .set("#failures_since = :now")
        .set("#expires_at = :expires_at")
        .and_when("attribute_not_exists(#pk)")
        .value(":now", moment(code.now))
        .value(":expires_at", ttl(code.now.plus(code.ttl)))
}

/// Returns the write that ends the other copy of a code that is used up, if it was stored twice: that of its challenge, or
/// that of its phone with every other open code, whose failures it resets.
///
/// It has no condition, so that strangers who change the item of the phone do not make it fail.
pub(super) fn end_copy(phone: &Phone, purpose: Purpose, code: &PendingCode, now: Timestamp) -> Option<Write> {
    let other = match purpose {
        Purpose::Reset => Purpose::ResetBy(code.challenge),
        Purpose::ResetBy(_) => Purpose::Reset,
        _ => return None,
    };
    let ended = ItemUpdate::new(Key::code(phone, other))
        .remove("#op")
        .remove("#codes")
        .remove("#challenge_id")
        .remove("#open_challenges")
        .remove("#not_sent")
        .remove("#doubtful")
        .set("#failures = :zero")
        .set("#failures_since = :now")
        .set("#expires_at = :expires_at")
        .value(":zero", number(0))
        .value(":now", moment(now))
        .value(":expires_at", ttl(now.plus(FAILURE_WINDOW)));
    Some(Write::Update(ended))
}

/// Binds a code to this account, or to nobody.
pub(super) fn bind_to(code: ItemUpdate, account: Option<CodeAccount>) -> ItemUpdate {
    match account {
        Some(account) => bind(code, account),
        None => code.remove("#user_id").remove("#epoch").remove("#mfa_enabled"),
    }
}

/// Binds a code to an account at its current epoch.
pub(super) fn bind(code: ItemUpdate, account: CodeAccount) -> ItemUpdate {
    let code = match account.phone_proved_at {
        Some(at) => code.set("#phone_proved_at = :proved_at").value(":proved_at", moment(at)),
        None => code.remove("#phone_proved_at"),
    };
    code.set("#user_id = :user")
        .set("#epoch = :epoch")
        .set("#mfa_enabled = :mfa_enabled")
        .set("#passwordless = :passwordless")
        .value(":passwordless", AttributeValue::Bool(!account.has_password))
        .value(":user", text(account.user.to_string()))
        .value(":epoch", number(account.epoch))
        .value(":mfa_enabled", AttributeValue::Bool(account.mfa_enabled))
}

/// Returns why a code was refused: by a budget, which all parts but the first are, or by its item, which is the first. A
/// budget takes precedence over the cooldown, because it lasts longer. `bars_when_guessed` tells whether wrong codes in the
/// item keep others from being issued; `cooldown` is the attribute with the end of the cooldown.
pub(super) fn refused(
    parts: &[Part],
    budgets: &[Limit<'_>],
    (bars_when_guessed, cooldown): (bool, &'static str),
    now: Timestamp,
) -> Result<CodeIssue, StoreError> {
    let reached = parts.iter().skip(1).zip(budgets).find(|(part, _)| matches!(part, Part::Failed(_)));
    if let Some((_, budget)) = reached {
        return Ok(CodeIssue::LimitReached(budget.reached(now)));
    }
    let Some(Part::Failed(Some(item))) = parts.first() else { return Ok(CodeIssue::Overtaken) };
    if bars_when_guessed && let Some(reached) = failures_used_up(item, now)? {
        return Ok(CodeIssue::LimitReached(reached));
    }
    Ok(cooldown_until(item.optional_moment(cooldown)?, now).map_or(CodeIssue::Overtaken, CodeIssue::LimitReached))
}

/// Returns the cooldown that ends at this time, if it is not over.
fn cooldown_until(resend_at: Option<Timestamp>, now: Timestamp) -> Option<LimitReached> {
    let resend_at = resend_at.filter(|resend_at| *resend_at > now)?;
    Some(LimitReached { bucket: Bucket::MessagesCooldown, retry_after: resend_at.since(now) })
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
///
/// Until the end of the code, the item remembers which code it was and, in `effect`, what it has made of the account, so
/// that a request that repeats its use is recognized. Whatever is compared with a used code is counted, too.
pub(super) fn spend(
    phone: &Phone,
    purpose: Purpose,
    code: &PendingCode,
    effect: &RepeatMac,
    now: Timestamp,
) -> ItemUpdate {
    ItemUpdate::new(Key::code(phone, purpose))
        .remove("#op")
        .remove("#codes")
        .remove("#challenge_id")
        .remove("#open_challenges")
        .remove("#not_sent")
        .remove("#doubtful")
        .set("#used = :guess")
        .set("#used_effect = :effect")
        .set("#used_ends_at = :used_ends_at")
        .set("#attempts_end = #attempts + :tries_of_used")
        .set("#failures = :zero")
        .set("#failures_since = :now")
        .when("contains(#open_challenges, :challenge)")
        .value(":guess", (&code.guess).into())
        .value(":effect", effect.into())
        .value(":used_ends_at", moment(code.ends_at))
        .value(":tries_of_used", number(TRIES_OF_USED))
        .value(":zero", number(0))
        .value(":challenge", text(code.challenge.to_string()))
        .value(":now", moment(now))
}

/// Adds to the update that uses up a code which session that has started, for a client whose response is lost.
pub(super) fn leave_session(spent: ItemUpdate, session: Option<&NewSession>) -> ItemUpdate {
    match session {
        Some(session) => spent
            .set("#user_id = :sessions_user")
            .set("#successor = :successor")
            .value(":sessions_user", text(session.user.to_string()))
            .value(":successor", text(session.id.to_string())),
        None => spent,
    }
}
