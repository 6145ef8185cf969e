//! The senders of SMS, by the country of the recipient.

use std::str::FromStr;

use crate::domain::phone::{Country, Phone};

/// The senders of messages: `SMS_SENDER_ID`, such as `Acme,US=+12025550123,UZ=4546`.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    default: Option<String>,
    by_country: Vec<(Country, String)>,
}

/// An error in a list of senders.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSenders {
    /// Networks accept no such sender.
    #[error(
        "must be numbers, or names of at most 11 letters, digits, spaces and hyphens with at least one letter, separated \
         by commas: Acme,US=+12025550123"
    )]
    NotASender,
    /// A country has two senders, or all others have two.
    #[error("must name one sender for a country, and one for all other countries")]
    Twice,
    /// A country's code is unknown.
    #[error("must name countries by their ISO 3166-1 alpha-2 codes, such as EG")]
    UnknownCountry,
    /// Senders that no message would ever have, because phones are read as ones of other countries.
    #[error("must name countries that phones are read as: {0}")]
    NeverMatches(String),
}

impl FromStr for Senders {
    type Err = InvalidSenders;

    fn from_str(text: &str) -> Result<Self, InvalidSenders> {
        let mut senders = Self::default();
        for item in text.split(',').map(str::trim) {
            let (country, sender) = match item.split_once('=') {
                Some((country, sender)) => (Some(country.trim()), sender.trim()),
                None => (None, item),
            };
            let digits = sender.trim_start_matches('+');
            let is_number = (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            let is_name = (1..=11).contains(&sender.len())
                && sender.bytes().all(|b| b.is_ascii_alphanumeric() || b" -".contains(&b))
                && sender.bytes().any(|b| b.is_ascii_alphabetic());
            if !is_number && !is_name && !is_messaging_service(sender) {
                return Err(InvalidSenders::NotASender);
            }
            let sender = sender.to_owned();
            match country {
                None if senders.default.is_some() => return Err(InvalidSenders::Twice),
                None => senders.default = Some(sender),
                Some(country) => {
                    let country: Country = country.parse().map_err(|_| InvalidSenders::UnknownCountry)?;
                    if senders.by_country.iter().any(|(known, _)| *known == country) {
                        return Err(InvalidSenders::Twice);
                    }
                    senders.by_country.push((country, sender));
                }
            }
        }
        let countries = senders.by_country.iter();
        let never: Vec<_> = countries.filter_map(|(country, _)| Some(country.never_matches()?.to_string())).collect();
        if never.is_empty() { Ok(senders) } else { Err(InvalidSenders::NeverMatches(never.join("; "))) }
    }
}

impl Senders {
    /// Returns the sender of a message to this phone.
    pub(super) fn of(&self, to: &Phone) -> Option<&str> {
        let of =
            |country: Country| self.by_country.iter().find(|(known, _)| *known == country).map(|(_, sender)| sender);
        let country = to.country();
        let own = country.and_then(of).or_else(|| country?.of_territory().and_then(of));
        own.or(self.default.as_ref()).map(String::as_str)
    }

    /// Returns the senders, that of all other countries first.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.default.iter().chain(self.by_country.iter().map(|(_, sender)| sender)).map(String::as_str)
    }

    /// Returns whether every country has a sender.
    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }
}

/// Returns whether a sender is a messaging service of Twilio, which picks the number itself: `MG` and 32 hexadecimal
/// digits.
pub(super) fn is_messaging_service(sender: &str) -> bool {
    sender.strip_prefix("MG").is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::PhoneRules;

    fn phone(typed: &str) -> Phone {
        PhoneRules::new("EG".parse().unwrap(), None).parse(typed).unwrap()
    }

    #[test]
    fn senders_are_picked_by_country() {
        let senders: Senders = "Acme, US=+12025550123,UZ = 4546".parse().unwrap();
        assert_eq!(senders.of(&phone("01012345678")), Some("Acme"));
        assert_eq!(senders.of(&phone("+12015550123")), Some("+12025550123"));
        assert_eq!(senders.of(&phone("+998901234567")), Some("4546"));
        let one: Senders = "US=+12025550123".parse().unwrap();
        assert_eq!((one.of(&phone("01012345678")), one.has_default()), (None, false));
        for wrong in ["", "A name that is too long", "Acme,Other", "US=1234,US=2345", "XX=Acme", "EG=", "+12", "Ac/me"]
        {
            assert!(wrong.parse::<Senders>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_sender_of_a_country_is_that_of_its_territories() {
        let senders: Senders = "Acme,US=+12025550123,GB=+447911123456,JE=Jersey".parse().unwrap();
        for (number, expected) in [
            ("+17872345678", "+12025550123"),
            ("+16713001234", "+12025550123"),
            ("+447781123456", "+447911123456"),
            ("+447797712345", "Jersey"),
            ("+18092345678", "Acme"),
        ] {
            assert_eq!(senders.of(&phone(number)), Some(expected), "{number}");
        }
    }

    /// A phone of Åland is read as one of Finland, so that its sender would be used for nobody.
    #[test]
    fn a_sender_that_no_phone_gets_is_refused() {
        let wrong = "Acme,AX=Aland,FI=Suomi,EH=Sahr,VA=Vat".parse::<Senders>().unwrap_err().to_string();
        for (code, name) in [("AX", "FI"), ("EH", "MA"), ("VA", "IT")] {
            let why = format!("{code} can never match: its numbers cannot be told from those of {name}; name {name}");
            assert!(wrong.contains(&why), "{wrong}");
        }
        let senders: Senders = "Acme,IM=Man,JE=Jersey,PR=Rico,KZ=Kazakh".parse().unwrap();
        assert_eq!(senders.of(&phone("+447624412345")), Some("Man"));
        assert_eq!(senders.of(&phone("+77710009998")), Some("Kazakh"));
    }

    #[test]
    fn what_is_neither_name_nor_number_is_no_sender() {
        for wrong in ["12", "A name too long", "---", "Ac_me"] {
            assert!(wrong.parse::<Senders>().is_err(), "{wrong}");
        }
    }
}
