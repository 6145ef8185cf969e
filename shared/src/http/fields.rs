//! The members of a request's body, read into domain types.

use std::{convert::Infallible, fmt::Display};

use serde_json::{Map, Value};

use crate::{
    config::Config,
    domain::{
        otp::OtpCode,
        password::{NewPassword, Password},
        phone::Phone,
        proof::Proof,
    },
    error::FieldError,
};

/// A request body made of domain types.
pub trait FromFields: Sized {
    /// Takes its fields. Each is taken before the first `?`, so that every mistake is reported and not only the first.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The members of a request body, and what was found wrong with them. Members that nobody asks for are ignored.
pub struct Fields<'a> {
    members: Map<String, Value>,
    config: &'a Config,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// The members of one body.
    pub(super) fn new(members: Map<String, Value>, config: &'a Config) -> Self {
        Self { members, config, errors: Vec::new() }
    }

    /// Reads them all; or says of each that is wrong, how.
    pub(super) fn read<T: FromFields>(mut self) -> Result<T, Vec<FieldError>> {
        match T::from_fields(&mut self) {
            Some(body) if self.errors.is_empty() => Ok(body),
            _ => Err(self.errors),
        }
    }

    /// A phone number, by `PHONE_*`.
    pub fn phone(&mut self, name: &str) -> Option<Phone> {
        let rules = &self.config.phones;
        self.take(name, |text| rules.parse(text))
    }

    /// A password that somebody has.
    pub fn password(&mut self, name: &str) -> Option<Password> {
        self.take(name, Password::parse)
    }

    /// A password that somebody wants to take, by `PASSWORD_*`.
    pub fn new_password(&mut self, name: &str) -> Option<NewPassword> {
        let rules = self.config.passwords;
        self.take(name, |text| rules.parse(text))
    }

    /// A one-time code.
    pub fn otp(&mut self, name: &str) -> Option<OtpCode> {
        self.take(name, str::parse)
    }

    /// What shows a second factor, in `code` or `recovery_code`, if anything is there.
    pub fn proof(&mut self) -> Option<Proof> {
        match (self.has("code"), self.has("recovery_code")) {
            (true, false) => self.otp("code").map(Proof::Totp),
            (false, true) => self.take("recovery_code", str::parse).map(Proof::Recovery),
            (true, true) => {
                self.refuse("recovery_code", &"must not be there along with `code`");
                None
            }
            (false, false) => None,
        }
    }

    /// The same, where it has to be there.
    pub fn required_proof(&mut self) -> Option<Proof> {
        if !self.has("code") && !self.has("recovery_code") {
            self.refuse("code", &"is required, or `recovery_code` in its place");
        }
        self.proof()
    }

    /// A text that is judged later.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, |text| Ok::<_, Infallible>(text.to_owned()))
    }

    /// Says that a field is wrong.
    pub fn refuse(&mut self, name: &str, detail: &dyn Display) {
        self.errors.push(FieldError { pointer: format!("/{name}"), detail: detail.to_string() });
    }

    fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    fn take<T, E: Display>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let parsed = match self.members.get(name) {
            None | Some(Value::Null) => Err("is required".to_owned()),
            Some(Value::String(text)) => parse(text).map_err(|error| error.to_string()),
            Some(_) => Err("must be a string".to_owned()),
        };
        parsed.map_err(|detail| self.refuse(name, &detail)).ok()
    }
}
