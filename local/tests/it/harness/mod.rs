//! What tests are written with: a [`World`], and the people in it.
//!
//! A [`World`] is a whole system of its own: gateway, functions, table, secrets, clock and outbox. Nothing in it is shared
//! with another test, and its time moves only by [`World::advance`].
//!
//! A [`Person`] uses the system as a client does, over HTTP. People know their phone, their password and their
//! authenticator, read codes from the messages that they were sent, and keep the tokens that their device was given. So a
//! test tells what somebody does, and passes no token around:
//!
//! ```ignore
//! #[tokio::test]
//! async fn every_other_session_ends_and_this_one_stays() {
//!     let person = World::new().signed_in_person().await;
//!     let laptop = person.on_another_device().signed_in().await;
//!     person.change_password(NEW_PASSWORD).await.expect(204);
//!     person.me().await.expect(200);
//!     laptop.me().await.expect_problem(401, "invalid-token");
//! }
//! ```
//!
//! # Writing a test
//!
//! 1. **Make a world.** [`World::new`] has the configuration of `template.yaml`; [`World::with`] sets some variables
//!    otherwise.
//! 2. **Put people in it.** [`World::person`] has an account, [`World::signed_in_person`] a session as well,
//!    [`World::person_with_factor`] a second factor on top. [`World::visitor`] has a phone and no account yet; give a second
//!    person another phone ([`OTHER_PHONE`]) by [`World::person_with_phone`].
//! 3. **Let them act.** [`Person`] has one method for each endpoint (`endpoints.rs`): it sends what the person knows, keeps
//!    what the answer brings, and returns the answer. To act differently, ask for a variant of the person first:
//!
//!    | the same person | |
//!    |---|---|
//!    | `person.on_another_device()` | has not signed in there yet |
//!    | `person.with_copied_tokens()` | a thief, or a client that missed the answer to its last request |
//!    | `person.typing("…")`, `person.mistyping()` | types another password, a wrong one |
//!    | `person.with_code()`, `.with_wrong_code()`, `.with_recovery_code(0)` | shows a second factor |
//!    | `person.at("198.51.100.4")`, `.with_header("…", "…")` | calls from elsewhere, or with a header more |
//!    | `person.bearing("…")` | sends this access token instead of their own |
//!
//!    A variant shares what the person knows: a password that is changed on the laptop is known on the phone as well.
//!    [`Person::post`] and [`Person::send`] send what no method does, [`World::post`] and [`World::send`] on nobody's behalf.
//! 4. **Check the answers.** Each is a [`Reply`]; [`Reply::expect`] and [`Reply::expect_problem`] fail with the problem's code
//!    and never print a secret. Code that only prepares something uses the steps that succeed or fail the test
//!    (`steps.rs`): [`Person::sign_in`], [`Person::reset_code`], [`Person::move_to`], ….
//! 5. **Look behind the scenes** where the answer is not enough: [`World::item`] and [`World::items`] read the table,
//!    [`World::calls`] and [`World::permissions_used`] what the functions asked of AWS, [`World::outbox`] the messages.
//!
//! When a world ends, it checks that nothing that was logged in it holds one of its secrets (`log_watch`).

mod authenticator;
mod endpoints;
mod person;
mod reply;
mod request;
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

/// The phone of whoever is in a world first, as it is dialed at home, and in E.164.
pub(crate) const PHONE: &str = "01012345678";
pub(crate) const E164: &str = "+201012345678";
/// Another one, likewise.
pub(crate) const OTHER_PHONE: &str = "01112345678";
pub(crate) const OTHER_E164: &str = "+201112345678";
/// A third.
pub(crate) const THIRD_PHONE: &str = "01212345678";

/// The password that everybody begins with.
pub(crate) const PASSWORD: &str = "mypassword";
/// What they change it to.
pub(crate) const NEW_PASSWORD: &str = "newPass123";
/// What they set it to when they have forgotten it.
pub(crate) const RESET_PASSWORD: &str = "newPass456";
/// Nobody's.
pub(crate) const WRONG_PASSWORD: &str = "wrong password";

/// Where the API answers, in every world.
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
