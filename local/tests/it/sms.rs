//! Providers of text messages: what each is sent, to the byte, and how each of its answers is judged. Those with an HTTP
//! API are played by a server on this machine, SNS by the emulator behind the real SDK.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use local::emulator::Fault;
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, PHONE, Person, World, code_in};

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Answers a status and a body.
    Answer(u16, String),
    /// Breaks the connection off once it has read all.
    Break,
    /// Never answers.
    Hang,
}

/// A provider on this machine.
pub(crate) struct Provider {
    pub(crate) url: String,
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that the provider got.
#[derive(Clone)]
pub(crate) struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

impl Provider {
    /// Does these one after the other, and the last of them from then on.
    pub(crate) fn new(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let acts = Arc::new(Mutex::new(acts.iter().cloned().collect::<VecDeque<_>>()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (to_do, noted) = (acts.clone(), seen.clone());
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let (to_do, noted) = (to_do.clone(), noted.clone());
                kept.push(thread::spawn(move || serve(stream, &to_do, &noted)));
            }
        });
        Self { url, acts, seen }
    }

    pub(crate) fn answering(status: u16, body: &str) -> Self {
        Self::new(&[Act::Answer(status, body.to_owned())])
    }

    pub(crate) fn then(&self, acts: &[Act]) {
        *self.acts.lock().unwrap() = acts.iter().cloned().collect();
    }

    /// The body of the newest request.
    pub(crate) fn last_body(&self) -> String {
        self.seen().last().map(|seen| seen.body.clone()).unwrap_or_default()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, acts: &Mutex<VecDeque<Act>>, noted: &Mutex<Vec<Seen>>) {
    loop {
        let mut read = Vec::new();
        let head_end = loop {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => read.extend_from_slice(&buffer[..count]),
            }
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
        };
        let head = String::from_utf8(read[..head_end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = read[head_end + 4..].to_vec();
        while body.len() < length {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            body.extend_from_slice(&buffer[..count]);
        }
        noted.lock().unwrap().push(Seen { line, headers, body: String::from_utf8(body).unwrap() });
        let act = {
            let mut acts = acts.lock().unwrap();
            if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() }
        };
        match act.unwrap() {
            Act::Answer(status, body) => {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
            Act::Break => return,
            Act::Hang => {
                // Until the client has gone.
                while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
                return;
            }
        }
    }
}

pub(crate) const TWILIO_SENT: &str =
    r#"{"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "error_code": null}"#;
const VONAGE_SENT: &str = r#"{"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"}"#;

/// How a world is told of its provider, and what that answers when it has sent.
pub(crate) fn setting(name: &str, provider: &Provider) -> (Vec<(&'static str, String)>, Value) {
    let mut variables = vec![("SMS_PROVIDER", name.to_owned()), ("SMS_SENDER_ID", "Acme,US=+12025550123".to_owned())];
    variables.push(("SMS_API_URL", provider.url.clone()));
    // Sockets are real here, so time is too: nothing waits for it that need not.
    variables.push(("SMS_FLOOR_MS", "0".to_owned()));
    let credentials = match name {
        "twilio" => json!({"account_sid": "AC42", "auth_token": "a-token"}),
        "vonage" => json!({"api_key": "a-key", "api_secret": "a-secret"}),
        _ => json!({"secret": "whsec_YSBzZWNyZXQga2V5IG9mIGEgdGVzdCdzIHdlYmhvb2s="}),
    };
    (variables, credentials)
}

/// Somebody with an account, in a world with this provider.
async fn with_provider(name: &str, provider: &Provider) -> (World, Person) {
    let (variables, credentials) = setting(name, provider);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let world = World::with(&variables);
    world.emulator.secrets().lend("SmsCredentials", credentials.to_string());
    let person = world.person().await;
    (world, person)
}

/// Whether the phone's code waits to be tried, and its message was sent as far as we know.
fn has_code(world: &World) -> bool {
    sent_codes(&world.item("PHONE#", "OTP#reset")) > 0
}

/// Whether the phone's code waits to be tried, and it is unknown whether its message was sent.
fn has_uncertain_code(world: &World) -> bool {
    world.item("PHONE#", "OTP#reset")["doubtful"]["SS"].as_array().is_some_and(|marked| !marked.is_empty())
}

/// How many of an item's codes were sent, as far as the provider told.
fn sent_codes(item: &Value) -> usize {
    let is_in =
        |set: &str, challenge: &Value| item[set]["SS"].as_array().is_some_and(|marked| marked.contains(challenge));
    let codes = item["codes"]["L"].as_array().map_or(&[][..], Vec::as_slice);
    let challenges = codes.iter().map(|code| &code["M"]["challenge_id"]["S"]);
    challenges.filter(|challenge| !is_in("not_sent", challenge) && !is_in("doubtful", challenge)).count()
}

const PROVIDERS: [(&str, u16, &str); 3] =
    [("twilio", 201, TWILIO_SENT), ("vonage", 202, VONAGE_SENT), ("http", 204, "")];

fn form(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn twilio_is_sent_what_its_api_documents() {
    let provider = Provider::answering(201, TWILIO_SENT);
    let (_, person) = with_provider("twilio", &provider).await;
    let reply = person.request_reset().await.expect(202);
    assert_eq!(reply.body, json!({"challenge": reply.text("challenge")}), "no code in the answer");
    let [seen] = &provider.seen()[..] else { panic!("one request") };
    assert_eq!(seen.line, "POST /2010-04-01/Accounts/AC42/Messages.json HTTP/1.1");
    let basic = format!("Basic {}", BASE64_STANDARD.encode("AC42:a-token"));
    assert!(seen.header("authorization") == basic);
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    let [to, from, body] = &form(&seen.body)[..] else { panic!("three members") };
    assert_eq!((to.0.as_str(), to.1.as_str()), ("To", E164));
    assert_eq!((from.0.as_str(), from.1.as_str()), ("From", "Acme"));
    assert_eq!(body.0, "Body");
    // The code in the message is the one that counts.
    person.verify_reset(code_in(&body.1).unwrap(), NEW_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn twilio_takes_an_api_key_and_a_messaging_service() {
    let provider = Provider::answering(201, TWILIO_SENT);
    let service = format!("MG{}", "0".repeat(32));
    let world = World::with(&[
        ("SMS_PROVIDER", "twilio"),
        ("SMS_SENDER_ID", &service),
        ("SMS_API_URL", &provider.url),
        ("SMS_FLOOR_MS", "0"),
    ]);
    let person = world.person().await;
    let credentials = json!({"account_sid": "AC42", "api_key": "SK1", "api_key_secret": "s"});
    world.emulator.secrets().lend("SmsCredentials", credentials.to_string());
    person.request_reset().await.expect(202);
    let seen = provider.seen().remove(0);
    assert!(seen.header("authorization") == format!("Basic {}", BASE64_STANDARD.encode("SK1:s")));
    assert_eq!(form(&seen.body)[1], ("MessagingServiceSid".to_owned(), service));
}

#[tokio::test]
async fn vonage_is_sent_what_its_api_documents() {
    let provider = Provider::answering(202, VONAGE_SENT);
    let (_, person) = with_provider("vonage", &provider).await;
    person.request_reset().await.expect(202);
    let [seen] = &provider.seen()[..] else { panic!("one request") };
    assert_eq!(seen.line, "POST /v1/messages HTTP/1.1");
    assert!(seen.header("authorization") == format!("Basic {}", BASE64_STANDARD.encode("a-key:a-secret")));
    assert_eq!(seen.header("content-type"), "application/json");
    let mut body: Value = serde_json::from_str(&seen.body).unwrap();
    let text = body.as_object_mut().unwrap().remove("text").unwrap();
    let expected = json!({"message_type": "text", "channel": "sms", "to": &E164[1..], "from": "Acme"});
    assert_eq!(body, expected);
    person.verify_reset(code_in(text.as_str().unwrap()).unwrap(), NEW_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_webhook_is_signed_as_standard_webhooks_say() {
    let provider = Provider::answering(204, "");
    let (_, person) = with_provider("http", &provider).await;
    person.request_reset().await.expect(202);
    let [seen] = &provider.seen()[..] else { panic!("one request") };
    assert_eq!(seen.line, "POST / HTTP/1.1");
    let (id, timestamp) = (seen.header("webhook-id"), seen.header("webhook-timestamp"));
    assert_eq!((id.len(), timestamp), (36, "1800000000"));
    // As an adapter checks it.
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret key of a test's webhook");
    let signature = BASE64_STANDARD.decode(seen.header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    let signed = format!("{id}.{timestamp}.{}", seen.body);
    assert!(hmac::verify(&key, signed.as_bytes(), &signature).is_ok());
    let mut body: Value = serde_json::from_str(&seen.body).unwrap();
    let text = body["data"].as_object_mut().unwrap().remove("text").unwrap();
    let data = json!({"to": E164, "from": "Acme", "purpose": "reset"});
    assert_eq!(body, json!({"type": "sms.send", "timestamp": "2027-01-15T08:00:00Z", "data": data}));
    person.verify_reset(code_in(text.as_str().unwrap()).unwrap(), NEW_PASSWORD).await.expect(204);
}

#[tokio::test(start_paused = true)]
async fn sns_is_sent_a_transactional_message_with_sender_and_price() {
    let variables = [("SMS_PROVIDER", "sns"), ("SMS_SENDER_ID", "Acme,US=+12025550123"), ("SMS_MAX_PRICE", "0.50")];
    let world = World::with(&variables);
    let person = world.person().await;
    let american = world.person_with_phone("+1 201 555 0123").await;
    person.request_reset().await.expect(202);
    american.request_reset().await.expect(202);
    let [named, numbered] = &world.emulator.sns().requests()[..] else { panic!("two messages") };
    let mut named = form(named);
    let text = named.remove(named.iter().position(|(name, _)| name == "Message").unwrap()).1;
    let has = |form: &[(String, String)], name: &str, value: &str| {
        let entry = form.iter().find(|(n, v)| n.ends_with(".Name") && v == name).map(|(n, _)| n.replace(".Name", ""));
        entry.is_some_and(|entry| form.contains(&(format!("{entry}.Value.StringValue"), value.to_owned())))
    };
    assert!(named.contains(&("Action".to_owned(), "Publish".to_owned())));
    assert!(named.contains(&("PhoneNumber".to_owned(), E164.to_owned())));
    assert!(has(&named, "AWS.SNS.SMS.SMSType", "Transactional"));
    assert!(has(&named, "AWS.SNS.SMS.SenderID", "Acme"));
    assert!(has(&named, "AWS.SNS.SMS.MaxPrice", "0.50"));
    assert!(has(&form(numbered), "AWS.MM.SMS.OriginationNumber", "+12025550123"));
    person.verify_reset(code_in(&text).unwrap(), NEW_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn what_was_not_sent_is_no_code_and_the_next_may_be_asked_for_when_the_cooldown_is_over() {
    let vonage = |code: &str| {
        json!({"type": format!("https://developer.vonage.com/api-errors/messages#{code}"), "title": "t",
               "detail": "d", "instance": "i"})
    };
    // Each with how often it is worth a second try.
    for (name, status, body, tries) in [
        ("twilio", 400, json!({"code": 21211, "message": format!("'To' {E164}"), "status": 400}), 1),
        ("twilio", 400, json!({"code": 21610, "message": "unsubscribed", "status": 400}), 1),
        ("twilio", 401, json!({"code": 20003, "message": "Authenticate", "status": 401}), 2),
        ("twilio", 429, json!({"code": 20429, "message": "Too Many Requests", "status": 429}), 2),
        ("vonage", 422, vonage("1240"), 1),
        ("vonage", 422, vonage("1120"), 2),
        ("vonage", 429, vonage("1000"), 2),
        ("vonage", 401, vonage("unauthorized"), 2),
        ("vonage", 402, vonage("1070"), 2),
        ("http", 422, json!({}), 1),
        ("http", 400, json!({}), 2),
        ("http", 500, json!("x".repeat(100_000)), 2),
    ] {
        let provider = Provider::answering(status, &body.to_string());
        let (world, person) = with_provider(name, &provider).await;
        let known = person.request_reset().await.expect(202);
        let unknown = world.visitor(OTHER_PHONE).request_reset().await.expect(202);
        assert!(known.fingerprint() == unknown.fingerprint(), "{name}: the answer tells nothing");
        assert_eq!(provider.seen().len(), tries, "{name} {status} {body}");
        let code = world
            .items("PHONE#")
            .into_iter()
            .find(|item| item["pk"]["S"] == format!("PHONE#{E164}") && item["sk"]["S"] == "OTP#reset");
        assert_eq!(sent_codes(&code.unwrap()), 0, "{name} {status}");
        let (sent, answer) = PROVIDERS.iter().find(|(known, ..)| *known == name).map(|p| (p.1, p.2)).unwrap();
        provider.then(&[Act::Answer(sent, answer.to_owned())]);
        // The cooldown stands: its early end would tell that there was a message.
        person.request_reset().await.expect_limit("messages-cooldown");
        world.advance(1);
        person.request_reset().await.expect(202);
        assert_eq!(provider.seen().len(), tries + 1, "{name} {status}");
    }
}

#[tokio::test]
async fn a_registration_whose_message_was_not_sent_fails_alike_for_free_and_taken_phones_and_works_the_next_time() {
    for (refusal, status) in [(422, 422), (500, 503)] {
        let provider = Provider::answering(204, "");
        let (variables, credentials) = setting("http", &provider);
        let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        variables.push(("REQUIRE_ACTIVATION", "true"));
        let world = World::with(&variables);
        world.emulator.secrets().lend("SmsCredentials", credentials.to_string());
        let code = || {
            let body: Value = serde_json::from_str(&provider.seen().last().unwrap().body).unwrap();
            code_in(body["data"]["text"].as_str().unwrap()).unwrap().to_owned()
        };
        let (owner, newcomer) = (world.visitor(PHONE), world.visitor(OTHER_PHONE));
        owner.register().await.expect(202);
        owner.activate(&code()).await.expect(201);
        world.advance(1);

        provider.then(&[Act::Answer(refusal, String::new())]);
        let taken = owner.register().await.expect(status);
        let free = newcomer.register().await.expect(status);
        assert!(taken.fingerprint() == free.fingerprint());
        let waiting: usize = world.items("PHONE#").iter().map(sent_codes).sum();
        assert_eq!(waiting, 0, "what was not sent is no code");

        provider.then(&[Act::Answer(204, String::new())]);
        owner.register().await.expect(202);
        newcomer.register().await.expect(202);
        // Nor does another code that was not sent keep from asking for the next one at once.
        world.advance(1);
        provider.then(&[Act::Answer(refusal, String::new())]);
        newcomer.resend_activation().await.expect(status);
        provider.then(&[Act::Answer(204, String::new())]);
        newcomer.resend_activation().await.expect(202);
        newcomer.activate(&code()).await.expect(201);
    }
}

#[tokio::test]
async fn one_failure_is_tried_again_and_nobody_notices() {
    for (name, status, answer) in PROVIDERS {
        let sent = Act::Answer(status, answer.to_owned());
        // A webhook knows by `webhook-id` that both tries are one message; the others might send two.
        let failure = if name == "http" { 503 } else { 429 };
        let provider = Provider::new(&[Act::Answer(failure, String::new()), sent]);
        let (world, person) = with_provider(name, &provider).await;
        person.request_reset().await.expect(202);
        assert_eq!(provider.seen().len(), 2, "{name}");
        assert!(has_code(&world), "{name}");
        let ids: Vec<_> = provider.seen().iter().map(|seen| seen.header("webhook-id").to_owned()).collect();
        assert_eq!(ids[0], ids[1], "{name}: one message");
    }
}

/// Providers, and what stands between them and us, answer a success that says otherwise.
#[tokio::test]
async fn a_success_is_one_only_if_the_response_says_so() {
    let vonage_problem = r#"{"type": "https://developer.vonage.com/api-errors/messages#1120", "title": "t"}"#;
    let (sent, unknown, not_sent) = ((1, 0, 0), (1, 1, 0), (0, 0, 1));
    for (name, status, body, counts, tries) in [
        ("twilio", 201, TWILIO_SENT, sent, 1),
        ("twilio", 201, r#"{"sid": "SM1", "status": "failed", "error_code": 30003}"#, not_sent, 1),
        ("twilio", 200, r#"{"code": 21211, "message": "m", "status": 400}"#, not_sent, 1),
        ("twilio", 200, r#"{"code": 20003, "message": "m", "status": 401}"#, not_sent, 2),
        ("twilio", 200, "", unknown, 1),
        ("twilio", 200, "<html>Sign in to this network</html>", unknown, 1),
        ("twilio", 204, "", unknown, 1),
        ("vonage", 202, VONAGE_SENT, sent, 1),
        ("vonage", 202, vonage_problem, not_sent, 2),
        ("vonage", 200, r#"{"messages": [{"status": "4"}]}"#, unknown, 1),
        ("vonage", 200, "null", unknown, 1),
        // The contract with a webhook is the status alone.
        ("http", 200, "", sent, 1),
        ("http", 200, r#"{"error": "ignored"}"#, sent, 1),
        // Redirections are not followed: they would lead a code elsewhere.
        ("twilio", 307, "", not_sent, 2),
        ("vonage", 302, "", not_sent, 2),
        ("http", 308, "", not_sent, 2),
        ("http", 524, "", unknown, 1),
    ] {
        let provider = Provider::answering(status, body);
        let (world, person) = with_provider(name, &provider).await;
        world.metrics.take();
        person.request_reset().await.expect(202);
        let metrics = world.metrics.take();
        let count = |of: &str| metrics.iter().filter(|line| line[of] == 1).count();
        assert_eq!(
            (count("CodesSent"), count("CodesUnknown"), count("CodesNotSent")),
            counts,
            "{name} {status} {body}"
        );
        assert_eq!(provider.seen().len(), tries, "{name} {status} {body}");
        assert_eq!(has_code(&world), counts == sent, "{name} {status} {body}");
        assert_eq!(has_uncertain_code(&world), counts == unknown, "{name} {status} {body}");
    }
}

#[tokio::test]
async fn what_may_have_been_sent_stays_a_code_and_is_not_sent_twice() {
    for (name, ..) in PROVIDERS {
        let provider = Provider::new(&[Act::Break]);
        let (world, person) = with_provider(name, &provider).await;
        person.request_reset().await.expect(202);
        assert_eq!(provider.seen().len(), 1, "{name}");
        assert!(has_uncertain_code(&world), "{name}");
        person.request_reset().await.expect_limit("messages-cooldown");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_costs_three_seconds_and_no_code() {
    let provider = Provider::new(&[Act::Hang]);
    let (world, person) = with_provider("twilio", &provider).await;
    let started = tokio::time::Instant::now();
    person.request_reset().await.expect(202);
    assert_eq!(started.elapsed().as_secs(), 3);
    assert!(has_uncertain_code(&world));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_tried_twice_and_given_up() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // It answers in the clear where TLS is spoken. One whose certificate we do not trust, or none, is judged alike.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let without_tls = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    for url in [format!("http://127.0.0.1:{port}"), without_tls] {
        let nobody = Provider { url: url.clone(), acts: Arc::default(), seen: Arc::default() };
        let (world, person) = with_provider("http", &nobody).await;
        person.request_reset().await.expect(202);
        assert!(!has_code(&world), "{url}");
        let counts = world.metrics.take();
        assert!(counts.iter().any(|line| line["CodesNotSent"] == 1), "{url}: the alarm hears of it");
    }
}

#[tokio::test(start_paused = true)]
async fn every_outcome_of_sns_is_judged() {
    let number = "Invalid parameter: PhoneNumber Reason: +201012345678 is not valid to publish to";
    for (status, code, message, tries) in [
        (400, "InvalidParameter", number, 1),
        (400, "OptedOut", "opted out", 1),
        (403, "AuthorizationError", "no", 2),
        (400, "InvalidParameter", "Invalid parameter: MaxPrice", 2),
        (400, "Throttled", "Rate exceeded", 2),
    ] {
        let world = World::with(&[("SMS_PROVIDER", "sns")]);
        let person = world.person().await;
        world.emulator.sns().fail_with(Some((status, code, message)));
        person.request_reset().await.expect(202);
        assert!(!has_code(&world), "{code}");
        assert_eq!(world.emulator.sns().requests().len(), tries, "{code}");
        world.emulator.sns().fail_with(None);
        world.advance(1);
        person.request_reset().await.expect(202);
        assert!(has_code(&world), "{code}");
    }
    // SNS cannot be told that two requests are one message, and its 5xx does not say that it sent none.
    for (status, code) in [(500, "InternalError"), (503, "ServiceUnavailable")] {
        let world = World::with(&[("SMS_PROVIDER", "sns")]);
        let person = world.person().await;
        world.emulator.sns().fail_with(Some((status, code, "broken")));
        person.request_reset().await.expect(202);
        assert!(has_uncertain_code(&world), "{code}");
        assert_eq!(world.emulator.sns().requests().len(), 1, "{code}");
    }
    // One that is slow has the whole deadline.
    let world = World::with(&[("SMS_PROVIDER", "sns"), ("SMS_FLOOR_MS", "0")]).warm().await;
    let person = world.person().await;
    world.emulator.faults().inject("Publish", Fault::Hang, 1);
    let started = tokio::time::Instant::now();
    person.request_reset().await.expect(202);
    assert_eq!(started.elapsed().as_secs(), 3);
    // Sent or not, nobody knows.
    for fault in [Fault::LostReply, Fault::Hang] {
        let world = World::with(&[("SMS_PROVIDER", "sns")]);
        let person = world.person().await;
        world.emulator.faults().inject("Publish", fault, 1);
        person.request_reset().await.expect(202);
        assert!(has_uncertain_code(&world), "{fault:?}");
        let sent = world.emulator.sns().requests().len();
        assert!(sent <= 1, "{fault:?}: a second one may be a second message");
        let counts: Vec<_> = world.metrics.take().iter().filter(|line| line["CodesUnknown"] == 1).cloned().collect();
        assert_eq!(counts.len(), 1, "{fault:?}: somebody should look");
        person.request_reset().await.expect_limit("messages-cooldown");
    }
}

#[tokio::test]
async fn credentials_that_are_not_there_are_our_fault_and_nobody_elses() {
    for (name, credentials) in [
        ("twilio", "{}"),
        ("twilio", "not JSON"),
        ("twilio", r#"{"account_sid": "AC42"}"#),
        // Keys that are guessed, and then anybody signs.
        ("http", r#"{"secret": "whsec_"}"#),
        ("http", r#"{"secret": "whsec_c2hvcnQ="}"#),
        ("http", r#"{"secret": "whsec_!"}"#),
    ] {
        let provider = Provider::answering(201, TWILIO_SENT);
        let (world, person) = with_provider(name, &provider).await;
        world.emulator.secrets().lend("SmsCredentials", credentials.to_owned());
        person.request_reset().await.expect(202);
        assert!(provider.seen().is_empty() && !has_code(&world));
    }
}

#[tokio::test]
async fn an_unknown_phone_is_sent_nothing() {
    let provider = Provider::answering(201, TWILIO_SENT);
    let (world, _) = with_provider("twilio", &provider).await;
    world.visitor(OTHER_PHONE).request_reset().await.expect(202);
    assert!(provider.seen().is_empty());
}

/// Neither bytes nor time tell whether there is an account, whatever the provider does.
#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_or_is_slow_tells_nobody_who_is_registered() {
    for fault in [Fault::Hang, Fault::LostReply, Fault::LostRequest, Fault::Error("InternalServerError")] {
        let variables = [("SMS_PROVIDER", "sns"), ("SMS_FLOOR_MS", "1500")];
        let world = World::with(&variables).warm().await;
        let person = world.person().await;
        world.emulator.faults().inject("Publish", fault, 100);
        let mut answers = Vec::new();
        for asker in [person, world.visitor(OTHER_PHONE)] {
            let started = tokio::time::Instant::now();
            let reply = asker.request_reset().await.expect(202);
            answers.push((started.elapsed().as_millis(), reply.fingerprint()));
        }
        assert!(answers[0] == answers[1], "{fault:?}: {} and {} ms", answers[0].0, answers[1].0);
        assert_eq!(answers[0].0 / 10, 150, "{fault:?}");
    }
}

/// Nor does a table that fails when the code is to be taken back.
#[tokio::test(start_paused = true)]
async fn a_code_that_cannot_be_withdrawn_is_no_reason_to_fail() {
    let world = World::with(&[("SMS_PROVIDER", "sns")]).warm().await;
    let person = world.person().await;
    world.emulator.sns().fail_with(Some((500, "InternalError", "broken")));
    world.emulator.faults().inject("UpdateItem", Fault::Error("InternalServerError"), 100);
    let known = person.request_reset().await.expect(202);
    assert!(known.fingerprint() == world.visitor(OTHER_PHONE).request_reset().await.fingerprint());
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_as_long_whether_or_not_something_was_sent() {
    let world = World::with(&[("SMS_PROVIDER", "sns"), ("SMS_FLOOR_MS", "1500")]);
    let person = world.person().await;
    for asker in [person, world.visitor(OTHER_PHONE)] {
        let started = tokio::time::Instant::now();
        asker.request_reset().await.expect(202);
        assert_eq!(started.elapsed().as_millis() / 100, 15);
    }
}

#[tokio::test]
async fn a_message_is_written_in_the_language_that_was_asked_for() {
    let world = World::with(&[("SERVICE_NAME", "Acme"), ("SMS_LANGUAGE", "ru")]);
    let person = world.person().await;
    for (header, expected) in [
        (Some("es-MX, en;q=0.5"), "contraseña"),
        (Some("uz"), "parol"),
        (Some("ko"), "비밀번호"),
        (Some("ar"), "كلمة مرور"),
        (Some("fr"), "смены пароля"),
        (None, "смены пароля"),
    ] {
        world.advance(2);
        let asker = header.map_or(person.clone(), |header| person.with_header("accept-language", header));
        asker.request_reset().await.expect(202);
        let text = world.outbox.messages().first().unwrap().text.clone();
        assert!(text.contains("Acme") && text.contains(expected), "{header:?}");
    }
}
