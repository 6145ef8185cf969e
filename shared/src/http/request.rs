//! Requests, as handlers read them.

use std::{collections::HashMap, fmt, net::IpAddr};

use http::{HeaderMap, HeaderName, Method, header, uri::Authority};
use lambda_http::{Body, RequestExt, request::RequestContext};
use serde::{
    Deserialize,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    context::{Context, ShownProofs, SourceAddress},
    cors::Page,
    fields::{Fields, FromFields},
};
use crate::{
    base::{front::Edge, time::Timestamp},
    config::Config,
    error::{ApiError, TokenProblem},
    log::audit::Audit,
    messages::Language,
};

/// The size of the largest body that is accepted, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// Why a body without content cannot be read.
const EMPTY: &str = "it is empty; send one JSON object";

/// Why a body with two values of a member cannot be read, be it JSON or a form.
const TWICE: &str = "a member occurs twice; send each once";

/// The parts of a request that handlers read. It has no `Debug`, because it carries passwords and tokens.
pub struct Request {
    method: Method,
    headers: HeaderMap,
    path: String,
    path_parameters: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Converts a request that `lambda_http` read from API Gateway's event, and returns its circumstances with it.
    /// The edge tells the client's address, and which pages may read the response.
    pub fn from_lambda(request: lambda_http::Request, now: Timestamp, edge: &Edge) -> (Self, Context) {
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
        let told = edge.front.client_address(&parts.headers);
        let context = Context {
            now,
            request_id,
            source: SourceAddress::parse(told.ok().flatten().unwrap_or(&source)),
            is_past_front: told.is_err(),
            user_agent,
            language: language.and_then(Language::preferred),
            url: url(&domain, parts.headers.get(header::HOST).and_then(|host| host.to_str().ok())),
            proofs: ShownProofs::read(&parts.headers),
            page: Page::judge(&parts.headers, &edge.origins),
            audit: Audit::default(),
        };
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            _ => Vec::new(),
        };
        (Self { method: parts.method, headers: parts.headers, path, path_parameters, body }, context)
    }

    /// Returns the HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns a parameter of the route's path, such as `id` in `/auth/sessions/{id}`.
    pub fn path_parameter(&self, name: &str) -> Option<&str> {
        self.path_parameters.get(name).map(String::as_str)
    }

    /// Returns the value of a header, if it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the bearer token of `Authorization` (RFC 6750 section 2.1), whatever the case of the scheme. Tokens
    /// elsewhere in the request are ignored.
    pub fn bearer_token(&self) -> Result<&str, ApiError> {
        bearer_token(self.header(header::AUTHORIZATION))
    }

    /// Returns whether the request has a body.
    pub fn has_body(&self) -> bool {
        !self.body.trim_ascii().is_empty()
    }

    /// Reads the body into a type that holds only valid values.
    pub fn read<T: FromFields>(&self, config: &Config) -> Result<T, ApiError> {
        Fields::new(self.json_object()?, config).read().map_err(ApiError::InvalidRequest)
    }

    /// Reads the body like [`Self::read`], and also a form, where a standard of OAuth asks for it.
    pub fn read_form<T: FromFields>(&self, config: &Config) -> Result<T, ApiError> {
        let members = if self
            .has_content_type(|media_type| media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        {
            self.form_members()?
        } else {
            self.json_object()?
        };
        Fields::new(members, config).read().map_err(ApiError::InvalidRequest)
    }

    /// Reads the body of a request that asks signed-in callers to prove who they are again: the password is required if
    /// the account has one. Without one, an absent body counts as `{}`.
    pub fn read_again<T: FromFields>(&self, config: &Config, has_password: bool) -> Result<T, ApiError> {
        let members = if has_password || self.has_body() { self.json_object()? } else { Map::new() };
        Fields::of_account(members, config, has_password).read().map_err(ApiError::InvalidRequest)
    }

    fn json_object(&self) -> Result<Map<String, Value>, ApiError> {
        let body = self.bounded_body()?;
        if !self.has_content_type(is_json) {
            return Err(ApiError::UnsupportedMediaType);
        }
        // The mark that some editors and proxies put in front of UTF-8; a parser may ignore it (RFC 8259 section 8.1).
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        // An error of serde_json may repeat a value, so the client learns only the position.
        let malformed = |error: serde_json::Error| {
            ApiError::MalformedRequest(match error.classify() {
                serde_json::error::Category::Data => TWICE.to_owned(),
                _ if body.trim_ascii().is_empty() => EMPTY.to_owned(),
                _ => {
                    let (line, column) = (error.line(), error.column());
                    format!("parsing stopped at line {line}, column {column}; send one JSON object")
                }
            })
        };
        match serde_json::from_slice(body).map_err(malformed)? {
            Unique(Value::Object(members)) => Ok(members),
            Unique(_) => Err(ApiError::invalid_field("", &"the body must be a JSON object")),
        }
    }

    /// Returns the members of a form. One without a value counts as omitted, and none may occur twice (RFC 6749 section
    /// 3.1).
    fn form_members(&self) -> Result<Map<String, Value>, ApiError> {
        let mut members = Map::new();
        for (name, value) in form_urlencoded::parse(self.bounded_body()?) {
            if members.insert(name.into_owned(), value.into_owned().into()).is_some() {
                return Err(ApiError::MalformedRequest(TWICE.to_owned()));
            }
        }
        members.retain(|_, value| value != "");
        Ok(members)
    }

    /// Returns the body, unless it is empty, too long or compressed.
    fn bounded_body(&self) -> Result<&[u8], ApiError> {
        if self.body.len() > MAX_BODY {
            return Err(ApiError::BodyTooLarge);
        }
        // What is missing is the body, whatever the headers say.
        if self.body.is_empty() {
            return Err(ApiError::MalformedRequest(EMPTY.to_owned()));
        }
        // A compressed body is refused by its header, because its bytes would look like broken JSON. `identity` means
        // that nothing was done to it (RFC 9110 section 8.4.1).
        let is_packed = self.list(header::CONTENT_ENCODING).any(|coding| !coding.eq_ignore_ascii_case("identity"));
        if is_packed { Err(ApiError::UnsupportedMediaType) } else { Ok(&self.body) }
    }

    /// Returns whether `Content-Type` is as expected. Some clients and proxies send it twice, which API Gateway joins by a
    /// comma: then all of them have to be.
    fn has_content_type(&self, is_expected: fn(&str) -> bool) -> bool {
        let mut content_types = self.list(header::CONTENT_TYPE).peekable();
        content_types.peek().is_some()
            && content_types
                .all(|content_type| is_expected(content_type.split(';').next().unwrap_or_default().trim_end()))
    }

    /// Returns the elements of a header that is a list, from all its lines. Empty ones are left out (RFC 9110 section
    /// 5.6.1).
    fn list(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        let lines = self.headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or("not text"));
        lines.flat_map(elements).map(str::trim).filter(|element| !element.is_empty())
    }
}

/// Splits a list at its commas, but not at those in a quoted string (RFC 9110 section 5.6.4).
fn elements(line: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(move |c: char| {
        let is_literal = std::mem::take(&mut is_escaped);
        match c {
            _ if is_literal => false,
            '\\' if is_quoted => {
                is_escaped = true;
                false
            }
            '"' => {
                is_quoted = !is_quoted;
                false
            }
            c => c == ',' && !is_quoted,
        }
    })
}

/// Returns the bearer token in the value of an `Authorization` header.
pub fn bearer_token(authorization: Option<&str>) -> Result<&str, ApiError> {
    match authorization.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ => Err(ApiError::InvalidToken(TokenProblem::Missing)),
    }
}

/// Returns the URL of an API by its domain name; none without one. API Gateway serves only HTTPS, and under a name. The dev
/// server and SAM's serve HTTP, under `localhost` or a bare address.
fn url(domain: &str, host: Option<&str>) -> Option<String> {
    let authority = domain.parse::<Authority>().ok()?;
    let is_address = authority.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let scheme = if is_address || authority.host() == "localhost" { "http" } else { "https" };
    // `sam local` and `cargo lambda watch` leave the port out of the name. API Gateway has no such name, so that no
    // header of a client has a say in the issuer there.
    let port = host.filter(|_| domain == "localhost").and_then(|host| host.parse::<Authority>().ok()?.port_u16());
    Some(format!("{scheme}://{domain}{}", port.map(|port| format!(":{port}")).unwrap_or_default()))
}

/// A JSON value in which no object, however deep, has a member twice, because choosing between two would be a guess.
/// `serde_json` limits the depth.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueMembers).map(Self)
    }
}

struct UniqueMembers;

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unique(value))) = access.next_entry::<String, Unique>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a member occurs twice"));
            }
        }
        Ok(members.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Unique(value)) = access.next_element()? {
            elements.push(value);
        }
        Ok(elements.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// Returns whether a media type is JSON: `application/json`, or another application's type in its syntax (`+json`, RFC 6839
/// section 3.1). A page of another origin can send neither without asking first.
fn is_json(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    let Some(subtype) = media_type.strip_prefix("application/") else { return false };
    let name = subtype.strip_suffix("+json").unwrap_or_default();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
    subtype == "json" || (!name.is_empty() && name.bytes().all(is_name))
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
        check(br#"{"a": {"b": 1, "b": 2}}"#, Err("malformed-request"));
        check(br#"{"a": [[{"b": 1, "\u0062": 1}]]}"#, Err("malformed-request"));
        check(br#"{"a": [{"b": 1}, {"b": 2}], "b": {"a": null}}"#, Ok(()));
        check(br#"[{"a": 1, "a": 2}]"#, Err("malformed-request"));
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
            ("application/vnd.api+json", true),
            ("Application/LD+JSON;profile=x", true),
            ("application/ld+json; profile=\"http://x/y,z\"", true),
            ("application/ld+json; profile=\"a\\\"b,c\", application/json", true),
            ("application/json; a=\"b,c\", text/plain", false),
            ("application/json; a=b\\\",\", text/plain", false),
            ("text/plain; a=\", application/json", false),
            ("application/jsonp", false),
            ("application/+json", false),
            ("application/json+xml", false),
            ("application/x y+json", false),
            ("text/vnd.api+json", false),
            ("text/plain+json", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(request(content_type, b"{}").json_object().is_ok(), expected, "{content_type}");
        }
    }

    #[test]
    fn a_form_is_read_only_where_it_is_asked_for() {
        let form = |body: &str| {
            let form = request("application/x-www-form-urlencoded; charset=UTF-8", body.as_bytes()).form_members();
            form.map(|members| Value::from(members).to_string()).map_err(|error| error.code())
        };
        assert_eq!(form("a=1&b=x+y%2B%C3%BC&c=&=&d").as_deref(), Ok(r#"{"a":"1","b":"x y+ü"}"#));
        assert_eq!(form("a=1&a=1"), Err("malformed-request"));
        assert_eq!(form("a=&a=1"), Err("malformed-request"));
        assert_eq!(form("a&%61=1"), Err("malformed-request"));
        assert_eq!(form(""), Err("malformed-request"));
        assert_eq!(form(&"a".repeat(MAX_BODY + 1)), Err("body-too-large"));
        assert_eq!(form("%FF=%00%").as_deref(), Ok("{\"\u{fffd}\":\"\\u0000%\"}"));
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
        for (domain, host, expected) in [
            ("abc.example.com", "abc.example.com", Some("https://abc.example.com")),
            ("abc.example.com", "evil.example:81", Some("https://abc.example.com")),
            ("127.0.0.1:8000", "127.0.0.1:8000", Some("http://127.0.0.1:8000")),
            ("[::1]:8000", "[::1]:8000", Some("http://[::1]:8000")),
            ("192.168.0.7:8000", "192.168.0.7:8000", Some("http://192.168.0.7:8000")),
            ("localhost.example.com", "localhost", Some("https://localhost.example.com")),
            ("localhost", "127.0.0.1:3000", Some("http://localhost:3000")),
            ("localhost", "localhost", Some("http://localhost")),
            ("localhost", "not a host", Some("http://localhost")),
            ("localhost:8000", "localhost:9000", Some("http://localhost:8000")),
            ("", "evil.example", None),
            ("not a domain", "evil.example", None),
        ] {
            assert_eq!(url(domain, Some(host)).as_deref(), expected, "{domain} {host}");
        }
        assert_eq!(url("localhost", None).as_deref(), Some("http://localhost"));
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused_but_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = request("application/json", &body).json_object();
        }
    }
}
