//! Configuration: environment variables, parsed once at start into domain types. Every mistake is reported at once, by
//! name. `template.yaml` sets each of them.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use crate::{
    keys::SigningAlgorithm,
    otp::OtpCode,
    password::{self, PasswordRules},
    phone::{Country, Phone, PhoneRules},
    sms::{Language, Provider, Senders, SmsSettings, TextSettings},
};

/// Everything a function is told from outside. See the table in `README.md`.
#[derive(Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `PHONE_*`.
    pub phones: PhoneRules,
    /// `PASSWORD_*`.
    pub passwords: PasswordRules,
    /// `LEGACY_HASHES`: whether accounts have hashes of another system. Then every login costs the work of those as well.
    pub legacy_hashes: bool,
    /// `REQUIRE_ACTIVATION`: whether an account is made only when a code has shown whose the phone is. In production it is,
    /// unless it is said otherwise.
    pub require_activation: bool,
    /// `OTP_*`.
    pub otp: OtpSettings,
    /// `SMS_*`, and `SERVICE_NAME`.
    pub sms: SmsSettings,
    /// `TEST_NUMBERS`: numbers that get no message, each with the one code that it always has. Never in production.
    pub test_numbers: Vec<(Phone, OtpCode)>,
    /// `METRICS_NAMESPACE`: where CloudWatch files our counts.
    pub metrics_namespace: String,
    /// Token lifetimes, issuer and audience.
    pub tokens: TokenSettings,
    /// `LIMIT_*`.
    pub limits: Limits,
    /// Where the secrets are.
    pub keys: KeySettings,
}

/// Where the secrets are. Each function is told of those that it may read.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// `SECRET_KEY_ARN`: the secret whose keys hash codes and authenticate refresh tokens.
    pub secret_key_arn: Option<String>,
    /// `SIGNING_KEYS_ARN`: the secret with the keys that sign access tokens.
    pub signing_keys_arn: Option<String>,
    /// `SMS_CREDENTIALS_ARN`: the secret with what the provider of text messages knows us by.
    pub sms_credentials_arn: Option<String>,
    /// `SIGNING_ALGORITHM`: what the next new key signs with.
    pub algorithm: SigningAlgorithm,
}

/// One-time codes.
#[derive(Clone, Copy, Debug)]
pub struct OtpSettings {
    /// `OTP_TTL_SECONDS`: how long a code lives; at most 600 s (NIST SP 800-63B section 3.1.3.2).
    pub ttl: Duration,
    /// `OTP_RESEND_COOLDOWN`: how soon the next code may be asked for.
    pub resend_cooldown: Duration,
    /// `OTP_MAX_ATTEMPTS`: how many tries a code has; at most 10 (ASVS 6.6.3).
    pub max_attempts: u64,
    /// `OTP_EXPOSE`: whether codes are in answers, for development.
    pub expose: bool,
}

/// Access and refresh tokens.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `ACCESS_TOKEN_TTL_SECONDS`; at most 900 (RFC 9700 section 2.2 asks for short ones).
    pub access_ttl: Duration,
    /// `REFRESH_TOKEN_TTL_SECONDS`: the absolute life of a session; at most 30 days (NIST SP 800-63B section 2.1.3).
    pub session_ttl: Duration,
    /// `REFRESH_GRACE_SECONDS`: how long the last spent refresh token still gets its successor.
    pub refresh_grace: Duration,
    /// `JWT_ISSUER`; unset, the address that the request was sent to.
    pub issuer: Option<String>,
    /// `API_URL`: the issuer in place of that address, for a function that no request is sent to.
    pub api_url: Option<String>,
    /// `JWT_AUDIENCE`.
    pub audience: String,
}

/// How often something may be done. Per phone they are strict; per address generous, for phones share addresses behind
/// carriers' NAT.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `LIMIT_LOGIN_PER_ADDRESS` per 5 minutes: logins, code tries.
    pub login_per_address: u64,
    /// `LIMIT_REGISTER_PER_ADDRESS` per hour.
    pub register_per_address: u64,
    /// `LIMIT_SMS_PER_ADDRESS` per hour.
    pub sms_per_address: u64,
    /// `LIMIT_SMS_PER_PHONE` per day.
    pub sms_per_phone: u64,
    /// `LIMIT_SMS_PER_COUNTRY` per hour.
    pub sms_per_country: u64,
    /// `LIMIT_SMS_TOTAL` per hour.
    pub sms_total: u64,
}

/// What is wrong with the environment: every variable, by name.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<String>);

impl Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads the variables; what is not set has the default of `README.md`.
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Self, ConfigErrors> {
        Self::read(&mut Reader { variables, names: Vec::new(), errors: Vec::new() })
    }

    /// The name of every variable that is looked at.
    pub fn variable_names() -> Vec<&'static str> {
        let variables = HashMap::new();
        let mut reader = Reader { variables: &variables, names: Vec::new(), errors: Vec::new() };
        // An empty environment lacks a variable or two; which are looked at does not depend on it.
        let _ = Self::read(&mut reader);
        reader.names
    }

    fn read(read: &mut Reader<'_>) -> Result<Self, ConfigErrors> {
        let table_name = read.required("TABLE_NAME");
        let default_country = read.parsed::<Country>("PHONE_DEFAULT_COUNTRY", "EG");
        let allowed_countries = read.list::<Country>("PHONE_ALLOWED_COUNTRIES");
        let min_length = read.number("PASSWORD_MIN_LENGTH", 8, 8..=64);
        let legacy_hashes = read.one_of("LEGACY_HASHES", &[("off", false), ("bcrypt", true)]);
        let refuse_common = read.one_of("PASSWORD_BLOCKLIST", &[("common", true), ("off", false)]);
        let otp_ttl = read.number("OTP_TTL_SECONDS", 300, 30..=600);
        let resend_cooldown = read.number("OTP_RESEND_COOLDOWN", 1, 1..=600);
        let max_attempts = read.number("OTP_MAX_ATTEMPTS", 5, 1..=10);
        let expose = read.one_of("OTP_EXPOSE", &[("false", false), ("true", true)]);
        let sms = read.sms();
        if expose == Some(true) && sms.provider != Provider::Log {
            read.wrong("OTP_EXPOSE", "may be true only with SMS_PROVIDER=log");
        }
        let is_production = read.one_of("ENVIRONMENT", &[("dev", false), ("staging", false), ("prod", true)]);
        let require_activation = read.with("REQUIRE_ACTIVATION", str::parse::<bool>);
        let has_allowed_countries = allowed_countries.is_some();
        let phones = default_country.map(|country| PhoneRules::new(country, allowed_countries));
        let test_numbers = read.test_numbers(phones.as_ref());
        if is_production == Some(true) && !test_numbers.is_empty() {
            read.wrong("TEST_NUMBERS", "must be empty with ENVIRONMENT=prod: whoever knows one could sign in");
        }
        if is_production == Some(true) {
            if expose == Some(true) {
                read.wrong("OTP_EXPOSE", "must be false with ENVIRONMENT=prod: anybody could read anybody's codes");
            }
            // Functions that send nothing are not told of a provider.
            if read.optional("SMS_PROVIDER") == Some("log") {
                read.wrong("SMS_PROVIDER", "must not be log with ENVIRONMENT=prod: every code would be in the log");
            }
            if !has_allowed_countries {
                read.wrong(
                    "PHONE_ALLOWED_COUNTRIES",
                    "must name the countries that are served with ENVIRONMENT=prod: messages to all others cost, too",
                );
            }
        }
        let metrics_namespace = read.optional("METRICS_NAMESPACE").unwrap_or("latchkey").to_owned();
        let access_ttl = read.number("ACCESS_TOKEN_TTL_SECONDS", 900, 60..=900);
        let session_ttl = read.number("REFRESH_TOKEN_TTL_SECONDS", 2_592_000, 900..=2_592_000);
        let refresh_grace = read.number("REFRESH_GRACE_SECONDS", 10, 0..=60);
        let issuer = read.issuer("JWT_ISSUER");
        let api_url = read.optional("API_URL").map(str::to_owned);
        let audience = read.optional("JWT_AUDIENCE").unwrap_or("latchkey").to_owned();
        let limits = Limits {
            login_per_address: read.number("LIMIT_LOGIN_PER_ADDRESS", 300, LIMIT_RANGE),
            register_per_address: read.number("LIMIT_REGISTER_PER_ADDRESS", 100, LIMIT_RANGE),
            sms_per_address: read.number("LIMIT_SMS_PER_ADDRESS", 60, LIMIT_RANGE),
            sms_per_phone: read.number("LIMIT_SMS_PER_PHONE", 10, LIMIT_RANGE),
            sms_per_country: read.number("LIMIT_SMS_PER_COUNTRY", 500, LIMIT_RANGE),
            sms_total: read.number("LIMIT_SMS_TOTAL", 1000, LIMIT_RANGE),
        };
        let secret_key_arn = read.optional("SECRET_KEY_ARN").map(str::to_owned);
        let signing_keys_arn = read.optional("SIGNING_KEYS_ARN").map(str::to_owned);
        let sms_credentials_arn = read.optional("SMS_CREDENTIALS_ARN").map(str::to_owned);
        let algorithms = SigningAlgorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm));
        let algorithm = read.one_of("SIGNING_ALGORITHM", &algorithms);

        match (read.errors.is_empty(), phones) {
            (true, Some(phones)) => Ok(Self {
                table_name,
                phones,
                passwords: PasswordRules {
                    min_length: usize::try_from(min_length).unwrap_or(password::MAX_LENGTH),
                    refuse_common: refuse_common.unwrap_or(true),
                },
                legacy_hashes: legacy_hashes.unwrap_or(false),
                require_activation: require_activation.or(is_production).unwrap_or(false),
                otp: OtpSettings {
                    ttl: Duration::from_secs(otp_ttl),
                    resend_cooldown: Duration::from_secs(resend_cooldown),
                    max_attempts,
                    expose: expose.unwrap_or(false),
                },
                sms,
                test_numbers,
                metrics_namespace,
                tokens: TokenSettings {
                    access_ttl: Duration::from_secs(access_ttl),
                    session_ttl: Duration::from_secs(session_ttl),
                    refresh_grace: Duration::from_secs(refresh_grace),
                    issuer,
                    api_url,
                    audience,
                },
                limits,
                keys: KeySettings {
                    secret_key_arn,
                    signing_keys_arn,
                    sms_credentials_arn,
                    algorithm: algorithm.unwrap_or(SigningAlgorithm::Es256),
                },
            }),
            _ => Err(ConfigErrors(std::mem::take(&mut read.errors))),
        }
    }
}

const LIMIT_RANGE: RangeInclusive<u64> = 1..=1_000_000;

/// Reads variables one by one and remembers every mistake.
struct Reader<'a> {
    variables: &'a HashMap<String, String>,
    names: Vec<&'static str>,
    errors: Vec<String>,
}

impl<'a> Reader<'a> {
    /// An empty variable counts as unset: CloudFormation cannot leave one out.
    fn optional(&mut self, name: &'static str) -> Option<&'a str> {
        self.names.push(name);
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn wrong(&mut self, name: &str, why: impl Display) {
        self.errors.push(format!("{name}: {why}"));
    }

    fn required(&mut self, name: &'static str) -> String {
        let value = self.optional(name);
        if value.is_none() {
            self.wrong(name, "must be set");
        }
        value.unwrap_or_default().to_owned()
    }

    /// Parses the value with `parse` when it is set.
    fn with<T, E: Display>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match self.optional(name).map(parse)? {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(name, why);
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str, default: &str) -> Option<T> {
        match self.optional(name).unwrap_or(default).parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(name, why);
                None
            }
        }
    }

    fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Vec<T>> {
        self.with(name, |value| value.split(',').map(|item| item.trim().parse()).collect())
    }

    fn number(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let why = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.with(name, |value| value.parse().ok().filter(|number| range.contains(number)).ok_or(why))
            .unwrap_or(default)
    }

    /// One of a few words; the first is the default.
    fn one_of<T: Clone>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        match self.optional(name) {
            None => choices.first().map(|(_, value)| value.clone()),
            Some(value) => {
                let chosen = choices.iter().find(|(word, _)| *word == value).map(|(_, value)| value.clone());
                if chosen.is_none() {
                    self.wrong(name, format!("must be {}", words.join(" or ")));
                }
                chosen
            }
        }
    }

    /// `+201000000001=123456,+201000000002=654321`
    fn test_numbers(&mut self, rules: Option<&PhoneRules>) -> Vec<(Phone, OtpCode)> {
        const WRONG: &str = "must be numbers, each with its code, and separated by commas: +201000000001=123456";
        let numbers = self.with("TEST_NUMBERS", |value| {
            let one = |item: &str| {
                let (number, code) = item.split_once('=').ok_or(WRONG)?;
                let phone = rules.ok_or(WRONG)?.parse(number).map_err(|_| WRONG)?;
                Ok((phone, code.trim().parse().map_err(|_| WRONG)?))
            };
            value.split(',').map(one).collect::<Result<Vec<_>, &str>>()
        });
        numbers.unwrap_or_default()
    }

    fn sms(&mut self) -> SmsSettings {
        let provider = self.one_of(
            "SMS_PROVIDER",
            &[
                ("log", Provider::Log),
                ("sns", Provider::Sns),
                ("twilio", Provider::Twilio),
                ("vonage", Provider::Vonage),
                ("http", Provider::Http),
            ],
        );
        let provider = provider.unwrap_or(Provider::Log);
        let senders = self.with("SMS_SENDER_ID", str::parse::<Senders>);
        let needs_sender = matches!(provider, Provider::Twilio | Provider::Vonage);
        if needs_sender && senders.as_ref().is_none_or(|senders| !senders.has_default()) {
            self.wrong("SMS_SENDER_ID", "must name a sender for every country: SMS_PROVIDER needs one");
        }
        let max_price = self.with("SMS_MAX_PRICE", |value| match value.parse::<f64>() {
            Ok(price) if price > 0.0 && price <= 10.0 => Ok(value.to_owned()),
            _ => Err("must be an amount in US dollars, above 0 and at most 10"),
        });
        let api_url = self.with("SMS_API_URL", |value| {
            let is_url = value.starts_with("https://") || value.starts_with("http://127.0.0.1:");
            let is_whole = !value.ends_with('/') && !value.contains([' ', '#']);
            if is_url && is_whole { Ok(value.to_owned()) } else { Err("must be an https URL without a trailing slash") }
        });
        if provider == Provider::Http && api_url.is_none() {
            self.wrong("SMS_API_URL", "must be set: it is where SMS_PROVIDER=http sends messages");
        }
        let floor = Duration::from_millis(self.number("SMS_FLOOR_MS", 1500, 0..=3000));
        let text = TextSettings {
            service_name: self.with("SERVICE_NAME", service_name).unwrap_or_else(|| "Latchkey".to_owned()),
            language: self.one_of("SMS_LANGUAGE", &Language::ALL).unwrap_or(Language::English),
            activation_template: self.with("SMS_TEMPLATE_ACTIVATION", template),
            reset_template: self.with("SMS_TEMPLATE_RESET", template),
            verify_phone_template: self.with("SMS_TEMPLATE_VERIFY_PHONE", template),
            change_phone_template: self.with("SMS_TEMPLATE_CHANGE_PHONE", template),
            webotp_domain: self.with("SMS_WEBOTP_DOMAIN", |value| {
                let is_domain =
                    value.contains('.') && value.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
                if is_domain { Ok(value.to_owned()) } else { Err("must be a domain such as example.com") }
            }),
            android_app_hash: self.with("SMS_ANDROID_APP_HASH", |value| {
                let is_hash =
                    value.len() == 11 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
                if is_hash { Ok(value.to_owned()) } else { Err("must be the 11 characters of an app's hash") }
            }),
        };
        SmsSettings { provider, senders: senders.unwrap_or_default(), max_price, api_url, floor, text }
    }

    fn issuer(&mut self, name: &'static str) -> Option<String> {
        self.with(name, |value| match value.strip_prefix("https://") {
            Some(rest) if !rest.is_empty() && !rest.ends_with('/') && !rest.contains(['?', '#', ' ']) => {
                Ok(value.to_owned())
            }
            _ => Err("must be an https URL without a trailing slash, query or fragment"),
        })
    }
}

/// Short, and in characters that count once in GSM-7, so that it and any sentence of the catalogue are one message.
fn service_name(value: &str) -> Result<String, &'static str> {
    let is_plain = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && !value.contains(DEAR);
    if value.len() <= 20 && is_plain {
        Ok(value.to_owned())
    } else {
        Err("must be at most 20 ASCII characters, without any of []{}^~|\\`")
    }
}

/// ASCII that GSM-7 lacks, or that counts twice in it; braces are our placeholders, too.
const DEAR: [char; 9] = ['[', ']', '{', '}', '^', '~', '|', '\\', '`'];

fn template(value: &str) -> Result<String, &'static str> {
    if value.matches("{code}").count() == 1 && value.chars().count() <= 300 {
        Ok(value.to_owned())
    } else {
        Err("must have {code} in it, once, and at most 300 characters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let all = [("TABLE_NAME", "t")].iter().chain(variables);
        Config::from_variables(&all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn defaults_are_those_of_the_design() {
        let config = read(&[]).unwrap();
        assert_eq!(config.otp.ttl, Duration::from_mins(5));
        assert_eq!(config.otp.resend_cooldown, Duration::from_secs(1));
        assert_eq!(config.otp.max_attempts, 5);
        assert!(!config.otp.expose);
        assert_eq!(config.tokens.access_ttl, Duration::from_mins(15));
        assert_eq!(config.tokens.session_ttl, Duration::from_hours(720));
        assert_eq!(config.limits.sms_per_phone, 10);
        assert!(config.phones.parse("01012345678").is_ok());
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let variables = [
            ("TABLE_NAME", " "),
            ("PHONE_DEFAULT_COUNTRY", "Egypt"),
            ("PHONE_ALLOWED_COUNTRIES", "EG,??"),
            ("PASSWORD_MIN_LENGTH", "7"),
            ("PASSWORD_BLOCKLIST", "yes"),
            ("LEGACY_HASHES", "md5"),
            ("OTP_TTL_SECONDS", "601"),
            ("OTP_MAX_ATTEMPTS", "many"),
            ("OTP_EXPOSE", "1"),
            ("REQUIRE_ACTIVATION", "yes"),
            ("SMS_PROVIDER", "pigeon"),
            ("ACCESS_TOKEN_TTL_SECONDS", "901"),
            ("JWT_ISSUER", "http://auth.example"),
            ("LIMIT_SMS_PER_PHONE", "0"),
            ("SIGNING_ALGORITHM", "HS256"),
            ("ENVIRONMENT", "production"),
            ("TEST_NUMBERS", "+201000000001"),
            ("SMS_MAX_PRICE", "much"),
            ("SMS_API_URL", "http://sms.example"),
            ("SMS_FLOOR_MS", "5000"),
            ("SMS_LANGUAGE", "tlh"),
            ("SMS_TEMPLATE_RESET", "no code in it"),
            ("SMS_WEBOTP_DOMAIN", "https://example.com"),
            ("SMS_ANDROID_APP_HASH", "short"),
            ("SMS_SENDER_ID", "a name that is too long"),
            ("SERVICE_NAME", "a name that is longer than a message can bear"),
        ];
        let message = read(&variables).unwrap_err().to_string();
        for (name, _) in variables {
            assert!(message.contains(name), "{name} is missing in: {message}");
        }
    }

    /// Whether it may start so; which variable is wrong when not.
    fn check(variables: &[(&str, &str)], wrong: Option<&str>) {
        match (read(variables), wrong) {
            (Ok(_), None) => {}
            (Err(error), Some(wrong)) => assert!(error.to_string().starts_with(wrong), "{error}"),
            (Ok(_), Some(wrong)) => panic!("{wrong} should be wrong"),
            (Err(error), None) => panic!("{error}"),
        }
    }

    #[test]
    fn what_does_not_go_together_does_not_start() {
        check(&[("OTP_EXPOSE", "true")], None);
        check(&[("OTP_EXPOSE", "true"), ("SMS_PROVIDER", "sns")], Some("OTP_EXPOSE"));
        check(&[("TEST_NUMBERS", "+201000000001=123456"), ("ENVIRONMENT", "staging")], None);
        let prod = [("ENVIRONMENT", "prod"), ("PHONE_ALLOWED_COUNTRIES", "EG,UZ")];
        let with = |more: &[(&'static str, &'static str)]| [&prod[..], more].concat();
        check(&prod, None);
        for (provider, more) in [
            ("sns", None),
            ("twilio", Some(("SMS_SENDER_ID", "Acme"))),
            ("vonage", Some(("SMS_SENDER_ID", "Acme"))),
            ("http", Some(("SMS_API_URL", "https://hook.example/sms"))),
        ] {
            let mut variables = with(&[("SMS_PROVIDER", provider)]);
            variables.extend(more);
            check(&variables, None);
            variables.push(("TEST_NUMBERS", "+201000000001=123456"));
            check(&variables, Some("TEST_NUMBERS"));
        }
        check(&with(&[("OTP_EXPOSE", "true")]), Some("OTP_EXPOSE"));
        check(&with(&[("SMS_PROVIDER", "log")]), Some("SMS_PROVIDER"));
        check(&[("ENVIRONMENT", "prod"), ("SMS_PROVIDER", "sns")], Some("PHONE_ALLOWED_COUNTRIES"));
        for provider in ["twilio", "vonage"] {
            check(&[("SMS_PROVIDER", provider)], Some("SMS_SENDER_ID"));
            check(&[("SMS_PROVIDER", provider), ("SMS_SENDER_ID", "US=+12025550123")], Some("SMS_SENDER_ID"));
            check(&[("SMS_PROVIDER", provider), ("SMS_SENDER_ID", "Acme")], None);
        }
        check(&[("SMS_PROVIDER", "http")], Some("SMS_API_URL"));
        check(&[("SMS_PROVIDER", "http"), ("SMS_API_URL", "https://hook.example/sms")], None);
        check(&[("SMS_PROVIDER", "sns")], None);
    }

    #[test]
    fn accounts_of_production_need_an_activation_unless_it_is_said_otherwise() {
        let requires = |variables| read(variables).unwrap().require_activation;
        let prod = [("ENVIRONMENT", "prod"), ("PHONE_ALLOWED_COUNTRIES", "EG")];
        assert!(!requires(&[]) && !requires(&[("ENVIRONMENT", "staging")]));
        assert!(requires(&prod) && requires(&[("REQUIRE_ACTIVATION", "true")]));
        assert!(!requires(&[prod[0], prod[1], ("REQUIRE_ACTIVATION", "false")]));
    }

    #[test]
    fn an_issuer_is_kept_byte_for_byte() {
        let config = read(&[("JWT_ISSUER", "https://auth.example/tenant")]).unwrap();
        assert_eq!(config.tokens.issuer.as_deref(), Some("https://auth.example/tenant"));
        for wrong in ["https://", "https://auth.example/", "auth.example", "https://a b"] {
            assert!(read(&[("JWT_ISSUER", wrong)]).is_err(), "{wrong}");
        }
    }
}
