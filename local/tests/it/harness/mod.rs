//! What tests are written with: a [`World`], and the people in it.
//!
//! A [`World`] is a whole system for one test: gateway, functions, table, secrets, clock and outbox. Tests share
//! nothing, and time moves only when a test moves it ([`World::advance`]).
//!
//! A [`Person`] uses that system over HTTP, as a client does. People know their phone, their password and their
//! authenticator, read codes from the messages that they were sent, and keep the tokens that their device was given. So
//! a test says what somebody does, and passes no token around:
//!
//! ```ignore
//! #[tokio::test]
//! async fn every_other_session_ends_and_this_one_stays() {
//!     let person = World::new().signed_in_person().await;
//!     let laptop = person.on_another_device().signed_in().await;
//!     person.change_password(NEW_PASSWORD).await.expect(200);
//!     person.me().await.expect(200);
//!     laptop.me().await.expect_problem(401, "invalid-token");
//! }
//! ```
//!
//! # How to write a test
//!
//! 1. **Make a world.** [`World::new`] is configured as `template.yaml` says; [`World::with`] changes some variables.
//!    Password hashes cost next to nothing but in [`World::with_full_hashes`].
//! 2. **Put people in it.** [`World::visitor`] has a phone and no account, [`World::person`] has an account,
//!    [`World::signed_in_person`] a session as well, and [`World::person_with_factor`] a second factor on top. A second
//!    person needs another phone: [`World::person_with_phone`] with [`OTHER_PHONE`].
//! 3. **Let them act.** [`Person`] has one method for each endpoint (`endpoints.rs`). It sends what the person knows,
//!    keeps what the answer brings, and returns the answer. Somebody who acts differently is a variant of the person:
//!
//!    | Variant | Who that is |
//!    |---|---|
//!    | `person.on_another_device()` | the same person at a device that has not signed in |
//!    | `person.with_copied_tokens()` | a thief of the device's tokens, or a client that misses every answer from now on |
//!    | `person.bearing("…")` | somebody who holds this access token |
//!    | `person.typing("…")`, `person.mistyping()` | types this password, or a wrong one, in place of their own |
//!    | `person.without_password()` | has no password to send where one is asked for again |
//!    | `person.with_code()`, `.with_wrong_code()`, `.with_recovery_code(0)` | shows a second factor |
//!    | `person.at("198.51.100.4")` | calls from this address |
//!    | `person.with_header("…", "…")` | sends this header as well |
//!    | `person.with_members(&json!({…}))` | sends these members with every body as well |
//!
//!    All variants know the same: a password that is changed on the laptop is known on the phone. For requests that no
//!    method sends there are [`Person::post`] and [`Person::send`], and on nobody's behalf [`World::post`] and
//!    [`World::send`].
//! 4. **Check the answers.** Each is a [`Reply`]. [`Reply::expect`] and [`Reply::expect_problem`] fail with the status
//!    and the problem's code, and never print a secret. For what only leads up to the test, `steps.rs` has methods that
//!    succeed or fail the test: [`Person::sign_in`], [`Person::reset_code`], [`Person::move_to`] and others.
//! 5. **Look behind the scenes** where the answer is not enough. [`World::item`] and [`World::items`] read the table,
//!    [`World::calls`] and [`World::permissions_used`] tell what the functions asked of AWS, [`World::outbox`] has the
//!    messages.
//!
//! When a world ends, it checks that nothing that was logged in it holds one of its secrets (`log_watch.rs`).
//!
//! A new endpoint gets its method in `endpoints.rs`; a test file may add methods of its own to [`Person`] and
//! [`World`].

mod authenticator;
mod endpoints;
mod person;
mod reply;
mod request;
mod rsa;
mod steps;
mod table;
mod world;

use std::{path::PathBuf, sync::LazyLock};

use local::template::Template;

pub(crate) use self::{
    authenticator::{Authenticator, another_code},
    person::{Person, code_in},
    reply::Reply,
    request::Request,
    world::World,
};

/// The phone that people have unless a test says otherwise, as it is dialed in its country.
pub(crate) const PHONE: &str = "01012345678";
/// The same in E.164.
pub(crate) const E164: &str = "+201012345678";
/// Another phone, for somebody else or to change to.
pub(crate) const OTHER_PHONE: &str = "01112345678";
/// The same in E.164.
pub(crate) const OTHER_E164: &str = "+201112345678";
/// A third phone.
pub(crate) const THIRD_PHONE: &str = "01212345678";

/// The password that people begin with.
pub(crate) const PASSWORD: &str = "mypassword";
/// The password that they change it to.
pub(crate) const NEW_PASSWORD: &str = "newPass123";
/// The password that they set when they have forgotten theirs.
pub(crate) const RESET_PASSWORD: &str = "newPass456";
/// A password that nobody has.
pub(crate) const WRONG_PASSWORD: &str = "wrong password";

/// A time, in seconds, after which a phone may have another owner: a day more than `PHONE_PROOF_MAX_AGE_DAYS` is by default.
pub(crate) const LONG: u64 = 181 * 86_400;

/// The API's address in every world.
pub(crate) const ISSUER: &str = "https://latchkey.test";
/// The audience of its tokens.
pub(crate) const AUDIENCE: &str = "latchkey";

/// `template.yaml`, read once.
pub(crate) static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| Template::load(&root().join("template.yaml")).unwrap().with_api_url(ISSUER));

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the workspace.
pub(crate) fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
