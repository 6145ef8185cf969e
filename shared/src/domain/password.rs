//! Passwords: what people may choose, how it is kept, and how it is compared.

use std::{
    borrow::Cow,
    fmt,
    ops::RangeInclusive,
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, ParamsString, Salt},
};
use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation};
use zeroize::Zeroizing;

use crate::{
    base::{
        random::{self, RandomError},
        variables::Variables,
    },
    domain::phone::Phone,
};

/// The longest password, in characters: NIST SP 800-63B section 3.1.1.2 asks for at least 64. Longer ones are refused,
/// never cut.
pub const MAX_LENGTH: usize = 128;

/// The commonest passwords, lower case, one a line; lines that start with `#` say where they come from.
const COMMON_PASSWORDS: &str = include_str!("../../data/common-passwords.txt");

/// Refused as a password, whatever case it is typed in.
const SERVICE_NAME: &str = "latchkey";

/// A password as somebody typed it, prepared as RFC 8265 `OpaqueString`: other spaces become the space, and the text is
/// in NFC, so that one password typed on two keyboards is one password. Wiped from memory when dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares a typed password, whoever chose it and whenever: no policy but the bounds.
    pub fn parse(typed: &str) -> Result<Self, InvalidPassword> {
        if typed.is_empty() {
            return Err(InvalidPassword::Empty);
        }
        // Before any work is done on it: preparing is linear, but a body may hold kilobytes.
        if typed.chars().count() > MAX_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        let prepare = |text: &str| OpaqueString::enforce(text).map(Cow::into_owned).map(Zeroizing::new);
        let prepared = prepare(typed).map_err(|_| InvalidPassword::ForbiddenCharacter)?;
        // A few characters become others that are refused by themselves, such as U+0387, the middle dot: then one spelling
        // would be taken and the same password in another would not (RFC 8264 section 7: reject what is not stable).
        if prepare(&prepared).ok().as_ref() != Some(&prepared) {
            return Err(InvalidPassword::ForbiddenCharacter);
        }
        Ok(Self(prepared))
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A password that somebody may take now: it met [`PasswordRules`].
#[derive(Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Refuses the user's own phone number, in full or in its national form, with or without separators and the zeros
    /// that people dial in front of it.
    pub fn not_the_phone(self, phone: &Phone) -> Result<Self, InvalidPassword> {
        let typed = Zeroizing::new(self.0.0.replace([' ', '-', '(', ')', '+'], ""));
        let is = |number: &str| typed.trim_start_matches('0') == number.trim_start_matches('0');
        if is(&phone.national()) || is(phone.as_e164().trim_start_matches('+')) {
            return Err(InvalidPassword::IsThePhone);
        }
        Ok(self)
    }
}

/// Why a text is not taken as a password. The sentences go to the client and never repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Nothing was typed.
    #[error("must not be empty")]
    Empty,
    /// Shorter than `PASSWORD_MIN_LENGTH`.
    #[error("must have at least {minimum} characters")]
    TooShort {
        /// The least number of characters.
        minimum: usize,
    },
    /// Longer than [`MAX_LENGTH`].
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// A control character or one that Unicode has not assigned.
    #[error("contains a character that cannot be typed the same way everywhere")]
    ForbiddenCharacter,
    /// On the list of the commonest ones, or the service's name.
    #[error("is one of the most common passwords; choose another")]
    TooCommon,
    /// The user's own number.
    #[error("must not be the phone number")]
    IsThePhone,
}

/// What a new password must meet: `PASSWORD_MIN_LENGTH` and `PASSWORD_BLOCKLIST`. No composition rules (NIST SP 800-63B
/// section 3.1.1.2).
#[derive(Clone, Copy, Debug)]
pub struct PasswordRules {
    /// The least number of Unicode characters.
    pub min_length: usize,
    /// Whether the bundled list of the commonest passwords is refused.
    pub refuse_common: bool,
}

impl PasswordRules {
    /// Reads `PASSWORD_MIN_LENGTH` and `PASSWORD_BLOCKLIST`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        let min_length = read.number("PASSWORD_MIN_LENGTH", 8, 8..=64);
        let refuse_common = read.one_of("PASSWORD_BLOCKLIST", &[("common", true), ("off", false)]);
        Self {
            min_length: usize::try_from(min_length).unwrap_or(MAX_LENGTH),
            refuse_common: refuse_common.unwrap_or(true),
        }
    }

    /// Reads a password that somebody wants to take.
    pub fn parse(&self, typed: &str) -> Result<NewPassword, InvalidPassword> {
        let password = Password::parse(typed)?;
        if password.0.chars().count() < self.min_length {
            return Err(InvalidPassword::TooShort { minimum: self.min_length });
        }
        let lower = Zeroizing::new(password.0.to_lowercase());
        if *lower == SERVICE_NAME || (self.refuse_common && is_common(&lower)) {
            return Err(InvalidPassword::TooCommon);
        }
        Ok(NewPassword(password))
    }
}

fn is_common(lower: &str) -> bool {
    !lower.starts_with('#') && COMMON_PASSWORDS.lines().any(|common| common == lower)
}

/// A password as it is stored: a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$…`, or the bcrypt hash that another system made
/// of it, until its owner signs in. The only form that becomes an attribute.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as we stored it.
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// A hash that another system made with bcrypt.
    pub fn from_bcrypt(hash: &str) -> Result<Self, NotABcryptHash> {
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| NotABcryptHash)?;
        // `$2x$` is of an implementation that was wrong about bytes above 127.
        if hash.starts_with("$2x$") || !BCRYPT_COSTS.contains(&parts.get_cost()) {
            return Err(NotABcryptHash);
        }
        Ok(Self(hash.to_owned()))
    }

    fn is_bcrypt(&self) -> bool {
        self.0.starts_with("$2")
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The costs of bcrypt that are taken: with more than 15, one comparison takes seconds.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=15;

/// The cost of the origin's hashes.
const LEGACY_COST: u32 = 12;

/// The text is no bcrypt hash that a login could compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a bcrypt hash ($2a$, $2b$ or $2y$) of a cost from {} to {}", BCRYPT_COSTS.start(), BCRYPT_COSTS.end())]
pub struct NotABcryptHash;

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// What comparing a password with a stored hash says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one, and the hash is as strong as today's.
    Right,
    /// It is the one, but the hash is of older parameters: hash it anew while the password is at hand.
    RightButOutdated,
    /// It is not the one.
    Wrong,
}

/// Hashing failed: too little memory, a broken stored hash, or no randomness.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The stored text is no hash that we know.
    #[error("the stored password hash cannot be read: {0}")]
    Unreadable(#[from] phc::Error),
    /// Its algorithm or parameters are not argon2's.
    #[error("the stored password hash is not of argon2: {0}")]
    NotArgon2(#[from] argon2::password_hash::Error),
    /// A bcrypt hash that is not whole.
    #[error("the stored password hash is not of bcrypt: {0}")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// argon2 refused its parameters or its memory.
    #[error("argon2 failed: {0}")]
    Argon2(#[from] argon2::Error),
    /// No salt.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// argon2id with the parameters of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
///
/// Keeps its 19 MiB between calls, since faulting the pages in costs as much as a fifth of a hash.
pub struct Hasher {
    argon2: Argon2<'static>,
    memory: Mutex<Vec<Block>>,
    computed: AtomicUsize,
}

impl Hasher {
    /// Memory in KiB.
    const MEMORY: u32 = 19_456;
    const PASSES: u32 = 2;
    const LANES: u32 = 1;

    /// A hasher that takes its memory when it first hashes, or when it is warmed.
    pub fn new() -> Result<Self, HashError> {
        let params = Params::new(Self::MEMORY, Self::PASSES, Self::LANES, None)?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            memory: Mutex::default(),
            computed: AtomicUsize::new(0),
        })
    }

    /// Takes the memory and touches all of it, so that the first hash is as fast as the next.
    #[must_use]
    pub fn warmed(self) -> Self {
        let blocks = self.argon2.params().block_count();
        Self { memory: Mutex::new(vec![Block::default(); blocks]), ..self }
    }

    /// How many hashes it has computed: what shows that known and unknown phones cost the same work.
    pub fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }

    /// Hashes a new password under a fresh salt of 16 bytes.
    pub fn hash(&self, password: &NewPassword) -> Result<PasswordHash, HashError> {
        self.hash_any(&password.0)
    }

    /// Hashes a password that was just found right with today's parameters.
    pub fn rehash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        self.hash_any(password)
    }

    /// Compares a password with a stored hash, in constant time. A bcrypt hash is of the first 72 bytes alone, as it was
    /// where it comes from.
    pub fn verify(&self, password: &Password, stored: &PasswordHash) -> Result<Verdict, HashError> {
        if stored.is_bcrypt() {
            let is_right = bcrypt::verify(password.as_bytes(), stored.as_str())?;
            self.computed.fetch_add(1, Ordering::Relaxed);
            return Ok(if is_right { Verdict::RightButOutdated } else { Verdict::Wrong });
        }
        let stored = phc::PasswordHash::new(stored.as_str())?;
        let params = Params::try_from(&stored)?;
        let algorithm = Algorithm::new(stored.algorithm)?;
        let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let salt = stored.salt.ok_or(argon2::Error::SaltTooShort)?;
        let expected = stored.hash.ok_or(argon2::Error::OutputTooShort)?;

        let current = algorithm == Algorithm::Argon2id && version == Version::V0x13 && self.has_params(&params);
        let argon2 = Argon2::new(algorithm, version, params);
        let actual = self.compute(&argon2, password, &salt, expected.len())?;
        Ok(match (actual == expected, current) {
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOutdated,
            (false, _) => Verdict::Wrong,
        })
    }

    /// [`Self::verify`] with the hash that a phone has, or with none, and the same work in either case. While accounts have
    /// bcrypt hashes of another system (`legacy`), the work of both kinds is done for everybody.
    pub fn verify_alike(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
        legacy: bool,
    ) -> Result<Verdict, HashError> {
        let verdict = stored.map_or(Ok(Verdict::Wrong), |stored| self.verify(password, stored))?;
        let is_bcrypt = stored.map(PasswordHash::is_bcrypt);
        // What is computed here is thrown away.
        if is_bcrypt.is_none() || (legacy && is_bcrypt == Some(true)) {
            let salt = Salt::new(b"nobody's own salt")?;
            self.compute(&self.argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        }
        if legacy && is_bcrypt != Some(true) {
            bcrypt::hash_with_salt(password.as_bytes(), LEGACY_COST, *b"nobody's salt...")?;
            self.computed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(verdict)
    }

    fn has_params(&self, params: &Params) -> bool {
        let ours = self.argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost()) == (ours.m_cost(), ours.t_cost(), ours.p_cost())
    }

    fn hash_any(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let salt = Salt::new(&random::bytes::<16>()?)?;
        let output = self.compute(&self.argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params())?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    fn compute(
        &self,
        argon2: &Argon2<'_>,
        password: &Password,
        salt: &Salt,
        length: usize,
    ) -> Result<phc::Output, HashError> {
        let mut output = Zeroizing::new(vec![0; length]);
        let needed = argon2.params().block_count();
        let hash_with = |memory: &mut Vec<Block>, output: &mut [u8]| {
            if memory.len() < needed {
                memory.resize(needed, Block::default());
            }
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
        };
        // On Lambda one request runs at a time and the kept memory is always free; the dev server's parallel requests
        // bring their own rather than wait.
        match self.memory.try_lock() {
            Ok(mut memory) => hash_with(&mut memory, &mut output)?,
            Err(TryLockError::Poisoned(poisoned)) => {
                hash_with(&mut poisoned.into_inner(), &mut output)?;
            }
            Err(TryLockError::WouldBlock) => hash_with(&mut Vec::new(), &mut output)?,
        }
        self.computed.fetch_add(1, Ordering::Relaxed);
        Ok(phc::Output::new(&output)?)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::phone::PhoneRules;

    const RULES: PasswordRules = PasswordRules { min_length: 8, refuse_common: true };

    fn check(typed: &str, expected: Result<(), InvalidPassword>) {
        assert_eq!(RULES.parse(typed).map(|_| ()), expected);
    }

    #[test]
    fn the_origins_passwords_are_accepted() {
        for typed in ["mypassword", "newPass123", "newPass456"] {
            check(typed, Ok(()));
        }
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_cut() {
        check("", Err(InvalidPassword::Empty));
        check("sevench", Err(InvalidPassword::TooShort { minimum: 8 }));
        check("eightch!", Ok(()));
        check("🔑🔑🔑🔑🔑🔑🔑", Err(InvalidPassword::TooShort { minimum: 8 }));
        check("🔑🔑🔑🔑🔑🔑🔑🔑", Ok(()));
        check(&"🔑".repeat(64), Ok(()));
        check(&"x".repeat(128), Ok(()));
        check(&"x".repeat(129), Err(InvalidPassword::TooLong));
    }

    #[test]
    fn no_composition_is_asked_for() {
        for typed in ["qqqq wwww eeee rrrr", "كلمة السر الطويلة", "пароль подлиннее", "trailing space "]
        {
            check(typed, Ok(()));
        }
    }

    #[test]
    fn every_password_on_the_list_is_refused_in_any_case() {
        let common: Vec<_> = COMMON_PASSWORDS.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(common.len(), 3000);
        for typed in common {
            check(typed, Err(InvalidPassword::TooCommon));
        }
        check("PassWord", Err(InvalidPassword::TooCommon));
        check("Latchkey", Err(InvalidPassword::TooCommon));
        let lenient = PasswordRules { refuse_common: false, ..RULES };
        assert!(lenient.parse("password").is_ok());
        assert!(lenient.parse("latchkey").is_err());
    }

    #[test]
    fn the_own_phone_is_refused_in_every_form() {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        for typed in
            ["01012345678", "1012345678", "+201012345678", "00201012345678", "010-1234-5678", "+20 10 1234 5678"]
        {
            let refused = RULES.parse(typed).unwrap().not_the_phone(&phone).map(|_| ());
            assert_eq!(refused, Err(InvalidPassword::IsThePhone), "{typed}");
        }
        assert!(RULES.parse("01112345678").unwrap().not_the_phone(&phone).is_ok());
        // In Côte d'Ivoire national numbers begin with a zero of their own.
        let phone = PhoneRules::new("CI".parse().unwrap(), None).parse("0707070707").unwrap();
        for typed in ["0707070707", "+2250707070707"] {
            assert!(RULES.parse(typed).unwrap().not_the_phone(&phone).is_err(), "{typed}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        check("with\u{0}nulls", Err(InvalidPassword::ForbiddenCharacter));
        check("with\nnewline", Err(InvalidPassword::ForbiddenCharacter));
        // The middle dot in its two spellings: one would become the other.
        check("with a \u{b7} dot", Err(InvalidPassword::ForbiddenCharacter));
        check("with a \u{387} dot", Err(InvalidPassword::ForbiddenCharacter));
    }

    #[test]
    fn a_hash_is_a_phc_string_of_owasp_parameters_and_verifies_only_its_password() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash(&RULES.parse("newPass123").unwrap()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verdict = |typed: &str| hasher.verify(&Password::parse(typed).unwrap(), &hash).unwrap();
        assert_eq!(verdict("newPass123"), Verdict::Right);
        for wrong in ["newpass123", "newPass123 ", "newPass12", "NewPass123"] {
            assert_eq!(verdict(wrong), Verdict::Wrong);
        }
    }

    #[test]
    fn the_end_of_a_long_password_counts() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash(&RULES.parse(&format!("{}a", "x".repeat(80))).unwrap()).unwrap();
        let other = Password::parse(&format!("{}b", "x".repeat(80))).unwrap();
        assert_eq!(hasher.verify(&other, &hash).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn composed_and_decomposed_forms_are_one_password() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash(&RULES.parse("\u{e9}clair au chocolat").unwrap()).unwrap();
        for typed in ["e\u{301}clair au chocolat", "\u{e9}clair\u{a0}au chocolat"] {
            assert_eq!(hasher.verify(&Password::parse(typed).unwrap(), &hash).unwrap(), Verdict::Right);
        }
    }

    #[test]
    fn a_hash_of_older_parameters_verifies_and_says_so() {
        let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = Salt::new(&[7; 16]).unwrap();
        let mut output = [0; 32];
        older.hash_password_into(b"newPass123", &salt, &mut output).unwrap();
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(19),
            params: ParamsString::try_from(older.params()).unwrap(),
            salt: Some(salt),
            hash: Some(phc::Output::new(&output).unwrap()),
        };
        let stored = PasswordHash::from_stored(phc.to_string());
        let hasher = Hasher::new().unwrap();
        let verdict = |typed: &str| hasher.verify(&Password::parse(typed).unwrap(), &stored).unwrap();
        assert_eq!(verdict("newPass123"), Verdict::RightButOutdated);
        assert_eq!(verdict("newPass124"), Verdict::Wrong);
    }

    /// Of "newPass123", by Python's bcrypt with cost 4; and of 80 times `x`.
    const BCRYPT: &str = "$2b$04$eFgsmBJ1cJFp2NiJRGXvquBKZGc.qVEEe7xX0Qos5A8fPB/t3gk5.";
    const BCRYPT_OF_A_LONG_ONE: &str = "$2b$04$v1A9yubuzIkRLqAJCKEXjuUxBNvffFeyGrKDEKbF.w1UUfa4lFyhS";

    #[test]
    fn a_bcrypt_hash_of_another_system_verifies_and_says_that_it_is_outdated() {
        let hasher = Hasher::new().unwrap();
        let verdict = |typed: &str, stored: &str| {
            let stored = PasswordHash::from_bcrypt(stored).unwrap();
            hasher.verify(&Password::parse(typed).unwrap(), &stored).unwrap()
        };
        assert_eq!(verdict("newPass123", BCRYPT), Verdict::RightButOutdated);
        assert_eq!(verdict("newPass124", BCRYPT), Verdict::Wrong);
        // As it was where it comes from, until the login that replaces it.
        assert_eq!(verdict(&"x".repeat(100), BCRYPT_OF_A_LONG_ONE), Verdict::RightButOutdated);
        for wrong in [&BCRYPT[1..], &BCRYPT.replace("$2b$04$", "$2b$16$"), &BCRYPT.replace("$2b", "$2x"), "", "secret"]
        {
            assert_eq!(PasswordHash::from_bcrypt(wrong), Err(NotABcryptHash));
        }
    }

    #[test]
    fn whatever_hash_a_phone_has_or_none_the_work_is_the_same() {
        let hasher = Hasher::new().unwrap();
        let (password, bcrypt) = (Password::parse("newPass123").unwrap(), PasswordHash::from_bcrypt(BCRYPT).unwrap());
        let argon2 = hasher.rehash(&password).unwrap();
        let work = |stored: Option<&PasswordHash>, legacy| {
            let before = hasher.computed();
            let verdict = hasher.verify_alike(&password, stored, legacy).unwrap();
            (verdict, hasher.computed() - before)
        };
        assert_eq!(work(Some(&argon2), false), (Verdict::Right, 1));
        assert_eq!(work(None, false), (Verdict::Wrong, 1));
        assert_eq!(work(Some(&argon2), true), (Verdict::Right, 2));
        assert_eq!(work(Some(&bcrypt), true), (Verdict::RightButOutdated, 2));
        assert_eq!(work(None, true), (Verdict::Wrong, 2));
    }

    #[test]
    fn a_broken_stored_hash_is_an_error_and_not_a_wrong_password() {
        let hasher = Hasher::new().unwrap();
        for broken in ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$", "$md5$abc", "$2b$12$short"] {
            let stored = PasswordHash::from_stored(broken.to_owned());
            assert!(hasher.verify(&Password::parse("newPass123").unwrap(), &stored).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn nothing_prints_a_password_or_a_hash() {
        let hasher = Hasher::new().unwrap();
        let password = RULES.parse("newPass123").unwrap();
        let hash = hasher.hash(&password).unwrap();
        let printed = format!("{password:?} {hash:?} {hasher:?}");
        assert_eq!(printed, "NewPassword(Password) PasswordHash Hasher");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_but_never_panics(typed in any::<String>()) {
            let _ = RULES.parse(&typed);
        }

        #[test]
        fn preparing_a_prepared_password_changes_nothing(typed in "\\PC{1,40}") {
            if let Ok(once) = Password::parse(&typed) {
                let twice = Password::parse(&once.0).unwrap();
                prop_assert_eq!(once.as_bytes(), twice.as_bytes());
            }
        }
    }
}
