//! Proofs before messages: what a request for a message shows while a budget that strangers share is half used up
//! (docs/adr/0055-proofs-before-messages.md).

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use latchkey::{
    config::Config,
    tokens::keys::{SigningAlgorithm, SigningKey},
};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};

use crate::harness::{E164, OTHER_PHONE, PASSWORD, PHONE, Person, Reply, THIRD_PHONE, World};

/// A country's hour has ten messages.
const TIGHT: (&str, &str) = ("LIMIT_MESSAGES_PER_COUNTRY", "60");

/// Puzzles of a few hundred hashes.
const WORK: (&str, &str) = ("PROOF_OF_WORK_BITS", "8");

/// Uses up this many messages of the country's new phones: of sign-ins, of resets, and of everything else.
async fn use_up(world: &World, uses: usize) {
    world.visitor("01012345601").at("198.51.100.1").ask_code().await;
    let counters = world.items("LIMIT#messages-country#sign-in:EG/");
    assert_eq!(counters.len(), 2, "of a day and of an hour");
    for purpose in ["", "sign-in:", "reset:"] {
        for counter in &counters {
            let mut counter = counter.clone();
            counter["pk"]["S"] = counter["pk"]["S"].as_str().unwrap().replace("sign-in:", purpose).into();
            counter["uses"] = json!({"N": uses.to_string()});
            world.put_item(&counter);
        }
    }
    world.advance(2);
}

/// Uses up more than half of an hour.
async fn flood(world: &World) {
    use_up(world, 6).await;
}

/// Returns whether the hash of this begins with that many zero bits.
fn is_solution(text: &str, bits: usize) -> bool {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    (0..bits).all(|at| hash.as_ref()[at / 8] >> (7 - at % 8) & 1 == 0)
}

/// Does the work that a problem asks for.
fn solved(reply: &Reply) -> String {
    let bits = usize::try_from(reply.body["bits"].as_u64().unwrap()).unwrap();
    let puzzle = reply.text("puzzle");
    (0..1_000_000).map(|at| format!("{puzzle}.{at}")).find(|text| is_solution(text, bits)).unwrap()
}

fn solving(person: &Person, reply: &Reply) -> Person {
    person.with_header("proof-of-work", &solved(reply))
}

/// A function of the team's that attests after a CAPTCHA.
struct Attester(SigningKey, EcdsaKeyPair);

impl Attester {
    fn new() -> Self {
        let text = SigningKey::generate_es256().unwrap();
        let der = BASE64_STANDARD.decode(text.as_bytes()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new()).unwrap();
        Self(SigningKey::from_base64(SigningAlgorithm::Es256, &text).unwrap(), pair)
    }

    fn jwk(&self) -> String {
        serde_json::to_string(self.0.verifying().jwk()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.1.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn header(&self) -> Value {
        json!({"typ": "attestation+jwt", "alg": "ES256", "kid": self.0.verifying().kid()})
    }

    fn attest(&self, world: &World, phone: &str) -> String {
        let now = world.clock.now().unix_seconds();
        let claims = json!({"aud": "latchkey", "phone": phone, "iat": now, "exp": now + 300});
        self.sign(&self.header(), &claims)
    }
}

#[tokio::test]
async fn nothing_is_asked_for_by_default_or_before_a_pot_is_half_empty() {
    let world = World::with(&[TIGHT]);
    flood(&world).await;
    world.visitor(PHONE).ask_code().await.expect(202);
    let world = World::with(&[TIGHT, WORK]);
    use_up(&world, 3).await;
    world.visitor(PHONE).ask_code().await.expect(202);
}

/// At the half, one request is asked and the next is not, so that no step tells whether one message was charged.
#[tokio::test]
async fn at_the_half_chance_decides() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_COUNTRY", "600"), WORK]);
    let mut told = Vec::new();
    for at in 10..70 {
        use_up(&world, 50).await;
        let stranger = world.visitor(&format!("010123457{at}")).at(&format!("198.51.100.{at}"));
        told.push(stranger.ask_code().await.status);
    }
    assert!(told.iter().all(|status| [202, 403].contains(status)));
    let asked = told.iter().filter(|status| **status == 403).count();
    assert!((5..=55).contains(&asked), "{asked} of 60, where half is expected");
}

/// Each endpoint that has a message sent asks for the work, and takes it.
#[tokio::test]
async fn while_a_pot_is_half_empty_every_message_costs_work() {
    for activation in ["false", "true"] {
        let world = World::with(&[WORK, ("LIMIT_MESSAGES_PER_COUNTRY", "120"), ("REQUIRE_ACTIVATION", activation)]);
        let person = world.person().await.signed_in().await;
        let mover = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
        let waiting = world.visitor(THIRD_PHONE);
        waiting.register().await;
        waiting.ask_code().await.expect(202);
        world.advance(2);
        // Of an hour's twenty messages, twelve are gone.
        use_up(&world, 12).await;
        let newcomer = world.visitor("01012345678");
        let requests: &[(&str, &Person, Value)] = &[
            ("/auth/code", &newcomer, json!({"phone": "01012345678"})),
            ("/auth/code/resend", &waiting, json!({"challenge": waiting.challenge()})),
            ("/auth/request-reset", &person, json!({"phone": PHONE})),
            ("/auth/verify-phone", &person, json!({})),
            ("/auth/change-phone", &mover, json!({"phone": "01012345679", "password": PASSWORD})),
        ];
        let mut requests = requests.to_vec();
        if activation == "true" {
            requests.retain(|(path, ..)| *path != "/auth/verify-phone");
            let stranger = json!({"phone": "01012345670", "password": PASSWORD});
            requests.push(("/auth/register", &newcomer, stranger));
            requests.push(("/auth/resend-activation", &waiting, json!({"activation_id": waiting.activation_id()})));
        }
        for (path, asker, body) in requests {
            let sent = world.outbox.messages_after(0).1;
            let reply = asker.post(path, body.clone()).await;
            assert_eq!((reply.status, reply.code()), (403, "proof-required"), "{path}");
            assert_eq!(reply.body["methods"], json!(["proof_of_work"]), "{path}");
            assert_eq!((reply.body["bits"].as_u64(), world.outbox.messages_after(0).1), (Some(8), sent), "{path}");
            let reply = solving(asker, &reply).post(path, body).await.expect(202);
            assert!(reply.body["code"].is_null() && world.outbox.messages_after(0).1 == sent + 1, "{path}");
            world.advance(2);
        }
    }
}

#[tokio::test]
async fn known_and_unknown_phones_are_asked_alike() {
    let world = World::with(&[TIGHT, WORK]);
    let verified = world.person_by_code().await;
    world.advance(2);
    flood(&world).await;
    for by_code in [true, false] {
        let mut told = Vec::new();
        for phone in [PHONE, OTHER_PHONE] {
            let asker = world.visitor(phone);
            let reply = if by_code { asker.ask_code().await } else { asker.request_reset().await };
            let (status, headers, mut body) = reply.expect_problem(403, "proof-required").fingerprint();
            body["puzzle"] = body["puzzle"].as_str().unwrap().len().into();
            told.push((status, headers, body));
        }
        assert!(told[0] == told[1]);
    }
    // What its owner has is another device, a session or a place in another country.
    verified.ask_code_with(&verified.device_token()).await.expect(202);
    verified.on_another_device().ask_code_with("x").await.expect_problem(403, "proof-required");
    world.visitor("+4915112345678").ask_code().await.expect(202);
}

#[tokio::test]
async fn a_solution_is_for_its_phone_and_five_minutes() {
    let world = World::with(&[TIGHT, WORK]);
    flood(&world).await;
    let person = world.visitor(PHONE);
    let asked = person.ask_code().await.expect_problem(403, "proof-required");
    let solution = solved(&asked);
    let refused = async |phone: &str, text: &str| {
        world.visitor(phone).with_header("proof-of-work", text).ask_code().await.expect_problem(403, "proof-required");
    };
    refused(OTHER_PHONE, &solution).await;
    let puzzle = asked.text("puzzle");
    let lazy = (0..1000).map(|at| format!("{puzzle}.{at}")).find(|text| !is_solution(text, 8)).unwrap();
    for text in ["", ".", "x", puzzle, &lazy, &solution.to_lowercase(), &format!("{solution} "), &"9".repeat(5000)] {
        refused(PHONE, text).await;
    }
    world.advance(299);
    let solver = person.with_header("proof-of-work", &solution);
    solver.ask_code().await.expect(202);
    world.advance(1);
    solver.ask_code().await.expect_problem(403, "proof-required");
}

#[tokio::test]
async fn an_attestation_stands_for_the_work() {
    let attester = Attester::new();
    let jwk = attester.jwk();
    for bits in ["0", "8"] {
        let world = World::with(&[TIGHT, ("PROOF_OF_WORK_BITS", bits), ("ATTESTATION_PUBLIC_KEY", &jwk)]);
        flood(&world).await;
        let asked = world.visitor(PHONE).ask_code().await.expect_problem(403, "proof-required");
        let methods = if bits == "0" { json!(["attestation"]) } else { json!(["proof_of_work", "attestation"]) };
        assert_eq!(asked.body["methods"], methods);
        assert_eq!(asked.body.get("puzzle").is_some(), bits == "8");
        let showing = |text: &str| world.visitor(PHONE).with_header("attestation", text);

        let now = world.clock.now().unix_seconds();
        let right = json!({"aud": "latchkey", "phone": E164, "iat": now, "exp": now + 300});
        let changed = |changes: Value| {
            let mut claims = right.clone();
            claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            attester.sign(&attester.header(), &claims)
        };
        let other = Attester::new();
        let access_token = world.person_with_phone(OTHER_PHONE).await.signed_in().await.access_token();
        let mut header = attester.header();
        header["typ"] = "at+jwt".into();
        let mut none = attester.header();
        none["alg"] = "none".into();
        for text in [
            changed(json!({"aud": "another"})),
            changed(json!({"phone": "+201112345678"})),
            changed(json!({"phone": PHONE})),
            changed(json!({"exp": now})),
            changed(json!({"exp": now + 601})),
            changed(json!({"iat": now + 60, "exp": now + 300})),
            other.attest(&world, E164),
            other.sign(&attester.header(), &right),
            attester.sign(&header, &right),
            attester.sign(&none, &right),
            access_token,
            String::new(),
        ] {
            showing(&text).ask_code().await.expect_problem(403, "proof-required");
        }
        showing(&attester.attest(&world, E164)).ask_code().await.expect(202);
    }
}

/// A TOTP code works once, so the change of phone asks for the proof before it.
#[tokio::test]
async fn a_proof_that_is_missing_uses_up_no_second_factor() {
    let world = World::with(&[TIGHT, WORK]);
    let person = world.person_with_factor().await;
    flood(&world).await;
    world.advance(30);
    let person = person.with_code();
    let asked = person.change_phone(OTHER_PHONE).await.expect_problem(403, "proof-required");
    solving(&person, &asked).change_phone(OTHER_PHONE).await.expect(202);
}

#[test]
fn settings_that_cannot_work_are_refused_at_the_start() {
    let with = |name: &str, value: &str| {
        let variables = [("TABLE_NAME", "t"), ("ENVIRONMENT", "dev"), (name, value)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Config::from_variables(&variables).map(|_| ()).map_err(|errors| errors.to_string())
    };
    for (name, value) in [
        ("PROOF_OF_WORK_BITS", "25"),
        ("PROOF_OF_WORK_BITS", "many"),
        ("ATTESTATION_PUBLIC_KEY", "x"),
        ("ATTESTATION_PUBLIC_KEY", r#"{"kty":"oct","k":"AAAA"}"#),
    ] {
        assert!(with(name, value).unwrap_err().contains(name), "{name}={value}");
    }
}
