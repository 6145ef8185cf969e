//! The settings of a dev server: which variables override the template's, and from where they come.

use std::{collections::HashMap, fs, path::Path};

use latchkey::base::terminal::Sentence;
use numbering_plans::{Number, Plan};
use tracing_subscriber::filter::Targets;

use crate::{gateway::is_of_aws, template::Template};

/// The defaults of `cargo run` that differ from the template's. A developer has one phone and one address, on which
/// every try of a day counts; limits that protect strangers from each other would only stop the developer.
///
/// The pages that may call the API are those that are served on this machine.
const DEVELOPERS: [(&str, &str); 9] = [
    ("ALLOWED_ORIGINS", "http://localhost:*,http://127.0.0.1:*"),
    ("LIMIT_COUNTRIES_PER_ADDRESS", "1000"),
    ("LIMIT_LOGIN_PER_ADDRESS", "100000"),
    ("LIMIT_MESSAGES_PER_ADDRESS", "1000"),
    ("LIMIT_MESSAGES_PER_COUNTRY", "1000000"),
    ("LIMIT_MESSAGES_PER_PHONE", "1000"),
    ("LIMIT_MESSAGES_TOTAL", "1000000"),
    ("LIMIT_PHONES_PER_ADDRESS", "1000"),
    ("LIMIT_REGISTER_PER_ADDRESS", "100000"),
];

/// The variables that the dev server reads itself.
const OF_THE_SERVER: [&str; 2] = ["RUST_LOG", "SMS_CREDENTIALS"];

/// The variables of a dev server. Later sources win: the defaults of `cargo run`, the file, the environment, arguments.
#[derive(Debug, Default)]
pub struct Settings {
    /// The variables that override the template's.
    pub overrides: HashMap<String, String>,
    /// `RUST_LOG`: the filter of the log.
    pub rust_log: Option<String>,
    /// `SMS_CREDENTIALS`: the credentials for the provider of text messages, which are in Secrets Manager on AWS.
    pub sms_credentials: Option<String>,
}

impl Settings {
    /// Reads the settings from a file of `NAME=VALUE` lines, from the process (`environment` returns a variable of it)
    /// and from arguments. Fails if the file cannot be read, or if `RUST_LOG` is no filter.
    pub fn read(
        template: &Template,
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        arguments: Vec<(String, String)>,
    ) -> Result<Self, Sentence> {
        let mut all: HashMap<String, String> =
            DEVELOPERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if let Some(file) = file {
            all.extend(variables_of(file)?);
        }
        let names = template.functions.iter().flat_map(|function| function.environment.keys().map(String::as_str));
        // Table and secrets are embedded, whatever names and addresses another tool's variables give them.
        let names = names.filter(|name| !is_of_aws(name)).chain(OF_THE_SERVER);
        all.extend(names.filter_map(|name| Some((name.to_owned(), environment(name)?))));
        all.extend(arguments);

        let [rust_log, sms_credentials] = OF_THE_SERVER.map(|name| all.remove(name).filter(|value| !value.is_empty()));
        if let Some(filter) = &rust_log
            && filter.parse::<Targets>().is_err()
        {
            return Err(format!("RUST_LOG={filter}: must be a filter such as info, or latchkey=debug,info"));
        }
        match all.get("SMS_PROVIDER").map_or("log", String::as_str) {
            // No message is sent, so that responses may contain the codes.
            "" | "log" => {
                all.entry("OTP_EXPOSE".to_owned()).or_insert_with(|| "true".to_owned());
            }
            "sns" => {
                return Err("SMS_PROVIDER=sns: sends through AWS, which `cargo run` does not use; set log, http, \
                            twilio or vonage"
                    .to_owned());
            }
            _ => {}
        }
        Ok(Self { overrides: all, rust_log, sms_credentials })
    }
}

impl Settings {
    /// Returns whether users may sign in by a code.
    pub fn signs_in_by_code(&self) -> bool {
        self.overrides.get("SIGN_IN_METHODS").is_none_or(|methods| methods.trim() != "password")
    }

    /// Returns a phone to try: the documents' own example where that is served, or else one of the default country, or of
    /// the first country that is served, in international form.
    pub fn example_phone(&self, template: &Template) -> String {
        let set = |name: &str| {
            let functions = template.functions.iter().find_map(|function| function.environment.get(name));
            self.overrides.get(name).or(functions).map(|value| value.trim()).filter(|value| !value.is_empty())
        };
        let country = set("PHONE_DEFAULT_COUNTRY").unwrap_or("EG");
        let served = set("PHONE_ALLOWED_COUNTRIES").unwrap_or(country);
        let is_served = served.split(',').any(|served| served.trim() == country);
        let of_documents = "01012345678".to_owned();
        if country == "EG" && is_served {
            return of_documents;
        }
        let country = if is_served { country } else { served.split(',').next().unwrap_or_default().trim() };
        let plan = Plan::of_region(country);
        let number = plan.and_then(|plan| Number::parse(plan.mobile_example()?, Some(plan)));
        number.map_or(of_documents, |number| number.e164())
    }
}

/// Reads the variables of a file, as Docker and most frameworks write them: `NAME=VALUE` lines, with quotes, `export`
/// and comments.
fn variables_of(file: &Path) -> Result<Vec<(String, String)>, Sentence> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("--env-file {name} cannot be read: {error}"))?;
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // The library's error repeats the line, which may hold a secret.
    let mistake = |error: dotenvy::Error| {
        let line = match error {
            dotenvy::Error::LineParse(wrong, _) => {
                // The library tells the line, or what stands behind its `=`.
                let is_wrong = |line: &str| {
                    let (line, wrong) = (line.trim(), wrong.trim());
                    !line.is_empty() && (wrong.starts_with(line) || (!wrong.is_empty() && line.ends_with(wrong)))
                };
                text.lines().position(is_wrong)
            }
            _ => None,
        };
        let line = line.map_or_else(|| "has a line that".to_owned(), |at| format!("line {}", at + 1));
        format!("--env-file {name} {line} is not NAME=VALUE; put values with spaces or quotes between single quotes")
    };
    dotenvy::from_read_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(mistake)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn template() -> Template {
        Template::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"))).unwrap()
    }

    fn read(
        file: Option<&str>,
        environment: &[(&str, &str)],
        arguments: &[(&str, &str)],
    ) -> Result<Settings, Sentence> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.env");
        if let Some(text) = file {
            fs::write(&path, text).unwrap();
        }
        let environment = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(&template(), file.map(|_| path.as_path()), environment, arguments)
    }

    #[test]
    fn arguments_win_over_the_environment_and_that_over_the_file() {
        let file =
            "# comment\nexport OTP_TTL_SECONDS=60\nSERVICE_NAME='Acme Bank' # ours\n\nOTP_MAX_ATTEMPTS=\"2\"\r\n";
        let environment = [("OTP_TTL_SECONDS", "90"), ("OTP_MAX_ATTEMPTS", "3"), ("TABLE_NAME", "other")];
        let found = read(Some(file), &environment, &[("OTP_MAX_ATTEMPTS", "4")]).unwrap().overrides;
        let value = |name: &str| found.get(name).map(String::as_str);
        assert_eq!(value("SERVICE_NAME"), Some("Acme Bank"));
        assert_eq!((value("OTP_TTL_SECONDS"), value("OTP_MAX_ATTEMPTS")), (Some("90"), Some("4")));
        assert_eq!(value("TABLE_NAME"), None);
        assert_eq!((value("OTP_EXPOSE"), value("LIMIT_MESSAGES_PER_PHONE")), (Some("true"), Some("1000")));
    }

    #[test]
    fn codes_are_in_answers_only_where_no_message_is_sent() {
        let expose = |provider| read(None, &[], &[("SMS_PROVIDER", provider)]).map(|settings| settings.overrides);
        assert_eq!(expose("log").unwrap()["OTP_EXPOSE"], "true");
        assert!(!expose("twilio").unwrap().contains_key("OTP_EXPOSE"));
        assert!(expose("sns").unwrap_err().starts_with("SMS_PROVIDER=sns"));
    }

    #[test]
    fn the_servers_own_variables_are_taken_from_everywhere_and_checked() {
        let found = read(Some("SMS_CREDENTIALS={}\n"), &[], &[("RUST_LOG", "latchkey=debug,info")]).unwrap();
        assert_eq!(found.sms_credentials.as_deref(), Some("{}"));
        assert_eq!(found.rust_log.as_deref(), Some("latchkey=debug,info"));
        assert!(!found.overrides.contains_key("RUST_LOG") && !found.overrides.contains_key("SMS_CREDENTIALS"));
        let error = read(None, &[("RUST_LOG", "latchkey=foo=bar")], &[]).unwrap_err();
        assert!(error.starts_with("RUST_LOG=latchkey=foo=bar: must be a filter"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_its_lines_are_not_repeated() {
        let error = Settings::read(&template(), Some(Path::new("no-such.env")), |_| None, Vec::new()).unwrap_err();
        assert!(error.contains("--env-file no-such.env cannot be read"), "{error}");
        let error = read(Some("SIGN_UP=open\n\nSMS_CREDENTIALS my-token\n"), &[], &[]).unwrap_err();
        assert!(error.contains("line 3 is"), "{error}");
        let unquoted = read(Some("SIGN_UP=open\n# ours\nSERVICE_NAME=Acme my-token\n"), &[], &[]).unwrap_err();
        assert!(unquoted.contains("line 3 is") && !unquoted.contains("my-token"), "{unquoted}");
        let marked = read(Some("\u{feff}SIGN_UP=closed\n"), &[], &[]).unwrap();
        assert_eq!(marked.overrides["SIGN_UP"], "closed", "a byte order mark is no part of the name");
        assert!(error.contains("not NAME=VALUE") && !error.contains("my-token"), "{error}");
    }

    #[test]
    fn the_example_is_a_phone_that_the_settings_serve() {
        for (settings, expected) in [
            (&[][..], "01012345678"),
            (&[("PHONE_DEFAULT_COUNTRY", "DE")], "+4915123456789"),
            (&[("PHONE_ALLOWED_COUNTRIES", "US,CA")], "+12015550123"),
            (&[("PHONE_DEFAULT_COUNTRY", "UZ"), ("PHONE_ALLOWED_COUNTRIES", "EG, UZ")][..], "+998912345678"),
        ] {
            let found = read(None, &[], settings).unwrap().example_phone(&template());
            assert_eq!(found, expected, "{settings:?}");
        }
    }
}
