//! Phone numbers. They are read as people type them and kept in E.164, so that a number has one spelling and names one
//! user.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};

use crate::base::variables::Variables;

/// The greatest length of a text that is parsed, in bytes: the longest E.164 number with plenty of separators.
const MAX_TYPED_LENGTH: usize = 40;

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
    /// The text contains more than digits and the usual separators, or is not a number of any country.
    #[error("must be a phone number in the digits 0-9, for example +201012345678")]
    NotANumber,
    /// The text has the shape of a number, but no numbering plan assigns that number.
    #[error("is not a number that exists; check its digits and its country code")]
    NotInUse,
    /// The number is not a mobile number: a landline, a premium number, a pager, …
    #[error("must be a number that can receive SMS")]
    NoSms,
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
        default_country.map(|country| Self::new(country, allowed_countries))
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

    /// Returns whether a message may go to this phone: it is a number that can receive SMS, in a country that is served.
    pub fn may_be_sent(&self, phone: &Phone) -> bool {
        true
    }

    /// Reads a number as people type it: international with `+` (or the default country's dialing prefix), or national
    /// in the default country. Spaces, dashes and parentheses are ignored.
    ///
    /// All other text is refused, including digits of other scripts, extensions and letters, although libphonenumber
    /// would read some of it. Two texts that people take for different numbers must not become one number, nor the
    /// reverse.
    pub fn parse(&self, typed: &str) -> Result<Phone, InvalidPhone> {
        let typed = typed.trim_matches(' ');
        let digits_and_separators =
            |(at, c): (usize, char)| c.is_ascii_digit() || " -()".contains(c) || (at == 0 && c == '+');
        if typed.len() > MAX_TYPED_LENGTH || !typed.char_indices().all(digits_and_separators) {
            return Err(InvalidPhone::NotANumber);
        }
        let number =
            PHONE_NUMBER_UTIL.parse(typed, Some(self.default_country.0)).map_err(|_| InvalidPhone::NotANumber)?;
        if !number.is_valid() {
            return Err(InvalidPhone::NotInUse);
        }
        if !matches!(number.get_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile) {
            return Err(InvalidPhone::NoSms);
        }
        let country = number.get_region_code();
        if country == Some(Region::World) {
            // Satellite phones and similar numbers belong to no country, and messages to them are expensive.
            return Err(InvalidPhone::NoSms);
        }
        if let Some(allowed) = &self.allowed_countries
            && !allowed.iter().any(|c| Some(c.0) == country)
        {
            return Err(InvalidPhone::CountryNotAllowed);
        }
        Ok(Phone(number.format_as(PhoneNumberFormat::E164).into_owned()))
    }
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
        for typed in
            ["01012345678", "+201012345678", "+20 10-1234 5678", "(010) 1234-5678", "00201012345678", " 01012345678 "]
        {
            check(typed, Ok("+201012345678"));
        }
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
            ("٠١٠١٢٣٤٥٦٧٨", NotANumber),
            ("+１２０２５５５０１７３", NotANumber),
            ("+12025550173 ext 1", NotANumber),
            ("+12025550173;ext=1", NotANumber),
            ("+12025550173\n", NotANumber),
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
