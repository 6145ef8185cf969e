//! Second factors. One item per user holds the sealed secret, the last step, the recovery codes and the throttle. So
//! one conditional update counts a guess and reads the value to compare it with, and another uses up a code.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::{join, try_join};

use super::{
    Store,
    accounts::{self, CodeAccount, Credential},
    limits::{Bucket, LimitReached},
    outcome::{Attempt, Change},
    profile::Profile,
    repeatable,
    sessions::{self, NewSession, Renewal},
    table::{
        error::StoreError,
        expression::{ItemDeletion, ItemUpdate, NewItem, Write},
        item::{Item, moment, number, set, text, texts, ttl},
        keys::{
            ENDS_AT, ENDS_AT_BEFORE, EPOCH, EPOCH_BEFORE, Key, PASSWORD_HASH, PHONE_PROVED_AT, RECOVERY_CODES,
            RECOVERY_KEY, REQUEST, REQUEST_ENDS_AT, SUCCESSOR, TOTP_SECRET, TOTP_SECRET_BEFORE, TOTP_STEP, TRIED,
            TTL_ATTRIBUTE,
        },
        wire::{Outcome, Part, Receipt, Transacted},
    },
    throttle::{Counter, TOTP_AT_LOGIN, TOTP_AT_RESET, TOTP_COUNTERS, TOTP_IN_SESSION},
};
use crate::{
    base::{
        id::{SessionId, TokenId, UserId},
        time::Timestamp,
    },
    domain::{
        password::PasswordHash,
        phone::Phone,
        proof::SignInMethod,
        recovery_code::{RecoveryCodeMac, SealedRecoveryKey, StoredRecoveryCodes},
        repeat::RepeatMac,
        totp::SealedTotpSecret,
    },
    tokens::device::DeviceToken,
};

/// The time for which an enrollment waits for its first code.
const ENROLLMENT_WAITS: Duration = Duration::from_mins(10);

/// The part of a second factor that a guess is compared with.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    /// The secret that TOTP codes are computed from.
    pub secret: SealedTotpSecret,
    /// The key that recovery codes are hashed with.
    pub recovery_key: SealedRecoveryKey,
    /// The step whose code was accepted last. Only codes of later steps are accepted.
    pub last_step: Option<u64>,
    item: Item,
}

impl SecondFactor {
    /// Returns what `matching` finds in one of the unused recovery codes. Compares every one, so that the time does not
    /// reveal which.
    pub fn find_recovery_code(&self, matching: impl Fn(&str) -> Option<RecoveryCodeMac>) -> Option<RecoveryCodeMac> {
        self.item.set(RECOVERY_CODES).iter().fold(None, |found, stored| matching(stored).or(found))
    }

    /// Returns what the same request has left if it has used up a code a moment ago.
    pub fn used_by_same(&self, request: &RepeatMac, now: Timestamp) -> Result<Option<FactorUse>, StoreError> {
        FactorUse::read(&self.item, request, now)
    }

    fn read(item: Item) -> Result<Self, StoreError> {
        Ok(Self {
            secret: SealedTotpSecret::from_stored(item.blob(TOTP_SECRET)?.to_vec()),
            recovery_key: SealedRecoveryKey::from_stored(item.blob(RECOVERY_KEY)?.to_vec()),
            last_step: if item.has(TOTP_STEP) { Some(item.number(TOTP_STEP)?) } else { None },
            item,
        })
    }
}

/// The request that uses up a code in a write of its own, before it does what the code is shown for. The item of the second
/// factor remembers it, so that the same request is recognized if it arrives meanwhile, or again because the response was lost
/// (docs/adr/0029-a-lost-confirmation.md).
#[derive(Clone, Debug)]
pub struct FactorUse {
    /// The hash of the request.
    pub request: RepeatMac,
    /// The time until which it is recognized.
    pub until: Timestamp,
    /// The session that it starts, if a repetition is to find that without another one that has ended.
    pub session: Option<SessionId>,
}

impl FactorUse {
    /// Reads the request that has used up the last code outside a sign-in, if it is this one and its time is not over.
    fn read(item: &Item, request: &RepeatMac, now: Timestamp) -> Result<Option<Self>, StoreError> {
        if !item.has(REQUEST) || item.text(REQUEST)? != request.as_str() {
            return Ok(None);
        }
        let until = item.moment(REQUEST_ENDS_AT)?;
        let session = item.has(SUCCESSOR).then(|| item.parsed(SUCCESSOR)).transpose()?;
        Ok((until > now).then(|| Self { request: request.clone(), until, session }))
    }

    /// Adds to the update that uses up a code which request it was.
    fn leave(&self, update: ItemUpdate) -> ItemUpdate {
        let update = update
            .set("#request = :request")
            .set("#request_ends_at = :request_ends_at")
            .value(":request", (&self.request).into())
            .value(":request_ends_at", moment(self.until));
        match self.session {
            Some(session) => update.set("#successor = :successor").value(":successor", text(session.to_string())),
            None => update.remove("#successor"),
        }
    }
}

/// The outcome of using up a right code.
#[derive(Clone, Debug)]
pub enum UsedUp {
    /// The code is used up.
    Done,
    /// The same request used it first.
    BySame(FactorUse),
    /// Another request used it first.
    ByOther,
    /// The account has no second factor any more.
    Gone,
}

/// The number of codes that are compared for one enrollment. Another enrollment requires the password again, so that an
/// attacker who has only a token cannot guess for long.
const ENROLLMENT_ATTEMPTS: u64 = 5;

/// The number of recovery codes that are compared for one login. They have 120 bits, so this bounds work and not odds.
const RECOVERY_ATTEMPTS: u64 = 10;

/// The step of a user's path that asks for a second factor. Each has a count of wrong TOTP codes of its own, so that
/// guesses at one delay nobody at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedAt {
    /// The second step of the login with this token: the caller knows the password.
    Login(TokenId),
    /// A request that asks a signed-in user for password and factor again.
    Session,
    /// A password reset: the caller reads the phone's messages. Or the recovery of a parked account, which has no resets.
    Reset,
}

impl AskedAt {
    fn counter(self) -> &'static Counter {
        match self {
            Self::Login(_) => &TOTP_AT_LOGIN,
            Self::Session => &TOTP_IN_SESSION,
            Self::Reset => &TOTP_AT_RESET,
        }
    }
}

/// An enrollment, as far as its code is compared with it.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// The secrets that wait to be confirmed: the last one, and the one before it if its time is not over. Of two requests
    /// at once, or of one that was repeated, the user may have scanned either QR code.
    pub secrets: Vec<SealedTotpSecret>,
    /// Whether no tries are left and the same code was tried before: if it is right, that request is under way, and its
    /// outcome is this one's, too.
    pub is_under_way: bool,
}

fn enrolled(item: &Item, now: Timestamp) -> Result<Vec<SealedTotpSecret>, StoreError> {
    let sealed = |attribute| item.blob(attribute).map(|sealed| SealedTotpSecret::from_stored(sealed.to_vec()));
    let last = sealed(TOTP_SECRET)?;
    let waits = item.optional_moment(ENDS_AT_BEFORE)?.is_some_and(|end| end > now)
        && item.number(EPOCH_BEFORE)? == item.number(EPOCH)?;
    let before = if waits { Some(sealed(TOTP_SECRET_BEFORE)?) } else { None };
    Ok([last].into_iter().chain(before).collect())
}

/// Adds to the update of a second factor that it forgets all wrong TOTP codes.
fn forget_guesses(update: ItemUpdate) -> ItemUpdate {
    TOTP_COUNTERS.into_iter().fold(update, |update, counter| counter.forget(update))
}

/// A code that was compared and is right, but is not used up yet.
#[derive(Clone, Debug)]
pub enum RightCode {
    /// A TOTP code.
    Totp {
        /// The user who entered the code.
        user: UserId,
        /// The secret that the code was compared with.
        secret: SealedTotpSecret,
        /// What the update seals anew.
        anew: SealedAnew,
        /// The step of the code.
        step: u64,
        /// Where it was asked for.
        at: AskedAt,
    },
    /// A recovery code.
    Recovery {
        /// The user who entered the code.
        user: UserId,
        /// The hash of the code.
        mac: RecoveryCodeMac,
    },
}

/// The secrets of a second factor, sealed with the key that writes now, as far as they were sealed with an older one.
#[derive(Clone, Debug, Default)]
pub struct SealedAnew {
    /// The secret of TOTP codes.
    pub secret: Option<SealedTotpSecret>,
    /// The key of recovery codes: as it was read, and sealed anew.
    pub recovery_key: Option<(SealedRecoveryKey, SealedRecoveryKey)>,
}

impl SealedAnew {
    /// Adds to an update that it stores these secrets. Recovery codes that were replaced meanwhile keep their own key.
    fn store(&self, mut update: ItemUpdate) -> ItemUpdate {
        if let Some(secret) = &self.secret {
            update = update.set("#totp_secret = :secret_anew").value(":secret_anew", secret.into());
        }
        if let Some((read, anew)) = &self.recovery_key {
            update = update
                .set("#recovery_key = :recovery_key_anew")
                .and_when("#recovery_key = :recovery_key")
                .value(":recovery_key", read.into())
                .value(":recovery_key_anew", anew.into());
        }
        update
    }
}

impl RightCode {
    /// Builds the update that uses up the code. A TOTP code clears the count of guesses where it was asked for, a
    /// recovery code every count. Only one of several parallel updates succeeds. That of a TOTP code also stores the
    /// secret as it was sealed anew.
    fn use_up(&self) -> ItemUpdate {
        let (Self::Totp { user, .. } | Self::Recovery { user, .. }) = self;
        let update = ItemUpdate::new(Key::second_factor(*user));
        match self {
            Self::Totp { secret, anew, step, at, .. } => {
                let update = at
                    .counter()
                    .forget(update)
                    .set("#totp_step = :step")
                    .when("#totp_secret = :secret AND (attribute_not_exists(#totp_step) OR #totp_step < :step)")
                    .value(":secret", secret.into())
                    .value(":step", number(*step));
                anew.store(update)
            }
            Self::Recovery { mac, .. } => forget_guesses(update)
                .delete("#recovery_codes :macs")
                .when("contains(#recovery_codes, :mac)")
                .value(":macs", set(std::slice::from_ref(mac)))
                .value(":mac", text(mac.as_str())),
        }
    }
}

/// A second factor to be switched on.
#[derive(Clone, Copy, Debug)]
pub struct NewFactor<'a> {
    /// The secret, as it was enrolled.
    pub secret: &'a SealedTotpSecret,
    /// The step of the code that confirmed the enrollment.
    pub step: u64,
    /// The new recovery codes.
    pub recovery_codes: &'a StoredRecoveryCodes,
}

/// The outcome of the second step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondStep {
    /// The session is alive.
    Done,
    /// Another request used the code first.
    CodeUsed,
    /// The login was completed already, or its account changed.
    Ended,
}

/// A sign-in that waits for its second step.
#[derive(Clone, Debug)]
pub struct WaitingSignIn {
    /// The account that it opens.
    pub profile: Profile,
    /// The first step.
    pub method: SignInMethod,
    /// The time of the code that was the first step, if one was: then who has the phone is proved, and by the second step
    /// that it is still the account's owner.
    pub proved_at: Option<Timestamp>,
    /// The hash of the password that a registration brought, for the account that it may start anew.
    pub password_hash: Option<PasswordHash>,
}

/// Builds the item of a login that waits for its second step.
pub(super) fn waiting_login(account: CodeAccount, method: SignInMethod, token: TokenId, ends_at: Timestamp) -> NewItem {
    let attributes = [(EPOCH, number(account.epoch)), (ENDS_AT, moment(ends_at)), (TTL_ATTRIBUTE, ttl(ends_at))];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into_iter();
    NewItem {
        key: Key::second_step(account.user, token),
        attributes: attributes.chain(sessions::method_attribute(method)).collect(),
    }
}

impl Store {
    /// Stores a second factor that waits to be confirmed with a code, beside the last one that was not confirmed and in
    /// place of those before. The enrollment is valid only while the account's epoch is this one, at which the user has proved who they
    /// are.
    pub async fn enroll(
        &self,
        account: CodeAccount,
        secret: &SealedTotpSecret,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ends_at = now.plus(ENROLLMENT_WAITS);
        let update = ItemUpdate::new(Key::enrollment(account.user))
            .remove("#tried")
            .set("#totp_secret_before = if_not_exists(#totp_secret, :secret)")
            .set("#ends_at_before = if_not_exists(#ends_at, :ends_at)")
            .set("#epoch_before = if_not_exists(#epoch, :epoch)")
            .set("#totp_secret = :secret")
            .set("#epoch = :epoch")
            .set("#attempts = :zero")
            .set("#ends_at = :ends_at")
            .set("#expires_at = :expires_at")
            .value(":secret", secret.into())
            .value(":epoch", number(account.epoch))
            .value(":zero", number(0))
            .value(":ends_at", moment(ends_at))
            .value(":expires_at", ttl(ends_at));
        self.update(update).await.map(|_| ())
    }

    /// Counts a code for the second factor that waits to be confirmed, and only then returns the secrets to compare it
    /// with. `guess` is the hash of the request.
    pub async fn spend_enrollment_attempt(
        &self,
        profile: &Profile,
        guess: &RepeatMac,
        now: Timestamp,
    ) -> Result<Attempt<Enrollment>, StoreError> {
        let key = Key::enrollment(profile.user);
        let update = ItemUpdate::new(key.clone())
            .add("#attempts :one")
            .add("#tried :guesses")
            .when("#ends_at > :now AND #epoch = :epoch AND #attempts < :max_attempts")
            .value(":guesses", texts([guess]))
            .value(":one", number(1))
            .value(":now", moment(now))
            .value(":epoch", number(profile.epoch))
            .value(":max_attempts", number(ENROLLMENT_ATTEMPTS));
        Ok(match self.update(update).await? {
            Outcome::Applied(item) => Attempt::Admitted {
                receipt: Receipt::of(key, &item, &["#attempts = #attempts - :one"], "#attempts >= :one")?
                    .forgetting("#tried :forgotten", texts([guess])),
                with: Enrollment { secrets: enrolled(&item, now)?, is_under_way: false },
            },
            Outcome::Refused(Some(item))
                if item.moment(ENDS_AT)? > now
                    && item.number(EPOCH)? == profile.epoch
                    && item.set(TRIED).iter().any(|tried| tried == guess.as_str()) =>
            {
                let with = Enrollment { secrets: enrolled(&item, now)?, is_under_way: true };
                Attempt::Admitted { with, receipt: Receipt::of_nothing(key) }
            }
            Outcome::Refused(_) => Attempt::Nothing,
        })
    }

    /// Switches a second factor on, or replaces the one before, and ends every session; the one that asked is renewed.
    ///
    /// One transaction ends the enrollment, stores the factor, and marks credential and profile at one epoch.
    pub async fn switch_factor_on(
        &self,
        profile: &Profile,
        new: NewFactor<'_>,
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let user = profile.user;
        let enrollment = ItemDeletion::new(Key::enrollment(user))
            .when(
                "(#totp_secret = :secret AND #epoch = :epoch AND #ends_at > :now) OR \
                 (#totp_secret_before = :secret AND #epoch_before = :epoch AND #ends_at_before > :now)",
            )
            .value(":secret", new.secret.into())
            .value(":epoch", number(profile.epoch))
            .value(":now", moment(now));
        let factor = forget_guesses(ItemUpdate::new(Key::second_factor(user)))
            .remove("#op")
            .set("#totp_secret = :secret")
            .set("#totp_step = :step")
            .set("#recovery_key = :recovery_key")
            .set("#recovery_codes = :macs")
            .set("#created_at = :now")
            .when(if profile.mfa_enabled {
                "attribute_exists(#totp_secret)"
            } else {
                "attribute_not_exists(#totp_secret)"
            })
            .value(":secret", new.secret.into())
            .value(":step", number(new.step))
            .value(":recovery_key", (&new.recovery_codes.key).into())
            .value(":macs", set(&new.recovery_codes.macs))
            .value(":now", moment(now));
        let is_on = |update: ItemUpdate| update.set("#mfa_enabled = :true").value(":true", AttributeValue::Bool(true));
        let credential = accounts::raise_credential_epoch(profile.home.key(), user, profile.epoch).remove("#op");
        let raised = accounts::raise_epoch(user, profile.home.number(), profile.epoch);
        let mut writes = vec![
            Write::Delete(enrollment),
            Write::Update(factor),
            Write::Update(is_on(credential)),
            Write::Update(is_on(raised)),
        ];
        writes.extend(renewal.into_writes(user, profile.epoch, now));
        self.change_factor(writes).await
    }

    /// Switches the second factor off, deletes its recovery codes, and ends every session; the one that asked, if one
    /// did, is renewed.
    pub async fn switch_factor_off(
        &self,
        profile: &Profile,
        renewal: Option<Renewal>,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let (user, epoch) = (profile.user, profile.epoch);
        let factor = ItemDeletion::new(Key::second_factor(user)).when("attribute_exists(#totp_secret)");
        let credential = accounts::raise_credential_epoch(profile.home.key(), user, epoch).remove("#op");
        let raised = accounts::raise_epoch(user, profile.home.number(), epoch);
        let mut writes = vec![
            Write::Delete(factor),
            Write::Update(credential.remove("#mfa_enabled")),
            Write::Update(raised.remove("#mfa_enabled")),
        ];
        writes.extend(renewal.into_iter().flat_map(|renewal| renewal.into_writes(user, epoch, now)));
        self.change_factor(writes).await
    }

    async fn change_factor(&self, writes: Vec<Write>) -> Result<Change, StoreError> {
        Ok(self.transact(writes).await?.into())
    }

    /// Replaces all recovery codes that are left, and ends every session; the one that asked is renewed. One transaction,
    /// under the condition that the account is as it was when its owner proved the second factor.
    pub async fn replace_recovery_codes(
        &self,
        profile: &Profile,
        codes: &StoredRecoveryCodes,
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let (user, epoch) = (profile.user, profile.epoch);
        let replaced = ItemUpdate::new(Key::second_factor(user))
            .remove("#op")
            .set("#recovery_key = :recovery_key")
            .set("#recovery_codes = :macs")
            .when("attribute_exists(#totp_secret)")
            .value(":recovery_key", (&codes.key).into())
            .value(":macs", set(&codes.macs));
        let mut writes = vec![
            Write::Update(replaced),
            Write::Update(accounts::raise_credential_epoch(profile.home.key(), user, epoch).remove("#op")),
            Write::Update(accounts::raise_epoch(user, profile.home.number(), epoch)),
        ];
        writes.extend(renewal.into_writes(user, epoch, now));
        self.change_factor(writes).await
    }

    /// Counts a TOTP code, and only then returns the second factor to compare it with. Only a success clears the count.
    pub async fn spend_totp_attempt(
        &self,
        user: UserId,
        at: AskedAt,
        now: Timestamp,
    ) -> Result<Attempt<SecondFactor>, StoreError> {
        let (key, counter) = (Key::second_factor(user), at.counter());
        let update = counter.spend(key.clone(), now).and_when("attribute_exists(#totp_secret)");
        match self.update(update).await? {
            Outcome::Applied(item) => {
                Ok(Attempt::Admitted { receipt: counter.receipt(key, &item)?, with: SecondFactor::read(item)? })
            }
            Outcome::Refused(Some(item)) if item.has(TOTP_SECRET) => {
                let retry_after = counter.retry_after(&item, now)?;
                Ok(Attempt::LimitReached(LimitReached { bucket: Bucket::Mfa, retry_after }))
            }
            Outcome::Refused(_) => Ok(Attempt::Nothing),
        }
    }

    /// Returns the second factor to compare a recovery code with, or `None` if there is none. Nobody can guess a
    /// recovery code, so no number of wrong codes delays a right one. A login allows ten, which are counted before they
    /// are compared; after that, it is over and `None` is returned.
    pub async fn factor_to_recover(
        &self,
        user: UserId,
        at: AskedAt,
        now: Timestamp,
    ) -> Result<Option<SecondFactor>, StoreError> {
        let count = async {
            let AskedAt::Login(token) = at else { return Ok(true) };
            let update = ItemUpdate::new(Key::second_step(user, token))
                .add("#attempts :one")
                .when(
                    "#ends_at > :now AND attribute_not_exists(#successor) \
                     AND (attribute_not_exists(#attempts) OR #attempts < :max_attempts)",
                )
                .value(":one", number(1))
                .value(":now", moment(now))
                .value(":max_attempts", number(RECOVERY_ATTEMPTS));
            Ok(matches!(self.update(update).await?, Outcome::Applied(_)))
        };
        let (is_counted, item) = try_join!(count, self.read(Key::second_factor(user)))?;
        let item = item.filter(|item| is_counted && item.has(TOTP_SECRET));
        item.map(SecondFactor::read).transpose()
    }

    /// Uses up a right code, and remembers by which request.
    pub async fn use_factor(&self, code: &RightCode, by: &FactorUse, now: Timestamp) -> Result<UsedUp, StoreError> {
        Ok(match self.update(by.leave(code.use_up())).await? {
            Outcome::Applied(_) => UsedUp::Done,
            Outcome::Refused(Some(item)) if item.has(TOTP_SECRET) => {
                FactorUse::read(&item, &by.request, now)?.map_or(UsedUp::ByOther, UsedUp::BySame)
            }
            Outcome::Refused(_) => UsedUp::Gone,
        })
    }

    /// Stores a login whose password was right, until its second step. Takes back the try of the password, which was no
    /// wrong one, and no other: wrong ones count until the second step is right. Those on a known device, which nobody else
    /// tries, are forgotten.
    pub async fn begin_second_step(
        &self,
        phone: &Phone,
        credential: &Credential,
        rehashed: Option<&PasswordHash>,
        token: TokenId,
        ends_at: Timestamp,
        counted: (Receipt, Option<&DeviceToken>),
    ) -> Result<(), StoreError> {
        let waiting = waiting_login(credential.into(), SignInMethod::Password, token, ends_at);
        let counted = async {
            match counted {
                (_, Some(device)) => self.clear_device(device).await?,
                (receipt, None) => self.take_back(receipt).await?,
            }
            if let Some(hash) = rehashed {
                self.update(accounts::rehash(phone, credential, hash)).await?;
            }
            Ok(())
        };
        try_join!(self.create(waiting), counted).map(|_| ())
    }

    /// Returns a sign-in that waits for its second step, or `None` if it no longer waits.
    pub async fn waiting_account(
        &self,
        user: UserId,
        token: TokenId,
        now: Timestamp,
    ) -> Result<Option<WaitingSignIn>, StoreError> {
        let [profile, waiting] = self.read_all([Key::profile(user), Key::second_step(user, token)]).await?;
        let (Some(profile), Some(waiting)) = (profile, waiting) else { return Ok(None) };
        let Some(profile) = Profile::read(user, &profile)? else { return Ok(None) };
        let waits =
            waiting.moment(ENDS_AT)? > now && waiting.number(EPOCH)? == profile.epoch && !waiting.has(SUCCESSOR);
        let hash = waiting.has(PASSWORD_HASH).then(|| waiting.text(PASSWORD_HASH)).transpose()?;
        let waiting = WaitingSignIn {
            profile,
            method: sessions::method_of(&waiting)?,
            proved_at: waiting.optional_moment(PHONE_PROVED_AT)?,
            password_hash: hash.map(|hash| PasswordHash::from_stored(hash.to_owned())),
        };
        Ok(waits.then_some(waiting))
    }

    /// Starts the session of a login whose second step was right. The same transaction uses up the code and ends the
    /// waiting login, so that only one of two parallel requests starts a session. It also clears the throttles of
    /// password and second factor.
    ///
    /// `request` is the hash of the request, by which its repetition is recognized until the login's token expires. Without
    /// a code of the second factor, the account's password was the second step. If a code to the phone was the first, the
    /// phone counts as verified, and as proved at that time.
    pub async fn complete_second_step(
        &self,
        waiting: &WaitingSignIn,
        (token, request, until): (TokenId, &RepeatMac, Timestamp),
        code: Option<&RightCode>,
        session: NewSession,
        now: Timestamp,
    ) -> Result<SecondStep, StoreError> {
        let profile = &waiting.profile;
        let ended = ItemUpdate::new(Key::second_step(profile.user, token))
            .remove("#op")
            .remove("#password_hash")
            .when("#ends_at > :now AND attribute_not_exists(#successor)")
            .value(":now", moment(now));
        let mut writes = vec![Write::Update(repeatable::leave(ended, request, until, session.id))];
        writes.extend(code.map(|code| Write::Update(code.use_up().remove("#op"))));
        writes.push(Write::Create(session.clone().into_item()));
        let cleared = accounts::clear_throttle(profile).remove("#op");
        if let (Some(at), Some(phone)) = (waiting.proved_at, profile.phone()) {
            let proved = cleared
                .set("#phone_proved_at = :proved_at")
                .set("#phone_verified_at = if_not_exists(#phone_verified_at, :proved_at)")
                .value(":proved_at", moment(at));
            writes.push(Write::Update(proved));
            writes.push(Write::Update(accounts::verify_phone(profile.user, phone, profile.epoch, at)));
        } else {
            writes.push(Write::Update(cleared));
        }
        let (transacted, room) = join!(self.transact(writes), self.make_room(&session));
        if let Err(error) = room {
            // This login must not fail because of older sessions. The next login makes room again.
            tracing::warn!(%error, "the oldest sessions were not deleted; the next login tries again");
        }
        Ok(match transacted? {
            Transacted::Committed => SecondStep::Done,
            Transacted::Refused(parts) => match parts.as_slice() {
                [Part::Fine, Part::Failed(_), ..] if code.is_some() => SecondStep::CodeUsed,
                _ => SecondStep::Ended,
            },
        })
    }
}
