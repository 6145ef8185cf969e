//! Names of clients that people understand, from the header `User-Agent`.

/// Returns the client's browser and system, such as "Firefox on Mac", by the words in its `User-Agent`. A client with
/// neither a known browser nor a known system keeps the first name in its `User-Agent`.
pub fn in_words(user_agent: Option<&str>) -> String {
    let Some(user_agent) = user_agent.map(str::trim).filter(|text| !text.is_empty()) else {
        return "Unknown device".to_owned();
    };
    // The more specific words come first: Edge and Opera also name Chrome, Chrome names Safari, and Android names
    // Linux.
    let browser = first(
        user_agent,
        &[
            ("Edg", "Edge"),
            ("OPR/", "Opera"),
            ("SamsungBrowser", "Samsung Internet"),
            ("Firefox/", "Firefox"),
            ("FxiOS", "Firefox"),
            ("CriOS", "Chrome"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
        ],
    );
    let system = first(
        user_agent,
        &[
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Android", "Android"),
            ("Windows", "Windows"),
            ("Macintosh", "Mac"),
            ("CrOS", "ChromeOS"),
            ("Linux", "Linux"),
        ],
    );
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => match user_agent.split(['/', ' ']).next() {
            Some(name) if !name.is_empty() => name.chars().take(40).collect(),
            _ => "Unknown device".to_owned(),
        },
    }
}

fn first(text: &str, words: &[(&str, &'static str)]) -> Option<&'static str> {
    words.iter().find(|(word, _)| text.contains(word)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_named_as_people_name_them() {
        let cases = [
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0 Safari/537.36 Edg/131.0", "Edge on Windows"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14.7; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox on Mac"),
            ("okhttp/4.12.0", "okhttp"),
            ("curl/8.5.0", "curl"),
            ("", "Unknown device"),
            ("/1.0", "Unknown device"),
        ];
        for (user_agent, words) in cases {
            assert_eq!(in_words(Some(user_agent)), words, "{user_agent}");
        }
        assert_eq!(in_words(None), "Unknown device");
    }
}
