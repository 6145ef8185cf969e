//! Origins of web pages, and the list of those that may call the API.

use std::str::FromStr;

use super::variables::Variables;

/// The pages that may call the API from another origin: `ALLOWED_ORIGINS`. Empty, no page may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<Pattern>);

impl Origins {
    /// Reads `ALLOWED_ORIGINS`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        Self(read.list("ALLOWED_ORIGINS").unwrap_or_default())
    }

    /// Returns whether no page of another origin may call the API.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether pages of this origin may. The text is a browser's `Origin` header; it is compared byte by byte,
    /// because browsers write an origin in one way only (RFC 6454 section 6.2).
    pub fn allow(&self, origin: &str) -> bool {
        self.0.iter().any(|pattern| pattern.has(origin))
    }

    /// Returns whether a page that is not loaded over HTTPS may call the API.
    pub fn have_http(&self) -> bool {
        self.0.iter().any(Pattern::is_http)
    }
}

/// One element of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// An origin, such as `https://app.example.com`.
    One(String),
    /// Every origin with one label more: `https://*.preview.example.com`, as the part after `*.`.
    Label(String),
    /// Every port of this machine: `http://localhost:*`, as the part before `:*`.
    Port(String),
}

impl Pattern {
    fn has(&self, origin: &str) -> bool {
        match self {
            Self::One(one) => origin == one,
            Self::Label(suffix) => {
                let host = origin.strip_prefix("https://").and_then(|rest| rest.split_once('.'));
                host.is_some_and(|(label, rest)| rest == suffix && is_label(label))
            }
            Self::Port(prefix) => origin.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
            }),
        }
    }

    fn is_http(&self) -> bool {
        matches!(self, Self::One(origin) | Self::Port(origin) if origin.starts_with("http://"))
    }
}

impl FromStr for Pattern {
    type Err = &'static str;

    /// Reads an element, and refuses whatever no browser would send, because it would allow nothing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme @ ("https" | "http"), rest)) = text.split_once("://") else {
            return Err("must list origins, such as https://app.example.com, separated by commas");
        };
        if !text.is_ascii() {
            return Err("must have host names in ASCII, as browsers send them (xn--…)");
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("must be in lower case, as browsers send it");
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err("must list origins: scheme, host and port, without a path and without a slash at the end");
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let is_loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        if scheme == "http" && !is_loopback && host.parse::<std::net::Ipv4Addr>().is_err() {
            return Err("may name http only for localhost or an IPv4 address; all other pages need https");
        }
        match port {
            Some("*") if scheme == "http" && is_loopback => return Ok(Self::Port(format!("{scheme}://{host}"))),
            Some("*") => return Err("may leave the port open only for this machine: http://localhost:*"),
            Some("443") if scheme == "https" => return Err("must not name port 443, which browsers leave out"),
            Some("80") if scheme == "http" => return Err("must not name port 80, which browsers leave out"),
            Some(port) if port.starts_with('0') || port.parse::<u16>().is_err() => {
                return Err("must name a port from 1 to 65535");
            }
            _ => {}
        }
        let labels: Vec<_> = host.strip_prefix("*.").unwrap_or(host).split('.').collect();
        if host != "[::1]" && !labels.iter().all(|label| is_label(label)) {
            return Err("must have a host name in which at most the first label is *, and stands alone");
        }
        if let Some(suffix) = rest.strip_prefix("*.") {
            // A top-level domain is everybody's.
            if scheme != "https" || labels.len() < 2 || labels.iter().all(|label| label.parse::<u8>().is_ok()) {
                return Err("may have * only before a domain of yours: https://*.preview.example.com");
            }
            return Ok(Self::Label(suffix.to_owned()));
        }
        Ok(Self::One(text.to_owned()))
    }
}

/// Returns whether the text is one label of a host name.
fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(list: &str) -> Result<Origins, String> {
        let variables = HashMap::from([("ALLOWED_ORIGINS".to_owned(), list.to_owned())]);
        let mut read = Variables::new(&variables);
        let origins = Origins::read(&mut read);
        read.finish(Some(origins)).map_err(|errors| errors.to_string())
    }

    fn check(list: &str, origin: &str, expected: bool) {
        assert_eq!(read(list).unwrap().allow(origin), expected, "{list}: {origin}");
    }

    #[test]
    fn an_origin_is_itself_and_nothing_like_it() {
        let list = "https://app.example.com, https://xn--bcher-kva.example:8443";
        check(list, "https://app.example.com", true);
        check(list, "https://xn--bcher-kva.example:8443", true);
        for other in [
            "",
            "null",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "https://xapp.example.com",
            "https://APP.example.com",
            "https://app.example.com/",
            "https://xn--bcher-kva.example",
        ] {
            check(list, other, false);
        }
        check("", "https://app.example.com", false);
    }

    #[test]
    fn a_star_is_one_whole_label() {
        let list = "https://*.preview.example.com";
        check(list, "https://pr-17.preview.example.com", true);
        for other in [
            "https://preview.example.com",
            "https://.preview.example.com",
            "https://a.b.preview.example.com",
            "https://evil.example/.preview.example.com",
            "https://x@y.preview.example.com",
            "https://-.preview.example.com",
            "https://*.preview.example.com",
            "https://pr-17.preview.example.com:8443",
            "https://pr-17.preview.example.com.evil.example",
            "http://pr-17.preview.example.com",
            "null",
        ] {
            check(list, other, false);
        }
        check("https://*.preview.example.com:8443", "https://a.preview.example.com:8443", true);
    }

    #[test]
    fn every_port_of_this_machine_can_be_allowed() {
        let list = "http://localhost:*,http://127.0.0.1:*,http://[::1]:*";
        for own in ["http://localhost", "http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:65535"] {
            check(list, own, true);
        }
        for other in [
            "null",
            "https://localhost:5173",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:5173@evil.example",
            "http://localhost:99999",
            "http://127.0.0.10:3000",
            "http://localhost:",
        ] {
            check(list, other, false);
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused_by_name() {
        for (wrong, why) in [
            ("*", "must list origins"),
            ("null", "must list origins"),
            ("app.example.com", "must list origins"),
            ("file://x", "must list origins"),
            ("HTTPS://app.example.com", "must list origins"),
            ("https://app.example.com/", "without a path"),
            ("https://app.example.com/login", "without a path"),
            ("https://app.example.com?x", "without a path"),
            ("https://user@app.example.com", "without a path"),
            ("https://App.example.com", "lower case"),
            ("https://bücher.example", "ASCII"),
            ("http://app.example.com", "http only for localhost"),
            ("http://*.localhost", "http only for localhost"),
            ("https://*", "at most the first label"),
            ("https://*.com", "a domain of yours"),
            ("https://*.0.0.1", "a domain of yours"),
            ("https://a.*.example.com", "at most the first label"),
            ("https://pr-*.example.com", "at most the first label"),
            ("https://*.*.example.com", "at most the first label"),
            ("https://app..example.com", "at most the first label"),
            ("https://app.example.com.", "at most the first label"),
            ("https://", "at most the first label"),
            ("https://app.example.com:443", "port 443"),
            ("http://localhost:80", "port 80"),
            ("https://app.example.com:*", "only for this machine"),
            ("http://192.168.0.7:*", "only for this machine"),
            ("https://app.example.com:0443", "from 1 to 65535"),
            ("https://app.example.com:", "from 1 to 65535"),
            ("https://app.example.com:70000", "from 1 to 65535"),
            ("https://a.example https://b.example", "without a path"),
            ("https://a.example,,https://b.example", "must list origins"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.starts_with("ALLOWED_ORIGINS") && error.contains(why), "{wrong}: {error}");
        }
        assert!(
            read("http://192.168.0.7:5173").unwrap().have_http() && !read("https://a.example").unwrap().have_http()
        );
    }
}
