//! Phone numbers. They are read as people type them and kept in E.164, so that a number has one spelling and names one
//! user.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

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
        PHONE_NUMBER_UTIL.parse(&self.0, None).map(|n| n.get_national_significant_number()).unwrap_or_default()
    }

    /// Returns the country whose numbering plan contains the number, or `None` if no country's does.
    pub fn country(&self) -> Option<Country> {
        PHONE_NUMBER_UTIL.parse(&self.0, None).ok().and_then(|number| number.get_region_code()).map(Country)
    }

    /// Returns the ISO 3166-1 alpha-2 code of the number's country, or the text `none` if it has no country.
    pub fn country_code(&self) -> String {
        self.country().map_or_else(|| "none".to_owned(), Country::code)
    }

    /// Reads a number from the table. It was valid when it was stored, so only its shape is checked, which is far
    /// cheaper than libphonenumber's tables.
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
        for country in rules.allowed_countries.iter().flatten() {
            if let Some(why) = rules.never_served(*country) {
                read.wrong("PHONE_ALLOWED_COUNTRIES", why);
            }
        }
        if !rules.serves(Some(rules.default_country.0)) {
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
        let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(country.0, PhoneNumberType::Mobile).ok();
        let Some(example) = example else { return Some(format!("{code} can never match: it has no mobile numbers")) };
        match example.get_region_code() {
            read_as if self.serves(read_as) => None,
            Some(other) => {
                let other = Country(other).code();
                Some(format!("{code} can never match: its numbers cannot be told from those of {other}; name {other}"))
            }
            None => Some(format!("{code} can never match: its numbers are of no country")),
        }
    }

    /// Returns whether numbers of a country are served. A country's territories are served with it.
    fn serves(&self, country: Option<Region>) -> bool {
        let Some(allowed) = &self.allowed_countries else { return true };
        country.is_some_and(|country| allowed.iter().any(|allowed| allowed.includes(Country(country))))
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
    /// All other text is refused, extensions and letters included, although libphonenumber would read some of it. Two
    /// texts that people take for different numbers must not become one number, nor the reverse.
    fn read_number(&self, typed: &str) -> Result<PhoneNumber, InvalidPhone> {
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
        let number = PHONE_NUMBER_UTIL.parse(&phone.0, None).map_err(|_| InvalidPhone::NotANumber)?;
        self.check(&number)
    }

    fn check(&self, number: &PhoneNumber) -> Result<(), InvalidPhone> {
        if !number.is_valid() {
            return Err(InvalidPhone::NotInUse);
        }
        if !matches!(number.get_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile) {
            let is_in_argentina = number.get_region_code() == Some(Region::AR);
            let is_landline = number.get_type() == PhoneNumberType::FixedLine;
            return Err(if is_in_argentina && is_landline {
                InvalidPhone::NoSmsWithoutNine
            } else {
                InvalidPhone::NoSms
            });
        }
        let country = number.get_region_code();
        if country == Some(Region::World) {
            // Satellite phones and similar numbers belong to no country, and messages to them are expensive.
            return Err(InvalidPhone::NoSms);
        }
        if self.serves(country) { Ok(()) } else { Err(InvalidPhone::CountryNotAllowed) }
    }

    /// Reads digits, behind `+` or not. `00` is the dialing prefix that ITU-T E.164 recommends: people who are used to it
    /// type it where the default country has another one, if those digits are no number there.
    fn read_digits(&self, digits: &str) -> Result<PhoneNumber, InvalidPhone> {
        let read = |text: &str| PHONE_NUMBER_UTIL.parse(text, Some(self.default_country.0));
        let number = read(digits);
        if let Some(after) = digits.strip_prefix("00")
            && !number.as_ref().is_ok_and(PhoneNumber::is_valid)
            && let Some(international) = read(&format!("+{after}")).ok().filter(PhoneNumber::is_valid)
        {
            return Ok(international);
        }
        number.map_err(|_| InvalidPhone::NotANumber)
    }
}

/// Returns the number as it is written today, if it is written as it was before its numbering plan changed.
fn today(number: PhoneNumber) -> PhoneNumber {
    if number.is_valid() {
        return number;
    }
    let code = number.country_code;
    let moved = numbering::moved(code, &number.get_national_significant_number());
    let moved = moved.and_then(|national| PHONE_NUMBER_UTIL.parse(format!("+{code}{national}"), None).ok());
    moved.filter(PhoneNumber::is_valid).unwrap_or(number)
}

fn e164(number: &PhoneNumber) -> Phone {
    Phone(number.format_as(PhoneNumberFormat::E164).into_owned())
}

/// A country that has phone numbers, by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(Region);

impl std::str::FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(code: &str) -> Result<Self, UnknownCountry> {
        PHONE_NUMBER_UTIL
            .get_supported_regions()
            .find(|region| region.as_region_str().as_str() == code)
            .map(Self)
            .ok_or_else(|| UnknownCountry(code.to_owned()))
    }
}

impl Country {
    /// Returns whether another country is this one, or a territory that people mean by it as well.
    fn includes(self, other: Self) -> bool {
        self == other || numbering::country_of(&other.code()) == Some(self.code().as_str())
    }

    /// Returns the country that this territory belongs to.
    pub fn of_territory(self) -> Option<Self> {
        numbering::country_of(&self.code()).and_then(|code| code.parse().ok())
    }

    /// Returns the country's ISO 3166-1 alpha-2 code.
    pub fn code(self) -> String {
        self.0.as_region_str().as_str().to_owned()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error for a code that no country with phone numbers has.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an ISO 3166-1 alpha-2 country code such as EG")]
pub struct UnknownCountry(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            let rules = PhoneRules::new(Country(region), None);
            let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile);
            let Ok(example) = example.map(|number| number.format_as(PhoneNumberFormat::E164).into_owned()) else {
                continue;
            };
            let numbers: Vec<_> =
                (5..=example.len()).filter_map(|length| rules.parse(&example[..length]).ok()).collect();
            let spellings = numbers.iter().flat_map(|phone| {
                let number = PHONE_NUMBER_UTIL.parse(phone.as_e164(), None).unwrap();
                [PhoneNumberFormat::E164, PhoneNumberFormat::National].map(|form| number.format_as(form).into_owned())
            });
            let spellings: Vec<_> = spellings.collect();
            for (first, second) in
                spellings.iter().flat_map(|first| spellings.iter().map(move |second| (first, second)))
            {
                for between in [" ", "/", " / ", ", ", "; ", "\n", " - ", "\u{a0}", ") (", ". "] {
                    let typed = format!("{first}{between}{second}");
                    assert!(rules.parse(&typed).is_err(), "{region:?}: {typed:?}");
                    pairs += 1;
                }
                assert!(rules.parse(&format!("{first}/8")).is_err(), "{region:?}: {first}");
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
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            let country = Country(region);
            let only = PhoneRules::new(country, Some(vec![country]));
            let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile);
            match only.never_served(country) {
                None => {
                    let taken = only.parse(e164(&example.unwrap()).as_e164());
                    assert!(taken.is_ok(), "{country:?}: {taken:?}");
                }
                Some(why) => {
                    assert!(why.starts_with(&country.code()), "{why}");
                    refused.push(country.code());
                }
            }
        }
        for code in ["AX", "BL", "CC", "CX", "EH", "IM", "MF", "SJ", "VA"] {
            assert!(refused.iter().any(|refused| refused == code), "{code} in {refused:?}");
        }
        assert!(["US", "GB", "EG", "UZ", "KZ", "PR", "GG"].iter().all(|code| !refused.contains(&(*code).to_owned())));
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
