//! Configuration: environment variables, parsed once at start into domain types. Each part reads its own variables;
//! this module puts them together and checks combinations. Every mistake is reported at once, by name. `template.yaml`
//! sets each variable.

use std::{collections::HashMap, time::Duration};

pub use crate::base::variables::ConfigErrors;
use crate::{
    base::{front::Edge, variables::Variables},
    domain::{
        otp::{OtpCode, OtpSettings},
        password::{LegacyCost, PasswordRules},
        phone::{Phone, PhoneRules},
        proof::SignInMethod,
    },
    keyring::KeySettings,
    messages::{Provider, SmsSettings},
    store::Limits,
    tokens::{attestation::ProofSettings, settings::TokenSettings},
};

/// The configuration of a function. `docs/configuration.md` describes each variable.
#[derive(Debug)]
pub struct Config {
    /// `TABLE_NAME`: the name of the table.
    pub table_name: String,
    /// `PHONE_*`: the rules of phone numbers.
    pub phones: PhoneRules,
    /// `PASSWORD_*`: the rules of new passwords.
    pub passwords: PasswordRules,
    /// `LEGACY_HASHES` and `LEGACY_COST`: the highest cost of the hashes of another system that accounts may have, if
    /// they may. Then every login costs that work, too.
    pub legacy_cost: Option<LegacyCost>,
    /// `REQUIRE_ACTIVATION`: whether an account is created only after a code has proved who owns the phone. The default
    /// is true in production and false elsewhere.
    pub require_activation: bool,
    /// `SIGN_IN_METHODS`: the first factors that sign in. Never empty.
    pub sign_in_methods: Vec<SignInMethod>,
    /// `SIGN_UP`: whether phones without an account get one.
    pub sign_up_is_open: bool,
    /// `PHONE_PROOF_MAX_AGE_DAYS`: the age of a phone's last proof from which its code alone opens no account; none if it
    /// always does.
    pub phone_proof_max_age: Option<Duration>,
    /// `PARKED_ACCOUNT_DAYS`: how long an account without a phone waits for its owner.
    pub parked_account_time: Duration,
    /// `OTP_*`: the settings of one-time codes.
    pub otp: OtpSettings,
    /// `SMS_*` and `SERVICE_NAME`: how messages are sent and what they say.
    pub sms: SmsSettings,
    /// `TEST_NUMBERS`: numbers that receive no message, each with its fixed code. Refused in production.
    pub test_numbers: Vec<(Phone, OtpCode)>,
    /// `METRICS_NAMESPACE`: the namespace of our counts in CloudWatch.
    pub metrics_namespace: String,
    /// `METRICS_IN_DETAIL`: whether counts are metrics of each country, limit and the like, as well as in total.
    pub metrics_in_detail: bool,
    /// `ALLOWED_ORIGINS` and `TRUSTED_FRONT_*`: the pages that may call the API, and the front that is believed.
    pub edge: Edge,
    /// The lifetimes, issuer and audience of tokens.
    pub tokens: TokenSettings,
    /// `LIMIT_*`: limits and budgets.
    pub limits: Limits,
    /// `PROOF_OF_WORK_BITS` and `ATTESTATION_PUBLIC_KEY`: the proofs that are asked for when such a budget is half used.
    pub proofs: ProofSettings,
    /// The places of keys and secrets.
    pub keys: KeySettings,
    /// What is allowed, but probably not what was meant: a sentence for each variable.
    pub warnings: Vec<String>,
}

/// `ENVIRONMENT`: the kind of deployment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Environment {
    Dev,
    Staging,
    Prod,
}

impl Config {
    /// Reads the variables. A variable that is not set has the default in `docs/configuration.md`.
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Self, ConfigErrors> {
        let mut read = Variables::new(variables);
        let config = Self::read(&mut read);
        read.finish(config)
    }

    /// Returns the name of every variable that is read.
    pub fn variable_names() -> Vec<&'static str> {
        let variables = HashMap::new();
        let mut read = Variables::new(&variables);
        // An empty environment lacks required variables, but every part still reads all of its own.
        let _ = Self::read(&mut read);
        read.into_names()
    }

    /// Reads every part. Returns none if a part without a default could not be read; the mistakes are in `read`.
    fn read(read: &mut Variables<'_>) -> Option<Self> {
        let table_name = read.required("TABLE_NAME");
        let phones = PhoneRules::read(read);
        let sms = SmsSettings::read(read);
        let passwords = PasswordRules::read(read, &sms.text.service_name);
        let legacy_cost = LegacyCost::read(read);
        let otp = OtpSettings::read(read);
        let (dev, staging, prod) = (Environment::Dev, Environment::Staging, Environment::Prod);
        let environment = read.one_of("ENVIRONMENT", &[("dev", dev), ("staging", staging), ("prod", prod)]);
        let is_production = environment.map(|environment| environment == Environment::Prod);
        let require_activation = read.flag("REQUIRE_ACTIVATION");
        let sign_in_methods = read.with("SIGN_IN_METHODS", sign_in_methods);
        let sign_up_is_open = read.one_of("SIGN_UP", &[("open", true), ("closed", false)]);
        let phone_proof_max_age = days(read.number("PHONE_PROOF_MAX_AGE_DAYS", 180, 0..=3650));
        let parked_account_time = days(read.number("PARKED_ACCOUNT_DAYS", 90, 1..=3650));
        let test_numbers = test_numbers(read, phones.as_ref());
        let metrics_namespace = read.optional("METRICS_NAMESPACE").unwrap_or("latchkey").to_owned();
        let metrics_in_detail = read.flag("METRICS_IN_DETAIL").unwrap_or(false);
        let edge = Edge::read(read);
        let tokens = TokenSettings::read(read);
        let limits = Limits::read(read);
        let proofs = ProofSettings::read(read);
        let keys = KeySettings::read(read);
        let config = Self {
            table_name,
            phones: phones?,
            passwords,
            legacy_cost,
            require_activation: require_activation.or(is_production).unwrap_or(false),
            sign_in_methods: sign_in_methods.unwrap_or_else(|| SignInMethod::ALL.to_vec()),
            sign_up_is_open: sign_up_is_open.unwrap_or(true),
            phone_proof_max_age: Some(phone_proof_max_age).filter(|age| !age.is_zero()),
            parked_account_time,
            otp,
            sms,
            test_numbers,
            metrics_namespace,
            metrics_in_detail,
            edge,
            tokens,
            limits,
            proofs,
            keys,
            warnings: read.warnings().to_vec(),
        };
        if let Some(environment) = environment {
            config.check_together(read, environment);
        }
        Some(config)
    }

    /// Refuses values that are valid alone but not together.
    fn check_together(&self, read: &mut Variables<'_>, environment: Environment) {
        if self.phone_proof_max_age.is_some_and(|age| age < self.parked_account_time) {
            read.wrong(
                "PARKED_ACCOUNT_DAYS",
                "must be at most PHONE_PROOF_MAX_AGE_DAYS, so that one account of a phone is parked at a time",
            );
        }
        if self.parked_account_time < self.tokens.session_ttl {
            read.wrong(
                "PARKED_ACCOUNT_DAYS",
                "must be at least REFRESH_TOKEN_TTL_SECONDS, so that nothing of a parked account outlives it",
            );
        }
        if self.otp.expose && self.sms.provider != Provider::Log {
            read.wrong("OTP_EXPOSE", "may be true only with SMS_PROVIDER=log");
        }
        if environment != Environment::Dev && self.tokens.issuer.as_ref().is_some_and(|url| url.starts_with("http://"))
        {
            read.wrong("JWT_ISSUER", "must be an https URL unless ENVIRONMENT=dev");
        }
        if environment != Environment::Prod {
            return;
        }
        if !self.test_numbers.is_empty() {
            read.wrong("TEST_NUMBERS", "must be empty with ENVIRONMENT=prod: anybody who knows a code could sign in");
        }
        if self.otp.expose {
            read.wrong("OTP_EXPOSE", "must be false with ENVIRONMENT=prod: responses would reveal every code");
        }
        // The template sets SMS_PROVIDER only for functions that send messages, so an absent one is allowed.
        if read.optional("SMS_PROVIDER") == Some("log") {
            read.wrong("SMS_PROVIDER", "must not be log with ENVIRONMENT=prod: it writes every code to the log");
        }
        if self.edge.origins.have_http() {
            read.wrong(
                "ALLOWED_ORIGINS",
                "must not name http with ENVIRONMENT=prod: anybody on the way changes such a page",
            );
        }
        if self.phones.serves_all_countries() {
            read.wrong(
                "PHONE_ALLOWED_COUNTRIES",
                "must name the countries that you serve with ENVIRONMENT=prod: messages to all others cost, too",
            );
        }
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// Reads `SIGN_IN_METHODS`, such as `password,code`.
fn sign_in_methods(value: &str) -> Result<Vec<SignInMethod>, &'static str> {
    let named = |name: &str| SignInMethod::ALL.into_iter().find(|method| method.as_str() == name.trim());
    let methods: Option<Vec<_>> = value.split(',').map(named).collect();
    methods.ok_or("must be `password`, `code`, or both, separated by a comma")
}

/// Reads `TEST_NUMBERS`, such as `+201000000001=123456,+201000000002=654321`.
fn test_numbers(read: &mut Variables<'_>, rules: Option<&PhoneRules>) -> Vec<(Phone, OtpCode)> {
    const WRONG: &str = "must be numbers, each with its code, separated by commas, for example +201000000001=123456";
    let numbers = read.with("TEST_NUMBERS", |value| {
        let one = |item: &str| {
            let (number, code) = item.split_once('=').ok_or(WRONG)?;
            let code: OtpCode = code.parse().map_err(|_| WRONG)?;
            // Without rules, the country is wrong, and that is reported.
            let phone = rules.map(|rules| rules.parse(number)).transpose();
            Ok::<_, &str>((phone, code))
        };
        let mut numbers: Vec<(Phone, OtpCode)> = Vec::new();
        // By its place, because no error repeats a test number.
        for (at, item) in (1..).zip(value.trim_end_matches(',').split(',')) {
            let (phone, code) = one(item)?;
            let Some(phone) = phone.map_err(|why| format!("number {at} {why}"))? else { continue };
            match numbers.iter().find(|(number, _)| *number == phone) {
                Some((_, other)) if other.reveal() == code.reveal() => {}
                Some(_) => return Err(format!("number {at} is there before, with another code")),
                None => numbers.push((phone, code)),
            }
        }
        Ok::<_, String>(numbers)
    });
    numbers.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert_eq!(config.limits.messages_per_phone, 10);
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
            ("SIGN_IN_METHODS", "password,magic"),
            ("SIGN_UP", "yes"),
            ("PHONE_PROOF_MAX_AGE_DAYS", "never"),
            ("PARKED_ACCOUNT_DAYS", "0"),
            ("SMS_PROVIDER", "pigeon"),
            ("ACCESS_TOKEN_TTL_SECONDS", "901"),
            ("JWT_ISSUER", "auth.example"),
            ("LIMIT_MESSAGES_PER_PHONE", "0"),
            ("SIGNING_ALGORITHM", "HS256"),
            ("ENVIRONMENT", "production"),
            ("TEST_NUMBERS", "+201000000001"),
            ("SMS_MAX_PRICE", "much"),
            ("SMS_API_URL", "http://sms.example"),
            ("SMS_FLOOR_MS", "5000"),
            ("SMS_LANGUAGE", "tlh"),
            ("SMS_TEMPLATE_RESET", "no code in it"),
            ("SMS_TEMPLATE_SIGN_IN", "{sender}: {code}"),
            ("SMS_WEBOTP_DOMAIN", "https://example.com"),
            ("SMS_ANDROID_APP_HASH", "short"),
            ("SMS_SENDER_ID", "a name that is too long"),
            ("SERVICE_NAME", "a name that is longer than a message can bear"),
            ("ALLOWED_ORIGINS", "https://app.example.com/"),
        ];
        let message = read(&variables).unwrap_err().to_string();
        for (name, _) in variables {
            assert!(message.contains(name), "{name} is missing in: {message}");
        }
    }

    #[test]
    fn a_mistake_shows_the_value_but_no_code_and_no_token() {
        let message = |name, value| read(&[(name, value)]).unwrap_err().to_string();
        assert_eq!(message("OTP_TTL_SECONDS", "abc"), "OTP_TTL_SECONDS=abc: must be a whole number from 30 to 600");
        assert_eq!(message("REQUIRE_ACTIVATION", "maybe"), "REQUIRE_ACTIVATION=maybe: must be true or false");
        assert_eq!(
            message("SMS_PROVIDER", "pigeon\n"),
            "SMS_PROVIDER=pigeon: must be one of log, sns, twilio, vonage, http"
        );
        assert!(message("SERVICE_NAME", "two\nlines and more than fit").starts_with("SERVICE_NAME=two\\nlines"));
        assert!(message("TEST_NUMBERS", "+201000000001:918273").starts_with("TEST_NUMBERS: must be"));
        let unserved =
            read(&[("TEST_NUMBERS", "+201000000001=918273,+4915112345678=918273"), ("PHONE_ALLOWED_COUNTRIES", "EG")]);
        assert_eq!(
            unserved.unwrap_err().to_string(),
            "TEST_NUMBERS: number 2 is in a country that this service does not serve"
        );
        assert_eq!(
            message("TEST_NUMBERS", "+20223456789=918273"),
            "TEST_NUMBERS: number 1 must be a number that can receive SMS"
        );
        assert_eq!(
            message("TEST_NUMBERS", "+201000000001=918273, 01000000001=918274"),
            "TEST_NUMBERS: number 2 is there before, with another code"
        );
        check(&[("TEST_NUMBERS", "+201000000001=918273,01000000001=918273")], None);
        let unusable = [("SMS_PROVIDER", "http"), ("SMS_API_URL", "sms.example")];
        assert_eq!(read(&unusable).unwrap_err().sentences().len(), 1, "one variable is wrong in one way");
        assert!(message("SMS_API_URL", "http://sms.example/hidden-token").starts_with("SMS_API_URL: must be"));
    }

    /// Checks that these variables are accepted, or that the first mistake is in the variable `wrong`.
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
        check(&with(&[("ALLOWED_ORIGINS", "https://app.example.com")]), None);
        check(&with(&[("ALLOWED_ORIGINS", "http://localhost:3000")]), Some("ALLOWED_ORIGINS"));
        check(&[("ALLOWED_ORIGINS", "http://localhost:3000")], None);
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
    fn at_least_one_method_signs_in_and_both_do_unless_it_is_said_otherwise() {
        let methods = |value| read(&[("SIGN_IN_METHODS", value)]).map(|config| config.sign_in_methods);
        assert_eq!(read(&[]).unwrap().sign_in_methods, SignInMethod::ALL);
        assert_eq!(methods("password, code").unwrap(), SignInMethod::ALL);
        assert_eq!(methods("code").unwrap(), [SignInMethod::Code]);
        for wrong in [",", "code,", "none", "Code"] {
            assert!(methods(wrong).is_err(), "{wrong}");
        }
        assert!(read(&[]).unwrap().sign_up_is_open && !read(&[("SIGN_UP", "closed")]).unwrap().sign_up_is_open);
    }

    #[test]
    fn an_account_is_parked_for_no_longer_than_a_phone_is_believed() {
        let config = read(&[]).unwrap();
        let of = |config: &Config| (config.phone_proof_max_age, config.parked_account_time);
        assert_eq!(of(&config), (Some(days(180)), days(90)));
        assert_eq!(of(&read(&[("PHONE_PROOF_MAX_AGE_DAYS", "0")]).unwrap()).0, None);
        let environment = ("ENVIRONMENT", "dev");
        check(&[environment, ("PHONE_PROOF_MAX_AGE_DAYS", "90")], None);
        check(&[environment, ("PHONE_PROOF_MAX_AGE_DAYS", "89")], Some("PARKED_ACCOUNT_DAYS"));
        check(&[environment, ("PARKED_ACCOUNT_DAYS", "181")], Some("PARKED_ACCOUNT_DAYS"));
        check(&[environment, ("PARKED_ACCOUNT_DAYS", "29")], Some("PARKED_ACCOUNT_DAYS"));
        check(&[environment, ("PARKED_ACCOUNT_DAYS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "86400")], None);
    }

    #[test]
    fn a_default_country_that_is_not_served_is_a_warning() {
        let warnings = |variables| read(variables).unwrap().warnings;
        assert!(warnings(&[]).is_empty());
        assert!(warnings(&[("PHONE_ALLOWED_COUNTRIES", "EG,UZ")]).is_empty());
        let found = warnings(&[("PHONE_ALLOWED_COUNTRIES", "US")]);
        assert!(found.len() == 1 && found[0].starts_with("PHONE_DEFAULT_COUNTRY: EG"), "{found:?}");
        let error = read(&[("PHONE_ALLOWED_COUNTRIES", "EG,AX")]).unwrap_err().to_string();
        assert!(
            error.starts_with("PHONE_ALLOWED_COUNTRIES=EG,AX: AX can never match") && error.contains("FI"),
            "{error}"
        );
    }

    #[test]
    fn an_issuer_is_kept_byte_for_byte() {
        let config = read(&[("JWT_ISSUER", "https://auth.example/tenant")]).unwrap();
        assert_eq!(config.tokens.issuer.as_deref(), Some("https://auth.example/tenant"));
        let http = ("JWT_ISSUER", "http://latchkey:8000");
        assert_eq!(read(&[http]).unwrap().tokens.issuer.as_deref(), Some("http://latchkey:8000"));
        check(&[http, ("ENVIRONMENT", "staging")], Some("JWT_ISSUER"));
        check(&[http, ("ENVIRONMENT", "prod"), ("PHONE_ALLOWED_COUNTRIES", "EG")], Some("JWT_ISSUER"));
        for wrong in
            ["https://", "http://", "ftp://auth.example", "https://auth.example/", "auth.example", "https://a b"]
        {
            assert!(read(&[("JWT_ISSUER", wrong)]).is_err(), "{wrong}");
        }
    }
}
