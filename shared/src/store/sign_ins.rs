//! Sign-ins by a code. A challenge waits under the phone for its code, which opens one session: of the phone's account, or
//! of one that is created in the same transaction (docs/adr/0041-sign-in-by-code.md).

use std::time::Duration;

use tokio::join;

use super::{
    ActivationIssue, CodeAccount, CodeTarget, CodeUse, NewCode, PendingCode, Store,
    accounts::{self, NewAccount},
    codes::{self, SpentCode},
    limits::Limit,
    outcome::Change,
    profile::{Home, Profile},
    repeatable::Repeatable,
    sessions::{self, NewSession, PasswordTries},
    table::{
        error::StoreError,
        expression::{ItemCheck, ItemUpdate, Write},
        item::{Item, moment, number, ttl},
        keys::{ATTEMPTS, CODES, ENDS_AT, Key},
    },
};
use crate::{
    base::{id::SessionId, time::Timestamp},
    domain::{otp::Purpose, phone::Phone, repeat::RepeatMac},
};

/// The time for which a challenge waits. Until then, another code may be sent for it.
const WAITS: Duration = Duration::from_mins(15);

impl Store {
    /// Replaces a session by another one of the same epoch, after another proof, and uses up the code if that was the
    /// proof. One transaction, under the condition that the session is live and the account is as it was read, so that of
    /// several step-ups in parallel one succeeds. The new session goes on with these tries of the password; a repetition of
    /// the request is recognized by `repeat`.
    pub async fn step_up(
        &self,
        profile: &Profile,
        used: Option<SpentCode<'_>>,
        (old, tries): (SessionId, Option<PasswordTries>),
        (new, repeat): (NewSession, Option<Repeatable>),
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let unchanged = ItemCheck::new(Key::profile(profile.user), "#epoch = :epoch");
        let mut writes = vec![Write::Check(unchanged.value(":epoch", number(profile.epoch)))];
        writes.extend(sessions::replace(old, new, (tries, repeat.as_ref()), now));
        if let Some(SpentCode { purpose, code, effect, pseudonym }) = used {
            // A parked account has no phone that a code could be for.
            let Home::Phone(phone) = &profile.home else { return Ok(Change::Overtaken) };
            writes.push(Write::Update(spend(phone, purpose, (code, effect), now)));
            writes.push(Write::Update(accounts::renew_proof(phone, profile.user, profile.epoch, now)));
            writes.push(Write::Update(codes::clear_codes(purpose, pseudonym, now)));
            writes.extend(code.counted(now));
        }
        Ok(self.transact(writes).await?.into())
    }

    /// Stores a code of a challenge, under the cooldown of its phone and these limits. Either every write happens or none.
    /// `is_first` creates the challenge; without it, the challenge must still wait and have
    /// tries left, which no other code adds to.
    ///
    /// The code is bound to the target's account. Without one it opens nothing.
    pub async fn issue_sign_in(
        &self,
        code: NewCode<'_>,
        target: &CodeTarget,
        is_first: bool,
        limits: &[Limit<'_>],
    ) -> Result<ActivationIssue, StoreError> {
        let now = code.now;
        let update = codes::bind_to(target.open.issue(&code, target.account), target.account);
        let update = if is_first {
            update
                .set("#failures_since = :now")
                .set("#ends_at = :waits_until")
                .set("#expires_at = :expires_at")
                .and_when("attribute_not_exists(#pk)")
                .value(":now", moment(now))
                .value(":waits_until", moment(now.plus(WAITS)))
                .value(":expires_at", ttl(now.plus(WAITS).plus(code.ttl)))
        } else {
            update
                .and_when("attribute_exists(#codes) AND #ends_at > :now AND #attempts < :max_attempts")
                .value(":now", moment(now))
                .value(":max_attempts", number(code.max_attempts))
        };
        let waits = |item: &Item| {
            Ok(item.has(CODES) && item.moment(ENDS_AT)? > now && item.count(ATTEMPTS)? < code.max_attempts)
        };
        self.issue_pending(code, update, limits, waits).await
    }

    /// Uses up a right code and starts a session. One transaction, so that only one of several parallel requests with the
    /// code starts one.
    ///
    /// The challenge remembers the session until the end of the code, for a client whose response is lost.
    ///
    /// It creates the account that the code is bound to, under the condition that the phone still has none; or requires
    /// the account to be as it was when the code was bound to it. The phone counts as verified.
    pub async fn sign_in_by_code(
        &self,
        (phone, purpose): (&Phone, Purpose),
        (account, code, effect): (CodeAccount, &PendingCode, &RepeatMac),
        session: NewSession,
        pseudonym: &str,
        now: Timestamp,
    ) -> Result<CodeUse, StoreError> {
        let spent = codes::leave_session(codes::spend(phone, purpose, code, effect, now), Some(&session));
        let mut writes = vec![Write::Update(spent), Write::Update(codes::clear_codes(purpose, pseudonym, now))];
        writes.extend(code.counted(now));
        if account.is_to_be_created() {
            let user = account.user;
            let new = NewAccount {
                user,
                phone,
                password_hash: None,
                phone_verified_at: Some(now),
                legacy_id: None,
                starts_session: true,
            };
            writes.extend(accounts::create(new, now));
        } else {
            writes.extend(accounts::confirm_phone(phone, account, true, now));
        }
        writes.push(Write::Create(session.clone().into_item()));
        let room = async { if account.is_to_be_created() { Ok(None) } else { self.make_room(&session).await } };
        let (transacted, room) = join!(self.transact(writes), room);
        if let Err(error) = room {
            // This sign-in must not fail because of older sessions. The next one makes room again.
            tracing::warn!(%error, "the oldest sessions were not deleted; the next login tries again");
        }
        CodeUse::of(transacted?, code, now)
    }
}

/// Builds the part of a transaction that uses up a code and ends its challenge.
fn spend(phone: &Phone, purpose: Purpose, (code, effect): (&PendingCode, &RepeatMac), now: Timestamp) -> ItemUpdate {
    codes::spend(phone, purpose, code, effect, now).remove("#user_id").remove("#epoch").remove("#mfa_enabled")
}
