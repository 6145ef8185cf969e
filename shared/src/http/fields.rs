//! The members of a request's body, read into domain types.

use std::{convert::Infallible, fmt::Display, str::FromStr};

use serde_json::{Map, Value};

use crate::{
    config::Config,
    domain::{
        otp::{InvalidOtpCode, OtpCode},
        password::{NewPassword, Password},
        phone::Phone,
        proof::Proof,
        recovery_code::{InvalidRecoveryCode, RecoveryCode},
    },
    error::FieldError,
};

/// A request body made of domain types.
pub trait FromFields: Sized {
    /// Takes the fields of the body. An implementation takes every field before its first `?`, so that every mistake is
    /// reported and not only the first.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The members of a request body, and the mistakes found in them. Members that the endpoint does not read are ignored.
pub struct Fields<'a> {
    members: Map<String, Value>,
    config: &'a Config,
    /// Whether the caller's account has a password.
    has_password: bool,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Wraps the members of one body.
    pub(super) fn new(members: Map<String, Value>, config: &'a Config) -> Self {
        Self::of_account(members, config, true)
    }

    /// Wraps the members of a body by which a caller proves again who they are.
    pub(super) fn of_account(members: Map<String, Value>, config: &'a Config, has_password: bool) -> Self {
        Self { members, config, has_password, errors: Vec::new() }
    }

    /// Reads the body, or returns every mistake in it.
    pub(super) fn read<T: FromFields>(mut self) -> Result<T, Vec<FieldError>> {
        match T::from_fields(&mut self) {
            Some(body) if self.errors.is_empty() => Ok(body),
            _ => Err(self.errors),
        }
    }

    /// Takes a phone number, by the rules of `PHONE_*`.
    pub fn phone(&mut self, name: &str) -> Option<Phone> {
        let rules = &self.config.phones;
        self.take(name, |text| rules.parse(text))
    }

    /// Takes a phone number that is only looked up, whether or not the rules of `PHONE_*` would accept it today.
    pub fn known_phone(&mut self, name: &str) -> Option<Phone> {
        let rules = &self.config.phones;
        self.take(name, |text| rules.look_up(text))
    }

    /// Takes a password that is compared with a stored one; the rules of `PASSWORD_*` do not apply to it.
    pub fn password(&mut self, name: &str) -> Option<Password> {
        self.take(name, Password::parse)
    }

    /// Takes the caller's password again, which is required if the account has one.
    pub fn password_again(&mut self, name: &str) -> Option<Option<Password>> {
        if self.has_password || self.has(name) { self.password(name).map(Some) } else { Some(None) }
    }

    /// Takes a new password, by the rules of `PASSWORD_*`.
    pub fn new_password(&mut self, name: &str) -> Option<NewPassword> {
        let rules = &self.config.passwords;
        self.take(name, |text| rules.parse(text))
    }

    /// Takes a one-time code, or a TOTP code: both are six digits.
    pub fn otp(&mut self, name: &str) -> Option<OtpCode> {
        self.take(name, str::parse)
    }

    /// Takes the proof of a second factor from `code` or `recovery_code`, if one of them is present.
    pub fn proof(&mut self) -> Option<Proof> {
        match (self.has("code"), self.has("recovery_code")) {
            (true, false) => self.take("code", totp).map(Proof::Totp),
            (false, true) => self.take("recovery_code", recovery_code).map(Proof::Recovery),
            (true, true) => {
                self.refuse("recovery_code", &"must not be sent together with `code`");
                None
            }
            (false, false) => None,
        }
    }

    /// Takes the proof of a second factor; reports a mistake if it is absent.
    pub fn required_proof(&mut self) -> Option<Proof> {
        if !self.has("code") && !self.has("recovery_code") {
            self.refuse("code", &"is required, or `recovery_code` instead");
        }
        self.proof()
    }

    /// Takes a text that the endpoint checks later.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, |text| Ok::<_, Infallible>(text.to_owned()))
    }

    /// Reads a text that may be missing.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        if self.has(name) { self.take(name, str::parse) } else { None }
    }

    /// Reads `true` or `false`; a missing value is false.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.members.get(name) {
            None | Some(Value::Null) => Some(false),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                self.refuse(name, &"must be true or false");
                None
            }
        }
    }

    /// Reports a mistake in a field.
    pub fn refuse(&mut self, name: &str, detail: &dyn Display) {
        self.errors.push(FieldError { pointer: format!("/{name}"), detail: detail.to_string() });
    }

    /// Returns whether the body has this member, with a value.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    fn take<T, E: Display>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let parsed = match self.members.get(name) {
            None | Some(Value::Null) => Err("is required".to_owned()),
            Some(Value::String(text)) => parse(text).map_err(|error| error.to_string()),
            Some(Value::Number(_)) => {
                Err("must be a string, in quotes: a JSON number loses its leading zeros".to_owned())
            }
            Some(_) => Err("must be a string".to_owned()),
        };
        parsed.map_err(|detail| self.refuse(name, &detail)).ok()
    }
}

/// Reads a TOTP code. A recovery code in its place is told from a typing mistake.
fn totp(typed: &str) -> Result<OtpCode, String> {
    typed.parse().map_err(|error: InvalidOtpCode| match typed.parse::<RecoveryCode>() {
        Ok(_) => "is a recovery code: send it as `recovery_code`".to_owned(),
        Err(_) => error.to_string(),
    })
}

/// Reads a recovery code. A TOTP code in its place is told from a typing mistake.
fn recovery_code(typed: &str) -> Result<RecoveryCode, String> {
    typed.parse().map_err(|error: InvalidRecoveryCode| match typed.parse::<OtpCode>() {
        Ok(_) => "is a code of an authenticator: send it as `code`".to_owned(),
        Err(_) => error.to_string(),
    })
}
