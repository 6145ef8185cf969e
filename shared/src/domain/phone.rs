//! Phone numbers. They are read as people type them and kept in E.164, so that a number has one spelling and names one
//! user.

use std::fmt;

use numbering_plans::{Kind, Number, Plan};

use super::{numbering, spelling};
use crate::base::variables::Variables;

/// The least number of digits in an international number: those of the longest country codes.
const SHORTEST: usize = 3;

/// A phone number that can receive SMS, in E.164 (ITU-T): `+201012345678`.
///
/// [`PhoneRules::parse`] makes it from typed text, so that it is valid, allowed, and in the one spelling that names the
/// user everywhere: in the table, in throttles and in responses.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Returns the number in E.164, with the plus sign.
    pub fn as_e164(&self) -> &str {
        &self.0
    }

    /// Returns the national significant number: the digits after the country code.
    pub fn national(&self) -> String {
        Number::parse(&self.0, None).map(|number| number.national().to_owned()).unwrap_or_default()
    }

    /// Returns the country whose numbering plan contains the number, or `None` if no country's does.
    pub fn country(&self) -> Option<Country> {
        Number::parse(&self.0, None)?.plan().map(Country)
    }

    /// Returns the ISO 3166-1 alpha-2 code of the number's country, or the text `none` if it has no country.
    pub fn country_code(&self) -> &'static str {
        self.country().map_or("none", Country::code)
    }

    /// Reads a number from the table. It was valid when it was stored, so only its shape is checked.
    pub fn from_stored(e164: &str) -> Result<Self, InvalidPhone> {
        match e164.strip_prefix('+') {
            Some(digits) if (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self(e164.to_owned()))
            }
            _ => Err(InvalidPhone::NotANumber),
        }
    }
}

/// A phone that is only looked up ([`PhoneRules::look_up`]): it may be an account's although no message could go to it.
#[derive(Clone, Debug)]
pub struct KnownPhone(pub Phone);

impl fmt::Debug for Phone {
    /// Masks the middle, so that no log contains a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.0.get(..3).unwrap_or_default(), self.0.get(self.0.len() - 2..).unwrap_or_default());
        write!(f, "Phone({start}{}{end})", "*".repeat(self.0.len().saturating_sub(5)))
    }
}

/// The reason why a text is refused as a phone number. The client reads these sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhone {
    /// The text contains more than the digits of one number, or too few or too many digits.
    #[error("must be one phone number, without letters or an extension, for example +201012345678")]
    NotANumber,
    /// The text is an international number, but no country has the code that it begins with.
    #[error("has a country code that does not exist; begin with + and the country code, for example +201012345678")]
    NoSuchCountryCode,
    /// The text has the shape of a number, but no numbering plan assigns that number.
    #[error("is not a number that exists; check its digits and its country code")]
    NotInUse,
    /// The number is not a mobile number: a landline, a premium number, a pager, …
    #[error("must be a number that can receive SMS")]
    NoSms,
    /// The number looks like a landline of Argentina, where mobile numbers differ by a 9 after the country code.
    #[error("must be a number that can receive SMS; a mobile number of Argentina has a 9 after +54, as in +54 9 11 …")]
    NoSmsWithoutNine,
    /// The number is in a country that the operator does not serve.
    #[error("is in a country that this service does not serve")]
    CountryNotAllowed,
}

/// The rules for reading phone numbers: `PHONE_DEFAULT_COUNTRY` and `PHONE_ALLOWED_COUNTRIES`.
#[derive(Clone, Debug)]
pub struct PhoneRules {
    default_country: Country,
    allowed_countries: Option<Vec<Country>>,
}

impl PhoneRules {
    /// Makes rules that read national numbers in `default_country`. With `allowed_countries`, numbers of other
    /// countries are refused.
    pub fn new(default_country: Country, allowed_countries: Option<Vec<Country>>) -> Self {
        Self { default_country, allowed_countries }
    }

    /// Reads `PHONE_DEFAULT_COUNTRY` and `PHONE_ALLOWED_COUNTRIES`. Returns `None` if the default country is wrong.
    pub fn read(read: &mut Variables<'_>) -> Option<Self> {
        let default_country = read.parsed::<Country>("PHONE_DEFAULT_COUNTRY", "EG");
        let allowed_countries = read.list::<Country>("PHONE_ALLOWED_COUNTRIES");
        let rules = Self::new(default_country?, allowed_countries);
        let allowed = rules.allowed_countries.iter().flatten();
        let never_served: Vec<_> =
            allowed.filter_map(|country| Some(rules.never_served(*country)?.to_string())).collect();
        if !never_served.is_empty() {
            read.wrong("PHONE_ALLOWED_COUNTRIES", never_served.join("; "));
        }
        if !rules.serves(Some(rules.default_country)) {
            let code = rules.default_country.code();
            let why =
                format!("{code} is not in PHONE_ALLOWED_COUNTRIES: numbers without a country code are all refused");
            read.warn("PHONE_DEFAULT_COUNTRY", why);
        }
        Some(rules)
    }

    /// Returns why no number of this country can ever be served, although it is allowed. Beside the country that its
    /// numbers are read as, it does no harm.
    fn never_served(&self, country: Country) -> Option<NeverMatches> {
        country
            .never_matches()
            .filter(|why| !matches!(why, NeverMatches::ReadAs(_, other) if self.serves(Some(*other))))
    }

    /// Returns whether numbers of a country are served. A country's territories are served with it.
    fn serves(&self, country: Option<Country>) -> bool {
        let Some(allowed) = &self.allowed_countries else { return true };
        country.is_some_and(|country| allowed.iter().any(|allowed| allowed.includes(country)))
    }

    /// Returns whether numbers of every country are accepted.
    pub fn serves_all_countries(&self) -> bool {
        self.allowed_countries.is_none()
    }

    /// Returns the same rules for numbers of every country. Operators need them for accounts in countries that are no
    /// longer served.
    #[must_use]
    pub fn of_all_countries(&self) -> Self {
        Self { allowed_countries: None, ..self.clone() }
    }

    /// Reads a number as people type and paste it ([`spelling::phone_number`]): international with `+`, `00` or the
    /// default country's dialing prefix, national in the default country, or behind its country code without `+`.
    ///
    /// All other text is refused, extensions and letters included. Two
    /// texts that people take for different numbers must not become one number, nor the reverse.
    fn read_number(&self, typed: &str) -> Result<Number, InvalidPhone> {
        let typed = spelling::phone_number(typed).ok_or(InvalidPhone::NotANumber)?;
        self.read_digits(&typed)
    }

    /// Takes a number in that is to get an account or a message: it must exist, receive SMS, and be in a country that is
    /// served. Text is read as in [`look_up`](Self::look_up).
    pub fn parse(&self, typed: &str) -> Result<Phone, InvalidPhone> {
        let number = self.read_number(typed)?;
        self.check(&number)?;
        Ok(e164(&number))
    }

    /// Reads a number that is only looked up. It need not be valid, nor in a country that is served: the owner of an
    /// account signs in with its number for ever, even if the tables of numbering plans drop it.
    pub fn look_up(&self, typed: &str) -> Result<Phone, InvalidPhone> {
        Phone::from_stored(e164(&self.read_number(typed)?).as_e164())
    }

    /// Returns why no message may go to this phone: it does not exist, cannot receive SMS, or is in a country that is not
    /// served. It may be an account's all the same.
    pub fn check_recipient(&self, phone: &Phone) -> Result<(), InvalidPhone> {
        let number = Number::parse(&phone.0, None).ok_or(InvalidPhone::NotANumber)?;
        self.check(&number)
    }

    fn check(&self, number: &Number) -> Result<(), InvalidPhone> {
        let kind = number.kind().ok_or(InvalidPhone::NotInUse)?;
        let country = number.plan().map(Country);
        match kind {
            Kind::Mobile | Kind::FixedLineOrMobile => {}
            Kind::FixedLine if country.is_some_and(|country| country.code() == "AR") => {
                return Err(InvalidPhone::NoSmsWithoutNine);
            }
            Kind::FixedLine | Kind::Other => return Err(InvalidPhone::NoSms),
        }
        if country.is_some_and(|country| country.0.is_of_no_country()) {
            // Satellite phones and similar numbers belong to no country, and messages to them are expensive.
            return Err(InvalidPhone::NoSms);
        }
        if self.serves(country) { Ok(()) } else { Err(InvalidPhone::CountryNotAllowed) }
    }

    /// Reads digits, behind `+` or not, and returns the number as it is written today. Beyond what libphonenumber reads,
    /// these are international:
    ///
    /// - Digits behind `00`, if they are no number of the default country. It is the dialing prefix that ITU-T E.164
    ///   recommends: people who are used to it type it where the default country has another one.
    /// - Digits that begin with the default country's code, if only so they are a number that can receive SMS. In
    ///   Germany, `4915123456789` has the form of a landline as well. The codes of other countries need `+`, because a
    ///   national number with a digit too many may begin with one.
    fn read_digits(&self, digits: &str) -> Result<Number, InvalidPhone> {
        let read = |text: &str| Number::parse(text, Some(self.default_country.0));
        let international = |after: &str| read(&format!("+{after}")).map(today);
        let number = read(digits);
        if let Some(after) = digits.strip_prefix("00")
            && !number.as_ref().is_some_and(Number::is_valid)
            && let Some(number) = international(after).filter(Number::is_valid)
        {
            return Ok(number);
        }
        let number = number.map(today);
        if digits.starts_with(&*self.default_country.0.calling_code.to_string())
            && !number.as_ref().is_some_and(receives_sms)
            && let Some(number) = international(digits).filter(receives_sms)
        {
            return Ok(number);
        }
        number.ok_or_else(|| self.unreadable(digits))
    }

    /// Returns why digits, behind `+` or not, are no number of any country.
    fn unreadable(&self, digits: &str) -> InvalidPhone {
        match digits.strip_prefix('+').or_else(|| self.default_country.0.after_idd(digits)) {
            Some(after) if after.len() >= SHORTEST && !Number::has_calling_code(after) => {
                InvalidPhone::NoSuchCountryCode
            }
            _ => InvalidPhone::NotANumber,
        }
    }
}

/// Returns whether messages may be sent to a number of this kind.
fn receives_sms(number: &Number) -> bool {
    matches!(number.kind(), Some(Kind::Mobile | Kind::FixedLineOrMobile))
}

/// Returns the number as it is written today, if it is written as it was before its numbering plan changed, or with the
/// zero of a trunk prefix that its country does not have: `+34 (0) 612 34 56 78`.
fn today(number: Number) -> Number {
    if number.is_valid() {
        return number;
    }
    let code = number.calling_code();
    let read = |national: &str| Number::parse(&format!("+{code}{national}"), None).filter(Number::is_valid);
    let moved = numbering::moved(code, number.national()).and_then(|national| read(&national));
    moved.or_else(|| number.national().strip_prefix('0').and_then(read)).unwrap_or(number)
}

fn e164(number: &Number) -> Phone {
    Phone(number.e164())
}

/// A country that has phone numbers, by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy)]
pub struct Country(&'static Plan);

impl PartialEq for Country {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Country {}

impl std::str::FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(code: &str) -> Result<Self, UnknownCountry> {
        Plan::of_region(code).map(Self).ok_or_else(|| UnknownCountry(code.to_owned()))
    }
}

impl Country {
    /// Returns whether another country is this one, or a territory that people mean by it as well.
    fn includes(self, other: Self) -> bool {
        self == other || numbering::country_of(other.code()) == Some(self.code())
    }

    /// Returns the country that this territory belongs to.
    pub fn of_territory(self) -> Option<Self> {
        numbering::country_of(self.code()).and_then(|code| code.parse().ok())
    }

    /// Returns why no phone is ever read as one of this country, if that is so.
    pub fn never_matches(self) -> Option<NeverMatches> {
        if self.mobile_number().is_some() {
            return None;
        }
        let Some(example) = self.example() else { return Some(NeverMatches::NoMobile(self)) };
        Some(example.plan().map_or(NeverMatches::OfNoCountry(self), |plan| NeverMatches::ReadAs(self, Self(plan))))
    }

    /// Returns a mobile number that is read as one of this country, if there is one. Where a territory shares most of its
    /// numbers with a country, it is not the plan's example, but one with another digit.
    fn mobile_number(self) -> Option<Number> {
        let example = self.example()?;
        let is_own = |number: &Number| receives_sms(number) && number.plan().map(Self) == Some(self);
        let (code, national) = (example.calling_code(), example.national());
        let with_digit = |at: usize, digit: char| {
            let (before, after) = (national.get(..at)?, national.get(at + 1..)?);
            Number::parse(&format!("+{code}{before}{digit}{after}"), None)
        };
        let others = (0..national.len()).flat_map(|at| ('0'..='9').filter_map(move |digit| with_digit(at, digit)));
        std::iter::once(example.clone()).chain(others).find(is_own)
    }

    /// Returns the example of a mobile number in the country's plan. It may be read as one of another country.
    fn example(self) -> Option<Number> {
        Number::parse(self.0.mobile_example()?, Some(self.0))
    }

    /// Returns the country's ISO 3166-1 alpha-2 code.
    pub fn code(self) -> &'static str {
        self.0.region
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The reason why no phone is ever read as one of a country. The operator reads these sentences.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum NeverMatches {
    /// Its plan has no mobile numbers.
    #[error("{0:?} can never match: it has no mobile numbers")]
    NoMobile(Country),
    /// Its numbers are in the plan of another country as well, which is read first.
    #[error("{0:?} can never match: its numbers cannot be told from those of {1:?}; name {1:?}")]
    ReadAs(Country, Country),
    /// Its numbers are in no plan.
    #[error("{0:?} can never match: its numbers are of no country")]
    OfNoCountry(Country),
}

/// The error for a code that no country with phone numbers has.
#[derive(Debug, thiserror::Error)]
#[error("must be an ISO 3166-1 alpha-2 country code such as EG, and {0:?} is none")]
pub struct UnknownCountry(String);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Mobile numbers and what they begin with, each in E.164 and, behind a space, as it is written at home.
    /// `numbering/oracle` writes the file.
    const SPELLINGS: &str = include_str!("../../../numbering/oracle/spellings.txt");

    fn countries() -> impl Iterator<Item = Country> {
        Plan::all().iter().filter(|plan| !plan.is_of_no_country()).map(Country)
    }

    fn egypt() -> PhoneRules {
        PhoneRules::new("EG".parse().unwrap(), None)
    }

    fn check(typed: &str, expected: Result<&str, InvalidPhone>) {
        let phone = egypt().parse(typed);
        assert_eq!(phone.as_ref().map(Phone::as_e164).map_err(|e| *e), expected, "{typed:?}");
    }

    #[test]
    fn every_spelling_of_a_number_is_one_number() {
        for typed in [
            "01012345678",
            "1012345678",
            "201012345678",
            "+201012345678",
            "+20 10-1234 5678",
            "(010) 1234-5678",
            "00201012345678",
            " 01012345678 ",
            "(+2)01012345678",
            "+20 (0)10 12345678",
            "+20010 12345678",
            "(0020)1012345678",
            "tel:+201012345678",
            "\u{202a}+20 10 12345678\u{202c}",
            "٠١٠١٢٣٤٥٦٧٨",
        ] {
            check(typed, Ok("+201012345678"));
        }
    }

    /// 00 is dialed in most of the world, and typed by travelers where it is not.
    #[test]
    fn the_usual_dialing_prefix_is_read_in_every_country() {
        for country in ["EG", "US", "JP", "AU", "KR", "HK", "RU"] {
            let rules = PhoneRules::new(country.parse().unwrap(), None);
            assert_eq!(rules.parse("00 20 10 12345678").unwrap().as_e164(), "+201012345678", "{country}");
        }
        let rules = PhoneRules::new("US".parse().unwrap(), None);
        assert_eq!(rules.parse("011 20 10 12345678").unwrap().as_e164(), "+201012345678");
        assert_eq!(rules.parse("00 00 20 10 12345678"), Err(InvalidPhone::NotInUse));
    }

    /// In some countries, a number behind its country code has the form of a national number too: a landline's, or one that
    /// nobody has.
    #[test]
    fn the_country_code_needs_no_plus_in_any_country() {
        for (country, typed, expected) in [
            ("DE", "4915123456789", "+4915123456789"),
            ("DE", "49 1512 3456788", "+4915123456788"),
            ("DE", "49 (0) 1512 3456788", "+4915123456788"),
            ("DE", "49 0160 1234567", "+491601234567"),
            ("ID", "62 812 345 678", "+62812345678"),
            ("ID", "62 812 3456 7890", "+6281234567890"),
            ("XK", "383 43 201 234", "+38343201234"),
            // The old form of a plan as well.
            ("MU", "230 712 3456", "+23057123456"),
            // A national number that can receive SMS remains one.
            ("DE", "01512 3456788", "+4915123456788"),
            ("IN", "9187654321", "+919187654321"),
            ("VN", "84 123 4567", "+84841234567"),
        ] {
            let rules = PhoneRules::new(country.parse().unwrap(), None);
            for read in [rules.parse(typed), rules.look_up(typed)] {
                assert_eq!(read.as_ref().map(Phone::as_e164).map_err(|e| *e), Ok(expected), "{country}: {typed}");
            }
        }
        for country in countries() {
            let rules = PhoneRules::new(country, None);
            let Some(number) = country.example() else { continue };
            let e164 = number.e164();
            for typed in [e164.trim_start_matches('+').to_owned(), format!("00{}", &e164[1..])] {
                let read = rules.parse(&typed).map(|phone| phone.as_e164().to_owned());
                assert_eq!(read, Ok(e164.clone()), "{country:?}: {typed}");
            }
        }
        // A landline is one, with or without the plus sign, and other countries' numbers need the sign: `79111234567` is
        // a British number with a digit too many, and no Russian one.
        let rules = |code: &str| PhoneRules::new(code.parse().unwrap(), None);
        assert_eq!(rules("DE").parse("030 1234567"), Err(InvalidPhone::NoSms));
        assert_eq!(rules("DE").look_up("030 1234567").unwrap().as_e164(), "+49301234567");
        assert_eq!(rules("GB").parse("79111234567"), Err(InvalidPhone::NotInUse));
        // Two numbers of Norfolk Island, and no Finnish one.
        assert_eq!(rules("NF").parse("358412 351234"), Err(InvalidPhone::NotInUse));
    }

    /// Every country's mobile numbers, the shortest among them, in national and in international form, two in one text.
    #[test]
    fn two_numbers_never_become_one() {
        let mut pairs = 0;
        let national: HashMap<_, _> = SPELLINGS.lines().filter_map(|line| line.split_once(' ')).collect();
        for country in countries() {
            let rules = PhoneRules::new(country, None);
            let Some(example) = country.example().map(|number| number.e164()) else { continue };
            let numbers: Vec<_> =
                (5..=example.len()).filter_map(|length| rules.parse(&example[..length]).ok()).collect();
            let spellings =
                numbers.iter().flat_map(|phone| [phone.as_e164().to_owned(), national[phone.as_e164()].to_owned()]);
            let spellings: Vec<_> = spellings.collect();
            for (first, second) in
                spellings.iter().flat_map(|first| spellings.iter().map(move |second| (first, second)))
            {
                for between in [" ", "/", " / ", ", ", "; ", "\n", " - ", "\u{a0}", ") (", ". "] {
                    let typed = format!("{first}{between}{second}");
                    assert!(rules.parse(&typed).is_err(), "{country:?}: {typed:?}");
                    pairs += 1;
                }
                assert!(rules.parse(&format!("{first}/8")).is_err(), "{country:?}: {first}");
            }
        }
        assert!(pairs > 5_000, "{pairs}");
    }

    #[test]
    fn numbers_of_other_countries_are_read_with_their_code() {
        check("+1 202-555-0173", Ok("+12025550173"));
        check("+998 90 123 45 67", Ok("+998901234567"));
    }

    #[test]
    fn what_people_do_not_type_is_refused() {
        use InvalidPhone::{NoSms, NoSuchCountryCode, NotANumber, NotInUse};
        let cases = [
            ("", NotANumber),
            ("+", NotANumber),
            ("hello", NotANumber),
            ("+12025550173 ext 1", NotANumber),
            ("+12025550173;ext=1", NotANumber),
            ("+12025550173\n+12025550174", NotANumber),
            ("①2025550173", NotANumber),
            ("+12025550173*", NotANumber),
            ("+1800FLOWERS", NotANumber),
            (".;phone-context=", NotANumber),
            ("+dwPAA;phone-context=AA", NotANumber),
            ("1+2025550173", NotANumber),
            ("++201012345678", NotANumber),
            ("+99912345678", NoSuchCountryCode),
            ("+8 912 345 67 84", NoSuchCountryCode),
            ("+091 98765 43210", NoSuchCountryCode),
            ("+010 1234 5678", NoSuchCountryCode),
            ("00 8 912 345 67 84", NoSuchCountryCode),
            ("+12", NotANumber),
            ("+20", NotANumber),
            ("+2010123456789012345678", NotANumber),
            ("+2010123", NotInUse),
            ("010123456789", NotInUse),
            ("+0201012345678", NoSuchCountryCode),
            ("+20223456789", NoSms),
            ("+18002345678", NoSms),
            ("+19002345678", NoSms),
            // Satellite phones.
            ("+881612345678", NoSms),
            ("+870773111632", NoSms),
        ];
        for (typed, expected) in cases {
            check(typed, Err(expected));
        }
        check(&"0".repeat(4000), Err(NotANumber));
        let america = PhoneRules::new("US".parse().unwrap(), None);
        assert_eq!(america.parse("011 8 912 345 67 84"), Err(NoSuchCountryCode));
        assert_eq!(america.parse("1"), Err(NotANumber));
    }

    #[test]
    fn only_allowed_countries_are_served() {
        let rules = PhoneRules::new("EG".parse().unwrap(), Some(vec!["EG".parse().unwrap(), "UZ".parse().unwrap()]));
        assert!(rules.parse("01012345678").is_ok());
        assert!(rules.parse("+998901234567").is_ok());
        assert_eq!(rules.parse("+12025550173"), Err(InvalidPhone::CountryNotAllowed));
    }

    fn rules(default: &str, allowed: &[&str]) -> PhoneRules {
        let allowed = allowed.iter().map(|code| code.parse().unwrap()).collect();
        PhoneRules::new(default.parse().unwrap(), Some(allowed))
    }

    #[test]
    fn a_country_is_served_with_its_territories() {
        for (country, number) in [
            ("US", "+17872345678"),
            ("US", "+16713001234"),
            ("US", "+16847331234"),
            ("US", "+16702345678"),
            ("US", "+13406421234"),
            ("GB", "+447781123456"),
            ("GB", "+447797712345"),
            ("GB", "+447924123456"),
            ("FI", "+358412345678"),
            ("NO", "+4741234567"),
            ("MA", "+212650123456"),
            ("AU", "+61412345678"),
            ("IT", "+393123456789"),
        ] {
            assert!(rules(country, &[country]).parse(number).is_ok(), "{country}: {number}");
        }
        // Countries of their own, with a calling code that they share.
        for (country, number) in [("US", "+18092345678"), ("US", "+12042345678"), ("RU", "+77710009998")] {
            assert_eq!(rules(country, &[country]).parse(number), Err(InvalidPhone::CountryNotAllowed), "{number}");
        }
    }

    /// Every country either takes its own example, or says at start that it never can, and which one to name.
    #[test]
    fn an_allowed_country_matches_or_is_refused() {
        let mut refused = Vec::new();
        for country in countries() {
            let only = PhoneRules::new(country, Some(vec![country]));
            match only.never_served(country) {
                None => {
                    let taken = country.mobile_number().map(|number| only.parse(&number.e164()));
                    assert!(matches!(taken, Some(Ok(_))), "{country:?}: {taken:?}");
                }
                Some(why) => {
                    assert!(why.to_string().starts_with(country.code()), "{why}");
                    refused.push(country.code());
                }
            }
        }
        // No first digits, of a number as long as the example, make it a mobile number of a country that is refused.
        for country in refused.iter().map(|code| code.parse::<Country>().unwrap()) {
            let Some(example) = country.example() else { continue };
            let (code, tail) = (example.calling_code(), &example.national()[4..]);
            let mut numbers = (0..10_000).map(|start| format!("+{code}{start:04}{tail}"));
            let only = PhoneRules::new(country, Some(vec![country]));
            assert_eq!(numbers.find_map(|number| only.parse(&number).ok()), None, "{country:?}");
        }
        assert_eq!(rules("IM", &["IM"]).parse("+447624412345").unwrap().country_code(), "IM");
        for code in ["AX", "BL", "CC", "CX", "EH", "MF", "SJ", "VA"] {
            assert!(refused.contains(&code), "{code} in {refused:?}");
        }
        assert!(["US", "GB", "EG", "UZ", "KZ", "PR", "GG", "IM", "JE"].iter().all(|code| !refused.contains(code)));
        // Beside the country whose numbers they cannot be told from, they do no harm.
        assert!(rules("FI", &["FI", "AX"]).never_served("AX".parse().unwrap()).is_none());
    }

    #[test]
    fn numbers_are_read_as_they_are_written_today() {
        for (default, typed, expected) in [
            ("EG", "+52 1 55 1234 5678", "+525512345678"),
            ("MX", "044 55 1234 5678", "+525512345678"),
            ("MX", "01 55 1234 5678", "+525512345678"),
            ("EG", "+55 11 8123-4567", "+5511981234567"),
            ("BR", "(11) 98123-4567", "+5511981234567"),
            ("EG", "+229 97 12 34 56", "+2290197123456"),
            ("EG", "+225 07 12 34 56", "+2250707123456"),
            ("UZ", "8 90 123 45 67", "+998901234567"),
            ("VN", "0123 456 7890", "+84834567890"),
            ("EG", "+56 8123 4567", "+56981234567"),
            ("CL", "8123 4567", "+56981234567"),
            ("CL", "09 8123 4567", "+56981234567"),
            ("EG", "+56 09 8123 4567", "+56981234567"),
            ("CM", "71 23 45 67", "+237671234567"),
            ("EG", "+237 9912 3456", "+237699123456"),
            ("MU", "712 3456", "+23057123456"),
            ("EG", "+230 912 3456", "+23059123456"),
            ("EG", "+225 707 12 34 56", "+2250707123456"),
            ("CI", "7 07 12 34 56", "+2250707123456"),
            ("EG", "+229 197 12 34 56", "+2290197123456"),
            ("UA", "8 050 123 45 67", "+380501234567"),
            ("UA", "8 (050) 123-45-67", "+380501234567"),
            ("UA", "8 10 380 50 123 45 67", "+380501234567"),
            ("UZ", "8 10 998 90 123 45 67", "+998901234567"),
            ("EG", "+54 9 11 15 2345-6782", "+5491123456782"),
            ("EG", "+54 9 (011) 2345-6777", "+5491123456777"),
            ("AR", "9 (011) 15 2345-6782", "+5491123456782"),
        ] {
            let rules = PhoneRules::new(default.parse().unwrap(), None);
            for read in [rules.parse(typed), rules.look_up(typed)] {
                assert_eq!(read.as_ref().map(Phone::as_e164).map_err(|e| *e), Ok(expected), "{typed}");
            }
        }
        let rules = PhoneRules::new("AR".parse().unwrap(), None);
        for typed in ["11 2345-6789", "+54 11 2345-6789"] {
            assert_eq!(rules.parse(typed), Err(InvalidPhone::NoSmsWithoutNine), "{typed}");
        }
        assert!(rules.parse("+54 9 11 2345-6789").is_ok());
        // Landlines of then, and numbers of today that look like an old one.
        for typed in [
            "+56 71 234567",
            "+56 2 234 5678",
            "+237 22 23 45 67",
            "+237 88 12 34 56",
            "+230 212 3456",
            "+225 27 12 34 567",
        ] {
            assert!(egypt().parse(typed).is_err(), "{typed}");
        }
    }

    /// People write the zero of a trunk prefix also where the country has none.
    #[test]
    fn a_zero_behind_the_country_code_is_no_digit_of_a_number_that_has_none() {
        for (typed, expected) in [
            ("+34 (0) 612345681", "+34612345681"),
            ("+48 (0)512 345 678", "+48512345678"),
            ("+45 (0)32 12 34 56", "+4532123456"),
            ("+351 (0)912 345 678", "+351912345678"),
            ("+57 (0)321 1234567", "+573211234567"),
            ("+1 (0)202 555 0173", "+12025550173"),
            ("+7 (0)912 345 67 89", "+79123456789"),
            ("+39 (0) 333 1234567", "+393331234567"),
            ("+225 (0) 07 07 12 34 56", "+2250707123456"),
        ] {
            check(typed, Ok(expected));
        }
        let spain = PhoneRules::new("ES".parse().unwrap(), None);
        assert_eq!(spain.parse("0612 34 56 81").unwrap().as_e164(), "+34612345681");
        // Landlines of Italy begin with a zero.
        for typed in ["+39 06 12345678", "+39 (0)6 12345678", "+39 (0)331 1234567"] {
            check(typed, Err(InvalidPhone::NoSms));
        }
        assert_eq!(egypt().look_up("+39 (0)6 12345678").unwrap().as_e164(), "+390612345678");
        // One zero, and only of a number that exists without it.
        check("+34 00 612345681", Err(InvalidPhone::NotInUse));
        check("+34 (0) 212345681", Err(InvalidPhone::NotInUse));
        // Every country's example with a zero is that example, or the number that it is with the zero.
        let mut pairs = 0;
        for number in countries().filter_map(Country::example) {
            let typed = format!("+{}0{}", number.calling_code(), number.national());
            let with_zero = Number::parse(&typed, None).filter(Number::is_valid).map_or(number.e164(), |it| it.e164());
            assert_eq!(egypt().look_up(&typed).unwrap().as_e164(), with_zero, "{typed}");
            pairs += 1;
        }
        assert!(pairs > 200, "{pairs}");
    }

    #[test]
    fn what_is_looked_up_need_not_be_valid() {
        let rules = rules("EG", &["EG"]);
        for (typed, expected) in
            [("01012345678", "+201012345678"), ("+20 2 23456789", "+20223456789"), ("+12025550173", "+12025550173")]
        {
            assert_eq!(rules.look_up(typed).as_ref().map(Phone::as_e164), Ok(expected));
        }
        for typed in ["", "hello", "+1 202 555 0173 ext 1", "+"] {
            assert!(rules.look_up(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn countries_are_iso_codes() {
        assert!("EG".parse::<Country>().is_ok());
        for code in ["", "eg", "Egypt", "XX", "001", "20"] {
            assert!(code.parse::<Country>().is_err(), "{code:?}");
        }
    }

    #[test]
    fn debug_masks_the_middle_and_national_is_without_the_country() {
        let phone = egypt().parse("01012345678").unwrap();
        assert_eq!(format!("{phone:?}"), "Phone(+20********78)");
        assert_eq!(phone.national(), "1012345678");
    }

    #[test]
    fn a_stored_number_reads_back_the_same() {
        let phone = egypt().parse("01012345678").unwrap();
        assert_eq!(Phone::from_stored(phone.as_e164()), Ok(phone));
        for broken in ["", "+", "01012345678", "+20101234567x", "+2010123456789012"] {
            assert!(Phone::from_stored(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_but_never_panics(typed in "\\PC{0,60}") {
            let _ = egypt().parse(&typed);
        }

        #[test]
        fn digits_and_separators_never_panic_and_what_is_read_reads_again(typed in "[+]?[0-9 ()-]{0,25}") {
            if let Ok(phone) = egypt().parse(&typed) {
                prop_assert!(phone.as_e164().starts_with('+') && phone.as_e164().len() <= 16);
                prop_assert_eq!(egypt().parse(phone.as_e164()), Ok(phone));
            }
        }
    }
}
