//! The pots that a message is charged to before it is sent (docs/adr/0038-three-pots-of-messages.md).

use std::time::Duration;

use crate::{
    app::App,
    base::{id::UserId, time::Timestamp},
    domain::{otp::Purpose, phone::Phone},
    error::ApiError,
    http::context::Context,
    log::{audit, metrics::Metric},
    store::{Bucket, CodeTarget, Limit, LimitReached, REQUESTS_PER_MESSAGE},
    tokens::{device::DeviceToken, secret::Secret},
};

/// The least number of those requests from one address in an hour: phones share addresses behind carriers' NAT.
const LEAST_REQUESTS: u64 = 300;

/// The part of a day's budget that one hour may use, as a divisor: a flood must not use up a day before somebody sees it.
const HOURS_IN_A_BUDGET: u64 = 6;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The kind of message that owners did not ask for, in the subjects of its limits.
const NOTICE: &str = "notice";

/// The pot that pays for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pot {
    /// The reserve of phones that were verified with us: only their own limits bound it, so no flood uses it up.
    Verified,
    /// The same for a device that the phone's account knows. The limits are those of the account's devices, which strangers
    /// who know the phone do not charge (docs/adr/0053-messages-of-known-devices.md).
    KnownDevice(DeviceToken),
    /// That of phones that were never verified, of a country that verified this many codes of late.
    New {
        /// Codes that were entered and right today and in the 14 days before.
        verified_in_country: u64,
    },
}

impl Pot {
    /// Returns the pot of a code. Only a password reset and a sign-in may use the reserve, since their responses are the
    /// same whatever happens: elsewhere, a refusal would tell which phones are verified.
    pub fn of(purpose: Purpose, target: &CodeTarget) -> Self {
        match target.known_device {
            _ if !(purpose.is_hidden() && target.is_verified) => {
                Self::New { verified_in_country: target.verified_in_country }
            }
            Some(device) => Self::KnownDevice(device),
            None => Self::Verified,
        }
    }

    /// Returns the known device that pays, if one does.
    pub fn device(self) -> Option<DeviceToken> {
        match self {
            Self::KnownDevice(device) => Some(device),
            Self::Verified | Self::New { .. } => None,
        }
    }

    /// Returns whether no budget that strangers use up bounds it.
    pub fn is_reserve(self) -> bool {
        !matches!(self, Self::New { .. })
    }
}

/// The phone, account, address and country whose budgets a message is charged to. Phone, account and address are
/// pseudonyms, because counts outlive a deleted account (docs/threats.md#r9).
#[derive(Clone, Debug)]
pub struct MessageSubjects {
    /// The phone, for this purpose alone: what strangers ask for uses up nothing that owners need in a session.
    phone: String,
    /// The devices that the phone's account knows, for this purpose alone.
    pub(super) devices: String,
    /// The phone, as a member of the different phones of an address.
    member: String,
    /// The account that asks in a session.
    account: Option<String>,
    address: String,
    country: &'static str,
    of_country: [String; 2],
    of_all: [String; 2],
}

impl MessageSubjects {
    /// Returns the subjects of a code for this purpose that this request causes to be sent to this phone, and that `user`
    /// will enter.
    ///
    /// Codes for a reset, and codes to sign in with, have counters of their own throughout, so that what became of their
    /// messages does not show in what other requests are answered (docs/adr/0024-what-was-not-sent-costs-nothing.md).
    pub fn new(secret: &Secret, phone: &Phone, ctx: &Context, purpose: Purpose, user: Option<UserId>) -> Self {
        let member = audit::pseudonym(&secret.counting.audit, phone);
        let is_in_session = matches!(purpose, Purpose::VerifyPhone | Purpose::ChangePhone(_));
        let account = user.filter(|_| is_in_session);
        let scope = if purpose.is_hidden() { format!("{}:", purpose.as_str()) } else { String::new() };
        let country = phone.country_code();
        let windows = |subject: &str| ["day", "hour"].map(|window| format!("{scope}{subject}/{window}"));
        Self {
            phone: format!("{}:{member}", purpose.as_str()),
            devices: devices_subject(purpose.as_str(), &member),
            member,
            account: account.map(|user| account_subject(secret, user)),
            address: format!("{scope}{}", address_subject(secret, ctx)),
            of_country: windows(country),
            of_all: windows("all"),
            country,
        }
    }
}

/// Returns the subject of limits that count what the caller's address does: a pseudonym, because the address belongs to a
/// person.
pub fn address_subject(secret: &Secret, ctx: &Context) -> String {
    audit::pseudonym_of(&secret.counting.audit, &ctx.source.subject())
}

/// Returns the subject of limits of what an account asks for in its sessions: a pseudonym, as that of its phone.
pub fn account_subject(secret: &Secret, user: UserId) -> String {
    audit::pseudonym_of(&secret.counting.audit, &user.to_string())
}

/// Returns the subject of the limit of notices to a phone. Only changes of its own account charge it.
pub(super) fn notice_subject(secret: &Secret, phone: &Phone) -> String {
    format!("{NOTICE}:{}", audit::pseudonym(&secret.counting.audit, phone))
}

/// Returns the subjects of all limits of messages to a phone: those of codes, and of notices. The limits of tries of the
/// phone's codes have the same subjects.
pub fn phone_subjects(secret: &Secret, phone: &Phone) -> [String; 6] {
    let pseudonym = audit::pseudonym(&secret.counting.audit, phone);
    let [first, second, third, fourth, fifth] = Purpose::NAMES;
    [first, second, third, fourth, fifth, NOTICE].map(|kind| format!("{kind}:{pseudonym}"))
}

/// Returns the subject of limits of what the known devices of a phone's account ask for, of this kind.
fn devices_subject(kind: &str, pseudonym: &str) -> String {
    format!("device:{kind}:{pseudonym}")
}

/// Returns the subjects of all those limits.
pub fn devices_subjects(secret: &Secret, phone: &Phone) -> Vec<String> {
    let pseudonym = audit::pseudonym(&secret.counting.audit, phone);
    Purpose::HIDDEN_NAMES.iter().map(|kind| devices_subject(kind, &pseudonym)).collect()
}

impl App {
    /// Returns the budgets that a message is charged to, all or nothing.
    pub fn message_budgets<'a>(&self, subjects: &'a MessageSubjects, pot: Pot) -> Vec<Limit<'a>> {
        let limits = self.config.limits;
        let of_phone = limits.messages_to(&subjects.phone);
        let verified_in_country = match pot {
            Pot::KnownDevice(_) => return vec![limits.messages_on_devices(&subjects.devices)],
            Pot::Verified => return vec![of_phone],
            Pot::New { verified_in_country } => verified_in_country,
        };

        let mut budgets = vec![of_phone];
        budgets.push(match &subjects.account {
            Some(account) => limits.messages_of(account),
            None => Limit::new(Bucket::MessagesAddress, &subjects.address, limits.messages_per_address, HOUR),
        });
        budgets.extend(self.different_of_address(subjects));
        budgets.extend(self.shared_budgets(subjects, verified_in_country));
        budgets
    }

    /// Returns the budgets that all callers share: of the phone's country and of all, for a day and an hour.
    pub(super) fn shared_budgets<'a>(&self, subjects: &'a MessageSubjects, verified_in_country: u64) -> Vec<Limit<'a>> {
        let limits = self.config.limits;
        let mut budgets = Vec::with_capacity(4);
        let share = verified_in_country.saturating_mul(limits.verified_share) / 100;
        for (bucket, [of_day, of_hour], allowed) in [
            (Bucket::MessagesCountry, &subjects.of_country, limits.messages_per_country.max(share)),
            (Bucket::MessagesTotal, &subjects.of_all, limits.messages_total),
        ] {
            budgets.push(Limit::new(bucket, of_day, allowed, DAY));
            budgets.push(Limit::new(bucket, of_hour, allowed.div_ceil(HOURS_IN_A_BUDGET), HOUR));
        }
        budgets
    }

    /// Returns the limits of the different phones and countries that an address names.
    fn different_of_address<'a>(&self, subjects: &'a MessageSubjects) -> [Limit<'a>; 2] {
        let limits = self.config.limits;
        let different = |bucket, member: &'a str, allowed, window| Limit {
            member: Some(member),
            ..Limit::new(bucket, &subjects.address, allowed, window)
        };
        [
            different(Bucket::AddressPhones, &subjects.member, limits.phones_per_address, HOUR),
            different(Bucket::AddressCountries, subjects.country, limits.countries_per_address, DAY),
        ]
    }

    /// Returns what a request counts for its address, although it is not refused by it: a request for a code that the
    /// reserve pays for, or that is withheld. Without this, the room that is left to an address would tell its user
    /// whether the phone was verified.
    ///
    /// The different phones and countries (`Limit::member`) are lists that do not grow beyond their limits, so the caller
    /// leaves them out when one is full.
    pub(super) fn counted_for_address<'a>(&self, subjects: &'a MessageSubjects) -> Vec<Limit<'a>> {
        let [requests, messages] = [Bucket::MessageRequests, Bucket::MessagesAddress]
            .map(|bucket| Limit::new(bucket, &subjects.address, u64::MAX, HOUR));
        [requests, messages].into_iter().chain(self.different_of_address(subjects)).collect()
    }

    /// Returns the limit of requests for messages, which counts them even if they send nothing. It is generous, and is given
    /// back only if the provider failed, which callers cannot bring about. It counts for the account that asks in a session,
    /// for a phone that was verified or the known devices of its account, and otherwise for the address.
    pub fn message_requests<'a>(&self, subjects: &'a MessageSubjects, pot: Pot) -> Limit<'a> {
        let limits = self.config.limits;
        match (pot, &subjects.account) {
            (Pot::Verified, _) => limits.requests_to(&subjects.phone),
            (Pot::KnownDevice(_), _) => limits.requests_to(&subjects.devices),
            (Pot::New { .. }, Some(account)) => limits.requests_of(account),
            (Pot::New { .. }, None) => {
                let allowed = limits.messages_per_address.saturating_mul(REQUESTS_PER_MESSAGE).max(LEAST_REQUESTS);
                Limit::new(Bucket::MessageRequests, &subjects.address, allowed, HOUR)
            }
        }
    }

    /// Returns the error for a budget that is used up. Counts it for the alarm if many people share the budget.
    pub fn message_limit_reached(&self, reached: LimitReached, now: Timestamp) -> ApiError {
        self.count_if_shared(reached.bucket, now);
        reached.into()
    }

    /// Counts a used-up budget for the alarm, if many people share it: that of a country, or the total.
    pub(super) fn count_if_shared(&self, bucket: Bucket, now: Timestamp) {
        if bucket.is_shared() {
            self.metrics.count(Metric::MessagesBudgetReached, bucket.as_str(), now);
        }
    }
}
