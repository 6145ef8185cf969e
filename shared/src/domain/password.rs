//! Passwords: the rules for new ones, their stored form, and the comparison.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, ParamsString, Salt},
};
use bcrypt::HashParts;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::{
    base::{
        random::{self, RandomError},
        variables::Variables,
    },
    domain::{phone::Phone, spelling},
};

/// The greatest length of a password, in characters; NIST SP 800-63B section 3.1.1.2 asks for at least 64. Longer
/// passwords are refused, never cut.
pub const MAX_LENGTH: usize = 128;

/// The smallest `PASSWORD_MIN_LENGTH`, in Unicode characters (NIST SP 800-63B section 3.1.1.2).
pub const LEAST_MIN_LENGTH: usize = 8;

/// The most common passwords in lower case, one per line. Lines that start with `#` name the source.
const COMMON_PASSWORDS: &str = include_str!("../../data/common-passwords.txt");

/// A typed password, wiped from memory when dropped.
///
/// Its prepared form is what is hashed: other spaces become the ASCII space and the text is in NFC, so that the same
/// password typed on two keyboards is equal. These are the steps of RFC 8265 `OpaqueString` without its tables of
/// characters, which age (docs/adr/0027-passwords-of-todays-keyboards.md).
pub struct Password {
    prepared: Zeroizing<String>,
    /// The text as it was typed, if the preparation changed it. Other systems hashed it so.
    typed: Option<Zeroizing<String>>,
}

impl Password {
    /// Prepares a typed password. Checks only the length and the characters, because an existing password may have been
    /// chosen under other rules.
    pub fn parse(typed: &str) -> Result<Self, InvalidPassword> {
        if typed.is_empty() {
            return Err(InvalidPassword::Empty);
        }
        if typed.contains(|c: char| c.is_control() || is_noncharacter(c)) {
            return Err(InvalidPassword::ForbiddenCharacter);
        }
        let prepared =
            Zeroizing::new(typed.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect::<String>());
        if prepared.chars().count() > MAX_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        let typed = (*prepared != typed).then(|| Zeroizing::new(typed.to_owned()));
        Ok(Self { prepared, typed })
    }

    fn as_bytes(&self) -> &[u8] {
        self.prepared.as_bytes()
    }

    /// Returns every form in which another system may have hashed the password: prepared, and as typed.
    fn forms(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&self.prepared), self.typed.as_ref()].into_iter().flatten().map(|form| form.as_bytes())
    }
}

/// Returns whether Unicode reserves the code point for use inside a program, for ever.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
}

/// Returns whether the character is a space other than the ASCII one (general category Zs). The list is fixed, because
/// stored hashes depend on it.
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A password that meets the [`PasswordRules`], so that an account may be given it.
#[derive(Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Refuses the user's own phone number in its full or its national form, in every spelling in which a phone is read
    /// ([`spelling::phone_number`]), with or without the zeros that people dial in front of it.
    pub fn not_the_phone(self, phone: &Phone) -> Result<Self, InvalidPassword> {
        let Some(typed) = spelling::phone_number(&self.0.prepared) else { return Ok(self) };
        let digits = |number: &str| number.trim_start_matches(['+', '0']).to_owned();
        if [digits(&phone.national()), digits(phone.as_e164())].contains(&digits(&typed)) {
            return Err(InvalidPassword::IsThePhone);
        }
        Ok(self)
    }
}

/// The reason why a text is refused as a password. The client reads these sentences; they never repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is shorter than `PASSWORD_MIN_LENGTH`.
    #[error("must have at least {minimum} characters")]
    TooShort {
        /// The least number of Unicode characters.
        minimum: usize,
    },
    /// The text is longer than [`MAX_LENGTH`].
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// The text contains a control character, such as a tab or a line break, or a noncharacter of Unicode.
    #[error("must not contain a tab, a line break or another control character")]
    ForbiddenCharacter,
    /// The text is on the list of the most common passwords.
    #[error("is one of the most common passwords; choose another")]
    TooCommon,
    /// The text is the name of the service, or has no other letters.
    #[error("must be more than the name of this service and digits; choose another")]
    IsTheService,
    /// The text is the user's own phone number.
    #[error("must not be the phone number")]
    IsThePhone,
}

/// The rules for a new password: `PASSWORD_MIN_LENGTH`, `PASSWORD_BLOCKLIST` and `SERVICE_NAME`. There are no composition
/// rules (NIST SP 800-63B section 3.1.1.2).
#[derive(Clone, Debug)]
pub struct PasswordRules {
    /// The least number of Unicode characters.
    pub min_length: usize,
    /// Whether the passwords on the bundled list of the most common ones are refused.
    pub refuse_common: bool,
    /// The name that users know the service by, which is refused in any case, spacing and with any digits.
    pub service_name: String,
}

impl PasswordRules {
    /// Reads `PASSWORD_MIN_LENGTH` and `PASSWORD_BLOCKLIST`.
    pub fn read(read: &mut Variables<'_>, service_name: &str) -> Self {
        let min_length = read.number("PASSWORD_MIN_LENGTH", 8, LEAST_MIN_LENGTH as u64..=64);
        let refuse_common = read.one_of("PASSWORD_BLOCKLIST", &[("common", true), ("off", false)]);
        Self {
            min_length: usize::try_from(min_length).unwrap_or(MAX_LENGTH),
            refuse_common: refuse_common.unwrap_or(true),
            service_name: service_name.nfc().collect(),
        }
    }

    /// Prepares a new password and refuses it if it does not meet the rules.
    pub fn parse(&self, typed: &str) -> Result<NewPassword, InvalidPassword> {
        let password = Password::parse(typed)?;
        if password.prepared.chars().count() < self.min_length {
            return Err(InvalidPassword::TooShort { minimum: self.min_length });
        }
        if is_name(&password.prepared, &self.service_name) {
            return Err(InvalidPassword::IsTheService);
        }
        let lower = Zeroizing::new(password.prepared.to_lowercase());
        if self.refuse_common && is_common(&lower) {
            return Err(InvalidPassword::TooCommon);
        }
        Ok(NewPassword(password))
    }
}

/// Returns whether a password has the letters of a name, in any case, and no others. A name without letters is compared
/// as a whole.
fn is_name(password: &str, name: &str) -> bool {
    let letters = |text: &str| {
        let lower = Zeroizing::new(text.to_lowercase());
        Zeroizing::new(lower.chars().filter(|c| c.is_alphabetic()).collect::<String>())
    };
    let name_letters = letters(name);
    if name_letters.is_empty() { password == name } else { letters(password) == name_letters }
}

fn is_common(lower: &str) -> bool {
    !lower.starts_with('#') && COMMON_PASSWORDS.lines().any(|common| common == lower)
}

/// A password in the form that is stored: a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$…`, or, until its owner signs
/// in, the bcrypt hash that another system made. No other form of a password is written to the table.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash from the table.
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// Takes a bcrypt hash that another system made, without what its cell has around it ([`spelling::cell`]), and
    /// without the name that some systems put before it. Refuses it if a login could not compare it.
    pub fn from_bcrypt(hash: &str) -> Result<Self, InvalidBcryptHash> {
        let hash = spelling::cell(hash);
        let hash = BCRYPT_NAMES.iter().find_map(|name| hash.strip_prefix(name)).unwrap_or(hash);
        let parts: HashParts = hash.parse().map_err(|_| InvalidBcryptHash::NotBcrypt)?;
        // `$2x$` marks hashes of an implementation that handled bytes above 127 wrongly.
        if hash.starts_with("$2x$") || parts.get_cost() < *BCRYPT_COSTS.start() {
            return Err(InvalidBcryptHash::NotBcrypt);
        }
        if parts.get_cost() > *BCRYPT_COSTS.end() {
            return Err(InvalidBcryptHash::TooCostly { cost: parts.get_cost() });
        }
        Ok(Self(hash.to_owned()))
    }

    /// Returns the cost of a bcrypt hash of another system, or `None` for a hash of ours.
    pub fn bcrypt_cost(&self) -> Option<u32> {
        self.0.starts_with("$2").then(|| self.0.parse().map_or(DEFAULT_LEGACY_COST, |hash: HashParts| hash.get_cost()))
    }

    /// Returns the text, for the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bcrypt costs that are accepted. Each is twice the work of the one before: of cost 13, one comparison takes half a
/// second or more, for every login of every user while `LEGACY_HASHES` is on.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=13;

/// The names that systems put before a bcrypt hash of the password itself: Django, Spring Security, LDAP. Django's
/// `bcrypt_sha256$` is the hash of another text.
const BCRYPT_NAMES: [&str; 3] = ["bcrypt$", "{bcrypt}", "{CRYPT}"];

/// The bcrypt cost of the origin's hashes.
const DEFAULT_LEGACY_COST: u32 = 12;

/// The reason why a text of another system is refused as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBcryptHash {
    /// The text is no bcrypt hash, or one of a kind that cannot be compared.
    #[error("is not a bcrypt hash ($2a$, $2b$ or $2y$)")]
    NotBcrypt,
    /// Comparing would take too long.
    #[error(
        "is a bcrypt hash of cost {cost}, and the highest cost is {}: every login would have to take as long",
        BCRYPT_COSTS.end()
    )]
    TooCostly {
        /// The cost of the hash.
        cost: u32,
    },
}

/// The highest bcrypt cost of the hashes of another system that accounts may still have: `LEGACY_HASHES` and
/// `LEGACY_COST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyCost(u32);

impl LegacyCost {
    /// Reads `LEGACY_HASHES` and `LEGACY_COST`. Returns `None` if accounts have hashes of ours only.
    pub fn read(read: &mut Variables<'_>) -> Option<Self> {
        let has_legacy_hashes = read.one_of("LEGACY_HASHES", &[("off", false), ("bcrypt", true)]);
        let costs = u64::from(*BCRYPT_COSTS.start())..=u64::from(*BCRYPT_COSTS.end());
        let cost = read.number("LEGACY_COST", DEFAULT_LEGACY_COST.into(), costs);
        has_legacy_hashes.unwrap_or(false).then(|| Self(u32::try_from(cost).unwrap_or(DEFAULT_LEGACY_COST)))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right, and its hash has today's parameters.
    Right,
    /// The password is right, but its hash has other parameters. The caller hashes the password again while it is
    /// known.
    RightButOutdated,
    /// The password is wrong.
    Wrong,
}

/// The reason why hashing or comparing failed: too little memory, a broken stored hash, or no randomness.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The stored text is not a PHC string.
    #[error("the stored password hash cannot be read: {0}")]
    Unreadable(#[from] phc::Error),
    /// The stored hash has an algorithm or parameters that are not argon2's.
    #[error("the stored password hash is not an argon2 hash: {0}")]
    NotArgon2(#[from] argon2::password_hash::Error),
    /// The stored hash starts like a bcrypt hash but is malformed.
    #[error("the stored password hash is not a bcrypt hash: {0}")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// argon2 refused the parameters, the lengths or the memory.
    #[error("argon2 failed: {0}")]
    Argon2(#[from] argon2::Error),
    /// The operating system returned no random bytes for a salt.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The memory of hashes that are done, for those to come: faulting 19 MiB in takes half as long as a hash. On Lambda one
/// request runs at a time and always finds it here. The dev server's parallel requests leave as much as ran at once.
static SPARE_MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// How many hashes' memory is kept at most: 76 MiB.
const MOST_SPARE: usize = 4;

/// Returns memory of at least so many blocks.
fn spare_memory(blocks: usize) -> Vec<Block> {
    let mut memory = SPARE_MEMORY.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    memory
}

/// Keeps memory for the next hash.
fn keep_memory(memory: Vec<Block>) {
    let mut spare = SPARE_MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < MOST_SPARE {
        spare.push(memory);
    }
}

/// An argon2id hasher with the parameters of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
pub struct Hasher {
    argon2: Argon2<'static>,
    computed: AtomicUsize,
    bcrypt_rounds: AtomicU64,
}

impl Hasher {
    /// The memory of one hash, in KiB.
    const MEMORY: u32 = 19_456;
    const PASSES: u32 = 2;
    const LANES: u32 = 1;

    /// Makes a hasher. Its memory is allocated with the first hash of the process or in [`Self::warmed`].
    pub fn new() -> Result<Self, HashError> {
        Self::of_cost(Self::MEMORY, Self::PASSES)
    }

    /// Makes a hasher whose hashes protect nobody, because they take 8 KiB, argon2's least, and one pass. The people of the
    /// tests compute thousands of hashes. Clippy allows it in no program (`clippy.toml`).
    pub fn for_tests() -> Result<Self, HashError> {
        Self::of_cost(Params::MIN_M_COST, Params::MIN_T_COST)
    }

    fn of_cost(memory: u32, passes: u32) -> Result<Self, HashError> {
        let params = Params::new(memory, passes, Self::LANES, None)?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            computed: AtomicUsize::new(0),
            bcrypt_rounds: AtomicU64::new(0),
        })
    }

    /// Allocates the memory and touches every page, so that the first hash is as fast as the next.
    #[must_use]
    pub fn warmed(self) -> Self {
        keep_memory(spare_memory(self.argon2.params().block_count()));
        self
    }

    /// Returns the number of argon2 hashes computed so far. Tests use it to show that known and unknown phones cost the
    /// same work.
    pub fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }

    /// Returns the rounds of bcrypt computed so far, `2^cost` for each hash: its work.
    pub fn bcrypt_rounds(&self) -> u64 {
        self.bcrypt_rounds.load(Ordering::Relaxed)
    }

    /// Hashes a new password with a new salt of 16 bytes.
    pub fn hash(&self, password: &NewPassword) -> Result<PasswordHash, HashError> {
        self.hash_any(&password.0)
    }

    /// Hashes a password with the salt of this hash, so that the result is equal to it if the password is. None if it is no
    /// hash of ours with today's parameters.
    pub fn hash_like(&self, password: &NewPassword, stored: &PasswordHash) -> Result<Option<PasswordHash>, HashError> {
        let Ok(phc) = phc::PasswordHash::new(stored.as_str()) else { return Ok(None) };
        phc.salt.map(|salt| self.hash_salted(&password.0, salt)).transpose()
    }

    /// Hashes, with today's parameters, a password that a comparison has just found right.
    pub fn rehash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        self.hash_any(password)
    }

    /// Compares a password with a stored hash in constant time. A bcrypt hash covers only the first 72 bytes of a
    /// password, as in the system that it was imported from, and was made of the bytes that were typed there: it is
    /// compared with them and with the prepared form, both of them always.
    pub fn verify(&self, password: &Password, stored: &PasswordHash) -> Result<Verdict, HashError> {
        if let Some(cost) = stored.bcrypt_cost() {
            let mut is_right = false;
            for form in password.forms() {
                is_right |= bcrypt::verify(form, stored.as_str())?;
                self.bcrypt_rounds.fetch_add(1 << cost, Ordering::Relaxed);
            }
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

    /// Compares a password like [`Self::verify`], and does the same work whether or not the phone has a hash. While any
    /// account may have a bcrypt hash of another system (`legacy`), every call computes a hash of both kinds, for each
    /// form of the password. What a hash of a lower cost lacks is made up for.
    pub fn verify_alike(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
        legacy: Option<LegacyCost>,
    ) -> Result<Verdict, HashError> {
        let verdict = stored.map_or(Ok(Verdict::Wrong), |stored| self.verify(password, stored))?;
        let bcrypt_cost = stored.and_then(PasswordHash::bcrypt_cost);
        // The results from here on are discarded; only the work counts.
        if stored.is_none() || (legacy.is_some() && bcrypt_cost.is_some()) {
            let salt = Salt::new(b"nobody's own salt")?;
            self.compute(&self.argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        }
        if let Some(LegacyCost(highest)) = legacy {
            // After a hash of cost c, one each of c, c + 1, … below the highest: 2^c + 2^c + 2^(c + 1) + … = 2^highest.
            let costs = bcrypt_cost.map_or(highest..=highest, |cost| cost..=highest.saturating_sub(1));
            for form in password.forms() {
                for cost in costs.clone() {
                    bcrypt::hash_with_salt(form, cost, *b"nobody's salt...")?;
                    self.bcrypt_rounds.fetch_add(1 << cost, Ordering::Relaxed);
                }
            }
        }
        Ok(verdict)
    }

    fn has_params(&self, params: &Params) -> bool {
        let ours = self.argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost()) == (ours.m_cost(), ours.t_cost(), ours.p_cost())
    }

    fn hash_any(&self, password: &Password) -> Result<PasswordHash, HashError> {
        self.hash_salted(password, Salt::new(&random::bytes::<16>()?)?)
    }

    fn hash_salted(&self, password: &Password, salt: Salt) -> Result<PasswordHash, HashError> {
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
        let mut memory = spare_memory(argon2.params().block_count());
        let done = argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut memory);
        keep_memory(memory);
        done?;
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
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::phone::PhoneRules;

    static RULES: LazyLock<PasswordRules> = LazyLock::new(|| named("Latchkey"));

    fn named(service_name: &str) -> PasswordRules {
        PasswordRules { min_length: 8, refuse_common: true, service_name: service_name.to_owned() }
    }

    fn check(typed: &str, expected: Result<(), InvalidPassword>) {
        assert_eq!(RULES.parse(typed).map(|_| ()), expected, "{typed:?}");
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
        let lenient = PasswordRules { refuse_common: false, ..RULES.clone() };
        assert!(lenient.parse("password").is_ok());
        assert!(lenient.parse("latchkey").is_err());
    }

    #[test]
    fn the_list_is_in_the_form_in_which_passwords_are_compared_with_it() {
        for common in COMMON_PASSWORDS.lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(common, common.nfc().collect::<String>().to_lowercase());
        }
    }

    #[test]
    fn the_name_of_the_service_is_refused_in_any_case_spacing_and_with_any_digits() {
        for (name, refused, taken) in [
            (
                "Latchkey",
                &["latchkey", "Latchkey", "LATCHKEY1", "latchkey2026!", "latch-key"][..],
                "latchkeys and more",
            ),
            ("Acme Bank", &["acmebank", "AcmeBank1", "acme bank", "1 Acme Bank", "acme_bank_99"], "acme bank account"),
            ("بنك مصر", &["بنك مصر ٢٠٢٦", "بنكمصر١٢٣"], "بنك مصر الكبير"),
            ("Se\u{f1}al Nova", &["sen\u{303}al nova", "SE\u{d1}ALNOVA"], "senal nova madrid"),
            ("24/7", &[], "247 is not enough"),
        ] {
            for typed in refused {
                let verdict = named(name).parse(typed).map(|_| ());
                assert_eq!(verdict, Err(InvalidPassword::IsTheService), "{typed}");
            }
            assert!(named(name).parse(taken).is_ok(), "{taken}");
        }
        // A name without letters refuses no other digits.
        assert!(named("24/7").parse("83620174955").is_ok());
    }

    #[test]
    fn the_own_phone_is_refused_in_every_form() {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        for typed in [
            "01012345678",
            "1012345678",
            "+201012345678",
            "00201012345678",
            "010-1234-5678",
            "+20.10.1234.5678",
            "٠١٠١٢٣٤٥٦٧٨",
        ] {
            let refused = RULES.parse(typed).unwrap().not_the_phone(&phone).map(|_| ());
            assert_eq!(refused, Err(InvalidPassword::IsThePhone), "{typed}");
        }
        assert!(RULES.parse("01112345678").unwrap().not_the_phone(&phone).is_ok());
        // In Côte d'Ivoire, national significant numbers begin with a zero.
        let phone = PhoneRules::new("CI".parse().unwrap(), None).parse("0707070707").unwrap();
        for typed in ["0707070707", "+2250707070707"] {
            assert!(RULES.parse(typed).unwrap().not_the_phone(&phone).is_err(), "{typed}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for control in (0..=0x1f).chain(0x7f..=0x9f).chain([0xfdd0, 0xfdef, 0xfffe, 0xffff, 0x1_fffe, 0x10_ffff]) {
            let control = char::from_u32(control).unwrap();
            check(&format!("with {control} in it"), Err(InvalidPassword::ForbiddenCharacter));
        }
    }

    /// Unicode assigned what keyboards type in many versions, and some of it in none yet.
    #[test]
    fn every_other_character_is_accepted() {
        for typed in [
            "my secret ₽ 4711",
            "₾₼₿ currencies",
            "🙂🤔🙃🤣🥰👍🏽🫨🫩",
            "❤️ ☺️ 1️⃣ with selectors",
            "👨‍👩‍👧 🇪🇬 joined",
            "tatweel كلمـــة",
            "marks \u{200e}\u{200f}\u{ad}\u{200b}",
            "نیم\u{200c}فاصله",
            "क्\u{200d}ष with joiner",
            "𞤀𞤣𞤤𞤢𞤥 letters",
            "middle \u{b7} and \u{387} dots",
            "private \u{e000} use",
            "unassigned \u{378} \u{e0080} \u{3fffd}",
            "line\u{2028}separator",
            "replaced \u{fffd} character",
        ] {
            check(typed, Ok(()));
        }
        check(&"🥷".repeat(12), Ok(()));
        for c in '\u{20}'..=char::MAX {
            let is_refused = Password::parse(&format!("with {c} in it")).is_err();
            assert_eq!(is_refused, c.is_control() || is_noncharacter(c), "{c:?}");
        }
    }

    #[test]
    fn a_password_is_measured_in_the_form_that_is_hashed() {
        let decomposed = "e\u{302}\u{301}".repeat(128);
        assert_eq!(decomposed.chars().count(), 384);
        check(&decomposed, Ok(()));
        check(&format!("{decomposed}x"), Err(InvalidPassword::TooLong));
        check(&"e\u{301}".repeat(7), Err(InvalidPassword::TooShort { minimum: 8 }));
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
    fn only_the_same_password_gives_the_same_hash_with_its_salt() {
        let hasher = Hasher::new().unwrap();
        let (password, other) = (RULES.parse("newPass123").unwrap(), RULES.parse("newPass124").unwrap());
        let hash = hasher.hash(&password).unwrap();
        assert!(hasher.hash(&password).unwrap() != hash, "a salt of its own");
        assert!(hasher.hash_like(&password, &hash).unwrap() == Some(hash.clone()));
        assert!(hasher.hash_like(&other, &hash).unwrap().is_some_and(|other| other != hash));
        let bcrypt = PasswordHash::from_bcrypt(BCRYPT).unwrap();
        assert!(hasher.hash_like(&password, &bcrypt).unwrap().is_none());
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
        for (chosen, typed) in [
            ("\u{e9}clair au chocolat", "e\u{301}clair au chocolat"),
            ("\u{e9}clair au chocolat", "\u{e9}clair\u{a0}au\u{3000}chocolat"),
            ("\u{e9}clair\u{a0}au chocolat", "\u{e9}clair au chocolat"),
            ("\u{d55c}\u{ae00} password", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} password"),
            ("\u{212b}ngstr\u{f6}m 1", "A\u{30a}ngstro\u{308}m 1"),
            ("\u{2126} and \u{387} 1", "\u{3a9} and \u{b7} 1"),
        ] {
            let hash = hasher.hash(&RULES.parse(chosen).unwrap()).unwrap();
            assert_eq!(hasher.verify(&Password::parse(typed).unwrap(), &hash).unwrap(), Verdict::Right, "{typed:?}");
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

    /// The hashes of "newPass123" and of 80 times `x`, by Python's bcrypt with cost 4.
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
        // bcrypt compares only the first 72 bytes, until the login that replaces the hash.
        assert_eq!(verdict(&"x".repeat(100), BCRYPT_OF_A_LONG_ONE), Verdict::RightButOutdated);
        for wrong in [&BCRYPT[1..], &BCRYPT.replace("$2b$04$", "$2b$03$"), &BCRYPT.replace("$2b", "$2x"), "", "secret"]
        {
            assert_eq!(PasswordHash::from_bcrypt(wrong), Err(InvalidBcryptHash::NotBcrypt));
        }
        for cost in 14..=31 {
            let costly = PasswordHash::from_bcrypt(&BCRYPT.replace("$04$", &format!("${cost}$")));
            assert_eq!(costly, Err(InvalidBcryptHash::TooCostly { cost }));
        }
    }

    #[test]
    fn a_hash_is_read_without_what_its_cell_has_around_it() {
        for cell in ["{}    ", "{}\n", " {}\r\n", "\u{feff}{}", "'{}", "\"{}\",", "{}\u{a0};"] {
            let cell = cell.replace("{}", BCRYPT);
            assert_eq!(PasswordHash::from_bcrypt(&cell).unwrap().as_str(), BCRYPT, "{cell:?}");
        }
        assert!(BCRYPT.ends_with('.'), "a dot at its end is the hash's own");
        // Other systems' names of it, and a column of a fixed number of bytes.
        for cell in ["bcrypt${}", "{bcrypt}{}", "{CRYPT}{}", "'bcrypt${}'", "{}\0\0\0"] {
            let cell = cell.replacen("{}", BCRYPT, 1);
            assert_eq!(PasswordHash::from_bcrypt(&cell).unwrap().as_str(), BCRYPT, "{cell:?}");
        }
        for cell in ["bcrypt_sha256${}", "bcrypt:{}", "b'{}'", "!{}", "NULL"] {
            let cell = cell.replace("{}", BCRYPT);
            assert!(PasswordHash::from_bcrypt(&cell).is_err(), "{cell:?}");
        }
    }

    /// The hashes are bcrypt's with cost 4, of the bytes that another system was sent.
    #[test]
    fn a_bcrypt_hash_is_of_the_typed_bytes_or_of_the_prepared_ones() {
        let hasher = Hasher::new().unwrap();
        let decomposed = "Schlu\u{308}ssel gro\u{308}ßer 3";
        let composed: String = decomposed.nfc().collect();
        let spaced = "mot\u{a0}de passe";
        let outdated = Verdict::RightButOutdated;
        for (hashed, typed, verdict) in [
            (decomposed, decomposed, outdated),
            (&composed, decomposed, outdated),
            (&composed, &composed, outdated),
            (spaced, spaced, outdated),
            ("mot de passe", spaced, outdated),
            ("\u{212b}ngstr\u{f6}m", "\u{212b}ngstr\u{f6}m", outdated),
            // A third form is not guessed.
            (decomposed, &composed, Verdict::Wrong),
            ("something else", decomposed, Verdict::Wrong),
        ] {
            let stored = bcrypt::hash_with_salt(hashed.as_bytes(), 4, [7; 16]).unwrap().to_string();
            let stored = PasswordHash::from_bcrypt(&stored).unwrap();
            let password = Password::parse(typed).unwrap();
            assert_eq!(hasher.verify(&password, &stored).unwrap(), verdict, "{hashed:?} {typed:?}");
            // From the first login on, every form is right.
            let rehashed = hasher.rehash(&password).unwrap();
            let composed = Password::parse(&typed.nfc().collect::<String>()).unwrap();
            assert_eq!(hasher.verify(&composed, &rehashed).unwrap(), Verdict::Right);
        }
    }

    #[test]
    fn whatever_hash_a_phone_has_or_none_the_work_is_the_same() {
        let hasher = Hasher::new().unwrap();
        let highest = 6;
        // A password of one form, and one of two.
        for (typed, forms) in [("newPass123", 1_u64), ("newPass\u{a0}123", 2)] {
            let password = Password::parse(typed).unwrap();
            let of_cost = |cost| {
                let hash = bcrypt::hash_with_salt(typed.as_bytes(), cost, [7; 16]).unwrap().to_string();
                PasswordHash::from_bcrypt(&hash).unwrap()
            };
            let argon2 = hasher.rehash(&password).unwrap();
            let work = |password: &Password, stored: Option<&PasswordHash>, legacy| {
                let before = (hasher.computed(), hasher.bcrypt_rounds());
                let verdict = hasher.verify_alike(password, stored, legacy).unwrap();
                (verdict, hasher.computed() - before.0, hasher.bcrypt_rounds() - before.1)
            };
            assert_eq!(work(&password, Some(&argon2), None), (Verdict::Right, 1, 0));
            assert_eq!(work(&password, None, None), (Verdict::Wrong, 1, 0));

            let (legacy, rounds) = (Some(LegacyCost(highest)), forms << highest);
            assert_eq!(work(&password, Some(&argon2), legacy), (Verdict::Right, 1, rounds));
            assert_eq!(work(&password, None, legacy), (Verdict::Wrong, 1, rounds));
            for cost in 4..=highest {
                let verdict = Verdict::RightButOutdated;
                assert_eq!(work(&password, Some(&of_cost(cost)), legacy), (verdict, 1, rounds), "{cost}");
            }
            let wrong = Password::parse(&format!("{typed}x")).unwrap();
            for stored in [Some(&argon2), None, Some(&of_cost(4)), Some(&of_cost(highest))] {
                assert_eq!(work(&wrong, stored, legacy), (Verdict::Wrong, 1, rounds));
            }
        }
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
                let twice = Password::parse(&once.prepared).unwrap();
                prop_assert_eq!(once.as_bytes(), twice.as_bytes());
                prop_assert!(twice.typed.is_none());
            }
        }

        #[test]
        fn composed_and_decomposed_forms_are_prepared_alike(typed in any::<String>()) {
            if let Ok(password) = Password::parse(&typed) {
                for other in [typed.nfd().collect::<String>(), typed.nfc().collect()] {
                    let other = Password::parse(&other).unwrap();
                    prop_assert_eq!(other.as_bytes(), password.as_bytes());
                }
            }
        }
    }
}
