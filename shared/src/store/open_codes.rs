//! The open codes of a phone and a purpose: which of them may be entered, and which of them stay when another is issued
//! (docs/adr/0024-what-was-not-sent-costs-nothing.md).

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    accounts::CodeAccount,
    table::{
        error::StoreError,
        expression::ItemUpdate,
        item::{Item, list, moment, number, text, texts},
        keys::{
            ATTEMPTS, ATTEMPTS_END, CHALLENGE_ID, CODE_ENDS_AT, CODE_MAC, CODES, DOUBTFUL, EPOCH, Key, MFA_ENABLED,
            NOT_SENT, PASSWORDLESS, PHONE_PROVED_AT, RESEND_AT, RESET_RESEND_AT, USER_ID,
        },
    },
};
use crate::{
    base::{id::ChallengeId, time::Timestamp},
    domain::{
        otp::{OtpMac, Purpose},
        phone::Phone,
    },
    tokens::device::DeviceToken,
};

/// The number of codes that may be entered: a user who has asked for another one may type either.
const USABLE: usize = 2;

/// The number of older codes that stay beside a new one. Sendings that are under way may still fail, and then those
/// before them are the last two: at a cooldown of a second, three sendings fit into a provider's deadline.
const KEPT_SENT: usize = 4;

/// The number of older codes that stay although they were not sent, since a message of doubtful or unknown outcome may arrive.
const KEPT_UNSENT: usize = 1;

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
    /// The number of tries.
    pub max_attempts: u64,
    /// The device that asks, if the phone's account knows it. Its own cooldown takes the place of the phone's.
    pub device: Option<DeviceToken>,
    /// Whether a message will carry the code. If not, nobody can enter it, but its tries count.
    pub is_sent: bool,
}

/// How a cooldown is kept in its item.
#[derive(Debug)]
pub(super) struct Cooldown {
    /// The attribute with its end.
    pub(super) attribute: &'static str,
    /// Sets its end.
    pub(super) begin: &'static str,
    /// Sets its end to now.
    pub(super) end: &'static str,
    /// Sets the sending that began it, or requires it to be this one.
    pub(super) begun_by: &'static str,
    /// That it is over.
    pub(super) is_over: &'static str,
}

/// The one of an item with one cooldown.
pub(super) const COOLDOWN: Cooldown = Cooldown {
    attribute: RESEND_AT,
    begin: "#resend_at = :resend_at",
    end: "#resend_at = :now",
    begun_by: "#challenge_id = :challenge",
    is_over: "(attribute_not_exists(#resend_at) OR #resend_at <= :now)",
};

/// That of the codes of resets in the item of a known device, which has another one for sign-ins, as phones have.
const COOLDOWN_OF_RESETS: Cooldown = Cooldown {
    attribute: RESET_RESEND_AT,
    begin: "#reset_resend_at = :resend_at",
    end: "#reset_resend_at = :now",
    begun_by: "#reset_challenge_id = :challenge",
    is_over: "(attribute_not_exists(#reset_resend_at) OR #reset_resend_at <= :now)",
};

impl NewCode<'_> {
    /// Returns how the cooldown of such codes is kept.
    pub(super) fn cooldown_of(&self) -> &'static Cooldown {
        match (self.device, self.purpose) {
            (Some(_), Purpose::ResetBy(_)) => &COOLDOWN_OF_RESETS,
            _ => &COOLDOWN,
        }
    }
}

/// A code that waits to be entered.
#[derive(Clone, Debug)]
pub(super) struct OpenCode {
    pub(super) challenge: ChallengeId,
    pub(super) mac: OtpMac,
    pub(super) ends_at: Timestamp,
    /// The number of tries of all codes when this one was issued.
    attempts_from: u64,
    /// Whether it was issued for no message at all.
    is_decoy: bool,
}

/// The open codes of one item, and the account that all of them are bound to.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenCodes {
    pub(super) account: Option<CodeAccount>,
    /// Newest first.
    codes: Vec<OpenCode>,
    /// The newest sending, as long as none of the codes was used.
    newest: Option<ChallengeId>,
    attempts: u64,
    attempts_end: u64,
    not_sent: Vec<ChallengeId>,
    doubtful: Vec<ChallengeId>,
}

impl OpenCode {
    fn read(item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            challenge: item.parsed(CHALLENGE_ID)?,
            mac: item.otp_mac(CODE_MAC)?,
            ends_at: item.moment(CODE_ENDS_AT)?,
            attempts_from: item.number(ATTEMPTS)?,
            is_decoy: item.flag(NOT_SENT),
        })
    }

    fn to_map(&self) -> HashMap<String, AttributeValue> {
        [
            (CHALLENGE_ID, text(self.challenge.to_string())),
            (CODE_MAC, (&self.mac).into()),
            (CODE_ENDS_AT, moment(self.ends_at)),
            (ATTEMPTS, number(self.attempts_from)),
            (NOT_SENT, AttributeValue::Bool(self.is_decoy)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl OpenCodes {
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let account = if item.has(USER_ID) {
            let (user, epoch) = (item.parsed(USER_ID)?, item.number(EPOCH)?);
            Some(CodeAccount {
                user,
                epoch,
                mfa_enabled: item.flag(MFA_ENABLED),
                has_password: !item.flag(PASSWORDLESS),
                phone_proved_at: item.optional_moment(PHONE_PROVED_AT)?,
            })
        } else {
            None
        };
        Ok(Self {
            account,
            codes: item.list(CODES).iter().map(OpenCode::read).collect::<Result<_, _>>()?,
            newest: item.has(CHALLENGE_ID).then(|| item.parsed(CHALLENGE_ID)).transpose()?,
            attempts: item.count(ATTEMPTS)?,
            attempts_end: item.count(ATTEMPTS_END)?,
            not_sent: item.parsed_set(NOT_SENT)?,
            doubtful: item.parsed_set(DOUBTFUL)?,
        })
    }

    /// The number of tries of the newest code, and the time at which it expires; none if a code was used.
    pub(super) fn newest(&self) -> Option<(u64, Timestamp)> {
        self.codes.first().map(|code| (self.attempts - code.attempts_from, code.ends_at))
    }

    /// Whether no message was sent for this code, or none that the provider owned up to.
    fn is_unsent(&self, code: &OpenCode) -> bool {
        code.is_decoy || self.not_sent.contains(&code.challenge) || self.doubtful.contains(&code.challenge)
    }

    /// Returns the codes that may be entered at the try that was counted last: the last two that were sent, and up to two
    /// beside them whose outcome is doubtful or unknown. Each has its own end and its own tries, and every try is one of each.
    pub(super) fn usable(&self, now: Timestamp) -> Vec<OpenCode> {
        let tries = self.codes.first().map_or(0, |newest| self.attempts_end.saturating_sub(newest.attempts_from));
        let mut sent = 0;
        let mut usable = Vec::new();
        for code in &self.codes {
            if sent == USABLE {
                break;
            }
            sent += usize::from(!self.is_unsent(code));
            let is_known = !code.is_decoy && !self.not_sent.contains(&code.challenge);
            let has_tries = self.attempts - code.attempts_from <= tries;
            if is_known && has_tries && code.ends_at > now {
                usable.push(code.clone());
            }
        }
        usable
    }

    /// Builds the update that puts a new code before these, under the condition that no other was issued or used since
    /// they were read. Forgets those that nobody can enter any more.
    pub(super) fn issue(&self, code: &NewCode<'_>, account: Option<CodeAccount>) -> ItemUpdate {
        let ends_at = code.now.plus(code.ttl);
        let attempts_from = if code.purpose.shares_tries() { 0 } else { self.attempts };
        let new = OpenCode {
            challenge: code.challenge,
            mac: *code.mac,
            ends_at,
            // A try that was counted since costs the new code one of its own.
            attempts_from,
            is_decoy: !code.is_sent,
        };
        let kept = self.kept(code, account);
        let is_kept = |challenge: &&ChallengeId| kept.iter().any(|code| code.challenge == **challenge);
        let forgotten = |marks: &[ChallengeId]| marks.iter().filter(|mark| !is_kept(mark)).copied().collect::<Vec<_>>();
        let (not_sent, doubtful) = (forgotten(&self.not_sent), forgotten(&self.doubtful));

        let open: Vec<_> = std::iter::once(&new).chain(kept.iter().copied()).collect();
        let mut update = ItemUpdate::new(Key::code(code.phone, code.purpose))
            .remove("#op")
            // The same digits may be right again: what was tried and used before says nothing of the new code.
            .remove("#tried")
            .remove("#used")
            .remove("#used_effect")
            .remove("#used_ends_at")
            .remove("#successor")
            .remove("#second_step")
            .set("#codes = :codes")
            .set("#challenge_id = :challenge")
            .set("#open_challenges = :open")
            .set("#attempts = if_not_exists(#attempts, :zero)")
            .set("#attempts_end = :attempts_end")
            .set("#code_ends_at = :ends_at")
            .value(":codes", list(open.iter().map(|code| code.to_map())))
            .value(":challenge", text(code.challenge.to_string()))
            .value(":open", texts(open.iter().map(|code| code.challenge)))
            .value(":zero", number(0))
            .value(":attempts_end", number(attempts_from + code.max_attempts))
            .value(":ends_at", moment(ends_at));
        if !not_sent.is_empty() {
            update = update.delete("#not_sent :forgotten").value(":forgotten", texts(not_sent));
        }
        if !doubtful.is_empty() {
            update = update.delete("#doubtful :forgotten_doubtful").value(":forgotten_doubtful", texts(doubtful));
        }
        match self.newest {
            Some(seen) => update.when(UNCHANGED).value(":seen", text(seen.to_string())),
            None => update.when(NONE_OPEN),
        }
    }

    /// Returns the codes that stay beside a new one: those of the same account that can still be entered, or could once
    /// more if newer ones turned out not to be sent.
    fn kept(&self, code: &NewCode<'_>, account: Option<CodeAccount>) -> Vec<&OpenCode> {
        let (mut sent, mut unsent) = (KEPT_SENT, KEPT_UNSENT);
        let is_open = |open: &&OpenCode| {
            open.ends_at > code.now && self.attempts - open.attempts_from < code.max_attempts && self.account == account
        };
        let has_room = |open: &&OpenCode| {
            let room = if self.is_unsent(open) { &mut unsent } else { &mut sent };
            let has_room = *room > 0;
            *room = room.saturating_sub(1);
            has_room
        };
        self.codes.iter().filter(is_open).filter(has_room).collect()
    }
}

/// That the newest code is still the one that was read.
const UNCHANGED: &str = "#challenge_id = :seen";
/// That there is still none.
const NONE_OPEN: &str = "attribute_not_exists(#challenge_id)";
