//! HTTP requests as API Gateway passes them to a function: payload format 2.0.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{header, request::Parts};
use latchkey::base::time::Timestamp;
use serde_json::{Value, json};

/// The facts that API Gateway adds to a request.
pub(crate) struct Arrival<'a> {
    pub(crate) route_key: &'a str,
    pub(crate) path_parameters: BTreeMap<&'a str, &'a str>,
    pub(crate) domain_name: &'a str,
    pub(crate) source_ip: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) now: Timestamp,
}

/// Returns the event of a request. A body that is not text is encoded in base64.
pub(crate) fn of(parts: &Parts, body: &[u8], arrival: &Arrival<'_>) -> Value {
    // API Gateway writes header names in lower case, joins several values by commas, and lists cookies separately.
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == header::COOKIE {
            cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
        } else {
            headers.entry(name.as_str()).and_modify(|all| *all = format!("{all},{value}")).or_insert(value);
        }
    }
    if !arrival.domain_name.is_empty() {
        headers.insert("host", arrival.domain_name.to_owned());
    }

    let path = parts.uri.path();
    let (body, is_base64) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (BASE64_STANDARD.encode(body), true),
    };
    json!({
        "version": "2.0",
        "routeKey": arrival.route_key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "cookies": cookies,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": arrival.domain_name,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": arrival.source_ip,
                "userAgent": headers.get("user-agent").map(String::as_str).unwrap_or_default(),
            },
            "requestId": arrival.request_id,
            "routeKey": arrival.route_key,
            "stage": "$default",
            "time": arrival.now.to_rfc3339(),
            "timeEpoch": arrival.now.unix_millis(),
        },
        "pathParameters": arrival.path_parameters,
        "body": body,
        "isBase64Encoded": is_base64,
    })
}
