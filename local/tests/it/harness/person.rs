//! Somebody who uses the system: what they know, what their device keeps, and how they send a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http::Method;
use serde_json::Value;

use super::{Authenticator, PASSWORD, Reply, Request, WRONG_PASSWORD, World, another_code, request::HOME};

/// What people call with: a phone, and on another device a computer.
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 15) Chrome/131.0 Mobile Safari/537.36";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.7; rv:132.0) Gecko/20100101 Firefox/132.0";

/// Somebody at a device. A clone is the same person at the same device. Has no `Debug`: a failing test must print neither
/// password nor token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(super) world: World,
    known: Arc<Mutex<Known>>,
    device: Arc<Mutex<Device>>,
    address: String,
    headers: Vec<(&'static str, String)>,
    /// Typed in place of the password.
    typed: Option<String>,
    /// Whether no password is sent where one is asked for again.
    pub(super) is_without_password: bool,
    /// The second factor that is shown: member and value.
    pub(super) proof: Option<(&'static str, String)>,
    /// Sent as `attempt` with a refresh.
    pub(super) attempt: Option<String>,
    /// Sent with every body as well.
    members: Option<Value>,
}

/// What people know wherever they are.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) phone: String,
    /// The number that they asked to change to.
    pub(super) wanted_phone: Option<String>,
    pub(super) password: String,
    /// The entry of their authenticator app that is switched on, and one that waits to be confirmed.
    pub(super) authenticator: Option<Authenticator>,
    pub(super) new_authenticator: Option<Authenticator>,
    pub(super) recovery_codes: Vec<String>,
}

/// What a device keeps of the answers that it got, by member: tokens, and what a registration or a sign-in is known by.
type Device = HashMap<&'static str, String>;

/// The members that a device keeps.
const KEPT: [&str; 6] = ["access_token", "refresh_token", "device_token", "mfa_token", "activation_id", "challenge"];

impl Person {
    /// Somebody without an account.
    pub(super) fn new(world: &World, phone: &str) -> Self {
        let known = Known {
            phone: phone.to_owned(),
            wanted_phone: None,
            password: PASSWORD.to_owned(),
            authenticator: None,
            new_authenticator: None,
            recovery_codes: Vec::new(),
        };
        Self {
            world: world.clone(),
            known: Arc::new(Mutex::new(known)),
            device: Arc::default(),
            address: HOME.to_owned(),
            headers: vec![("user-agent", ANDROID.to_owned())],
            typed: None,
            is_without_password: false,
            proof: None,
            attempt: None,
            members: None,
        }
    }

    /// The same person at a device that has no session yet.
    pub(crate) fn on_another_device(&self) -> Self {
        Self { device: Arc::default(), ..self.clone() }.with_header("user-agent", MAC)
    }

    /// A device with a copy of this one's tokens: a thief's, or that of a client that misses every answer from now on.
    pub(crate) fn with_copied_tokens(&self) -> Self {
        Self { device: Arc::new(Mutex::new(self.device())), ..self.clone() }
    }

    /// A device that sends this access token, and has no other.
    pub(crate) fn bearing(&self, token: &str) -> Self {
        let device = Device::from([("access_token", token.to_owned())]);
        Self { device: Arc::new(Mutex::new(device)), ..self.clone() }
    }

    /// The same device, whose requests other sandboxes of the system serve.
    pub(crate) fn served_by(&self, world: &World) -> Self {
        Self { world: world.clone(), ..self.clone() }
    }

    /// Somebody who knows the same and whose device keeps the same, in a copy of their world.
    pub(crate) fn copied_to(&self, world: &World) -> Self {
        let by_its_clock = |entry: &Authenticator| entry.by(world.clock.clone());
        let known = self.known().clone();
        let known = Known {
            authenticator: known.authenticator.as_ref().map(by_its_clock),
            new_authenticator: known.new_authenticator.as_ref().map(by_its_clock),
            ..known
        };
        Self {
            world: world.clone(),
            known: Arc::new(Mutex::new(known)),
            device: Arc::new(Mutex::new(self.device())),
            ..self.clone()
        }
    }

    /// A client that sends these members with every body as well.
    pub(crate) fn with_members(&self, members: &Value) -> Self {
        Self { members: Some(members.clone()), ..self.clone() }
    }

    /// The same device at another address.
    pub(crate) fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    /// The same device, sending this header with every request.
    pub(crate) fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut person = self.clone();
        person.headers.retain(|(known, _)| *known != name);
        person.headers.push((name, value.to_owned()));
        person
    }

    /// Somebody who types this in place of the password.
    pub(crate) fn typing(&self, password: &str) -> Self {
        Self { typed: Some(password.to_owned()), ..self.clone() }
    }

    /// Somebody who has no password to send where one is asked for again.
    pub(crate) fn without_password(&self) -> Self {
        Self { is_without_password: true, ..self.clone() }
    }

    /// Somebody who types a wrong password.
    pub(crate) fn mistyping(&self) -> Self {
        self.typing(WRONG_PASSWORD)
    }

    /// Somebody who shows this second factor: `("code", "123456")`.
    pub(crate) fn with_proof(&self, member: &'static str, value: &str) -> Self {
        Self { proof: Some((member, value.to_owned())), ..self.clone() }
    }

    /// Somebody who shows the second factor that this person shows.
    pub(crate) fn with_proof_of(&self, other: &Self) -> Self {
        Self { proof: other.proof.clone(), ..self.clone() }
    }

    /// A client that sends this `attempt` with a refresh.
    pub(crate) fn with_attempt(&self, attempt: &str) -> Self {
        Self { attempt: Some(attempt.to_owned()), ..self.clone() }
    }

    /// Somebody who shows the code that their authenticator shows now.
    pub(crate) fn with_code(&self) -> Self {
        self.with_proof("code", &self.authenticator().code())
    }

    /// Somebody who shows a wrong code.
    pub(crate) fn with_wrong_code(&self) -> Self {
        self.with_proof("code", &another_code(&self.authenticator().code()))
    }

    /// Somebody who shows one of their ten recovery codes.
    pub(crate) fn with_recovery_code(&self, at: usize) -> Self {
        self.with_proof("recovery_code", &self.recovery_codes()[at])
    }

    /// Their phone, as they type it.
    pub(super) fn phone(&self) -> String {
        self.known().phone
    }

    /// What they type as their password.
    pub(super) fn password(&self) -> String {
        self.typed.clone().unwrap_or_else(|| self.known().password)
    }

    /// Their authenticator's entry that is switched on.
    pub(crate) fn authenticator(&self) -> Authenticator {
        self.known().authenticator.expect("a second factor is on")
    }

    /// Their authenticator's entry that waits to be confirmed.
    pub(crate) fn new_authenticator(&self) -> Authenticator {
        self.known().new_authenticator.expect("a second factor was asked for")
    }

    /// Their newest recovery codes, used or not.
    pub(crate) fn recovery_codes(&self) -> Vec<String> {
        self.known().recovery_codes
    }

    /// The device's newest access token.
    #[track_caller]
    pub(crate) fn access_token(&self) -> String {
        self.kept("access_token")
    }

    /// The device's newest refresh token.
    #[track_caller]
    pub(crate) fn refresh_token(&self) -> String {
        self.kept("refresh_token")
    }

    /// The device's newest device token.
    #[track_caller]
    pub(crate) fn device_token(&self) -> String {
        self.kept("device_token")
    }

    /// The token of the last login that was to go on with a second step.
    #[track_caller]
    pub(crate) fn mfa_token(&self) -> String {
        self.kept("mfa_token")
    }

    /// The identifier of the last registration that was to wait for its code.
    #[track_caller]
    pub(crate) fn activation_id(&self) -> String {
        self.kept("activation_id")
    }

    /// The challenge of the last sign-in by code.
    #[track_caller]
    pub(crate) fn challenge(&self) -> String {
        self.kept("challenge")
    }

    /// The challenge of the last reset that was asked for.
    #[track_caller]
    pub(crate) fn reset_challenge(&self) -> String {
        self.kept("challenge of a reset")
    }

    #[track_caller]
    fn kept(&self, member: &str) -> String {
        self.device().remove(member).unwrap_or_else(|| panic!("the device was given no `{member}`"))
    }

    /// Returns the code in the newest message to their phone, or to the one that they asked to change to.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let Known { phone, wanted_phone, .. } = self.known();
        // Without leading zeros, every spelling of a number is how E.164 ends.
        let digits = |phone: &String| phone.chars().filter(char::is_ascii_digit).collect::<String>();
        let numbers = [Some(phone), wanted_phone].map(|phone| phone.as_ref().map(digits));
        let is_theirs = |to: &str| numbers.iter().flatten().any(|digits| to.ends_with(digits.trim_start_matches('0')));
        let mut messages = self.world.outbox.messages().into_iter();
        let newest = messages.find(|message| is_theirs(message.to.as_e164())).expect("a message was sent");
        code_in(&newest.text).expect("the message has a code").to_owned()
    }

    /// Posts JSON, with the device's access token where it has one.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Request::post(path, body)).await
    }

    /// Sends a request without a body.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Reply {
        self.send(Request::new(method, path)).await
    }

    /// Sends a request, with the device's access token where it has one.
    pub(crate) async fn send(&self, request: Request) -> Reply {
        let token = self.device().remove("access_token");
        let request = token.into_iter().fold(request, |request, token| request.bearer(&token));
        self.send_without_token(request).await
    }

    /// Sends a request that needs no session.
    pub(super) async fn send_without_token(&self, request: Request) -> Reply {
        let request = self.members.iter().fold(request, Request::with_members).from(&self.address);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let reply = self.world.send(request).await;
        self.keep(&reply);
        reply
    }

    /// Keeps the tokens of an answer, and learns the secrets that it shows once.
    fn keep(&self, reply: &Reply) {
        let text = |member: &str| reply.body[member].as_str().map(str::to_owned);
        let name = |member| match (member, reply.function.as_deref()) {
            ("challenge", Some("request-reset")) => "challenge of a reset",
            _ => member,
        };
        let kept = KEPT.into_iter().filter_map(|member| Some((name(member), text(member)?)));
        self.device.lock().unwrap().extend(kept);
        if let Some(secret) = text("secret") {
            let told = self.world.authenticator(&secret);
            self.learn(|known| known.new_authenticator = Some(told));
        }
        if let Some(codes) = reply.body["recovery_codes"].as_array() {
            let told = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
            self.learn(|known| known.recovery_codes = told);
        }
    }

    /// What they know now.
    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    /// Changes what they know.
    pub(super) fn learn(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }

    /// What the device keeps now.
    fn device(&self) -> Device {
        self.device.lock().unwrap().clone()
    }
}

/// Finds the code in a message: six digits.
pub(crate) fn code_in(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6)
}
