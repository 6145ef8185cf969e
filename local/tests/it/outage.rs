//! An outage of the SMS provider: a message that was not sent costs nobody anything, and kills no code that arrived.

use local::emulator::Fault;
use serde_json::Value;

use crate::{
    harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, Reply, THIRD_PHONE, World, another_code, code_in},
    sms::{Act, Provider, TWILIO_SENT, setting},
};

/// How a webhook answers that sends, that does not send to a number, and that fails.
const SENDS: u16 = 204;
const REFUSES: u16 = 422;
const FAILS: u16 = 500;

/// A world whose messages leave by a provider on this machine.
struct Sending {
    world: World,
    provider: Provider,
}

impl Sending {
    fn with(name: &str, variables: &[(&str, &str)]) -> Self {
        let provider = Provider::answering(SENDS, "");
        let (of_provider, credentials) = setting(name, &provider);
        let of_provider: Vec<_> = of_provider.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let world = World::with(&[&of_provider[..], variables].concat());
        world.emulator.secrets().lend("SmsCredentials", credentials.to_string());
        Self { world, provider }
    }

    fn by_webhook(variables: &[(&str, &str)]) -> Self {
        Self::with("http", variables)
    }

    /// From now on the provider answers so.
    fn answers(&self, status: u16) {
        self.provider.then(&[Act::Answer(status, String::new())]);
    }

    /// The code in the newest message that the provider was handed, delivered or not.
    fn code(&self) -> String {
        let body = self.provider.last_body();
        let text = match serde_json::from_str::<Value>(&body) {
            Ok(body) => body["data"]["text"].as_str().unwrap().to_owned(),
            Err(_) => form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "Body").unwrap().1.into_owned(),
        };
        code_in(&text).expect("the message has a code").to_owned()
    }

    /// How many messages the provider was handed.
    fn handed_over(&self) -> usize {
        self.provider.seen().len()
    }
}

/// What a person is sent a code for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Activation,
    Reset,
    OwnPhone,
    OtherPhone,
    SignIn,
}

impl Wanted {
    const ALL: [Self; 5] = [Self::Activation, Self::Reset, Self::OwnPhone, Self::OtherPhone, Self::SignIn];

    /// A world and somebody in it who can ask for such a code.
    async fn begin(self, name: &str, variables: &[(&str, &str)]) -> (Sending, Person) {
        let activation = [("REQUIRE_ACTIVATION", "true")];
        let mut variables = variables.to_vec();
        if self == Self::Activation {
            variables.extend(activation);
            let sending = Sending::with(name, &variables);
            let person = sending.world.visitor(PHONE);
            return (sending, person);
        }
        let sending = Sending::with(name, &variables);
        let person = sending.world.signed_in_person().await;
        (sending, person)
    }

    /// Asks for a code; for a registration that waits already, for another one.
    async fn ask(self, person: &Person, again: bool) -> Reply {
        match self {
            Self::Activation if again => person.resend_activation().await,
            Self::Activation => person.register().await,
            Self::Reset => person.request_reset().await,
            Self::OwnPhone => person.verify_phone().await,
            Self::OtherPhone => person.change_phone(OTHER_PHONE).await,
            Self::SignIn if again => person.resend_code().await,
            Self::SignIn => person.ask_code().await,
        }
    }

    /// Whether the answer must not tell who has an account, so that it is the same whatever becomes of the message.
    fn is_hidden(self) -> bool {
        matches!(self, Self::Reset | Self::SignIn)
    }

    /// What asking for a code is answered when its message certainly was not sent.
    fn failure(self) -> u16 {
        if self.is_hidden() { 202 } else { 503 }
    }

    async fn show(self, person: &Person, code: &str) -> Reply {
        match self {
            Self::Activation => person.activate(code).await,
            Self::Reset => person.verify_reset(code, NEW_PASSWORD).await,
            Self::OwnPhone => person.confirm_phone(code).await,
            Self::OtherPhone => person.change_phone_verify(code).await,
            Self::SignIn => person.verify_code(code).await,
        }
    }

    fn success(self) -> u16 {
        match self {
            Self::Activation => 201,
            // With the tokens of a new session.
            Self::OtherPhone | Self::SignIn => 200,
            Self::Reset | Self::OwnPhone => 204,
        }
    }
}

#[tokio::test]
async fn when_an_outage_is_over_nobody_is_shut_out() {
    for wanted in Wanted::ALL {
        let (sending, person) = wanted.begin("http", &[]).await;
        for status in [FAILS, REFUSES, 400] {
            sending.answers(status);
            for _ in 0..12 {
                let reply = wanted.ask(&person, false).await;
                assert!(matches!(reply.status, 202 | 422 | 503), "{wanted:?} {status}: {}", reply.code());
                sending.world.advance(1);
            }
        }
        sending.answers(SENDS);
        wanted.ask(&person, false).await.expect(202);
        wanted.show(&person, &sending.code()).await.expect(wanted.success());
    }
}

/// However often they asked while the provider could not be reached, or said that it did not send.
#[tokio::test]
async fn an_outage_with_many_requests_shuts_nobody_out_either() {
    const CANNOT: u16 = 401;
    for (status, requests) in [(CANNOT, 320), (FAILS, 38)] {
        for wanted in Wanted::ALL {
            let (sending, person) = wanted.begin("http", &[]).await;
            // A phone has fifty requests a day and an address three hundred an hour, as here for a phone that is not verified.
            let requests = if wanted == Wanted::SignIn { requests } else { requests.min(55) };
            sending.answers(status);
            for _ in 0..requests {
                wanted.ask(&person, false).await.expect(wanted.failure());
                sending.world.advance(1);
            }
            sending.answers(SENDS);
            wanted.ask(&person, false).await.expect(202);
            wanted.show(&person, &sending.code()).await.expect(wanted.success());
        }
    }
}

/// A webhook that sends and says that it did not: it is believed as often as a limit allows uses, and no more.
#[tokio::test]
async fn a_webhook_that_does_not_tell_the_truth_is_believed_for_so_long() {
    for (wanted, most) in [(Wanted::SignIn, 40), (Wanted::Reset, 40), (Wanted::OwnPhone, 200)] {
        let (sending, person) = wanted.begin("http", &[]).await;
        sending.answers(FAILS);
        let before = sending.handed_over();
        for _ in 0..most + 20 {
            let told = wanted.ask(&person, false).await.status;
            assert!(told == wanted.failure() || told == 429, "{wanted:?}: {told}");
            sending.world.advance(1);
        }
        // Each message is handed over twice.
        assert_eq!(sending.handed_over() - before, 2 * most, "{wanted:?}");
    }
}

#[tokio::test]
async fn no_budget_is_used_up_by_what_was_not_sent() {
    for limit in [
        "LIMIT_MESSAGES_PER_PHONE",
        "LIMIT_MESSAGES_PER_ADDRESS",
        "LIMIT_MESSAGES_PER_COUNTRY",
        "LIMIT_MESSAGES_TOTAL",
        "LIMIT_REGISTER_PER_ADDRESS",
    ] {
        for wanted in Wanted::ALL {
            // In a session, an account has a budget in place of its address's.
            if limit == "LIMIT_MESSAGES_PER_ADDRESS" && matches!(wanted, Wanted::OwnPhone | Wanted::OtherPhone) {
                continue;
            }
            // An hour has a sixth of what a day has.
            let is_shared = ["LIMIT_MESSAGES_PER_COUNTRY", "LIMIT_MESSAGES_TOTAL"].contains(&limit);
            let (sending, person) = wanted.begin("http", &[(limit, if is_shared { "12" } else { "2" })]).await;
            sending.answers(FAILS);
            for _ in 0..5 {
                wanted.ask(&person, false).await.expect(wanted.failure());
                sending.world.advance(1);
            }
            for item in sending.world.items("LIMIT#messages") {
                let bucket = item["pk"]["S"].as_str().unwrap();
                assert_eq!(item["uses"]["N"], "0", "{wanted:?}, {limit}: {bucket}");
            }
            sending.answers(SENDS);
            for _ in 0..2 {
                wanted.ask(&person, false).await.expect(202);
                sending.world.advance(1);
            }
            // The limit itself stands.
            let before = sending.handed_over();
            let refused = wanted.ask(&person, false).await;
            assert!(refused.status == 429 || wanted.is_hidden() || limit == "LIMIT_REGISTER_PER_ADDRESS");
            if limit != "LIMIT_REGISTER_PER_ADDRESS" {
                assert_eq!(sending.handed_over(), before, "{wanted:?}, {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_code_that_arrived_outlives_messages_that_do_not() {
    for wanted in Wanted::ALL {
        for status in [FAILS, REFUSES, 400, 429, 408, 504] {
            let (sending, person) = wanted.begin("http", &[]).await;
            wanted.ask(&person, false).await.expect(202);
            let arrived = sending.code();
            sending.answers(status);
            for _ in 0..4 {
                sending.world.advance(1);
                let reply = wanted.ask(&person, true).await;
                assert!(matches!(reply.status, 202 | 422 | 503), "{wanted:?} {status}: {}", reply.code());
            }
            wanted.show(&person, &arrived).await.expect(wanted.success());
        }
    }
}

/// A provider that breaks off may have sent the message: its code works, and so does that of the message that arrived.
#[tokio::test]
async fn a_code_that_arrived_outlives_messages_that_may() {
    for wanted in Wanted::ALL {
        for is_newest in [false, true] {
            let (sending, person) = wanted.begin("twilio", &[]).await;
            sending.provider.then(&[Act::Answer(201, TWILIO_SENT.to_owned())]);
            wanted.ask(&person, false).await.expect(202);
            let arrived = sending.code();
            sending.provider.then(&[Act::Break]);
            for _ in 0..4 {
                sending.world.advance(1);
                wanted.ask(&person, true).await.expect(202);
            }
            let typed = if is_newest { sending.code() } else { arrived };
            wanted.show(&person, &typed).await.expect(wanted.success());
        }
    }
}

/// The response leaves when its floor ends, and the outcome is noted before.
#[tokio::test(start_paused = true)]
async fn a_code_that_arrived_outlives_a_provider_that_does_not_answer() {
    for wanted in [Wanted::Reset, Wanted::SignIn] {
        let world = World::with(&[("SMS_PROVIDER", "sns")]).warm().await;
        let person = world.signed_in_person().await;
        wanted.ask(&person, false).await.expect(202);
        let arrived = code_in(&world.emulator.sns().requests().pop().unwrap().replace("%20", " ")).unwrap().to_owned();
        world.emulator.faults().inject("Publish", Fault::Hang, 3);
        for _ in 0..3 {
            world.advance(1);
            let asked = tokio::time::Instant::now();
            wanted.ask(&person, true).await.expect(202);
            assert_eq!(asked.elapsed().as_millis() / 10, 150, "{wanted:?}");
        }
        wanted.show(&person, &arrived).await.expect(wanted.success());
    }
}

/// An unknown outcome stays charged to what many people share. To one phone or account it is forgiven as often as the
/// limit allows messages, so twenty tries in an outage do not use up the day.
#[tokio::test]
async fn an_outage_of_unknown_outcomes_does_not_use_up_a_phones_day() {
    for wanted in Wanted::ALL {
        let (sending, person) = wanted.begin("twilio", &[]).await;
        sending.answers(503);
        for _ in 0..19 {
            wanted.ask(&person, false).await.expect(202);
            sending.world.advance(1);
        }
        sending.provider.then(&[Act::Answer(201, TWILIO_SENT.to_owned())]);
        let before = sending.handed_over();
        wanted.ask(&person, false).await.expect(202);
        assert_eq!(sending.handed_over(), before + 1, "{wanted:?}");
        wanted.show(&person, &sending.code()).await.expect(wanted.success());
    }
}

#[tokio::test]
async fn a_code_works_that_arrived_although_the_provider_said_otherwise() {
    for (name, status) in
        [("http", 500), ("http", 502), ("http", 503), ("twilio", 500), ("twilio", 503), ("vonage", 502)]
    {
        for wanted in Wanted::ALL {
            let (sending, person) = wanted.begin(name, &[]).await;
            sending.answers(status);
            wanted.ask(&person, false).await;
            if name == "vonage" {
                continue;
            }
            // Only a webhook can tell that two requests are one message.
            assert_eq!(sending.handed_over(), if name == "http" { 2 } else { 1 }, "{name} {status}");
            if name == "http" && wanted == Wanted::Activation {
                // The answer named no registration.
                continue;
            }
            let reply = if name == "http" && wanted == Wanted::OtherPhone {
                person
                    .post("/auth/change-phone/verify", serde_json::json!({"phone": OTHER_PHONE, "otp": sending.code()}))
                    .await
            } else {
                wanted.show(&person, &sending.code()).await
            };
            reply.expect(wanted.success());
        }
    }
}

#[tokio::test]
async fn either_of_the_last_two_codes_works() {
    for wanted in Wanted::ALL {
        for (typed, works) in [(0, false), (1, true), (2, true)] {
            let (sending, person) = wanted.begin("http", &[]).await;
            let mut codes = Vec::new();
            for at in 0..3 {
                wanted.ask(&person, at > 0).await.expect(202);
                codes.push(sending.code());
                sending.world.advance(1);
            }
            if codes[typed + 1..].contains(&codes[typed]) {
                continue;
            }
            let status = if works { wanted.success() } else { 400 };
            wanted.show(&person, &codes[typed]).await.expect(status);
            if works {
                // One of them was used, so none works any more. A phone that is verified already needs none.
                let other = &codes[3 - typed];
                let again = wanted.show(&person, other).await;
                let is_refused = matches!(again.status, 400 | 401 | 409);
                assert_eq!(is_refused, wanted != Wanted::OwnPhone, "{wanted:?}: {}", again.status);
            }
        }
    }
}

#[tokio::test]
async fn both_codes_share_their_tries_and_each_has_its_own_end() {
    let (sending, person) = Wanted::Reset.begin("http", &[]).await;
    let world = &sending.world;
    person.request_reset().await.expect(202);
    let first = sending.code();
    for _ in 0..3 {
        person.verify_reset(&another_code(&first), NEW_PASSWORD).await.expect(400);
    }
    world.advance(1);
    person.request_reset().await.expect(202);
    let second = sending.code();
    let wrong = (0..1_000_000).map(|at| format!("{at:06}")).find(|code| *code != first && *code != second).unwrap();
    // The first code has had three of its five tries, and these two are the last.
    for _ in 0..2 {
        person.verify_reset(&wrong, NEW_PASSWORD).await.expect(400);
    }
    if first != second {
        person.verify_reset(&first, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&second, NEW_PASSWORD).await.expect(204);

    let (sending, person) = Wanted::Reset.begin("http", &[("OTP_TTL_SECONDS", "60")]).await;
    person.request_reset().await.expect(202);
    let first = sending.code();
    sending.world.advance(40);
    person.request_reset().await.expect(202);
    let second = sending.code();
    sending.world.advance(20);
    if first != second {
        person.verify_reset(&first, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&second, NEW_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_change_of_password_kills_both_codes() {
    let (sending, person) = Wanted::Reset.begin("http", &[]).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        person.request_reset().await.expect(202);
        codes.push(sending.code());
        sending.world.advance(1);
    }
    person.change_password(NEW_PASSWORD).await.expect(200);
    for code in &codes {
        person.verify_reset(code, PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    // Nor does the next code, which works, bring an older one back.
    person.request_reset().await.expect(202);
    let newest = sending.code();
    if codes[1] != newest {
        person.verify_reset(&codes[1], PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&newest, PASSWORD).await.expect(204);
}

#[tokio::test]
async fn notices_that_were_not_sent_are_not_charged() {
    for limit in
        ["LIMIT_MESSAGES_PER_PHONE", "LIMIT_MESSAGES_PER_ADDRESS", "LIMIT_MESSAGES_PER_COUNTRY", "LIMIT_MESSAGES_TOTAL"]
    {
        let (sending, person) = Wanted::OwnPhone.begin("http", &[(limit, "3")]).await;
        person.verify_phone().await.expect(202);
        person.confirm_phone(&sending.code()).await.expect(204);
        sending.answers(FAILS);
        for new in [NEW_PASSWORD, PASSWORD, NEW_PASSWORD, PASSWORD] {
            person.change_password(new).await.expect(200);
        }
        sending.answers(SENDS);
        let before = sending.handed_over();
        for new in [NEW_PASSWORD, PASSWORD] {
            person.change_password(new).await.expect(200);
        }
        assert_eq!(sending.handed_over() - before, 2, "{limit}");
    }
}

/// Whatever the provider does, an attacker sees the same of a phone with an account and of one without.
#[tokio::test]
async fn an_outage_tells_nobody_who_is_registered() {
    for limits in [&[][..], &[("LIMIT_MESSAGES_PER_PHONE", "2"), ("LIMIT_MESSAGES_PER_ADDRESS", "3")]] {
        for outcomes in [[FAILS; 6], [REFUSES; 6], [SENDS; 6], [FAILS, FAILS, FAILS, SENDS, SENDS, SENDS]] {
            let mut seen = Vec::new();
            for phone in [PHONE, OTHER_PHONE] {
                let sending = Sending::by_webhook(limits);
                sending.world.person().await;
                let attacker = sending.world.visitor(phone);
                let mut answers = Vec::new();
                for (at, status) in outcomes.into_iter().enumerate() {
                    sending.answers(status);
                    // Two at once, now and then: the cooldown must not tell either.
                    for _ in 0..=at % 2 {
                        answers.push(attacker.request_reset().await.fingerprint());
                    }
                    answers.push(attacker.verify_reset("000000", NEW_PASSWORD).await.fingerprint());
                    sending.world.advance(1);
                }
                seen.push(answers);
            }
            assert!(seen[0] == seen[1], "{outcomes:?} with {limits:?}");
        }
    }
}

/// With codes enough to use up the failures of a phone: they add up alike, sent or not. The phone may be sent more codes
/// even then, since those have a challenge.
#[tokio::test]
async fn failures_add_up_alike_for_codes_that_were_not_sent() {
    for status in [SENDS, REFUSES] {
        let mut stops = Vec::new();
        for phone in [PHONE, OTHER_PHONE] {
            let sending = Sending::by_webhook(&[("LIMIT_MESSAGES_PER_PHONE", "3")]);
            sending.world.person().await;
            sending.answers(status);
            let attacker = sending.world.visitor(phone);
            let mut tries = 0;
            let stop = 'all: loop {
                attacker.request_reset().await.expect(202);
                for _ in 0..5 {
                    // Not what a message says, but by a chance of one in 200,000.
                    if attacker.verify_reset("000000", NEW_PASSWORD).await.status == 429 {
                        break 'all tries;
                    }
                    tries += 1;
                }
                if tries >= 100 {
                    break tries;
                }
                sending.world.advance(1);
            };
            stops.push(stop);
        }
        assert_eq!(stops, [100, 100], "{status}");
    }
}

/// Making a provider fail is no way around a limit: an address may ask so often, whatever comes of it.
#[tokio::test]
async fn an_address_cannot_ask_for_ever() {
    let sending = Sending::by_webhook(&[]);
    let person = sending.world.person().await;
    sending.answers(REFUSES);
    let before = sending.handed_over();
    for asked in 0..310 {
        // The response never tells.
        person.request_reset().await.expect(202);
        sending.world.advance(1);
        if asked == 150 {
            sending.world.visitor("01012345670").request_reset().await.expect(202);
        }
    }
    let handed_over = sending.handed_over() - before;
    assert_eq!(handed_over, 299, "300 an hour, with the one for somebody else");
    person.at("203.0.113.99").request_reset().await.expect(202);
    assert_eq!(sending.handed_over() - before, 300);
}

/// A table that fails while something is given back: counts stay too high rather than too low, and the request goes on.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_given_back_stays_charged() {
    for fault in [Fault::LostReply, Fault::LostRequest, Fault::Error("InternalServerError")] {
        let world = World::with(&[("SMS_PROVIDER", "sns")]);
        let person = world.signed_in_person().await;
        world.emulator.sns().fail_with(Some((403, "AuthorizationError", "no")));
        // The first transaction stores the code, the second gives back.
        world.emulator.faults().inject_after("TransactWriteItems", 1, fault, 1);
        person.verify_phone().await.expect_problem(503, "temporarily-unavailable");
        for item in world.items("LIMIT#messages-") {
            assert_eq!(item["uses"]["N"], "0", "{fault:?}: it is tried again, and done once");
        }
        world.emulator.faults().inject_after("TransactWriteItems", 1, fault, 1000);
        person.verify_phone().await.expect_problem(503, "temporarily-unavailable");
        world.emulator.faults().clear();
        for item in world.items("LIMIT#messages-") {
            let uses: u64 = item["uses"]["N"].as_str().unwrap().parse().unwrap();
            assert!(uses <= 1, "{fault:?}");
        }
        world.emulator.sns().fail_with(None);
        world.advance(1);
        person.verify_phone().await.expect(202);
    }
}

/// Whatever keeps a message from being sent, the second factor that was shown is good for the same request again.
#[tokio::test]
async fn a_second_factor_is_not_lost_with_a_message_that_was_not_sent() {
    for name in ["code", "recovery_code"] {
        for status in [400, REFUSES, FAILS, 504] {
            let (sending, person) = Wanted::OtherPhone.begin("http", &[]).await;
            person.verify_phone().await.expect(202);
            person.confirm_phone(&sending.code()).await.expect(204);
            person.switch_factor_on().await;
            let shown = if name == "code" { person.with_code() } else { person.with_recovery_code(0) };
            sending.answers(status);
            let failed = shown.change_phone(OTHER_PHONE).await.status;
            assert!(matches!(failed, 202 | 422 | 503), "{name} {status}: {failed}");
            sending.answers(SENDS);
            sending.world.advance(1);
            shown.change_phone(OTHER_PHONE).await.expect(202);
            // Not for another phone, nor anywhere else, and not for ever.
            sending.world.advance(1);
            shown.change_phone(THIRD_PHONE).await.expect_problem(400, "invalid-otp");
            shown.mfa_recovery_codes().await.expect_problem(400, "invalid-otp");
            sending.world.advance(300);
            shown.change_phone(OTHER_PHONE).await.expect_problem(400, "invalid-otp");
        }
    }
}
