//! What messages say: a sentence per purpose and language that names the service and the purpose, says not to share the
//! code, and has no link (SECURITY O13).

use crate::otp::Purpose;

/// A language of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `ar`
    Arabic,
    /// `en`
    English,
    /// `es`
    Spanish,
    /// `ko`
    Korean,
    /// `ru`
    Russian,
    /// `uz`, in Latin letters.
    Uzbek,
}

impl Language {
    /// All of them, with their ISO 639-1 codes.
    pub const ALL: [(&'static str, Self); 6] = [
        ("en", Self::English),
        ("ar", Self::Arabic),
        ("es", Self::Spanish),
        ("ko", Self::Korean),
        ("ru", Self::Russian),
        ("uz", Self::Uzbek),
    ];

    /// The one that an `Accept-Language` header likes best (RFC 9110 section 12.5.4), by its primary language; none when
    /// it names none of the catalogue.
    pub fn preferred(header: &str) -> Option<Self> {
        let ranges = header.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let (_, language) = Self::ALL.into_iter().find(|(code, _)| *code == primary)?;
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse().ok());
            weight.filter(|weight: &f32| *weight > 0.0).map(|weight| (language, weight))
        });
        // Of equals the first.
        ranges
            .fold(None, |best: Option<(Self, f32)>, range| match best {
                Some(best) if best.1 >= range.1 => Some(best),
                _ => Some(range),
            })
            .map(|(language, _)| language)
    }

    /// Its sentence for a purpose; `{service}` and `{code}` are put in. One that is written from the right begins with
    /// its own letters: a phone reads the direction off the first.
    const fn template(self, purpose: Purpose) -> &'static str {
        match (purpose, self) {
            (Purpose::Activation(_), Self::English) => {
                "{service}: {code} is your code to create your account. Do not share it. If you did not ask for it, \
                 ignore this message."
            }
            (Purpose::Activation(_), Self::Arabic) => "رمز إنشاء حسابك في {service}: {code}. لا تشاركه مع أحد.",
            (Purpose::Activation(_), Self::Spanish) => {
                "{service}: {code} es tu clave para crear tu cuenta. No la compartas. Si no la pediste, ignora este \
                 mensaje."
            }
            (Purpose::Activation(_), Self::Korean) => "{service}: 회원가입 코드 {code}. 다른 사람에게 알려주지 마세요.",
            (Purpose::Activation(_), Self::Russian) => "{service}: {code} код регистрации. Никому не сообщайте.",
            (Purpose::Activation(_), Self::Uzbek) => {
                "{service}: hisob ochish uchun kodingiz {code}. Uni hech kimga bermang. So'ramagan bo'lsangiz, e'tibor \
                 bermang."
            }
            (Purpose::Reset, Self::English) => {
                "{service}: {code} is your code to set a new password. Do not share it. If you did not ask for it, \
                 ignore this message."
            }
            (Purpose::Reset, Self::Arabic) => "رمز كلمة مرور جديدة في {service}: {code}. لا تشاركه.",
            (Purpose::Reset, Self::Spanish) => {
                "{service}: {code} es tu clave para crear una nueva contraseña. No la compartas. Si no la pediste, \
                 ignora este mensaje."
            }
            (Purpose::Reset, Self::Korean) => "{service}: 비밀번호 재설정 코드 {code}. 다른 사람에게 알려주지 마세요.",
            (Purpose::Reset, Self::Russian) => "{service}: {code} код смены пароля. Никому не сообщайте.",
            (Purpose::Reset, Self::Uzbek) => {
                "{service}: yangi parol o'rnatish uchun kodingiz {code}. Uni hech kimga bermang. So'ramagan \
                 bo'lsangiz, e'tibor bermang."
            }
            (Purpose::ChangePhone(_), Self::English) => {
                "{service}: {code} is your code to use this phone number for your account. Do not share it. If you did \
                 not ask for it, ignore this message."
            }
            (Purpose::ChangePhone(_), Self::Arabic) => "رمز تغيير رقم حسابك في {service}: {code}. لا تشاركه مع أحد.",
            (Purpose::ChangePhone(_), Self::Spanish) => {
                "{service}: {code} es tu clave para usar este teléfono en tu cuenta. No la compartas. Si no la \
                 pediste, ignora este mensaje."
            }
            (Purpose::ChangePhone(_), Self::Korean) => {
                "{service}: 계정 전화번호 변경 코드 {code}. 다른 사람에게 알려주지 마세요."
            }
            (Purpose::ChangePhone(_), Self::Russian) => "{service}: {code} код смены номера. Никому не сообщайте.",
            (Purpose::ChangePhone(_), Self::Uzbek) => {
                "{service}: hisobingizda bu raqamdan foydalanish kodi {code}. Uni hech kimga bermang. So'ramagan \
                 bo'lsangiz, e'tibor bermang."
            }
            (Purpose::VerifyPhone, Self::English) => {
                "{service}: {code} is your code to confirm this phone number. Do not share it. If you did not ask for \
                 it, ignore this message."
            }
            (Purpose::VerifyPhone, Self::Arabic) => "رمز تأكيد رقم هاتفك في {service}: {code}. لا تشاركه مع أحد.",
            (Purpose::VerifyPhone, Self::Spanish) => {
                "{service}: {code} es tu clave para confirmar este teléfono. No la compartas. Si no la pediste, ignora \
                 este mensaje."
            }
            (Purpose::VerifyPhone, Self::Korean) => {
                "{service}: 전화번호 확인 코드 {code}. 다른 사람에게 알려주지 마세요."
            }
            (Purpose::VerifyPhone, Self::Russian) => "{service}: {code} код проверки номера. Не сообщайте его.",
            (Purpose::VerifyPhone, Self::Uzbek) => {
                "{service}: telefon raqamingizni tasdiqlash kodi {code}. Uni hech kimga bermang. So'ramagan \
                 bo'lsangiz, e'tibor bermang."
            }
        }
    }
}

/// What an account's owner is told of, without having asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody wanted to register the phone, which has an account; told to its owner.
    AlreadyRegistered,
    /// The account has another phone now; told to the one that it had.
    PhoneChanged,
    /// The password was changed, by somebody who was signed in.
    PasswordChanged,
    /// A second factor was switched on, or replaced.
    SecondFactorOn,
    /// The second factor was switched off.
    SecondFactorOff,
    /// There are new recovery codes, and the old ones are worth nothing.
    RecoveryCodesReplaced,
    /// A recovery code was used.
    RecoveryCodeUsed,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AlreadyRegistered,
        Self::PhoneChanged,
        Self::PasswordChanged,
        Self::SecondFactorOn,
        Self::SecondFactorOff,
        Self::RecoveryCodesReplaced,
        Self::RecoveryCodeUsed,
    ];

    /// Its name, for logs and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already-registered",
            Self::PhoneChanged => "phone-changed",
            Self::PasswordChanged => "password-changed",
            Self::SecondFactorOn => "second-factor-on",
            Self::SecondFactorOff => "second-factor-off",
            Self::RecoveryCodesReplaced => "recovery-codes-replaced",
            Self::RecoveryCodeUsed => "recovery-code-used",
        }
    }

    #[expect(clippy::too_many_lines, reason = "a catalogue has as many lines as sentences")]
    const fn template(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::AlreadyRegistered, Language::English) => {
                "{service}: you already have an account with this number. Sign in, or set a new password. If you did not \
                 try to register, ignore this message."
            }
            (Self::AlreadyRegistered, Language::Arabic) => "لديك حساب بهذا الرقم في {service}. سجل الدخول إليه.",
            (Self::AlreadyRegistered, Language::Spanish) => {
                "{service}: ya tienes una cuenta con este teléfono. Entra, o crea una nueva contraseña. Si no fue cosa \
                 tuya, ignora este mensaje."
            }
            (Self::AlreadyRegistered, Language::Korean) => {
                "{service}: 이미 가입된 번호입니다. 로그인하거나 비밀번호를 재설정하세요."
            }
            (Self::AlreadyRegistered, Language::Russian) => "{service}: у вас уже есть аккаунт. Войдите в него.",
            (Self::AlreadyRegistered, Language::Uzbek) => {
                "{service}: bu raqamda hisobingiz bor. Unga kiring yoki yangi parol o'rnating. Bu siz bo'lmasangiz, \
                 e'tibor bermang."
            }
            (Self::PhoneChanged, Language::English) => {
                "{service}: your account was moved to another phone number. If this was not you, contact support at once."
            }
            (Self::PhoneChanged, Language::Arabic) => "تغير رقم حسابك في {service}. إن لم تكن أنت فاتصل بالدعم.",
            (Self::PhoneChanged, Language::Spanish) => {
                "{service}: tu cuenta ahora usa otro teléfono. Si no lo hiciste, contacta a soporte de inmediato."
            }
            (Self::PhoneChanged, Language::Korean) => {
                "{service}: 계정 전화번호가 변경되었습니다. 본인이 아니면 고객센터에 문의하세요."
            }
            (Self::PhoneChanged, Language::Russian) => "{service}: номер аккаунта изменён. Не вы? Пишите нам.",
            (Self::PhoneChanged, Language::Uzbek) => {
                "{service}: hisobingiz boshqa raqamga o'tkazildi. Bu siz bo'lmasangiz, darhol yordamga murojaat qiling."
            }
            (Self::PasswordChanged, Language::English) => {
                "{service}: your password was changed. If this was not you, set a new one and contact support at once."
            }
            (Self::PasswordChanged, Language::Arabic) => "تغيرت كلمة مرورك في {service}. إن لم تكن أنت فاتصل بالدعم.",
            (Self::PasswordChanged, Language::Spanish) => {
                "{service}: tu contraseña fue cambiada. Si no lo hiciste, crea otra y contacta a soporte de inmediato."
            }
            (Self::PasswordChanged, Language::Korean) => {
                "{service}: 비밀번호가 변경되었습니다. 본인이 아니면 고객센터에 문의하세요."
            }
            (Self::PasswordChanged, Language::Russian) => "{service}: пароль изменён. Не вы? Смените его сейчас.",
            (Self::PasswordChanged, Language::Uzbek) => {
                "{service}: parolingiz o'zgartirildi. Bu siz bo'lmasangiz, darhol yangi parol o'rnating."
            }
            (Self::SecondFactorOn, Language::English) => {
                "{service}: a second factor was switched on for your account. If this was not you, contact support at \
                 once."
            }
            (Self::SecondFactorOn, Language::Arabic) => "تم تفعيل التحقق بخطوتين في {service}. لست أنت؟ اتصل بالدعم.",
            (Self::SecondFactorOn, Language::Spanish) => {
                "{service}: ahora tu cuenta pide un segundo factor para entrar. Si no lo hiciste, contacta a soporte de \
                 inmediato."
            }
            (Self::SecondFactorOn, Language::Korean) => {
                "{service}: 2단계 인증이 켜졌습니다. 본인이 아니면 고객센터에 문의하세요."
            }
            (Self::SecondFactorOn, Language::Russian) => "{service}: двухэтапный вход включён. Не вы? Пишите нам.",
            (Self::SecondFactorOn, Language::Uzbek) => {
                "{service}: hisobingizda ikki bosqichli kirish yoqildi. Bu siz bo'lmasangiz, darhol yordamga murojaat \
                 qiling."
            }
            (Self::SecondFactorOff, Language::English) => {
                "{service}: the second factor of your account was switched off. If this was not you, contact support at \
                 once."
            }
            (Self::SecondFactorOff, Language::Arabic) => "تم إيقاف التحقق بخطوتين في {service}. لست أنت؟ اتصل بالدعم.",
            (Self::SecondFactorOff, Language::Spanish) => {
                "{service}: tu cuenta ya no pide un segundo factor. Si no lo hiciste, contacta a soporte de inmediato."
            }
            (Self::SecondFactorOff, Language::Korean) => {
                "{service}: 2단계 인증이 꺼졌습니다. 본인이 아니면 고객센터에 문의하세요."
            }
            (Self::SecondFactorOff, Language::Russian) => "{service}: двухэтапный вход выключен. Не вы? Пишите нам.",
            (Self::SecondFactorOff, Language::Uzbek) => {
                "{service}: hisobingizda ikki bosqichli kirish o'chirildi. Bu siz bo'lmasangiz, darhol yordamga \
                 murojaat qiling."
            }
            (Self::RecoveryCodesReplaced, Language::English) => {
                "{service}: your account has new recovery codes. If this was not you, contact support at once."
            }
            (Self::RecoveryCodesReplaced, Language::Arabic) => {
                "رموز استرداد جديدة لك في {service}. لست أنت؟ اتصل بالدعم."
            }
            (Self::RecoveryCodesReplaced, Language::Spanish) => {
                "{service}: tu cuenta tiene nuevas claves de respaldo. Si no lo hiciste, contacta a soporte de inmediato."
            }
            (Self::RecoveryCodesReplaced, Language::Korean) => {
                "{service}: 복구 코드가 새로 발급되었습니다. 본인이 아니면 고객센터에 문의하세요."
            }
            (Self::RecoveryCodesReplaced, Language::Russian) => "{service}: новые резервные коды. Не вы? Пишите нам.",
            (Self::RecoveryCodesReplaced, Language::Uzbek) => {
                "{service}: hisobingizga yangi zaxira kodlari berildi. Bu siz bo'lmasangiz, darhol yordamga murojaat \
                 qiling."
            }
            (Self::RecoveryCodeUsed, Language::English) => {
                "{service}: a recovery code of your account was used. If this was not you, contact support at once."
            }
            (Self::RecoveryCodeUsed, Language::Arabic) => "تم استخدام رمز استرداد في {service}. لست أنت؟ اتصل بالدعم.",
            (Self::RecoveryCodeUsed, Language::Spanish) => {
                "{service}: una clave de respaldo de tu cuenta fue usada. Si no lo hiciste, contacta a soporte de \
                 inmediato."
            }
            (Self::RecoveryCodeUsed, Language::Korean) => {
                "{service}: 복구 코드가 사용되었습니다. 본인이 아니면 고객센터에 문의하세요."
            }
            (Self::RecoveryCodeUsed, Language::Russian) => "{service}: использован резервный код. Не вы? Пишите нам.",
            (Self::RecoveryCodeUsed, Language::Uzbek) => {
                "{service}: hisobingizda zaxira kodi ishlatildi. Bu siz bo'lmasangiz, darhol yordamga murojaat qiling."
            }
        }
    }
}

/// How messages are written here: `SERVICE_NAME` and `SMS_*`.
#[derive(Clone, Debug)]
pub struct TextSettings {
    /// `SERVICE_NAME`: who writes.
    pub service_name: String,
    /// `SMS_LANGUAGE`: for whoever asks for none of the catalogue.
    pub language: Language,
    /// `SMS_TEMPLATE_ACTIVATION`: instead of the catalogue.
    pub activation_template: Option<String>,
    /// `SMS_TEMPLATE_RESET`: instead of the catalogue.
    pub reset_template: Option<String>,
    /// `SMS_TEMPLATE_VERIFY_PHONE`: instead of the catalogue.
    pub verify_phone_template: Option<String>,
    /// `SMS_TEMPLATE_CHANGE_PHONE`: instead of the catalogue.
    pub change_phone_template: Option<String>,
    /// `SMS_WEBOTP_DOMAIN`: the site whose pages may read the code.
    pub webotp_domain: Option<String>,
    /// `SMS_ANDROID_APP_HASH`: the app that may read the code.
    pub android_app_hash: Option<String>,
}

impl TextSettings {
    /// The text of a notice.
    pub fn write_notice(&self, notice: Notice, language: Option<Language>) -> String {
        notice.template(language.unwrap_or(self.language)).replace("{service}", &self.service_name)
    }

    /// The text of a message that carries a code.
    ///
    /// After it, on lines of their own: the app's hash (SMS Retriever API), and at last the site and the code (WICG,
    /// "Origin-bound one-time codes delivered via SMS"). With a hash the message may have 140 bytes, so what a code is for and
    /// that it is not to be shared is all that the catalogue says then.
    pub fn write(&self, purpose: Purpose, language: Option<Language>, code: &str) -> String {
        let own = match purpose {
            Purpose::Activation(_) => self.activation_template.as_deref(),
            Purpose::Reset => self.reset_template.as_deref(),
            Purpose::VerifyPhone => self.verify_phone_template.as_deref(),
            Purpose::ChangePhone(_) => self.change_phone_template.as_deref(),
        };
        let sentence = language.unwrap_or(self.language).template(purpose);
        let is_short = own.is_none() && self.android_app_hash.is_some();
        let template = own.unwrap_or(if is_short { first_two_sentences(sentence) } else { sentence });
        let mut text = template.replace("{service}", &self.service_name).replace("{code}", code);
        if let Some(hash) = &self.android_app_hash {
            text.extend(["\n", hash]);
        }
        if let Some(domain) = &self.webotp_domain {
            text.extend(["\n\n@", domain, " #", code]);
        }
        text
    }
}

fn first_two_sentences(text: &str) -> &str {
    let mut ends = text.match_indices(". ").map(|(at, _)| at + 1);
    ends.nth(1).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// How many segments a text is sent and paid as (3GPP TS 23.038 and 23.040): 160 characters of GSM-7, or 70 of UCS-2 when
/// one character is not in GSM-7's alphabet; less in each of several.
pub fn segments(text: &str) -> usize {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                         abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENDED: &str = "^{}\\[~]|€";
    let septets = text.chars().try_fold(0, |sum, c| match (BASIC.contains(c), EXTENDED.contains(c)) {
        (true, _) => Some(sum + 1),
        (_, true) => Some(sum + 2),
        _ => None,
    });
    let (length, one, of_many) = match septets {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one { 1 } else { usize::div_ceil(length, of_many) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{RegistrationId, UserId};

    fn settings() -> TextSettings {
        TextSettings {
            service_name: "Latchkey".to_owned(),
            language: Language::English,
            activation_template: None,
            reset_template: None,
            verify_phone_template: None,
            change_phone_template: None,
            webotp_domain: None,
            android_app_hash: None,
        }
    }

    fn purposes() -> [Purpose; 4] {
        let activation = Purpose::Activation(RegistrationId::from_bytes([0; 16]));
        let change_phone = Purpose::ChangePhone(UserId::from_bytes([0; 16]));
        [activation, Purpose::Reset, Purpose::VerifyPhone, change_phone]
    }

    #[test]
    fn every_message_is_one_segment_and_names_service_and_code() {
        // The longest name that SERVICE_NAME may be.
        let name = "A name of 20 letters";
        let settings = TextSettings { service_name: name.to_owned(), ..settings() };
        for (code, language) in Language::ALL {
            for purpose in purposes() {
                let text = settings.write(purpose, Some(language), "042424");
                assert_eq!(segments(&text), 1, "{code}: {} characters for {purpose:?}", text.chars().count());
                assert!(text.contains(name) && text.contains("042424") && !text.contains('{'), "{code}");
                assert!(!text.contains("http") && !text.contains('/'), "{code}");
            }
            for notice in Notice::ALL {
                let text = settings.write_notice(notice, Some(language));
                assert_eq!(segments(&text), 1, "{code}: {} characters in {notice:?}", text.chars().count());
                assert!(text.contains(name) && !text.contains('{'), "{code}");
            }
        }
    }

    /// Google's SMS Retriever wants at most 140 bytes, which is one segment.
    #[test]
    fn a_message_with_an_apps_hash_is_short_enough_for_android() {
        let settings = TextSettings { android_app_hash: Some("FA+9qCX9VSu".to_owned()), ..settings() };
        for (code, language) in Language::ALL {
            for purpose in purposes() {
                let text = settings.write(purpose, Some(language), "042424");
                assert!(text.ends_with("\nFA+9qCX9VSu"), "{code}");
                assert_eq!(segments(&text), 1, "{code}: {} characters for {purpose:?}", text.chars().count());
                let is_ascii_alone = text.is_ascii();
                assert!(!is_ascii_alone || text.len() <= 140, "{code}: {} bytes for {purpose:?}", text.len());
            }
        }
        let text = settings.write(Purpose::Reset, Some(Language::English), "042424");
        assert_eq!(text, "Latchkey: 042424 is your code to set a new password. Do not share it.\nFA+9qCX9VSu");
    }

    #[test]
    fn segments_are_counted_as_they_are_paid() {
        for (text, expected) in [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("я".repeat(70), 1),
            ("я".repeat(71), 2),
            ("ñ".repeat(160), 1),
            ("ó".repeat(71), 2),
        ] {
            assert_eq!(segments(&text), expected, "{} × {:?}", text.chars().count(), text.chars().next());
        }
    }

    #[test]
    fn the_language_is_the_one_that_is_liked_best() {
        for (header, expected) in [
            ("ru", Some(Language::Russian)),
            ("uz-Latn-UZ, ru;q=0.8, en;q=0.5", Some(Language::Uzbek)),
            ("fr, ko;q=0.3, es;q=0.9", Some(Language::Spanish)),
            ("en;q=0, ar", Some(Language::Arabic)),
            ("AR-eg", Some(Language::Arabic)),
            ("en, ar", Some(Language::English)),
            ("fr, de", None),
            ("*", None),
            ("", None),
            (";;;,,,=q", None),
            ("ru;q=x", None),
        ] {
            assert_eq!(Language::preferred(header), expected, "{header}");
        }
    }

    #[test]
    fn a_template_of_the_operators_own_replaces_the_catalogue() {
        let own = TextSettings { reset_template: Some("{code} for {service}".to_owned()), ..settings() };
        assert_eq!(own.write(Purpose::Reset, Some(Language::Korean), "042424"), "042424 for Latchkey");
    }

    #[test]
    fn phones_that_read_codes_by_themselves_are_told_whose_they_are() {
        let both = TextSettings {
            webotp_domain: Some("example.com".to_owned()),
            android_app_hash: Some("FA+9qCX9VSu".to_owned()),
            ..settings()
        };
        let text = both.write(Purpose::Reset, None, "042424");
        assert!(text.ends_with("\nFA+9qCX9VSu\n\n@example.com #042424"), "the site's line is the last one");
    }
}
