//! Requests in, responses out: the edge between API Gateway's JSON and the domain.

use std::{collections::HashMap, convert::Infallible, fmt, fmt::Display, net::IpAddr};

pub use http::StatusCode;
pub use http::header;
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::Authority};
use lambda_http::{Body, RequestExt, request::RequestContext};
use serde::{
    Deserialize, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{
    audit::Audit,
    config::Config,
    context::{Context, SourceAddress},
    error::{ApiError, FieldError, Problem, TokenProblem},
    otp::OtpCode,
    password::{NewPassword, Password},
    phone::Phone,
    second_factor::Proof,
    sms::Language,
    time::Timestamp,
};

/// The largest body that is read, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// A request, as far as handlers look at one. Has no `Debug`: it carries passwords and tokens.
pub struct Request {
    method: Method,
    headers: HeaderMap,
    path: String,
    path_parameters: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Takes a request as `lambda_http` read it from API Gateway's event, and its circumstances.
    pub fn from_lambda(request: lambda_http::Request, now: Timestamp) -> (Self, Context) {
        let path_parameters =
            request.path_parameters().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let path = request.raw_http_path().to_owned();
        let (request_id, source, domain) = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => (
                context.request_id.clone().unwrap_or_default(),
                context.http.source_ip.clone().unwrap_or_default(),
                context.domain_name.clone().unwrap_or_default(),
            ),
            _ => Default::default(),
        };
        let (parts, body) = request.into_parts();
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let language = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let context = Context {
            now,
            request_id,
            source: SourceAddress::parse(&source),
            user_agent,
            language: language.and_then(Language::preferred),
            origin: origin(&domain),
            audit: Audit::default(),
        };
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            _ => Vec::new(),
        };
        (Self { method: parts.method, headers: parts.headers, path, path_parameters, body }, context)
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A parameter of the route's path, such as `id` in `/auth/sessions/{id}`.
    pub fn path_parameter(&self, name: &str) -> Option<&str> {
        self.path_parameters.get(name).map(String::as_str)
    }

    /// A header's value, when it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token (RFC 6750 section 2.1); the scheme in any case. Tokens anywhere else are not looked for.
    pub fn bearer_token(&self) -> Result<&str, ApiError> {
        bearer_token(self.header(header::AUTHORIZATION))
    }

    /// Reads the body into a type that is valid when it exists.
    pub fn read<T: FromFields>(&self, config: &Config) -> Result<T, ApiError> {
        let mut fields = Fields { members: self.json_object()?, config, errors: Vec::new() };
        match T::from_fields(&mut fields) {
            Some(body) if fields.errors.is_empty() => Ok(body),
            _ => Err(ApiError::InvalidRequest(fields.errors)),
        }
    }

    fn json_object(&self) -> Result<Map<String, Value>, ApiError> {
        if self.body.len() > MAX_BODY {
            return Err(ApiError::BodyTooLarge);
        }
        let content_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        // A body that is packed would only look broken.
        let is_packed = self.headers.contains_key(header::CONTENT_ENCODING);
        if is_packed || !media_type.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::UnsupportedMediaType);
        }
        // What serde_json says of a value may repeat it; only where it stopped is told.
        let malformed = |error: serde_json::Error| {
            ApiError::MalformedRequest(match error.classify() {
                serde_json::error::Category::Data => "no member may occur twice".to_owned(),
                _ if self.body.trim_ascii().is_empty() => "the body is empty".to_owned(),
                _ => format!("it cannot be read from line {} column {} on", error.line(), error.column()),
            })
        };
        if self.body.trim_ascii_start().first() == Some(&b'{') {
            let UniqueMembers(members) = serde_json::from_slice(&self.body).map_err(malformed)?;
            Ok(members)
        } else {
            serde_json::from_slice::<IgnoredAny>(&self.body).map_err(malformed)?;
            Err(ApiError::invalid_field("", &"must be a JSON object"))
        }
    }
}

/// The bearer token in the value of an `Authorization` header.
pub fn bearer_token(authorization: Option<&str>) -> Result<&str, ApiError> {
    match authorization.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ => Err(ApiError::InvalidToken(TokenProblem::Missing)),
    }
}

/// The address of an API by its domain name. API Gateway serves HTTPS only, and has a name; what has a bare address
/// instead, or is this machine, is the dev server or SAM's, which serve HTTP.
fn origin(domain: &str) -> String {
    let host = domain.parse::<Authority>().map(|authority| authority.host().to_owned()).unwrap_or_default();
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let scheme = if is_address || host == "localhost" { "http" } else { "https" };
    format!("{scheme}://{domain}")
}

/// A JSON object no member of which occurs twice: which of two counts would be a guess.
struct UniqueMembers(Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueMembers, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member occurs twice"));
                    }
                }
                Ok(UniqueMembers(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

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

impl Fields<'_> {
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

/// An answer. Has no `Debug`: it carries tokens.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Response {
    /// An answer without a body.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None, Body::Empty)
    }

    /// An answer in JSON.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::serialized(status, "application/json", body)
    }

    /// A file, with its media type.
    pub fn file(content_type: &'static str, body: Vec<u8>) -> Self {
        match String::from_utf8(body) {
            Ok(text) => Self::new(StatusCode::OK, Some(content_type), Body::Text(text)),
            Err(error) => Self::new(StatusCode::OK, Some(content_type), Body::Binary(error.into_bytes())),
        }
    }

    /// A problem (RFC 9457).
    pub(crate) fn problem(status: StatusCode, problem: &Problem) -> Self {
        Self::serialized(status, "application/problem+json", problem)
    }

    fn serialized(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(text) => Self::new(status, Some(content_type), Body::Text(text)),
            // Our answers are structs of strings and numbers, which always serialise.
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, None, Body::Empty),
        }
    }

    fn new(status: StatusCode, content_type: Option<&'static str>, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        // Whoever allows caching says so with `with_header`.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        Self { status, headers, body }
    }

    /// The answer with this header, instead of any other of its name. A value that HTTP does not allow is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// As `lambda_http` sends it.
    pub fn into_lambda(self) -> http::Response<Body> {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(content_type: &str, body: &[u8]) -> Request {
        let headers = [(header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        Request {
            method: Method::POST,
            headers,
            path: "/".to_owned(),
            path_parameters: HashMap::new(),
            body: body.to_vec(),
        }
    }

    fn check(body: &[u8], expected: Result<(), &str>) {
        let read = request("application/json", body).json_object();
        assert_eq!(read.map(|_| ()).map_err(|error| error.code()), expected, "{}", String::from_utf8_lossy(body));
    }

    #[test]
    fn only_one_json_object_of_bounded_size_is_read() {
        check(br#"{"a": 1}"#, Ok(()));
        check(b"", Err("malformed-request"));
        check(b" \n", Err("malformed-request"));
        check(b"{", Err("malformed-request"));
        check(b"{} {}", Err("malformed-request"));
        check(br#"{"a": 1, "a": 2}"#, Err("malformed-request"));
        check(b"\xff\xfe", Err("malformed-request"));
        check(br#"{"a": "\xff"}"#, Err("malformed-request"));
        check("[".repeat(5000).as_bytes(), Err("malformed-request"));
        check(format!("{{\"a\": {}", "[".repeat(5000)).as_bytes(), Err("malformed-request"));
        check(b"[]", Err("invalid-request"));
        check(b"\"text\"", Err("invalid-request"));
        check(b"null", Err("invalid-request"));
        check(" ".repeat(MAX_BODY + 1).as_bytes(), Err("body-too-large"));
    }

    #[test]
    fn only_json_is_read_with_whatever_parameters() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/jsonp", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(request(content_type, b"{}").json_object().is_ok(), expected, "{content_type}");
        }
    }

    #[test]
    fn the_bearer_scheme_is_read_in_any_case_and_nothing_else_is() {
        let with = |value: &str| {
            let mut request = request("application/json", b"");
            request.headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            request.bearer_token().ok().map(str::to_owned)
        };
        assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(with("bEARER abc").as_deref(), Some("abc"));
        assert_eq!(with("abc"), None);
        assert_eq!(with("Basic abc"), None);
    }

    #[test]
    fn an_api_is_on_https_unless_it_is_on_this_machine() {
        assert_eq!(
            origin("abc.execute-api.eu-west-1.amazonaws.com"),
            "https://abc.execute-api.eu-west-1.amazonaws.com"
        );
        assert_eq!(origin("127.0.0.1:8000"), "http://127.0.0.1:8000");
        assert_eq!(origin("localhost"), "http://localhost");
        assert_eq!(origin("[::1]:8000"), "http://[::1]:8000");
        assert_eq!(origin("192.168.0.7:8000"), "http://192.168.0.7:8000");
        assert_eq!(origin("localhost.example.com"), "https://localhost.example.com");
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused_but_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = request("application/json", &body).json_object();
        }
    }
}
