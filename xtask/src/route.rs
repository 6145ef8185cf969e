//! Routes, and how functions are named after them.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// A method and a path: `POST /auth/x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// Why a text is not the route of an endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("`{0}` is not a route: write a method and a path, as in \"POST /auth/x\"")]
    NotARoute(String),
    #[error("`{0}` is not a method: choose GET, POST, PUT, PATCH or DELETE, in capitals")]
    UnknownMethod(String),
    #[error("`{0}` is not below /auth/")]
    Elsewhere(String),
    #[error(
        "`{part}` in {path} is not allowed: a part of a path has lower-case letters, digits and single hyphens and begins \
         with a letter, or is a parameter, as in {{session_id}}"
    )]
    BadPart { path: String, part: String },
    #[error("{0} has no word after /auth/ that names its endpoint")]
    Nameless(String),
    #[error("the parameter {{{0}}} needs another name: this one is reserved, or used twice")]
    BadParameter(String),
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Names that Rust or cargo reserves, and `user`, which is a field of every new response.
const RESERVED: &str = "abstract alloc as async await become box break build const continue core crate deps do dyn else \
     enum examples extern false final fn for gen if impl in incremental let loop macro match mod move mut override priv \
     proc_macro pub ref return self static std struct super test trait true try type typeof unsafe unsized use user \
     virtual where while yield";

/// Returns whether no package or field can have this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.split_whitespace().any(|reserved| reserved == name)
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let not_a_route = || RouteError::NotARoute(text.to_owned());
        let (method, path) = text.split_once(' ').ok_or_else(not_a_route)?;
        if !METHODS.contains(&method) {
            return Err(RouteError::UnknownMethod(method.to_owned()));
        }
        let parts = path.strip_prefix("/auth/").ok_or_else(|| RouteError::Elsewhere(path.to_owned()))?;
        let is_good = |part: &&str| is_word(part) || parameter(part).is_some_and(is_field);
        if let Some(part) = parts.split('/').find(|part| !is_good(part)) {
            return Err(RouteError::BadPart { path: path.to_owned(), part: part.to_owned() });
        }
        if !parts.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(RouteError::Nameless(path.to_owned()));
        }
        let route = Self { method: method.to_owned(), path: path.to_owned() };
        let mut seen = BTreeSet::new();
        if let Some(name) = route.parameters().find(|name| is_reserved(name) || !seen.insert(*name)) {
            return Err(RouteError::BadParameter(name.to_owned()));
        }
        Ok(route)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Route {
    /// Lists the names of the parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(parameter)
    }

    /// Replaces each parameter of the path, by its name.
    pub(crate) fn path_with(&self, replace: impl Fn(&str) -> String) -> String {
        let parts = self.path.split('/').map(|part| parameter(part).map_or_else(|| part.to_owned(), &replace));
        parts.collect::<Vec<_>>().join("/")
    }

    /// Lists the parts of the path below `/auth/`, without parameters.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.path.trim_start_matches("/auth/").split('/').filter(|part| parameter(part).is_none())
    }

    /// Names the function: the path without `/auth/` and parameters, `/` turned into `-`. A second method on the same words
    /// appends its verb.
    pub(crate) fn name(&self, is_second: bool) -> String {
        let mut words: Vec<_> = self.words().map(str::to_owned).collect();
        if is_second {
            words.push(self.method.to_lowercase());
        }
        words.join("-")
    }

    /// Returns whether two paths are equal up to a parameter and differ in its name: routers refuse such a pair.
    pub(crate) fn renames_a_parameter_of(&self, other: &Self) -> bool {
        let first = self.path.split('/').zip(other.path.split('/')).find(|(one, other)| one != other);
        first.is_some_and(|(one, other)| parameter(one).is_some() && parameter(other).is_some())
    }

    /// Counts the parts that two paths have in common, from the left.
    pub(crate) fn parts_in_common(&self, other: &Self) -> usize {
        self.path.split('/').zip(other.path.split('/')).take_while(|(one, other)| one == other).count()
    }
}

/// Returns the name in `{name}`.
fn parameter(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn is_word(part: &str) -> bool {
    let is_run = |run: &str| !run.is_empty() && run.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    part.starts_with(|c: char| c.is_ascii_lowercase()) && part.split('-').all(is_run)
}

fn is_field(name: &str) -> bool {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Route {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_name_is_the_path_without_auth_and_parameters_with_hyphens() {
        for (text, name, second) in [
            ("POST /auth/x", "x", "x-post"),
            ("POST /auth/logout", "logout", "logout-post"),
            ("DELETE /auth/me", "me", "me-delete"),
            ("DELETE /auth/sessions/{id}", "sessions", "sessions-delete"),
            ("GET /auth/devices/{device_id}/keys/{key}", "devices-keys", "devices-keys-get"),
            ("PUT /auth/mfa/recovery-codes", "mfa-recovery-codes", "mfa-recovery-codes-put"),
        ] {
            assert_eq!((route(text).name(false).as_str(), route(text).name(true).as_str()), (name, second));
        }
    }

    #[test]
    fn a_text_that_is_not_a_route_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "is not a route"),
            ("/auth/x", "is not a route"),
            ("post /auth/x", "is not a method"),
            ("FETCH /auth/x", "is not a method"),
            ("HEAD /auth/x", "is not a method"),
            ("POST auth/x", "is not below /auth/"),
            ("POST /x", "is not below /auth/"),
            ("POST /auth", "is not below /auth/"),
            ("POST  /auth/x", "is not below /auth/"),
            ("POST /auth/", "`` in /auth/"),
            ("POST /auth/x/", "`` in /auth/x/"),
            ("POST /auth//x", "`` in /auth//x"),
            ("POST /auth/X", "`X` in /auth/X"),
            ("POST /auth/x_y", "`x_y` in"),
            ("POST /auth/x--y", "`x--y` in"),
            ("POST /auth/-x", "`-x` in"),
            ("POST /auth/2fa", "`2fa` in"),
            ("POST /auth/../x", "`..` in"),
            ("POST /auth/x y", "`x y` in"),
            ("POST /auth/x?y=1", "`x?y=1` in"),
            ("GET /auth/x/{rest+}", "`{rest+}` in"),
            ("GET /auth/x/{}", "`{}` in"),
            ("GET /auth/{id}", "has no word"),
            ("GET /auth/{id}/x", "has no word"),
            ("GET /auth/x/{type}", "{type} needs another name"),
            ("GET /auth/x/{id}/y/{id}", "{id} needs another name"),
        ] {
            let error = text.parse::<Route>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
