//! The members of a request's body, and the mistakes found in them.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::{config::Config, error::FieldError};

/// A request body made of domain types. [`request_body!`](crate::request_body) implements it.
pub trait FromFields: Sized {
    /// Takes the fields of the body. An implementation takes every field before its first `?`, so that every mistake is
    /// reported and not only the first.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The names of codes that are mistaken for each other: the one that is required, the one that was sent, and what to do.
const MISTAKEN: [(&str, &str, &str); 2] = [
    ("otp", "code", "a message's code is sent as `otp`, and not as `code`"),
    ("code", "otp", "an authenticator's code is sent as `code`, and not as `otp`"),
];

/// The members of a request body, and the mistakes found in them. Members that the endpoint does not read are ignored.
pub struct Fields<'a> {
    members: Map<String, Value>,
    config: &'a Config,
    /// Whether the caller's own password is required.
    requires_password: bool,
    errors: Vec<FieldError>,
    /// The names that were asked for.
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Wraps the members of one body.
    pub fn new(members: Map<String, Value>, config: &'a Config) -> Self {
        Self { members, config, requires_password: false, errors: Vec::new(), asked: Vec::new() }
    }

    /// The same for a caller whose account has a password, or none: whether [`OwnPassword`](super::members::OwnPassword)
    /// is required.
    pub fn of_account(members: Map<String, Value>, config: &'a Config, requires_password: bool) -> Self {
        Self { requires_password, ..Self::new(members, config) }
    }

    /// Reads the body, or returns every mistake in it.
    pub fn read<T: FromFields>(mut self) -> Result<T, Vec<FieldError>> {
        match T::from_fields(&mut self) {
            Some(body) if self.errors.is_empty() => Ok(body),
            _ => Err(self.errors),
        }
    }

    /// Returns the names of the members that a type reads, in the order in which it asks for them. A test compares them
    /// with the type's schema.
    pub fn asked_by<T: FromFields>(config: &'a Config) -> Vec<&'static str> {
        let mut fields = Self::new(Map::new(), config);
        let _ = T::from_fields(&mut fields);
        let mut names = Vec::new();
        for name in fields.asked {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the settings, which hold the rules for phones and passwords.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// Returns whether the caller's own password is required.
    pub fn requires_password(&self) -> bool {
        self.requires_password
    }

    /// Returns whether a member that may be absent is present. `null` counts as absent, and so does an empty text, because
    /// forms and generated clients send one for what was left out.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.get(name).is_some_and(|value| !is_empty(value))
    }

    /// Takes a text, or reports why it is wrong.
    pub fn text<T, E: Display>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let parsed = match self.get(name) {
            None => {
                self.lacks(name, "");
                return None;
            }
            Some(Value::String(text)) => parse(text).map_err(|error| error.to_string()),
            Some(Value::Number(_)) => {
                Err("must be a string, in quotes: a JSON number loses its leading zeros".to_owned())
            }
            Some(_) => Err("must be a string".to_owned()),
        };
        parsed.map_err(|detail| self.refuse(name, &detail)).ok()
    }

    /// Takes `true` or `false`; an absent member is false.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.get(name).filter(|value| !is_empty(value)) {
            None => Some(false),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                self.refuse(name, &"must be true or false");
                None
            }
        }
    }

    /// Reports that a field is missing. `instead` says what else may be sent, or with what the field is required. A code
    /// that was sent by another name is told where it belongs. A message's code may have been sent as `code` also where that
    /// is another one and is read.
    pub fn lacks(&mut self, name: &'static str, instead: &str) {
        let was_sent = |sent: &str| {
            let is_mistaken = name == "otp" || !self.asked.contains(&sent);
            is_mistaken && self.members.get(sent).is_some_and(|value| !value.is_null() && !is_empty(value))
        };
        let mistaken = MISTAKEN.iter().find(|(wanted, sent, _)| *wanted == name && was_sent(sent));
        let hint = mistaken.map(|(.., hint)| format!("; {hint}")).unwrap_or_default();
        self.refuse(name, &format!("is required{instead}{hint}"));
    }

    /// Reports a mistake in a field.
    pub fn refuse(&mut self, name: &str, detail: &dyn Display) {
        self.errors.push(FieldError { pointer: format!("/{name}"), detail: detail.to_string() });
    }

    fn get(&mut self, name: &'static str) -> Option<&Value> {
        self.asked.push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }
}

/// Returns whether a value is an empty text.
fn is_empty(value: &Value) -> bool {
    value.as_str() == Some("")
}
