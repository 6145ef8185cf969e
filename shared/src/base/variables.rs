//! Environment variables. They are read one by one, and all mistakes are collected, so that one error reports them
//! together.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    ops::RangeInclusive,
    str::FromStr,
};

/// The variables whose values no error repeats: a webhook's URL may hold a token, and test numbers have fixed codes. The
/// others are public, but what is wrong in them may be the secret itself or the private key.
const UNREPEATED: [&str; 4] = ["ATTESTATION_PUBLIC_KEY", "SMS_API_URL", "TEST_NUMBERS", "TRUSTED_FRONT_SHA256"];

/// The number of characters of a value that an error repeats.
const REPEATED: usize = 60;

/// The mistakes in the environment: one for each variable that is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Mistake>);

/// A variable that is wrong, and the sentence that says so: its name, its value and what it must be.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    variable: String,
    sentence: String,
}

impl ConfigErrors {
    /// Adds the mistakes of another function, in variables that have none so far.
    pub fn extend(&mut self, others: Self) {
        for Mistake { variable, sentence } in others.0 {
            self.add(&variable, sentence);
        }
    }

    /// Adds a mistake in a variable, unless it has one: a second one mostly follows from the first.
    pub fn add(&mut self, variable: &str, sentence: String) {
        if !self.0.iter().any(|mistake| mistake.variable == variable) {
            self.0.push(Mistake { variable: variable.to_owned(), sentence });
        }
    }

    /// Returns whether there are no mistakes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the mistakes, a sentence each.
    pub fn sentences(&self) -> Vec<&str> {
        self.0.iter().map(|mistake| mistake.sentence.as_str()).collect()
    }
}

impl Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().join("; "))
    }
}

impl std::error::Error for ConfigErrors {}

/// The variables of a process, and the mistakes found in them so far.
pub struct Variables<'a> {
    values: &'a HashMap<String, String>,
    names: Vec<&'static str>,
    errors: ConfigErrors,
    warnings: Vec<String>,
}

impl<'a> Variables<'a> {
    /// Wraps the variables of one process and reads none yet.
    pub fn new(variables: &'a HashMap<String, String>) -> Self {
        Self { values: variables, names: Vec::new(), errors: ConfigErrors::default(), warnings: Vec::new() }
    }

    /// Returns the names of the variables that were read.
    pub fn into_names(self) -> Vec<&'static str> {
        self.names
    }

    /// Returns the settings that were read if every variable was right, otherwise all mistakes.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, ConfigErrors> {
        read.filter(|_| self.errors.is_empty()).ok_or(self.errors)
    }

    /// Returns a variable that may be unset. An empty value counts as unset, because CloudFormation cannot omit a
    /// variable.
    pub fn optional(&mut self, name: &'static str) -> Option<&'a str> {
        self.names.push(name);
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Records a mistake in a variable, with the value that it has, or the beginning of that. A variable has one mistake.
    pub fn wrong(&mut self, name: &str, why: impl Display) {
        let value = self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let value = value.filter(|_| !UNREPEATED.contains(&name)).map(|value| {
            let rest = if value.chars().nth(REPEATED).is_some() { "…" } else { "" };
            // Escaped, because a value with a line break would look like two mistakes.
            format!("={}{rest}", value.chars().take(REPEATED).collect::<String>().escape_debug())
        });
        self.errors.add(name, format!("{name}{}: {why}", value.unwrap_or_default()));
    }

    /// Remembers that a variable is allowed, but probably not what was meant.
    pub fn warn(&mut self, name: &str, why: impl Display) {
        self.warnings.push(format!("{name}: {why}"));
    }

    /// Returns the warnings so far.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns a variable that has no default. Records a mistake if it is not set.
    pub fn required(&mut self, name: &'static str) -> String {
        let value = self.optional(name);
        if value.is_none() {
            self.wrong(name, "must be set");
        }
        value.unwrap_or_default().to_owned()
    }

    /// Parses the value with `parse`. Returns `None` if the variable is not set or is wrong.
    pub fn with<T, E: Display>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match self.optional(name).map(parse)? {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(name, why);
                None
            }
        }
    }

    /// Parses the value, or the default if the variable is not set. Returns `None` if the value is wrong.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str, default: &str) -> Option<T> {
        match self.optional(name).unwrap_or(default).parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(name, why);
                None
            }
        }
    }

    /// Parses a list of values that are separated by commas. Returns `None` if the variable is not set or is wrong.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Vec<T>> {
        self.with(name, |value| value.split(',').map(|item| item.trim().parse()).collect())
    }

    /// Returns a whole number within a range, or the default if the variable is not set or is wrong.
    pub fn number(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let why = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.with(name, |value| value.parse().ok().filter(|number| range.contains(number)).ok_or(why))
            .unwrap_or(default)
    }

    /// Returns a variable that is `true` or `false`, or `None` if it is not set or is wrong.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.with(name, |value| value.parse::<bool>().map_err(|_| "must be true or false"))
    }

    /// Returns the value that a word stands for; the first word is the default. Returns `None` if the word is not one
    /// of the choices.
    pub fn one_of<T: Clone>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        match self.optional(name) {
            None => choices.first().map(|(_, value)| value.clone()),
            Some(value) => {
                let chosen = choices.iter().find(|(word, _)| *word == value).map(|(_, value)| value.clone());
                if chosen.is_none() {
                    self.wrong(
                        name,
                        if words.len() > 2 {
                            format!("must be one of {}", words.join(", "))
                        } else {
                            format!("must be {}", words.join(" or "))
                        },
                    );
                }
                chosen
            }
        }
    }
}
