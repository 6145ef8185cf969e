//! The text of an SMS: a sentence per content and language that names the service and the purpose, warns against
//! sharing the code, and has no link (docs/threats.md#o13).

use super::{content::Content, language::Language};
use crate::{base::variables::Variables, domain::otp::Purpose};

/// The settings of the messages' text: `SERVICE_NAME` and some of `SMS_*`.
#[derive(Clone, Debug)]
pub struct TextSettings {
    /// `SERVICE_NAME`: the name that the service has in its messages.
    pub service_name: String,
    /// `SMS_LANGUAGE`: the language for clients that name none of the catalog.
    pub language: Language,
    /// `SMS_TEMPLATE_ACTIVATION`: the operator's own text for an activation.
    pub activation_template: Option<String>,
    /// `SMS_TEMPLATE_SIGN_IN`: the operator's own text for a sign-in.
    pub sign_in_template: Option<String>,
    /// `SMS_TEMPLATE_RESET`: the operator's own text for a password reset.
    pub reset_template: Option<String>,
    /// `SMS_TEMPLATE_VERIFY_PHONE`: the operator's own text for verifying a phone.
    pub verify_phone_template: Option<String>,
    /// `SMS_TEMPLATE_CHANGE_PHONE`: the operator's own text for a change of phone.
    pub change_phone_template: Option<String>,
    /// `SMS_WEBOTP_DOMAIN`: the site whose pages may read the code automatically (WebOTP).
    pub webotp_domain: Option<String>,
    /// `SMS_ANDROID_APP_HASH`: the hash of the Android app that may read the code automatically (SMS Retriever).
    pub android_app_hash: Option<String>,
}

impl TextSettings {
    /// Reads `SERVICE_NAME` and those of `SMS_*` that concern the text.
    pub(super) fn read(read: &mut Variables<'_>) -> Self {
        // English first: it is the default.
        let mut languages: Vec<_> = Language::all().map(|language| (language.code(), language)).collect();
        languages.sort_by_key(|(code, _)| *code != "en");
        let language = read.one_of("SMS_LANGUAGE", &languages).unwrap_or(Language::ENGLISH);
        Self {
            service_name: read.with("SERVICE_NAME", service_name).unwrap_or_else(|| "Latchkey".to_owned()),
            language,
            activation_template: read.with("SMS_TEMPLATE_ACTIVATION", template),
            sign_in_template: read.with("SMS_TEMPLATE_SIGN_IN", template),
            reset_template: read.with("SMS_TEMPLATE_RESET", template),
            verify_phone_template: read.with("SMS_TEMPLATE_VERIFY_PHONE", template),
            change_phone_template: read.with("SMS_TEMPLATE_CHANGE_PHONE", template),
            webotp_domain: read.with("SMS_WEBOTP_DOMAIN", |value| {
                let is_domain =
                    value.contains('.') && value.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
                if is_domain { Ok(value.to_owned()) } else { Err("must be a domain such as example.com") }
            }),
            android_app_hash: read.with("SMS_ANDROID_APP_HASH", |value| {
                let is_hash =
                    value.len() == 11 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
                if is_hash { Ok(value.to_owned()) } else { Err("must be an app's hash of 11 characters in base64") }
            }),
        }
    }

    /// Returns the text of a message in an SMS.
    ///
    /// On lines of their own, the sentence of a code is followed by the hash of the app (SMS Retriever API) and, last,
    /// by the site and the code (WICG, "Origin-bound one-time codes delivered via SMS"). A message with a hash may have
    /// 140 bytes, so it takes only the first two sentences of the catalog, which are the purpose of the code and the
    /// warning not to share it; or the first one; or service and code alone.
    pub fn write(&self, content: &Content, language: Option<Language>) -> String {
        let language = language.unwrap_or(self.language);
        match content {
            Content::Notice(notice) => language.notice_sentence(*notice).replace("{service}", &self.service_name),
            // In English alone: operators read it, and no user.
            Content::Test => format!("{}: this is a test message, and messages arrive.", self.service_name),
            Content::Code { purpose, code } => self.write_code(*purpose, language, code.reveal()),
        }
    }

    fn write_code(&self, purpose: Purpose, language: Language, code: &str) -> String {
        let own = match purpose {
            Purpose::Activation(_) => self.activation_template.as_deref(),
            Purpose::SignIn(_) => self.sign_in_template.as_deref(),
            Purpose::Reset | Purpose::ResetBy(_) => self.reset_template.as_deref(),
            Purpose::VerifyPhone => self.verify_phone_template.as_deref(),
            Purpose::ChangePhone(_) => self.change_phone_template.as_deref(),
        };
        let sentence = language.code_sentence(purpose);
        let written = |template| self.fill_in(template, code);
        match own {
            Some(own) => written(own),
            None if self.android_app_hash.is_none() => written(sentence),
            None => {
                let shorter = [first_sentences(sentence, 2), first_sentences(sentence, 1)].map(written);
                let fits = |text: &String| user_data(text) <= ANDROID_BYTES;
                shorter.into_iter().find(fits).unwrap_or_else(|| written("{service}: {code}"))
            }
        }
    }

    /// Fills a template in, and appends what apps and browsers read.
    fn fill_in(&self, template: &str, code: &str) -> String {
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

/// Checks a service's name: short, and in characters that count once in GSM-7, so that it fits into one segment with
/// any sentence of the catalog.
fn service_name(value: &str) -> Result<String, &'static str> {
    let is_plain = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && !value.contains(DEAR);
    if value.len() <= 20 && is_plain {
        Ok(value.to_owned())
    } else {
        Err("must be at most 20 ASCII characters, none of them []{}^~|\\`")
    }
}

/// The ASCII characters that GSM-7 lacks or counts twice. Braces also mark our placeholders.
const DEAR: [char; 9] = ['[', ']', '{', '}', '^', '~', '|', '\\', '`'];

fn template(value: &str) -> Result<String, &'static str> {
    if value.matches("{code}").count() != 1 || value.chars().count() > 300 {
        return Err("must contain {code} exactly once and have at most 300 characters");
    }
    // What is left in braces would be sent as it is.
    let others = value.replace("{code}", "").replace("{service}", "");
    let is_placeholder = others.split_once('{').is_some_and(|(_, rest)| rest.contains('}'));
    if is_placeholder { Err("must have no placeholders but {code} and {service}") } else { Ok(value.to_owned()) }
}

fn first_sentences(text: &str, count: usize) -> &str {
    let mut ends = text.match_indices(". ").map(|(at, _)| at + 1);
    ends.nth(count - 1).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The greatest length of a message that an Android app is given (SMS Retriever API), in bytes.
const ANDROID_BYTES: usize = 140;

/// Returns how many bytes a text takes in an SMS: seven bits for a character of GSM-7, or two bytes for each of UCS-2.
fn user_data(text: &str) -> usize {
    septets(text).map_or(text.encode_utf16().count() * 2, |septets: usize| (septets * 7).div_ceil(8))
}

/// Returns the number of segments that a text is sent and paid as (3GPP TS 23.038 and 23.040). A single segment holds
/// 160 characters of GSM-7, or 70 of UCS-2 if one character is not in GSM-7's alphabet; each of several holds 153 or
/// 67.
pub fn segments(text: &str) -> usize {
    let (length, one, of_many) = match septets(text) {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one { 1 } else { usize::div_ceil(length, of_many) }
}

/// Returns the length of a text in GSM-7, or `None` if one character is not in its alphabet.
fn septets(text: &str) -> Option<usize> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                         abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENDED: &str = "^{}\\[~]|€";
    text.chars().try_fold(0, |sum, c| match (BASIC.contains(c), EXTENDED.contains(c)) {
        (true, _) => Some(sum + 1),
        (_, true) => Some(sum + 2),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{RegistrationId, UserId};
    use crate::messages::Notice;

    fn settings() -> TextSettings {
        TextSettings {
            service_name: "Latchkey".to_owned(),
            language: language("en"),
            activation_template: None,
            reset_template: None,
            verify_phone_template: None,
            change_phone_template: None,
            sign_in_template: None,
            webotp_domain: None,
            android_app_hash: None,
        }
    }

    fn language(code: &str) -> Language {
        Language::find(code).unwrap()
    }

    fn code_for(purpose: Purpose) -> Content {
        Content::Code { purpose, code: "042424".parse().unwrap() }
    }

    fn purposes() -> [Purpose; 4] {
        let activation = Purpose::Activation(RegistrationId::from_bytes([0; 16]));
        let change_phone = Purpose::ChangePhone(UserId::from_bytes([0; 16]));
        [activation, Purpose::Reset, Purpose::VerifyPhone, change_phone]
    }

    #[test]
    fn every_message_is_one_segment_and_names_service_and_code() {
        // The longest name that SERVICE_NAME accepts.
        let name = "A name of 20 letters";
        let settings = TextSettings { service_name: name.to_owned(), ..settings() };
        for language in Language::all() {
            let code = language.code();
            for purpose in purposes() {
                let text = settings.write(&code_for(purpose), Some(language));
                assert_eq!(segments(&text), 1, "{code}: {} characters for {purpose:?}", text.chars().count());
                assert!(text.contains(name) && text.contains("042424") && !text.contains('{'), "{code}");
                assert!(!text.contains("http") && !text.contains('/'), "{code}");
            }
            for notice in Notice::ALL {
                let text = settings.write(&Content::Notice(notice), Some(language));
                assert_eq!(segments(&text), 1, "{code}: {} characters in {notice:?}", text.chars().count());
                assert!(text.contains(name) && !text.contains('{'), "{code}");
            }
        }
    }

    /// Google's SMS Retriever wants at most 140 bytes, whatever the language, the service's name and the site.
    #[test]
    fn a_message_with_an_apps_hash_is_short_enough_for_android() {
        let names = ["Latchkey", "Bank Misr", "A name of 20 letters", "01234567890123456789"];
        for (name, domain) in names.into_iter().flat_map(|name| [(name, None), (name, Some("accounts.example.com"))]) {
            let settings = TextSettings {
                service_name: name.to_owned(),
                android_app_hash: Some("FA+9qCX9VSu".to_owned()),
                webotp_domain: domain.map(str::to_owned),
                ..settings()
            };
            for language in Language::all() {
                for purpose in purposes() {
                    let text = settings.write(&code_for(purpose), Some(language));
                    let (code, bytes) = (language.code(), user_data(&text));
                    assert!(bytes <= ANDROID_BYTES, "{code}: {bytes} bytes for {purpose:?} of {name}");
                    assert!(text.contains(name) && text.contains("042424") && text.contains("\nFA+9qCX9VSu"), "{code}");
                }
            }
        }
        let settings = TextSettings { android_app_hash: Some("FA+9qCX9VSu".to_owned()), ..settings() };
        let text = settings.write(&code_for(Purpose::Reset), Some(language("en")));
        assert_eq!(text, "Latchkey: 042424 is your code to set a new password. Do not share it.\nFA+9qCX9VSu");
        assert_eq!([user_data("aaaaaaaa"), user_data("яя"), user_data(&"a".repeat(160))], [7, 4, 140]);
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
    fn a_template_of_the_operators_own_replaces_the_catalogue() {
        let own = TextSettings { reset_template: Some("{code} for {service}".to_owned()), ..settings() };
        assert_eq!(own.write(&code_for(Purpose::Reset), Some(language("ko"))), "042424 for Latchkey");
    }

    #[test]
    fn phones_that_read_codes_by_themselves_are_told_whose_they_are() {
        let both = TextSettings {
            webotp_domain: Some("example.com".to_owned()),
            android_app_hash: Some("FA+9qCX9VSu".to_owned()),
            ..settings()
        };
        let text = both.write(&code_for(Purpose::Reset), None);
        assert!(text.ends_with("\nFA+9qCX9VSu\n\n@example.com #042424"), "the site's line is the last one");
    }
}
