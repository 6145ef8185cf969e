//! Accounts: the credential under the phone, the profile under the user. Both hold the epoch, and only a transaction
//! over both raises it.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::{join, try_join};

use super::{
    Store,
    limits::{Bucket, LimitReached},
    outcome::{Attempt, Change},
    profile::{Home, Profile},
    sessions::{MAX_SESSIONS, NewSession, Renewal},
    table::{
        error::StoreError,
        expression::{ItemDeletion, ItemUpdate, NewItem, Write},
        item::{self, Item, moment, number, text, ttl},
        keys::{
            CREATED_AT, DISABLED_AT, EPOCH, Key, LEGACY_ID, MFA_ENABLED, NEVER, PASSWORD_HASH, PASSWORDLESS, PHONE,
            PHONE_PROVED_AT, PHONE_VERIFIED_AT, SALT, SESSIONS_AT_MOST, USER_ID,
        },
        wire::{Outcome, Transacted},
    },
    throttle::PASSWORDS,
};
use crate::{
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    domain::{legacy_id::LegacyId, password::PasswordHash, phone::Phone},
    tokens::device::DeviceToken,
};

/// The epoch of a new account.
const FIRST_EPOCH: u64 = 1;

/// The time for which DynamoDB keeps a parked account after its end.
const PARKED_KEPT: Duration = Duration::from_hours(24);

/// The time for which the throttle of a phone without an account is kept.
const GHOST_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// The data of an account that a login reads.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The account's user.
    pub user: UserId,
    /// The hash to compare the password with; none if the account has no password, so that no password is right.
    pub password_hash: Option<PasswordHash>,
    /// The account's epoch, read together with the hash.
    pub epoch: u64,
    /// Whether a second factor is on. If so, the password alone does not sign in.
    pub mfa_enabled: bool,
    /// The time at which an operator disabled the account, if one did. Every sign-in to a disabled account fails.
    pub disabled_at: Option<Timestamp>,
    /// The time at which a code last proved who has the phone, or at which the phone was given to the account. None for an
    /// account that is older than this record and has had no right code since.
    pub phone_proved_at: Option<Timestamp>,
    /// The largest number of sessions that the user can have. None if they were never counted.
    sessions_at_most: Option<u64>,
}

/// The account that a code is bound to. The code dies with the epoch.
///
/// Two are equal if user, epoch and second factor are: another proof of the phone changes nothing that a code is bound to.
#[derive(Clone, Copy, Debug)]
pub struct CodeAccount {
    /// The account's user.
    pub user: UserId,
    /// The account's epoch. A change of the password or of the second factor raises it and so kills open codes.
    pub epoch: u64,
    /// Whether a second factor was on at this epoch.
    pub mfa_enabled: bool,
    /// Whether the account had a password at this epoch.
    pub has_password: bool,
    /// As in [`Credential::phone_proved_at`], read when the code was issued.
    pub phone_proved_at: Option<Timestamp>,
}

impl PartialEq for CodeAccount {
    fn eq(&self, other: &Self) -> bool {
        let of = |account: &Self| (account.user, account.epoch, account.mfa_enabled);
        of(self) == of(other)
    }
}

impl Eq for CodeAccount {}

/// Returns whether a credential is of an account whose phone a code has verified. A disabled account counts as none.
pub(super) fn is_verified(credential: &Item) -> bool {
    credential.has(USER_ID) && credential.has(PHONE_VERIFIED_AT) && !credential.has(DISABLED_AT)
}

impl CodeAccount {
    /// Returns the binding to an account that is yet to be created.
    pub const fn new(user: UserId) -> Self {
        Self { user, epoch: FIRST_EPOCH, mfa_enabled: false, has_password: false, phone_proved_at: None }
    }

    /// Returns the binding of a sign-in's code to an account that is yet to be created. No account has its epoch.
    pub fn to_be_created(user: UserId) -> Self {
        Self { user, epoch: 0, mfa_enabled: false, has_password: false, phone_proved_at: None }
    }

    /// Returns the epoch of a session that is started now: that of the account, or the first of a new one.
    pub const fn session_epoch(self) -> u64 {
        if self.is_to_be_created() { FIRST_EPOCH } else { self.epoch }
    }

    /// Returns whether the account exists, and is not the one that a registration will create.
    pub const fn exists(self) -> bool {
        self.phone_proved_at.is_some()
    }

    /// Returns whether the account is yet to be created.
    pub const fn is_to_be_created(self) -> bool {
        self.epoch == 0
    }
}

impl From<&Profile> for CodeAccount {
    fn from(profile: &Profile) -> Self {
        let Profile { user, epoch, mfa_enabled, has_password, .. } = *profile;
        Self { user, epoch, mfa_enabled, has_password, phone_proved_at: None }
    }
}

impl From<&Credential> for CodeAccount {
    fn from(credential: &Credential) -> Self {
        let Credential { user, epoch, mfa_enabled, phone_proved_at, .. } = *credential;
        Self { user, epoch, mfa_enabled, has_password: credential.password_hash.is_some(), phone_proved_at }
    }
}

impl Credential {
    /// Returns whether user and password hash equal those that were read before.
    fn is_still(&self, before: &Self) -> bool {
        self.user == before.user && self.password_hash == before.password_hash
    }

    /// Reads a credential from its item. Returns `None` for a ghost, which has no user.
    pub(super) fn read(item: &Item) -> Result<Option<Self>, StoreError> {
        if !item.has(USER_ID) {
            return Ok(None);
        }
        let password_hash = item.has(PASSWORD_HASH).then(|| item.text(PASSWORD_HASH)).transpose()?;
        Ok(Some(Self {
            user: item.parsed(USER_ID)?,
            password_hash: password_hash.map(|hash| PasswordHash::from_stored(hash.to_owned())),
            epoch: item.number(EPOCH)?,
            mfa_enabled: item.flag(MFA_ENABLED),
            disabled_at: item.optional_moment(DISABLED_AT)?,
            phone_proved_at: item.optional_moment(PHONE_PROVED_AT)?,
            sessions_at_most: if item.has(SESSIONS_AT_MOST) { Some(item.number(SESSIONS_AT_MOST)?) } else { None },
        }))
    }
}

/// The outcome of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The account was created.
    Created,
    /// The phone has an account already.
    PhoneTaken,
}

/// The outcome of a login whose password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginCompletion {
    /// The session is alive.
    Done,
    /// Every session, including this one, was ended while the password was being hashed. The password is still right.
    EpochRaised,
    /// The password was changed while the old one was being hashed, so the session is dead.
    Overtaken,
}

/// Builds the update that counts an attempt to sign in. A phone without an account gets a ghost that holds the count.
fn spend_attempt(key: Key, now: Timestamp) -> ItemUpdate {
    PASSWORDS
        .spend(key, now)
        .set("#expires_at = if_not_exists(#expires_at, :ghost_expires_at)")
        .value(":ghost_expires_at", ttl(now.plus(GHOST_LIFETIME)))
}

/// Builds the part of a transaction that sets another password in a credential and ends every session, under the
/// condition that the credential is still the one that was read. Clears the throttle, because the caller has proved who
/// they are.
fn replace_password(key: Key, user: UserId, epoch: u64, new: &PasswordHash) -> ItemUpdate {
    raise_credential_epoch(key, user, epoch)
        .set("#password_hash = :new_hash")
        .remove("#op")
        .remove("#login_failures")
        .remove("#login_attempted_at")
        .value(":new_hash", new.into())
}

/// Builds the credential's half of raising the epoch.
pub(super) fn raise_credential_epoch(key: Key, user: UserId, epoch: u64) -> ItemUpdate {
    ItemUpdate::new(key)
        .set("#epoch = :next_epoch")
        .when("#user_id = :user AND #epoch = :epoch")
        .value(":user", text(user.to_string()))
        .value(":epoch", number(epoch))
        .value(":next_epoch", number(epoch + 1))
}

/// Builds the profile's half of raising the epoch. `phone` is the account's, or the one that a parked account had.
pub(super) fn raise_epoch(user: UserId, phone: &Phone, epoch: u64) -> ItemUpdate {
    ItemUpdate::new(Key::profile(user))
        .set("#epoch = :next_epoch")
        .when("#epoch = :epoch AND #phone = :phone")
        .value(":phone", text(phone.as_e164()))
        .value(":epoch", number(epoch))
        .value(":next_epoch", number(epoch + 1))
}

/// Builds the writes of a password reset. [`super::codes`] puts them into one transaction with the end of the code.
pub(super) fn reset_password(
    phone: &Phone,
    CodeAccount { user, epoch, .. }: CodeAccount,
    new: &PasswordHash,
    starts_session: bool,
    now: Timestamp,
) -> [Write; 2] {
    let profile = mark_verified(raise_epoch(user, phone, epoch).remove("#passwordless"), now);
    let credential = replace_password(Key::credential(phone), user, epoch, new).set("#phone_proved_at = :now");
    let credential = mark_verified(credential, now);
    [Write::Update(forget_sessions(credential, starts_session)), Write::Update(profile)]
}

/// Makes a credential or a profile say since when the phone is verified.
fn mark_verified(update: ItemUpdate, now: Timestamp) -> ItemUpdate {
    update.set("#phone_verified_at = if_not_exists(#phone_verified_at, :now)").value(":now", moment(now))
}

/// Makes the next login count the sessions of an account, if one is started that is not counted.
fn forget_sessions(credential: ItemUpdate, starts_session: bool) -> ItemUpdate {
    if starts_session { credential.remove("#sessions_at_most") } else { credential }
}

/// Builds the credential's half of a right code for the account's phone: who has the phone was proved now.
pub(super) fn renew_proof(phone: &Phone, user: UserId, epoch: u64, now: Timestamp) -> ItemUpdate {
    ItemUpdate::new(Key::credential(phone))
        .remove("#op")
        .set("#phone_proved_at = :now")
        .when("#user_id = :user AND #epoch = :epoch")
        .value(":user", text(user.to_string()))
        .value(":epoch", number(epoch))
        .value(":now", moment(now))
}

/// Builds the profile's half: the phone counts as verified.
pub(super) fn verify_phone(user: UserId, phone: &Phone, epoch: u64, now: Timestamp) -> ItemUpdate {
    let profile = ItemUpdate::new(Key::profile(user))
        .remove("#op")
        .when("#epoch = :epoch AND #phone = :phone")
        .value(":phone", text(phone.as_e164()))
        .value(":epoch", number(epoch));
    mark_verified(profile, now)
}

/// Builds the writes that mark the phone as verified, for one transaction with the end of the code. The credential says
/// so as well, because requests for codes read no profile.
pub(super) fn confirm_phone(
    phone: &Phone,
    CodeAccount { user, epoch, .. }: CodeAccount,
    starts_session: bool,
    now: Timestamp,
) -> [Write; 2] {
    let credential = mark_verified(renew_proof(phone, user, epoch, now), now);
    let profile = verify_phone(user, phone, epoch, now);
    [Write::Update(forget_sessions(credential, starts_session)), Write::Update(profile)]
}

/// Builds the writes of a change of phone, for one transaction with the end of the code. The new phone's credential
/// comes first. A parked account is so no longer: nothing of it expires.
pub(super) fn change_phone(profile: &Profile, credential: &Credential, new: &Phone, now: Timestamp) -> Vec<Write> {
    let (user, epoch) = (profile.user, profile.epoch);
    let new_hash = credential.password_hash.as_ref();
    let taken_over = new_credential((user, new, epoch + 1), new_hash, Some(now), now).remove("#sessions_at_most");
    let taken_over = with_factor(taken_over, credential.mfa_enabled);
    let moved = raise_epoch(user, profile.home.number(), epoch)
        .set("#phone = :new_phone")
        .set("#phone_verified_at = :now")
        .value(":new_phone", text(new.as_e164()))
        .value(":now", moment(now));
    let Home::Phone(phone) = &profile.home else {
        let left = ItemDeletion::new(profile.home.key())
            .when("#user_id = :user AND #epoch = :epoch AND #ends_at > :now")
            .value(":user", text(user.to_string()))
            .value(":epoch", number(epoch))
            .value(":now", moment(now));
        let moved = moved.remove("#parked_at").remove("#ends_at").remove("#expires_at");
        let mut writes = vec![Write::Update(taken_over), Write::Delete(left), Write::Update(moved)];
        writes.extend(credential.mfa_enabled.then(|| Write::Update(keep_factor(user).remove("#expires_at"))));
        return writes;
    };
    let left = ItemUpdate::new(Key::credential(phone))
        .remove("#op")
        .remove("#user_id")
        .remove("#password_hash")
        .remove("#epoch")
        .remove("#mfa_enabled")
        .remove("#phone_verified_at")
        .remove("#phone_proved_at")
        .remove("#sessions_at_most")
        .remove("#login_failures")
        .remove("#login_attempted_at")
        .set("#expires_at = :ghost_expires_at")
        .when("#user_id = :user AND #epoch = :epoch")
        .value(":user", text(user.to_string()))
        .value(":epoch", number(epoch))
        .value(":ghost_expires_at", ttl(now.plus(GHOST_LIFETIME)));
    vec![Write::Update(taken_over), Write::Update(left), Write::Update(moved)]
}

/// Adds to a new credential whether a second factor is on.
fn with_factor(credential: ItemUpdate, mfa_enabled: bool) -> ItemUpdate {
    if mfa_enabled {
        credential.set("#mfa_enabled = :true").value(":true", AttributeValue::Bool(true))
    } else {
        credential.remove("#mfa_enabled")
    }
}

/// Builds an update of a second factor, which must exist.
fn keep_factor(user: UserId) -> ItemUpdate {
    ItemUpdate::new(Key::second_factor(user)).remove("#op").when("attribute_exists(#totp_secret)")
}

/// Builds the writes by which an account leaves its phone to a new one, for one transaction: it is parked until `ends_at`,
/// its sessions end, and everything that is left of it expires a day later. The credential that it is parked with comes
/// first, under the condition that no other account of the phone is parked; then that of the new account, under the
/// condition that the phone still has the old one as it was read, which nobody has proved it for since `proved_at`, and that
/// no operator has disabled it.
pub(super) fn park(
    old: &Profile,
    credential: &Credential,
    proved_at: Timestamp,
    new: NewAccount<'_>,
    ends_at: Timestamp,
    now: Timestamp,
) -> Vec<Write> {
    let (user, epoch, phone) = (old.user, old.epoch, new.phone);
    let expires_at = || ttl(ends_at.plus(PARKED_KEPT));
    let parked = account_credential((Key::parked(phone), user, epoch + 1), credential.password_hash.as_ref())
        // Every session ends, so that the first to come back counts none.
        .set("#sessions_at_most = :none")
        .value(":none", number(0))
        .set("#parked_at = :now")
        .set("#ends_at = :ends_at")
        .set("#expires_at = :expires_at")
        .set("#phone_proved_at = :proved_at")
        .when("attribute_not_exists(#user_id) OR #ends_at <= :now")
        .value(":proved_at", moment(proved_at))
        .value(":now", moment(now))
        .value(":ends_at", moment(ends_at))
        .value(":expires_at", expires_at());
    let taken_over = first_credential(new, now)
        .remove("#sessions_at_most")
        .when(
            "#user_id = :old_user AND #epoch = :old_epoch AND #phone_proved_at = :old_proved_at \
             AND attribute_not_exists(#disabled_at)",
        )
        .value(":old_user", text(user.to_string()))
        .value(":old_epoch", number(epoch))
        .value(":old_proved_at", moment(proved_at));
    let left = raise_epoch(user, phone, epoch)
        .remove("#phone_verified_at")
        .set("#parked_at = :now")
        .set("#ends_at = :ends_at")
        .set("#expires_at = :expires_at")
        .value(":now", moment(now))
        .value(":ends_at", moment(ends_at))
        .value(":expires_at", expires_at());
    let mut writes = vec![
        Write::Update(with_factor(parked, credential.mfa_enabled)),
        Write::Update(taken_over),
        Write::Create(first_profile(new, now)),
        Write::Update(left),
    ];
    let factor = || keep_factor(user).set("#expires_at = :expires_at").value(":expires_at", expires_at());
    writes.extend(credential.mfa_enabled.then(|| Write::Update(factor())));
    writes
}

/// An account to be created.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewAccount<'a> {
    pub(super) user: UserId,
    pub(super) phone: &'a Phone,
    /// The hash of the password; none for an account without one.
    pub(super) password_hash: Option<&'a PasswordHash>,
    pub(super) phone_verified_at: Option<Timestamp>,
    pub(super) legacy_id: Option<&'a LegacyId>,
    /// Whether the same transaction starts a session of the account, which is then not counted yet.
    pub(super) starts_session: bool,
}

/// Builds the writes of a new account, under the condition that the phone has none. The credential comes first.
pub(super) fn create(new: NewAccount<'_>, now: Timestamp) -> [Write; 2] {
    [Write::Update(first_credential(new, now)), Write::Create(first_profile(new, now))]
}

/// Builds the credential of a new account.
fn first_credential(new: NewAccount<'_>, now: Timestamp) -> ItemUpdate {
    let NewAccount { user, phone, password_hash, phone_verified_at, starts_session, .. } = new;
    let credential =
        new_credential((user, phone, FIRST_EPOCH), password_hash, phone_verified_at, now).remove("#mfa_enabled");
    if starts_session { credential } else { credential.set("#sessions_at_most = :none").value(":none", number(0)) }
}

/// Builds the profile of a new account.
fn first_profile(new: NewAccount<'_>, now: Timestamp) -> NewItem {
    let NewAccount { user, phone, password_hash, phone_verified_at, legacy_id, .. } = new;
    let mut attributes = HashMap::from([
        (PHONE.to_owned(), text(phone.as_e164())),
        (CREATED_AT.to_owned(), moment(now)),
        (EPOCH.to_owned(), number(FIRST_EPOCH)),
    ]);
    attributes.extend(phone_verified_at.map(|at| (PHONE_VERIFIED_AT.to_owned(), moment(at))));
    if password_hash.is_none() {
        attributes.insert(PASSWORDLESS.to_owned(), AttributeValue::Bool(true));
    }
    attributes.extend(legacy_id.map(|id| (LEGACY_ID.to_owned(), item::legacy_id(id))));
    NewItem { key: Key::profile(user), attributes }
}

/// Builds the write of a phone's new credential, under the condition that the phone has no account. Clears the throttle
/// of a ghost.
fn new_credential(
    (user, phone, epoch): (UserId, &Phone, u64),
    password_hash: Option<&PasswordHash>,
    phone_verified_at: Option<Timestamp>,
    now: Timestamp,
) -> ItemUpdate {
    let credential = account_credential((Key::credential(phone), user, epoch), password_hash)
        .set("#expires_at = :never")
        .set("#phone_proved_at = :given_at")
        .when("attribute_not_exists(#user_id)")
        .value(":given_at", moment(now))
        .value(":never", text(NEVER));
    match phone_verified_at {
        Some(at) => credential.set("#phone_verified_at = :verified_at").value(":verified_at", moment(at)),
        None => credential.remove("#phone_verified_at"),
    }
}

/// Builds the part of a new credential that names its account and how that is opened. Clears the throttle of a ghost.
fn account_credential((key, user, epoch): (Key, UserId, u64), password_hash: Option<&PasswordHash>) -> ItemUpdate {
    let credential = ItemUpdate::new(key)
        .set("#user_id = :user")
        .set("#epoch = :epoch")
        .remove("#op")
        .remove("#login_failures")
        .remove("#login_attempted_at")
        .value(":user", text(user.to_string()))
        .value(":epoch", number(epoch));
    match password_hash {
        Some(hash) => credential.set("#password_hash = :hash").value(":hash", hash.into()),
        None => credential.remove("#password_hash"),
    }
}

/// Builds the update that resets the count of wrong passwords, if the account is still as it was read.
pub(super) fn clear(key: Key, user: UserId, epoch: u64) -> ItemUpdate {
    PASSWORDS.forget(still(key, user, epoch))
}

/// Builds an update of a credential, if the account is still as it was read.
fn still(key: Key, user: UserId, epoch: u64) -> ItemUpdate {
    ItemUpdate::new(key)
        .when("#user_id = :user AND #epoch = :epoch")
        .value(":user", text(user.to_string()))
        .value(":epoch", number(epoch))
}

/// Builds the update that resets the count of wrong passwords of a profile's account and counts one more session.
pub(super) fn clear_throttle(profile: &Profile) -> ItemUpdate {
    clear(profile.home.key(), profile.user, profile.epoch)
        .set("#sessions_at_most = if_not_exists(#sessions_at_most, :most) + :one")
        .value(":most", number(MAX_SESSIONS as u64))
        .value(":one", number(1))
}

/// Builds the update that stores another hash of the same password, for a login that is not complete yet.
pub(super) fn rehash(phone: &Phone, credential: &Credential, hash: &PasswordHash) -> ItemUpdate {
    ItemUpdate::new(Key::credential(phone))
        .set("#password_hash = :rehashed")
        .when("#user_id = :user AND #epoch = :epoch")
        .value(":user", text(credential.user.to_string()))
        .value(":epoch", number(credential.epoch))
        .value(":rehashed", hash.into())
}

impl Store {
    /// Returns the credential of a phone's account, if the phone has one.
    pub(super) async fn credential(&self, phone: &Phone) -> Result<Option<Credential>, StoreError> {
        self.credential_at(Key::credential(phone)).await
    }

    /// Returns the credential of an account that has this key, if there is one.
    pub(super) async fn credential_at(&self, key: Key) -> Result<Option<Credential>, StoreError> {
        let item = self.read(key).await?;
        Ok(item.as_ref().map(Credential::read).transpose()?.flatten())
    }

    /// Returns the credential of a phone's account, for a code that may have changed it. None if the account is disabled.
    pub async fn credential_of(&self, phone: &Phone) -> Result<Option<Credential>, StoreError> {
        Ok(self.credential(phone).await?.filter(|credential| credential.disabled_at.is_none()))
    }

    /// Returns whether the phone's account is as it was when a code was bound to it.
    pub async fn is_still(&self, phone: &Phone, bound: CodeAccount) -> Result<bool, StoreError> {
        let credential = self.read(Key::credential(phone)).await?;
        Ok(account(credential.as_ref())? == Some(bound))
    }

    /// Creates an account, unless the phone has one.
    ///
    /// One transaction writes the profile and the credential, under the condition that the phone has no user yet (a
    /// ghost's throttle is cleared).
    pub async fn register(
        &self,
        user: UserId,
        phone: &Phone,
        password_hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<Registration, StoreError> {
        let password_hash = Some(password_hash);
        let new =
            NewAccount { user, phone, password_hash, phone_verified_at: None, legacy_id: None, starts_session: false };
        Ok(match self.transact(create(new, now).into()).await? {
            Transacted::Committed => Registration::Created,
            Transacted::Refused(_) => Registration::PhoneTaken,
        })
    }

    /// Counts an attempt to sign in, and only then returns the credential to compare the password with.
    ///
    /// The same conditional update serves known and unknown phones: a phone without an account gets a ghost, which is
    /// throttled the same way and deleted later. Only a success clears the count.
    pub async fn spend_login_attempt(
        &self,
        phone: &Phone,
        now: Timestamp,
    ) -> Result<Attempt<Option<Credential>>, StoreError> {
        let attempt = self.spend_attempt_at(Key::credential(phone), now).await?;
        Ok(attempt.map(|(credential, _)| credential))
    }

    /// Counts an attempt at the credential that has this key. Returns it, and its item.
    pub(super) async fn spend_attempt_at(
        &self,
        key: Key,
        now: Timestamp,
    ) -> Result<Attempt<(Option<Credential>, Item)>, StoreError> {
        match self.update(spend_attempt(key.clone(), now)).await? {
            Outcome::Applied(item) => Ok(Attempt::Admitted {
                receipt: PASSWORDS.receipt(key, &item)?,
                with: (Credential::read(&item)?, item),
            }),
            Outcome::Refused(item) => {
                let retry_after = PASSWORDS.retry_after(&item.unwrap_or_default(), now)?;
                Ok(Attempt::LimitReached(LimitReached { bucket: Bucket::LoginPhone, retry_after }))
            }
        }
    }

    /// Counts a try of the password in a live session, and reads the credential to compare it with, at the same time.
    ///
    /// The session's own item holds the count, so that neither strangers nor other sessions keep its user waiting. A
    /// session that has ended has nothing to try.
    pub async fn spend_session_attempt(
        &self,
        profile: &Profile,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Attempt<Option<Credential>>, StoreError> {
        let key = Key::session(profile.user, session);
        let counted = PASSWORDS.spend(key.clone(), now).and_when("attribute_exists(#salt)");
        let (counted, credential) = try_join!(self.update(counted), self.credential_at(profile.home.key()))?;
        Ok(match counted {
            Outcome::Applied(item) => Attempt::Admitted { with: credential, receipt: PASSWORDS.receipt(key, &item)? },
            Outcome::Refused(Some(item)) if item.has(SALT) => {
                let retry_after = PASSWORDS.retry_after(&item, now)?;
                Attempt::LimitReached(LimitReached { bucket: Bucket::LoginSession, retry_after })
            }
            Outcome::Refused(_) => Attempt::Nothing,
        })
    }

    /// Starts the session of a login whose password was right, and clears the count of attempts: that of the known device
    /// which the try was charged to, or else the credential's. Neither clears the other.
    ///
    /// The writes run in parallel and not in a transaction, because two logins of one user must not conflict. The
    /// session carries the epoch that was read with the hash. So if a change overtakes the login, the session is dead,
    /// whichever write comes first.
    ///
    /// The user's sessions are read only if there may be too many: if as many logins as sessions are allowed have
    /// followed the last time they were counted.
    pub async fn complete_login(
        &self,
        home: &Home,
        credential: &Credential,
        rehashed: Option<&PasswordHash>,
        device: Option<&DeviceToken>,
        session: NewSession,
    ) -> Result<LoginCompletion, StoreError> {
        let at_most = credential.sessions_at_most.filter(|sessions| *sessions < MAX_SESSIONS as u64);
        let mut cleared = still(home.key(), credential.user, credential.epoch);
        if device.is_none() {
            cleared = PASSWORDS.forget(cleared);
        }
        if at_most.is_some() {
            cleared = cleared.set("#sessions_at_most = #sessions_at_most + :one").value(":one", number(1));
        }
        if let Some(rehashed) = rehashed {
            // Two parallel logins may both do this. Either hash may stay, because both are of the same password.
            cleared = cleared.set("#password_hash = :rehashed").value(":rehashed", rehashed.into());
        }
        let of_device = async {
            match device {
                Some(device) => self.clear_device(device).await,
                None => Ok(()),
            }
        };
        let writes = async {
            let writes = try_join!(self.create(session.clone().into_item()), self.update(cleared), of_device);
            writes.map(|(session, cleared, ())| (session, cleared))
        };
        let written = if at_most.is_some() {
            writes.await
        } else {
            let (written, room) = join!(writes, self.make_room(&session));
            let noted = match room {
                Ok(Some(left)) => self.note_sessions(home, credential, left).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = noted {
                // This login must not fail because of older sessions. The next login makes room again.
                tracing::warn!(%error, "the oldest sessions were not deleted; the next login tries again");
            }
            written
        };
        let completion = match written? {
            (Outcome::Applied(_), Outcome::Applied(_)) => return Ok(LoginCompletion::Done),
            (_, Outcome::Refused(Some(item)))
                if Credential::read(&item)?.is_some_and(|now| now.is_still(credential)) =>
            {
                LoginCompletion::EpochRaised
            }
            _ => LoginCompletion::Overtaken,
        };
        // The session is dead on arrival. If the account is gone, no other request deletes the session.
        if let Err(error) = self.delete(Key::session(session.user, session.id)).await {
            tracing::warn!(%error, "a dead session was not deleted; DynamoDB's TTL deletes it later");
        }
        Ok(completion)
    }

    /// Stores how many sessions a user has, after a login that has counted them.
    ///
    /// Only the difference to what the login read is subtracted, so that logins which ran meanwhile stay counted. A user
    /// who has all sessions that are allowed gets no write.
    async fn note_sessions(&self, home: &Home, credential: &Credential, left: usize) -> Result<(), StoreError> {
        let left = left as u64;
        let noted = ItemUpdate::new(home.key()).value(":user", text(credential.user.to_string()));
        let noted = match credential.sessions_at_most {
            Some(at_most) if at_most <= left => return Ok(()),
            Some(at_most) => noted
                .set("#sessions_at_most = #sessions_at_most - :fewer")
                .when("#user_id = :user AND #sessions_at_most >= :fewer")
                .value(":fewer", number(at_most - left)),
            None => noted
                .set("#sessions_at_most = :left")
                .when("#user_id = :user AND attribute_not_exists(#sessions_at_most)")
                .value(":left", number(left)),
        };
        self.update(noted).await.map(|_| ())
    }

    /// Sets a password for an account and ends every session; the one that asked is renewed.
    ///
    /// One transaction, under the condition that the epoch is the one at which the caller was proved, writes the
    /// credential, the profile, and the session that takes the place of the old one.
    pub async fn change_password(
        &self,
        home: &Home,
        CodeAccount { user, epoch, .. }: CodeAccount,
        new: &PasswordHash,
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let mut writes = vec![
            Write::Update(replace_password(home.key(), user, epoch, new)),
            Write::Update(raise_epoch(user, home.number(), epoch).remove("#passwordless")),
        ];
        writes.extend(renewal.into_writes(user, epoch, now));
        Ok(self.transact(writes).await?.into())
    }

    /// Ends every session of an account, including its access tokens, by one transaction over credential and profile.
    pub async fn end_all_sessions(&self, profile: &Profile) -> Result<Change, StoreError> {
        let credential = raise_credential_epoch(profile.home.key(), profile.user, profile.epoch);
        let raised = raise_epoch(profile.user, profile.home.number(), profile.epoch);
        Ok(self.transact(vec![Write::Update(credential), Write::Update(raised)]).await?.into())
    }
}

/// Returns the account of a phone, for a code to be bound to. Returns `None` if the account is disabled.
pub(super) fn account(credential: Option<&Item>) -> Result<Option<CodeAccount>, StoreError> {
    let credential = credential.map(Credential::read).transpose()?.flatten();
    let credential = credential.filter(|credential| credential.disabled_at.is_none());
    Ok(credential.as_ref().map(CodeAccount::from))
}
