//! What people do on the way to what a test is about: each step succeeds or fails the test. Some of them let time
//! pass, and say so.

use super::{LONG, Person, Reply};

impl Person {
    /// Gets an account. Where phones have to be activated, uses the code in the message, and two seconds pass, so that
    /// the next message may follow at once.
    pub(crate) async fn registered(self) -> Self {
        let reply = self.register().await;
        if reply.status == 202 {
            self.activate(&self.code()).await.expect(201);
            self.world.advance(2);
        } else {
            reply.expect(201);
        }
        self
    }

    /// Signs in, with the second factor where one is on.
    pub(crate) async fn sign_in(&self) {
        let reply = self.login().await;
        let reply = if reply.code() == "mfa-required" { self.login_mfa().await } else { reply };
        reply.expect(200);
    }

    /// Signs in by a code, with the second factor where one is on. Two seconds pass, so that the next message may follow.
    pub(crate) async fn sign_in_by_code(&self) {
        self.ask_code().await.expect(202);
        let reply = self.verify_code(&self.code()).await;
        let reply = if reply.code() == "mfa-required" { self.login_mfa().await } else { reply };
        reply.expect(200);
        self.world.advance(2);
    }

    /// Signs in by a code when that has not proved the phone for so long that it may have another owner. Returns the offer
    /// to prove who had it, or to start anew.
    pub(crate) async fn comes_back_late(&self) -> Reply {
        self.world.advance(LONG);
        self.ask_code().await.expect(202);
        self.verify_code(&self.code()).await.expect_problem(403, "identity-required")
    }

    /// Signs in at a device that has just been made.
    pub(crate) async fn signed_in(self) -> Self {
        self.sign_in().await;
        self
    }

    /// Takes the first of a login's two steps.
    pub(crate) async fn first_step(&self) {
        self.login().await.expect_problem(403, "mfa-required");
    }

    /// Returns the identifier of a session of another device.
    pub(crate) async fn other_session(&self) -> String {
        let list = self.sessions().await.expect(200);
        let sessions = list.body["sessions"].as_array().unwrap();
        let other = sessions.iter().find(|session| session["current"] == false).expect("there is another session");
        other["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a code that resets the password, and reads it.
    pub(crate) async fn reset_code(&self) -> String {
        self.request_reset().await.expect(202);
        self.code()
    }

    /// Sets another password, as somebody does who has forgotten theirs.
    pub(crate) async fn reset_password(&self, new: &str) {
        self.verify_reset(&self.reset_code().await, new).await.expect(204);
    }

    /// Confirms the phone, if that is still to be done.
    pub(crate) async fn verify_own_phone(&self) {
        let reply = self.verify_phone().await;
        let reply = if reply.status == 202 { self.confirm_phone(&self.code()).await } else { reply };
        reply.expect(204);
    }

    /// Asks for a code to another phone, and reads it.
    pub(crate) async fn code_for(&self, phone: &str) -> String {
        self.change_phone(phone).await.expect(202);
        self.code()
    }

    /// Changes to another phone.
    pub(crate) async fn move_to(&self, phone: &str) {
        self.change_phone_verify(&self.code_for(phone).await).await.expect(200);
    }

    /// Confirms the phone, and tells the authenticator app a secret that waits to be confirmed.
    pub(crate) async fn enroll(&self) -> Reply {
        self.verify_own_phone().await;
        self.mfa_enroll().await.expect(200)
    }

    /// Switches a second factor on. The code that confirmed it is used up, so half a minute passes until the next one.
    pub(crate) async fn switch_factor_on(&self) {
        self.enroll().await;
        self.mfa_confirm(&self.new_authenticator().code()).await.expect(200);
        self.world.advance(30);
    }
}
