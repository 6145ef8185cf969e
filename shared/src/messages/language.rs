//! The languages of messages. Their sentences are in `languages/`, one file per language.

use std::fmt;

mod catalogs {
    include!(concat!(env!("OUT_DIR"), "/catalogs.rs"));
}

use super::content::Notice;
use crate::domain::otp::Purpose;
use catalogs::{CATALOGS, Catalog};

/// A language of the catalog.
#[derive(Clone, Copy)]
pub struct Language(&'static Catalog);

impl Language {
    /// English, the default of `SMS_LANGUAGE`.
    pub const ENGLISH: Self = Self(&catalogs::EN);

    /// Returns every language.
    pub fn all() -> impl Iterator<Item = Self> {
        CATALOGS.iter().copied().map(Self)
    }

    /// Returns the language with this ISO 639-1 code.
    pub fn find(code: &str) -> Option<Self> {
        Self::all().find(|language| language.code() == code)
    }

    /// Returns the ISO 639-1 code of the language.
    pub fn code(self) -> &'static str {
        self.0.code
    }

    /// Returns the language that an `Accept-Language` header prefers (RFC 9110 section 12.5.4), by its primary subtag,
    /// which `_` may end as well (`ko_KR`, as systems name their locales); none if the header names no language of the catalog.
    pub fn preferred(header: &str) -> Option<Self> {
        let ranges = header.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
            let language = Self::find(&primary)?;
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse().ok());
            weight.filter(|weight: &f32| *weight > 0.0).map(|weight| (language, weight))
        });
        // The first of equal weights wins.
        ranges
            .fold(None, |best: Option<(Self, f32)>, range| match best {
                Some(best) if best.1 >= range.1 => Some(best),
                _ => Some(range),
            })
            .map(|(language, _)| language)
    }

    /// Returns the sentence of a code for this purpose, with the placeholders `{service}` and `{code}`.
    pub(super) fn code_sentence(self, purpose: Purpose) -> &'static str {
        match purpose {
            Purpose::Activation(_) => self.0.activation,
            Purpose::SignIn(_) => self.0.sign_in,
            Purpose::Reset | Purpose::ResetBy(_) => self.0.reset,
            Purpose::VerifyPhone => self.0.verify_phone,
            Purpose::ChangePhone(_) => self.0.change_phone,
        }
    }

    /// Returns the sentence of a notice, with the placeholder `{service}`.
    pub(super) fn notice_sentence(self, notice: Notice) -> &'static str {
        match notice {
            Notice::AlreadyRegistered => self.0.already_registered,
            Notice::StartedAnew => self.0.started_anew,
            Notice::PhoneChanged => self.0.phone_changed,
            Notice::PasswordChanged => self.0.password_changed,
            Notice::PasswordReset => self.0.password_reset,
            Notice::AccountDeleted => self.0.account_deleted,
            Notice::SecondFactorOn => self.0.second_factor_on,
            Notice::SecondFactorOff => self.0.second_factor_off,
            Notice::RecoveryCodesReplaced => self.0.recovery_codes_replaced,
            Notice::RecoveryCodeUsed => self.0.recovery_code_used,
        }
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Language {}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({})", self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_is_liked_best() {
        for (header, expected) in [
            ("ru", Some("ru")),
            ("uz-Latn-UZ, ru;q=0.8, en;q=0.5", Some("uz")),
            ("fr, ko;q=0.3, es;q=0.9", Some("es")),
            ("en;q=0, ar", Some("ar")),
            ("AR-eg", Some("ar")),
            ("ko_KR", Some("ko")),
            ("fr_FR, uz_Latn_UZ;q=0.5", Some("uz")),
            ("en, ar", Some("en")),
            ("fr, de", None),
            ("*", None),
            ("", None),
            (";;;,,,=q", None),
            ("ru;q=x", None),
        ] {
            assert_eq!(Language::preferred(header).map(Language::code), expected, "{header}");
        }
    }
}
