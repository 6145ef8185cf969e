//! Wrong values of variables: each is told in one line that says which variable, which value and what it must be.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use latchkey::{app::Witness, domain::password::Hasher};
use local::{
    clock::Clock,
    emulator::Emulator,
    gateway::{Gateway, Setup, SetupError},
    registry,
    secrets::Secrets,
};

use crate::harness::TEMPLATE;

/// A value that no variable may have that has rules.
const WRONG: &str = "~ wrong ~";

/// The variables that take any text.
const FREE: [&str; 3] = ["API_URL", "JWT_AUDIENCE", "METRICS_NAMESPACE"];

/// The variables whose values may be, or may have been meant to be, secrets.
const SECRET: [&str; 4] = ["ATTESTATION_PUBLIC_KEY", "SMS_API_URL", "TEST_NUMBERS", "TRUSTED_FRONT_SHA256"];

/// The sentences about these variables.
fn mistakes(variables: &[(&str, &str)]) -> Vec<String> {
    let emulator = Emulator::in_memory(&TEMPLATE.table, Secrets::in_memory(&TEMPLATE).unwrap()).unwrap();
    let overrides: HashMap<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let setup = Setup {
        template: &TEMPLATE,
        code: registry::code,
        emulator: &emulator,
        overrides: &overrides,
        hasher: Arc::new(Hasher::new().unwrap()),
        witness: Witness::default(),
        clock: Clock::Wall,
        domain_name: "latchkey.test".to_owned(),
    };
    match Gateway::new(setup) {
        Ok(_) => Vec::new(),
        Err(SetupError::Config(mistakes)) => mistakes.sentences().into_iter().map(str::to_owned).collect(),
        Err(error) => panic!("{error}"),
    }
}

/// Every variable that the template sets, but those that the server reads itself (`settings`).
fn names() -> BTreeSet<&'static str> {
    let variables = TEMPLATE.functions.iter().flat_map(|function| function.environment.keys().map(String::as_str));
    variables.filter(|name| *name != "RUST_LOG").collect()
}

/// Checks the one sentence about a variable with this value.
fn check(name: &str, value: &str, sentence: &str) {
    let is_hidden = SECRET.contains(&name) || sentence.contains("cannot be overridden");
    let told = if is_hidden { format!("{name}: ") } else { format!("{name}={value}: ") };
    let why = sentence.strip_prefix(&told).unwrap_or_else(|| panic!("{name} and its value: {sentence}"));
    assert!(["must ", "may ", "cannot "].iter().any(|word| why.contains(word)), "{sentence}");
    assert!(!sentence.contains('\n') && sentence.len() < 250, "one line: {sentence}");
    assert!(!is_hidden || !sentence.contains(value), "{name} is not repeated");
}

#[test]
fn a_wrong_value_of_any_variable_is_told_in_one_line() {
    for name in names() {
        let found = mistakes(&[(name, WRONG)]);
        if FREE.contains(&name) {
            assert_eq!(found, [""; 0], "{name}");
            continue;
        }
        let [sentence] = &found[..] else { panic!("{name}: {found:?}") };
        check(name, WRONG, sentence);
    }
}

#[test]
fn wrong_values_of_all_variables_are_told_in_a_line_each() {
    let wrong: Vec<_> = names().into_iter().filter(|name| !FREE.contains(name)).map(|name| (name, WRONG)).collect();
    assert!(wrong.len() > 55, "{}", wrong.len());
    let found = mistakes(&wrong);
    for (name, value) in &wrong {
        let is_about =
            |sentence: &&String| sentence.starts_with(&format!("{name}=")) || sentence.starts_with(&format!("{name}:"));
        let sentences: Vec<_> = found.iter().filter(is_about).collect();
        let [sentence] = sentences[..] else { panic!("{name}: {sentences:?}") };
        check(name, value, sentence);
    }
    assert_eq!(found.len(), wrong.len());
}

/// One mistake is one line, although several rules are broken by it.
#[test]
fn what_follows_from_a_mistake_is_not_told() {
    for (variables, expected) in [
        (
            &[("SMS_PROVIDER", "twilio"), ("SMS_SENDER_ID", "A name too long")][..],
            "SMS_SENDER_ID=A name too long: must be",
        ),
        (&[("SMS_PROVIDER", "twilio"), ("SMS_SENDER_ID", "US=Acme")], "SMS_SENDER_ID=US=Acme: must name a sender for"),
        (&[("SMS_PROVIDER", "vonage"), ("SMS_SENDER_ID", "US=My-App")], "SMS_SENDER_ID=US=My-App: must have senders"),
        (&[("SMS_PROVIDER", "twilio")], "SMS_SENDER_ID: must name a sender for every country"),
        (&[("SMS_SENDER_ID", "Acme,Other")], "SMS_SENDER_ID=Acme,Other: must name one sender"),
        (&[("SMS_PROVIDER", "http"), ("SMS_API_URL", "http://sms.example")], "SMS_API_URL: must be an https URL"),
        (&[("SMS_PROVIDER", "http")], "SMS_API_URL: must be set"),
        (
            &[("PHONE_DEFAULT_COUNTRY", "Egypt"), ("TEST_NUMBERS", "+201000000001=123456")],
            "PHONE_DEFAULT_COUNTRY=Egypt: must be",
        ),
        (&[("PHONE_ALLOWED_COUNTRIES", "EG,AX,GG")], "PHONE_ALLOWED_COUNTRIES=EG,AX,GG: "),
        (
            &[("SMS_SENDER_ID", "Acme,AX=Aland,EH=Sahr,VA=Vat")],
            "SMS_SENDER_ID=Acme,AX=Aland,EH=Sahr,VA=Vat: must name countries",
        ),
        (&[("PHONE_PROOF_MAX_AGE_DAYS", "1"), ("PARKED_ACCOUNT_DAYS", "2")], "PARKED_ACCOUNT_DAYS=2: must be"),
        (&[("TRUSTED_FRONT_ONLY", "true")], "TRUSTED_FRONT_ONLY=true: must be false without"),
        (&[("TRUSTED_FRONT_ONLY", "true"), ("TRUSTED_FRONT_SHA256", "hidden-text")], "TRUSTED_FRONT_SHA256: must be"),
        (
            &[("JWT_ISSUER", "localhost:8000")],
            "JWT_ISSUER=localhost:8000: must be an https URL (with ENVIRONMENT=dev also http)",
        ),
        (
            &[("JWT_ISSUER", "http://auth.example"), ("ENVIRONMENT", "staging")],
            "JWT_ISSUER=http://auth.example: must be an https URL unless ENVIRONMENT=dev",
        ),
        (
            &[
                ("ENVIRONMENT", "prod"),
                ("OTP_EXPOSE", "true"),
                ("SMS_PROVIDER", "sns"),
                ("PHONE_ALLOWED_COUNTRIES", "EG"),
            ],
            "OTP_EXPOSE=true: may be true only with",
        ),
    ] {
        let found = mistakes(variables);
        let [sentence] = &found[..] else { panic!("{variables:?}: {found:?}") };
        assert!(sentence.starts_with(expected), "{sentence}");
        assert!(!sentence.contains("hidden-text"));
    }
    // Some numbers of the Isle of Man can be told from British ones.
    let man = [("PHONE_ALLOWED_COUNTRIES", "IM"), ("PHONE_DEFAULT_COUNTRY", "IM"), ("SMS_SENDER_ID", "Acme,IM=Man")];
    assert_eq!(mistakes(&man), [""; 0]);
    // A mistake of which every function knows hides none of which one knows.
    assert_eq!(mistakes(&[("ALLOWED_ORIGINS", "*"), ("LEGACY_COST", "40"), ("SIGN_UP", "no")]).len(), 3);
}

#[test]
fn of_a_long_value_the_beginning_is_told() {
    let found = mistakes(&[("SMS_TEMPLATE_RESET", &"long ".repeat(100))]);
    let expected = format!("SMS_TEMPLATE_RESET={}…: must contain", "long ".repeat(12));
    assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
}
