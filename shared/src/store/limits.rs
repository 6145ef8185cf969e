//! Counters of uses in fixed windows. The key of a counter contains its window, so that no counter ever has to be reset
//! and no race can roll a window over.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Store,
    table::{
        error::StoreError,
        expression::{ItemCheck, ItemDeletion, ItemUpdate, Write},
        item::{Item, integer, number, text, texts, ttl},
        keys::{Key, MEMBERS, USES},
        wire::{Outcome, Part, Transacted},
    },
};
use crate::base::{time::Timestamp, variables::Variables};

/// The time for which a counter outlives its window before DynamoDB may delete it.
const KEPT: Duration = Duration::from_hours(1);

const DAY: Duration = Duration::from_hours(24);

/// The number of requests for messages for each message that may be sent: a request whose message fails gives its message
/// back, and no more than that.
pub const REQUESTS_PER_MESSAGE: u64 = 5;

/// The end of the names of counters of uses that were given back although they may have had an effect. They are no limits.
const FORGIVEN: &str = "-forgiven";

/// The condition that allows one more use.
const ALLOWED: &str = "attribute_not_exists(#uses) OR #uses < :allowed";

/// The condition that allows a member: it is in the set, or the set has room for it.
const ADMITS: &str = "attribute_not_exists(#members) OR contains(#members, :member) OR size(#members) < :allowed";

macro_rules! buckets {
    ($($(#[doc = $doc:literal])+ $bucket:ident: $name:literal,)+) => {
        /// The kind of use that a limit counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bucket {
            $($(#[doc = $doc])+ $bucket,)+
        }

        impl Bucket {
            /// Every bucket.
            pub const ALL: &[Self] = &[$(Self::$bucket),+];

            /// Returns the bucket's name in responses and in keys of the table.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$bucket => $name,)+ }
            }
        }
    };
}

buckets! {
    /// Wrong passwords for one phone.
    LoginPhone: "login-phone",
    /// Wrong passwords in one session.
    LoginSession: "login-session",
    /// Wrong passwords on one known device.
    LoginDevice: "login-device",
    /// Logins and code tries from one address.
    LoginAddress: "login-address",
    /// Registrations from one address.
    RegisterAddress: "register-address",
    /// The resend cooldown, which allows one code at a time.
    MessagesCooldown: "messages-cooldown",
    /// Messages to one phone, for one purpose.
    MessagesPhone: "messages-phone",
    /// Messages that the known devices of one phone's account asked for, for one purpose.
    MessagesDevice: "messages-device",
    /// Messages that one account asked for in its sessions.
    MessagesAccount: "messages-account",
    /// Messages to phones that were never verified, requested from one address.
    MessagesAddress: "messages-address",
    /// Different phones that were never verified, in requests from one address.
    AddressPhones: "address-phones",
    /// Different countries of phones that were never verified, in requests from one address.
    AddressCountries: "address-countries",
    /// Messages to phones of one country that were never verified.
    MessagesCountry: "messages-country",
    /// Messages to all phones that were never verified.
    MessagesTotal: "messages-total",
    /// Requests for messages from one address, whether or not a message was sent.
    MessageRequests: "message-requests",
    /// Codes to one phone that were sent and may be guessed by their challenges.
    CodesPhone: "codes-phone",
    /// Wrong codes for one phone.
    OtpPhone: "otp-phone",
    /// Wrong codes of one account's second factor.
    Mfa: "mfa",
}

impl Bucket {
    /// Returns whether all callers share the counter, so that it does not count for one phone or one address.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::MessagesCountry | Self::MessagesTotal)
    }

    /// Returns whether wrong passwords or codes fill it, so that a phone, a device, a session or a second factor is locked.
    pub const fn is_lock(self) -> bool {
        matches!(self, Self::LoginPhone | Self::LoginSession | Self::LoginDevice | Self::OtpPhone | Self::Mfa)
    }

    /// Returns whether it counts messages to one phone or for one account, so that it keeps nobody else from messages.
    pub const fn is_of_messages_to_one(self) -> bool {
        matches!(self, Self::MessagesPhone | Self::MessagesDevice | Self::MessagesAccount)
    }

    /// Returns whether it counts messages, or the requests for them. What such a limit refuses can still be answered as
    /// if a message had been sent.
    pub const fn is_of_messages(self) -> bool {
        match self {
            Self::MessagesPhone
            | Self::MessagesDevice
            | Self::CodesPhone
            | Self::MessagesAccount
            | Self::MessagesAddress
            | Self::AddressPhones
            | Self::AddressCountries
            | Self::MessagesCountry
            | Self::MessagesTotal
            | Self::MessageRequests => true,
            Self::LoginPhone
            | Self::LoginSession
            | Self::LoginDevice
            | Self::LoginAddress
            | Self::RegisterAddress
            | Self::MessagesCooldown
            | Self::OtpPhone
            | Self::Mfa => false,
        }
    }
}

/// The configured limits. Limits per phone are strict. Limits per address are generous, because phones share addresses
/// behind carriers' NAT.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Logins and code tries per address and 5 minutes: `LIMIT_LOGIN_PER_ADDRESS`.
    pub login_per_address: u64,
    /// Registrations per address and hour: `LIMIT_REGISTER_PER_ADDRESS`.
    pub register_per_address: u64,
    /// Messages to phones that were never verified, per address and hour: `LIMIT_MESSAGES_PER_ADDRESS`.
    pub messages_per_address: u64,
    /// Different phones of these, per address and hour: `LIMIT_PHONES_PER_ADDRESS`.
    pub phones_per_address: u64,
    /// Different countries of these, per address and day: `LIMIT_COUNTRIES_PER_ADDRESS`.
    pub countries_per_address: u64,
    /// Messages per phone, purpose and day, and as many for the known devices of its account: `LIMIT_MESSAGES_PER_PHONE`.
    pub messages_per_phone: u64,
    /// Messages to phones of one country that were never verified, per day, at least: `LIMIT_MESSAGES_PER_COUNTRY`.
    pub messages_per_country: u64,
    /// The percentage of a country's verified codes of today and the 14 days before that these messages may number, if it
    /// is more: `LIMIT_VERIFIED_SHARE`.
    pub verified_share: u64,
    /// Messages to all phones that were never verified, per day: `LIMIT_MESSAGES_TOTAL`.
    pub messages_total: u64,
}

/// The least and the greatest value of a limit.
const LIMIT_RANGE: RangeInclusive<u64> = 1..=1_000_000;

/// The same for a limit of different members, which one item lists.
const MEMBERS_RANGE: RangeInclusive<u64> = 1..=1_000;

impl Limits {
    /// Returns the limit of messages to a phone, by one of its subjects.
    pub const fn messages_to<'a>(&self, phone: &'a str) -> Limit<'a> {
        Limit::new(Bucket::MessagesPhone, phone, self.messages_per_phone, DAY)
    }

    /// Returns the limit of messages that the known devices of a phone's account ask for, by the subject of these devices.
    pub const fn messages_on_devices<'a>(&self, devices: &'a str) -> Limit<'a> {
        Limit::new(Bucket::MessagesDevice, devices, self.messages_per_phone, DAY)
    }

    /// Returns the limit of requests for messages to a phone that was verified, by one of its subjects or by that of its
    /// account's known devices.
    pub const fn requests_to<'a>(&self, phone: &'a str) -> Limit<'a> {
        Self::requests(phone, self.messages_per_phone)
    }

    /// Returns the limit of messages that one account may ask for in its sessions, by its subject. Changes of the phone
    /// may need several, to its own and to new phones.
    pub const fn messages_of<'a>(&self, account: &'a str) -> Limit<'a> {
        Limit::new(Bucket::MessagesAccount, account, self.messages_per_account(), DAY)
    }

    /// Returns the limit of requests for messages in the sessions of one account, by its subject.
    pub const fn requests_of<'a>(&self, account: &'a str) -> Limit<'a> {
        Self::requests(account, self.messages_per_account())
    }

    const fn messages_per_account(&self) -> u64 {
        self.messages_per_phone.saturating_mul(2)
    }

    const fn requests(subject: &str, messages: u64) -> Limit<'_> {
        Limit::new(Bucket::MessageRequests, subject, messages.saturating_mul(REQUESTS_PER_MESSAGE), DAY)
    }

    /// Reads the limits from the `LIMIT_*` variables.
    pub fn read(read: &mut Variables<'_>) -> Self {
        Self {
            login_per_address: read.number("LIMIT_LOGIN_PER_ADDRESS", 300, LIMIT_RANGE),
            register_per_address: read.number("LIMIT_REGISTER_PER_ADDRESS", 100, LIMIT_RANGE),
            messages_per_address: read.number("LIMIT_MESSAGES_PER_ADDRESS", 60, LIMIT_RANGE),
            phones_per_address: read.number("LIMIT_PHONES_PER_ADDRESS", 30, MEMBERS_RANGE),
            countries_per_address: read.number("LIMIT_COUNTRIES_PER_ADDRESS", 5, MEMBERS_RANGE),
            messages_per_phone: read.number("LIMIT_MESSAGES_PER_PHONE", 10, LIMIT_RANGE),
            messages_per_country: read.number("LIMIT_MESSAGES_PER_COUNTRY", 600, LIMIT_RANGE),
            verified_share: read.number("LIMIT_VERIFIED_SHARE", 20, 0..=100),
            messages_total: read.number("LIMIT_MESSAGES_TOTAL", 5000, LIMIT_RANGE),
        }
    }
}

/// A number of uses that are allowed per window.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// The kind of use that is counted.
    pub bucket: Bucket,
    /// The subject whose uses are counted: a pseudonym of a phone or an address, because the table keeps it, or something
    /// that belongs to nobody, such as a country.
    pub subject: &'a str,
    /// The number of uses that are allowed per window.
    pub allowed: u64,
    /// The length of the window.
    pub window: Duration,
    /// What is used, if the limit counts different ones of it and not uses: the same one again is free.
    pub member: Option<&'a str>,
}

/// The limit that refused a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// The kind of use that the limit counts.
    pub bucket: Bucket,
    /// The time until the limit allows another use.
    pub retry_after: Duration,
}

impl<'a> Limit<'a> {
    /// Returns a limit that counts uses.
    pub const fn new(bucket: Bucket, subject: &'a str, allowed: u64, window: Duration) -> Self {
        Self { bucket, subject, allowed, window, member: None }
    }

    fn key(&self, now: Timestamp) -> Key {
        Key::limit(self.bucket.as_str(), self.subject, self.window_start(now))
    }

    fn window_start(&self, now: Timestamp) -> u64 {
        now.window_start(self.window).unix_seconds()
    }

    /// Returns the end of the current window.
    fn end(&self, now: Timestamp) -> Timestamp {
        now.window_start(self.window).plus(self.window)
    }

    /// Builds the conditional `ADD` that counts one use. It is strict however many run at once.
    pub(super) fn charge(&self, now: Timestamp) -> ItemUpdate {
        self.charge_at(self.key(now), now)
    }

    /// Builds the same for the counter at this key.
    fn charge_at(&self, key: Key, now: Timestamp) -> ItemUpdate {
        let update = ItemUpdate::new(key)
            .set("#expires_at = :expires_at")
            .value(":allowed", number(self.allowed))
            .value(":expires_at", ttl(self.end(now).plus(KEPT)));
        match self.member {
            Some(member) => update
                .add("#members :members")
                .value(":members", texts([member]))
                .value(":member", text(member))
                .when(ADMITS),
            None => update.add("#uses :one").value(":one", number(1)).when(ALLOWED),
        }
    }

    /// Builds the update that gives one use back. It is for a use that was charged and certainly had no effect, and is
    /// part of a transaction, so that a lost reply cannot give back twice. A member leaves the set even if an earlier use
    /// had brought it there: uses have a limit of their own. One that has left already is no reason to refuse the
    /// transaction, which would keep what other limits were charged.
    pub(super) fn give_back(&self, now: Timestamp) -> ItemUpdate {
        let update = ItemUpdate::new(self.key(now));
        if let Some(member) = self.member {
            return update
                .delete("#members :members")
                .set("#expires_at = :expires_at")
                .value(":members", texts([member]))
                .value(":expires_at", ttl(self.end(now).plus(KEPT)));
        }
        update.add("#uses :minus_one").when("#uses >= :one").value(":minus_one", integer(-1)).value(":one", number(1))
    }

    /// Builds the updates that give one use back, and count it among those that were given back: at most as many in a window
    /// as the limit allows. So whoever can make uses fail that had an effect all the same gains twice the limit, and no more.
    pub(super) fn forgive(&self, now: Timestamp) -> [ItemUpdate; 2] {
        let forgiven = format!("{}{FORGIVEN}", self.bucket.as_str());
        let counter = Key::limit(&forgiven, self.subject, self.window_start(now));
        [self.give_back(now), self.charge_at(counter, now)]
    }

    /// Builds the deletion of the counter of the current window.
    pub(super) fn forget(&self, now: Timestamp) -> Write {
        Write::Delete(ItemDeletion::new(self.key(now)))
    }

    /// Builds the update that forgets the uses of the current window. It is part of a transaction.
    pub(super) fn clear(&self, now: Timestamp) -> ItemUpdate {
        ItemUpdate::new(self.key(now))
            .set("#uses = :zero")
            .set("#expires_at = :expires_at")
            .value(":zero", number(0))
            .value(":expires_at", ttl(self.end(now).plus(KEPT)))
    }

    /// Builds the check that one more use would be allowed, which counts nothing. It is for uses that cost nothing.
    pub(super) fn check(&self, now: Timestamp) -> ItemCheck {
        match self.member {
            Some(member) => ItemCheck::new(self.key(now), ADMITS).value(":member", text(member)),
            None => ItemCheck::new(self.key(now), ALLOWED),
        }
        .value(":allowed", number(self.allowed))
    }

    /// Returns whether the counter, as it was read, allows no more uses.
    fn is_used_up(&self, counter: Option<Item>) -> Result<bool, StoreError> {
        let counter = counter.unwrap_or_default();
        Ok(match self.member {
            Some(member) => {
                let members = counter.set(MEMBERS);
                !members.iter().any(|found| found == member)
                    && u64::try_from(members.len()).is_ok_and(|members| members >= self.allowed)
            }
            None => counter.count(USES)? >= self.allowed,
        })
    }

    /// Builds the limit's part of the transaction that stores a code. A code without a message uses up no budget of
    /// messages, but gets the same response as if it did. Otherwise an attacker could exhaust budgets at no cost. Tries
    /// are only checked: a code whose tries are used up would be refused, so no message is paid for it.
    pub(super) fn of_code(&self, is_sent: bool, now: Timestamp) -> Write {
        let is_charged = match self.bucket {
            Bucket::MessageRequests => true,
            Bucket::OtpPhone => false,
            _ => is_sent,
        };
        if is_charged { Write::Update(self.charge(now)) } else { Write::Check(self.check(now)) }
    }

    pub(super) fn reached(&self, now: Timestamp) -> LimitReached {
        LimitReached { bucket: self.bucket, retry_after: self.end(now).since(now) }
    }
}

/// Counters of limits, as they were read.
#[derive(Debug)]
pub struct Counters(Vec<Option<Item>>);

impl Counters {
    /// Returns a limit that allows no more uses, if there is one, of the limits whose counters were read.
    pub fn used_up(self, limits: &[Limit<'_>], now: Timestamp) -> Result<Option<LimitReached>, StoreError> {
        for (limit, counter) in limits.iter().zip(self.0) {
            if limit.is_used_up(counter)? {
                return Ok(Some(limit.reached(now)));
            }
        }
        Ok(None)
    }

    /// Returns how much of the fullest of these limits is used up, in hundredths, of those whose counters were read.
    pub fn percent_used(&self, limits: &[Limit<'_>]) -> Result<u64, StoreError> {
        let mut most = 0;
        for (limit, counter) in limits.iter().zip(&self.0) {
            let uses = counter.as_ref().map(|counter| counter.count(USES)).transpose()?.unwrap_or_default();
            most = most.max(uses.saturating_mul(100) / limit.allowed.max(1));
        }
        Ok(most)
    }
}

impl Store {
    /// Returns the number of uses that were counted in the current windows of these limits, by one call.
    pub async fn uses(&self, limits: &[Limit<'_>], now: Timestamp) -> Result<u64, StoreError> {
        let Counters(counters) = self.counters(limits, now).await?;
        counters.iter().flatten().map(|counter| counter.count(USES)).sum()
    }

    /// Reads the counters of limits by one call. `allowed` may still be unknown.
    pub async fn counters(&self, limits: &[Limit<'_>], now: Timestamp) -> Result<Counters, StoreError> {
        // A parked account has no phone that messages are counted for.
        if limits.is_empty() {
            return Ok(Counters(Vec::new()));
        }
        Ok(Counters(self.read_every(limits.iter().map(|limit| limit.key(now)).collect()).await?))
    }

    /// Counts one use against every limit. If a limit allows no more, counts nothing and returns that limit.
    pub async fn charge_all(
        &self,
        limits: &[Limit<'_>],
        now: Timestamp,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        let writes = limits.iter().map(|limit| Write::Update(limit.charge(now))).collect();
        Ok(match self.transact(writes).await? {
            Transacted::Committed => Ok(()),
            Transacted::Refused(parts) => {
                let refused = parts.iter().zip(limits).find(|(part, _)| matches!(part, Part::Failed(_)));
                refused.map_or(Ok(()), |(_, limit)| Err(limit.reached(now)))
            }
        })
    }

    /// Gives one use back to every limit, for a use that was charged and certainly had no effect. Call it once for what
    /// was charged at `now`.
    pub async fn give_back_all(&self, limits: &[Limit<'_>], now: Timestamp) -> Result<(), StoreError> {
        let writes = limits.iter().map(|limit| Write::Update(limit.give_back(now))).collect();
        self.transact(writes).await.map(|_| ())
    }

    /// Counts one use, or returns the limit if it allows no more.
    pub async fn charge(&self, limit: Limit<'_>, now: Timestamp) -> Result<Result<(), LimitReached>, StoreError> {
        Ok(match self.update(limit.charge(now)).await? {
            Outcome::Applied(_) => Ok(()),
            Outcome::Refused(_) => Err(limit.reached(now)),
        })
    }
}
