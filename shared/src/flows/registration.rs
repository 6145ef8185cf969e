//! Registrations that wait for a code (`REQUIRE_ACTIVATION`). No account exists before the code is entered, so
//! registering somebody else's phone gains nothing and does not block its owner (docs/threats.md#r3).

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    base::{
        id::{ChallengeId, RegistrationId, UserId},
        kid::{Kid, Versioned},
        random::{self, RandomError},
        time::Timestamp,
    },
    domain::{otp::Purpose, password::PasswordHash, phone::Phone},
    error::ApiError,
    flows::{
        budgets::{MessageSubjects, Pot},
        codes::{self, DrawnCode, IssuedCode},
    },
    http::context::Context,
    messages::Notice,
    store::{ActivationIssue, CodeAccount, CodeIssue, CodeTarget, Limit},
};

/// The version of the format, the first byte of an `activation_id`. Version 1 did not name its key.
const VERSION: u8 = 2;
/// The length of the longest phone in E.164. Shorter ones are padded, so that the length of an `activation_id` tells
/// nothing.
const PHONE_LENGTH: usize = 16;
/// The length of an `activation_id`, in bytes: version, key, nonce, identifier, phone and tag.
const LENGTH: usize = 2 + NONCE_LEN + 16 + PHONE_LENGTH + 16;

/// The new account.
#[derive(Serialize, ToSchema)]
pub struct RegisterResponse {
    /// The identifier of the account.
    #[schema(value_type = String, example = "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b")]
    pub id: UserId,
    /// The phone of the account, in E.164.
    #[schema(example = "+201012345678")]
    pub phone: String,
}

/// What waits: for its code, or to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A registration, which clients know as `activation_id`.
    Registration,
    /// A sign-in by code, which clients know as `challenge`.
    SignIn,
    /// A password reset, which clients know as `challenge`, too.
    Reset,
    /// A notice that is sent later. It has no code, and clients never see it.
    Notice,
}

impl Waiting {
    /// Returns the label that binds a sealed text to its kind, so that none of one kind opens as one of the other.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Registration => b"",
            Self::SignIn => b"sign-in",
            Self::Reset => b"reset",
            Self::Notice => b"notice",
        }
    }
}

/// A registration or a sign-in that waits for its code: its identifier and its phone.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingRegistration {
    id: RegistrationId,
    waiting: Waiting,
    /// The phone that the code is sent to.
    pub phone: Phone,
}

impl PendingRegistration {
    /// Creates a registration of this phone, or a sign-in to it.
    pub fn of(phone: Phone, waiting: Waiting) -> Result<Self, RandomError> {
        Ok(Self { id: RegistrationId::generate()?, waiting, phone })
    }

    /// Returns the reset that waits for this code.
    pub fn of_reset(phone: Phone, code: ChallengeId) -> Self {
        Self { id: RegistrationId::from_bytes(*code.as_bytes()), waiting: Waiting::Reset, phone }
    }

    /// Returns the registration of an `activation_id`, or the sign-in or the reset of a `challenge`; none if we did not make
    /// it or its key may no longer be used.
    pub async fn of_id(app: &App, ctx: &Context, waiting: Waiting, text: &str) -> Result<Option<Self>, ApiError> {
        Self::opened(app, ctx.now, waiting, text).await
    }

    /// Returns what we sealed as this kind, at this time.
    pub(super) async fn opened(
        app: &App,
        now: Timestamp,
        waiting: Waiting,
        text: &str,
    ) -> Result<Option<Self>, ApiError> {
        let Ok(kid) = Self::kid_of(text) else { return Ok(None) };
        let keys = app.keyring.reading(kid, now).await?;
        Ok(keys.and_then(|keys| Self::open(&keys.activation, waiting, text).ok()))
    }

    /// Returns the version of the key that a text names, if it has the form of an `activation_id`.
    fn kid_of(text: &str) -> Result<Kid, NotARegistration> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotARegistration)?;
        match bytes.as_slice() {
            [VERSION, kid, ..] if bytes.len() == LENGTH => Kid::from_byte(*kid).ok_or(NotARegistration),
            _ => Err(NotARegistration),
        }
    }

    /// Reads an `activation_id` or a `challenge` that we sealed. Refuses everything else before the table is read. Each
    /// has exactly one spelling.
    fn open(key: &Versioned<LessSafeKey>, waiting: Waiting, text: &str) -> Result<Self, NotARegistration> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotARegistration)?;
        let (version, rest) = bytes.split_first_chunk_mut::<2>().ok_or(NotARegistration)?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(NotARegistration)?;
        let (nonce, bound) = (Nonce::assume_unique_for_key(*nonce), Aad::from(bound(*version, waiting)));
        let plain = key.key.open_in_place(nonce, bound, sealed).map_err(|_| NotARegistration)?;

        let (id, phone) = plain.split_first_chunk::<16>().ok_or(NotARegistration)?;
        let phone = str::from_utf8(phone).ok().map(|padded| padded.trim_end_matches('\0'));
        let phone = phone.and_then(|e164| Phone::from_stored(e164).ok());
        match phone {
            Some(phone) if *version == [VERSION, key.kid.as_byte()] => {
                Ok(Self { id: RegistrationId::from_bytes(*id), waiting, phone })
            }
            _ => Err(NotARegistration),
        }
    }

    /// Returns the `activation_id` or the `challenge`: identifier and phone, encrypted with AES-256-GCM, in base64url.
    /// Clients keep it in logs and addresses, where nobody may read a phone.
    pub fn seal(&self, key: &Versioned<LessSafeKey>) -> Result<String, SealError> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut text = [&self.id.as_bytes()[..], self.phone.as_e164().as_bytes()].concat();
        text.resize(self.id.as_bytes().len() + PHONE_LENGTH, 0);
        let version = [VERSION, key.kid.as_byte()];
        let bound = Aad::from(bound(version, self.waiting));
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut text)
            .map_err(|_| SealError::Cipher)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([&version[..], &nonce, &text].concat()))
    }

    /// Returns the purpose of its codes.
    pub fn purpose(&self) -> Purpose {
        match self.waiting {
            // No registration has the identifier of a notice.
            Waiting::Registration | Waiting::Notice => Purpose::Activation(self.id),
            Waiting::SignIn => Purpose::SignIn(self.id),
            Waiting::Reset => Purpose::ResetBy(ChallengeId::from_bytes(*self.id.as_bytes())),
        }
    }

    /// Counts a registration from the caller's address, and checks the budgets of its message. All that is asked of the
    /// table is asked at once. Returns the phone as its code is to be issued for it.
    ///
    /// So a registration that a limit refuses costs no password hash. The order is the same for every phone.
    pub async fn admit(&self, app: &App, ctx: &Context, limit: Limit<'_>) -> Result<CodeTarget, ApiError> {
        let secret = app.keyring.secret(ctx.now).await?;
        let subjects = MessageSubjects::new(&secret, &self.phone, ctx, self.purpose(), None);
        // Which counters there are does not depend on what the country may use.
        let asked_for = app.message_budgets(&subjects, Pot::New { verified_in_country: 0 });
        let (counted, counters, target) = tokio::try_join!(
            app.store.charge(limit, ctx.now),
            app.store.counters(&asked_for, ctx.now),
            app.store.code_target(&self.phone, self.purpose(), ctx.now),
        )?;
        counted?;
        let budgets = app.message_budgets(&subjects, Pot::of(self.purpose(), &target));
        match counters.used_up(&budgets, ctx.now)? {
            // A test number gets no message.
            Some(reached) if app.test_code(&self.phone).is_none() => Err(app.message_limit_reached(reached, ctx.now)),
            _ => Ok(target),
        }
    }

    /// Sends the phone a code for this registration, or a notice if the phone already has an account. Both send one
    /// message after the same calls and fail alike, so that the response does not reveal which it was.
    ///
    /// An account whose phone was not proved for long may have lost it: its code is sent, and leads to the choice between
    /// that account and a new one (docs/adr/0050-recycled-numbers.md).
    ///
    /// `first`, the hash of the password, comes with the first code and is stored with the registration. `counted` are
    /// limits that the request has been counted in: a message that certainly was not sent takes these counts back, too.
    /// Returns none if the registration is over.
    pub async fn send_code(
        &self,
        app: &App,
        ctx: &Context,
        mut target: CodeTarget,
        first: Option<&PasswordHash>,
        counted: &[Limit<'_>],
    ) -> Result<Option<IssuedCode>, ApiError> {
        let phone = &self.phone;
        for _ in 0..codes::TRIES {
            let old = target.account.filter(|account| app.is_proof_old(account.phone_proved_at, ctx.now));
            let account = match (old, target.bound_account().filter(|account| !account.exists())) {
                (Some(account), _) | (None, Some(account)) => account,
                (None, None) => CodeAccount::new(UserId::generate()?),
            };
            // For a phone that has an account, the code is bound to nobody, so it is never right.
            let gets_code = !target.has_account || old.is_some();
            let bound = gets_code.then_some(account.user);
            let code = DrawnCode::draw(app, ctx, self.purpose(), phone, bound, &target).await?;
            let budgets = code.budgets();
            let limits: Vec<_> = budgets.iter().copied().chain(code.requests()).chain(code.tries()).collect();
            match app.store.issue_activation(code.new_code(true), &target, (account, first), &limits).await? {
                ActivationIssue::Code(CodeIssue::Issued) => {}
                ActivationIssue::Code(CodeIssue::LimitReached(reached)) => {
                    return Err(app.message_limit_reached(reached, ctx.now));
                }
                ActivationIssue::Code(CodeIssue::Overtaken) => {
                    target = app.store.code_target(phone, self.purpose(), ctx.now).await?;
                    continue;
                }
                ActivationIssue::NotWaiting => return Ok(None),
            }
            let given_back = [counted, &budgets].concat();
            return Ok(Some(if gets_code {
                code.send(&given_back, None).await
            } else {
                code.send_instead(Notice::AlreadyRegistered, &given_back).await
            }));
        }
        Err(ApiError::TemporarilyUnavailable("other codes of the registration were issued or used meanwhile".into()))
    }
}

/// Returns what a sealed text is bound to.
fn bound(version: [u8; 2], waiting: Waiting) -> Vec<u8> {
    [&version[..], waiting.label()].concat()
}

impl fmt::Debug for PendingRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingRegistration({})", self.id)
    }
}

/// An `activation_id` cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The cipher refused.
    #[error("a registration cannot be encrypted")]
    Cipher,
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::Internal(error.into())
    }
}

/// The text is not an `activation_id` that we made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an `activation_id` of this service")]
pub struct NotARegistration;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;
    use crate::domain::phone::PhoneRules;

    /// The key of this version, with the same bytes for every version that is even or odd.
    fn key(version: u8) -> Versioned<LessSafeKey> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[version % 2; 32]).unwrap());
        Versioned { kid: Kid::from_byte(version).unwrap(), key }
    }

    fn registration() -> PendingRegistration {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        PendingRegistration { id: RegistrationId::from_bytes([1; 16]), waiting: Waiting::Registration, phone }
    }

    #[test]
    fn an_activation_id_reads_back_with_its_key_alone() {
        let text = registration().seal(&key(1)).unwrap();
        let open =
            |key: &Versioned<LessSafeKey>, text: &str| PendingRegistration::open(key, Waiting::Registration, text);
        assert_eq!(open(&key(1), &text), Ok(registration()));
        assert_eq!(open(&key(2), &text), Err(NotARegistration));
        assert_eq!(open(&key(3), &text), Err(NotARegistration), "the same key, another version");
        assert_eq!(PendingRegistration::kid_of(&text), Ok(key(1).kid));
        for other in [format!("{text}="), format!("{text}A"), text.to_lowercase(), format!(" {text}"), String::new()] {
            assert_eq!(PendingRegistration::open(&key(1), Waiting::Registration, &other), Err(NotARegistration));
        }
        let challenge = PendingRegistration { waiting: Waiting::SignIn, ..registration() };
        let sealed = challenge.seal(&key(1)).unwrap();
        assert_eq!(PendingRegistration::open(&key(1), Waiting::SignIn, &sealed), Ok(challenge));
        assert_eq!(PendingRegistration::open(&key(1), Waiting::Registration, &sealed), Err(NotARegistration));
        assert_eq!(PendingRegistration::open(&key(1), Waiting::SignIn, &text), Err(NotARegistration));
        let notice = PendingRegistration { waiting: Waiting::Notice, ..registration() }.seal(&key(1)).unwrap();
        for waiting in [Waiting::Registration, Waiting::SignIn, Waiting::Reset] {
            assert_eq!(PendingRegistration::open(&key(1), waiting, &notice), Err(NotARegistration));
        }
        let reset = PendingRegistration { waiting: Waiting::Reset, ..registration() }.seal(&key(1)).unwrap();
        for waiting in [Waiting::Registration, Waiting::SignIn, Waiting::Notice] {
            assert_eq!(PendingRegistration::open(&key(1), waiting, &reset), Err(NotARegistration));
        }
        assert_eq!(PendingRegistration::open(&key(1), Waiting::Reset, &sealed), Err(NotARegistration));
    }

    #[test]
    fn an_activation_id_tells_neither_the_phone_nor_its_length() {
        let lengths = ["+201012345678", "+4512345678", "+123456789012345"].map(|e164| {
            let registration = PendingRegistration { phone: Phone::from_stored(e164).unwrap(), ..registration() };
            let text = registration.seal(&key(1)).unwrap();
            assert!(PendingRegistration::open(&key(1), Waiting::Registration, &text).unwrap() == registration);
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
            assert!(!bytes.windows(4).any(|part| e164.as_bytes().windows(4).any(|digits| digits == part)));
            bytes.len()
        });
        assert_eq!(lengths, [LENGTH; 3]);
        assert!(registration().seal(&key(1)).unwrap() != registration().seal(&key(1)).unwrap());
    }

    #[test]
    fn nothing_prints_the_phone() {
        assert_eq!(format!("{:?}", registration()), "PendingRegistration(01010101-0101-0101-0101-010101010101)");
    }

    proptest! {
        #[test]
        fn an_activation_id_with_any_byte_changed_is_none(at in 0_usize..LENGTH, with in 1_u8..) {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(registration().seal(&key(1)).unwrap()).unwrap();
            prop_assert_eq!(bytes.len(), LENGTH);
            bytes[at] ^= with;
            prop_assert!(PendingRegistration::open(&key(1), Waiting::Registration, &BASE64_URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn any_text_is_refused_and_never_panics(text in any::<String>()) {
            prop_assert!(PendingRegistration::open(&key(1), Waiting::Registration, &text).is_err());
            prop_assert!(PendingRegistration::kid_of(&text).is_err());
        }
    }
}
