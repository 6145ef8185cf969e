//! Phone numbers. They are read as people type them and kept in E.164, so that a number has one spelling and names one
//! user.

use std::fmt;

use numbering_plans::{Kind, Number, Plan};

use super::{numbering, spelling};
use crate::base::variables::Variables;

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
    /// The text contains more than the digits of one number, or is not a number of any country.
    #[error("must be one phone number, without letters or an extension, for example +201012345678")]
    NotANumber,
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
        let never_served: Vec<_> = allowed.filter_map(|country| rules.never_served(*country)).collect();
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

    /// Returns why no number of this country can ever be served, although it is allowed.
    fn never_served(&self, country: Country) -> Option<String> {
        let code = country.code();
        let example = country.0.mobile_example().and_then(|example| Number::parse(example, Some(country.0)));
        let Some(example) = example else { return Some(format!("{code} can never match: it has no mobile numbers")) };
        match example.plan().map(Country) {
            read_as if self.serves(read_as) => None,
            Some(other) => {
                let other = other.code();
                Some(format!("{code} can never match: its numbers cannot be told from those of {other}; name {other}"))
            }
            None => Some(format!("{code} can never match: its numbers are of no country")),
        }
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
    /// default country's dialing prefix, or national in the default country.
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
        let number = today(self.read_number(typed)?);
        self.check(&number)?;
        Ok(e164(&number))
    }

    /// Reads a number that is only looked up. It need not be valid, nor in a country that is served: the owner of an
    /// account signs in with its number for ever, even if the tables of numbering plans drop it.
    pub fn look_up(&self, typed: &str) -> Result<Phone, InvalidPhone> {
        Phone::from_stored(e164(&today(self.read_number(typed)?)).as_e164())
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

    /// Reads digits, behind `+` or not. `00` is the dialing prefix that ITU-T E.164 recommends: people who are used to it
    /// type it where the default country has another one, if those digits are no number there.
    fn read_digits(&self, digits: &str) -> Result<Number, InvalidPhone> {
        let read = |text: &str| Number::parse(text, Some(self.default_country.0));
        let number = read(digits);
        if let Some(after) = digits.strip_prefix("00")
            && !number.as_ref().is_some_and(Number::is_valid)
            && let Some(international) = read(&format!("+{after}")).filter(Number::is_valid)
        {
            return Ok(international);
        }
        number.ok_or(InvalidPhone::NotANumber)
    }
}

/// Returns the number as it is written today, if it is written as it was before its numbering plan changed.
fn today(number: Number) -> Number {
    if number.is_valid() {
        return number;
    }
    let code = number.calling_code();
    let moved = numbering::moved(code, number.national());
    let moved = moved.and_then(|national| Number::parse(&format!("+{code}{national}"), None));
    moved.filter(Number::is_valid).unwrap_or(number)
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

/// The error for a code that no country with phone numbers has.
#[derive(Debug, thiserror::Error)]
#[error("must be an ISO 3166-1 alpha-2 country code such as EG, and {0:?} is none")]
pub struct UnknownCountry(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rlibphonenumber::{PHONE_NUMBER_UTIL as LIBRARY, PhoneNumberFormat};

    use super::*;

    fn countries() -> impl Iterator<Item = Country> {
        Plan::all().iter().filter(|plan| !plan.is_of_no_country()).map(Country)
    }

    fn example(country: Country) -> Option<Number> {
        Number::parse(country.0.mobile_example()?, Some(country.0))
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

    /// Every country's mobile numbers, the shortest among them, in national and in international form, two in one text.
    #[test]
    fn two_numbers_never_become_one() {
        let mut pairs = 0;
        for country in countries() {
            let rules = PhoneRules::new(country, None);
            let Some(example) = example(country).map(|number| number.e164()) else { continue };
            let numbers: Vec<_> =
                (5..=example.len()).filter_map(|length| rules.parse(&example[..length]).ok()).collect();
            let spellings = numbers.iter().flat_map(|phone| {
                let national = LIBRARY.parse(phone.as_e164(), None).unwrap();
                [phone.as_e164().to_owned(), national.format_as(PhoneNumberFormat::National).into_owned()]
            });
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
        use InvalidPhone::{NoSms, NotANumber, NotInUse};
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
            ("+99912345678", NotANumber),
            ("+2010123", NotInUse),
            ("010123456789", NotInUse),
            ("+0201012345678", NotANumber),
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
                    let taken = only.parse(&example(country).unwrap().e164());
                    assert!(taken.is_ok(), "{country:?}: {taken:?}");
                }
                Some(why) => {
                    assert!(why.starts_with(country.code()), "{why}");
                    refused.push(country.code());
                }
            }
        }
        for code in ["AX", "BL", "CC", "CX", "EH", "IM", "MF", "SJ", "VA"] {
            assert!(refused.contains(&code), "{code} in {refused:?}");
        }
        assert!(["US", "GB", "EG", "UZ", "KZ", "PR", "GG"].iter().all(|code| !refused.contains(code)));
        // Beside the country whose numbers they cannot be told from, they do no harm.
        assert_eq!(rules("FI", &["FI", "AX"]).never_served("AX".parse().unwrap()), None);
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
