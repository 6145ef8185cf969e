//! What people do: one method for each endpoint, with what it changes in what they know.

use http::Method;
use serde_json::{Value, json};

use super::{Person, Reply, Request};

impl Person {
    /// `POST /auth/register`
    pub(crate) async fn register(&self) -> Reply {
        self.begin("/auth/register", json!({"phone": self.phone(), "password": self.password()})).await
    }

    /// `POST /auth/activate`
    pub(crate) async fn activate(&self, otp: &str) -> Reply {
        self.begin("/auth/activate", json!({"activation_id": self.activation_id(), "otp": otp})).await
    }

    /// `POST /auth/resend-activation`
    pub(crate) async fn resend_activation(&self) -> Reply {
        self.begin("/auth/resend-activation", json!({"activation_id": self.activation_id()})).await
    }

    /// `POST /auth/login`
    pub(crate) async fn login(&self) -> Reply {
        self.begin("/auth/login", json!({"phone": self.phone(), "password": self.password()})).await
    }

    /// `POST /auth/login`, with the device token of an earlier sign-in.
    pub(crate) async fn login_as_known(&self) -> Reply {
        self.login_with(&self.device_token()).await
    }

    /// `POST /auth/login`, with this device token.
    pub(crate) async fn login_with(&self, token: &str) -> Reply {
        let body = json!({"phone": self.phone(), "password": self.password(), "device_token": token});
        self.begin("/auth/login", body).await
    }

    /// `POST /auth/login/mfa`: with the authenticator's code, unless something else is shown.
    pub(crate) async fn login_mfa(&self) -> Reply {
        let shown = if self.proof.is_some() { self.clone() } else { self.with_code() };
        self.begin("/auth/login/mfa", shown.with_factor(json!({"mfa_token": self.mfa_token()}))).await
    }

    /// `POST /auth/login/mfa`: with the password, as `identity-required` asks for it.
    pub(crate) async fn prove_by_password(&self) -> Reply {
        self.begin("/auth/login/mfa", json!({"mfa_token": self.mfa_token(), "password": self.password()})).await
    }

    /// `POST /auth/start-anew`, without a password.
    pub(crate) async fn start_anew(&self) -> Reply {
        self.begin("/auth/start-anew", json!({"mfa_token": self.mfa_token()})).await
    }

    /// `POST /auth/recover`: with the password, if there is one, and the second factor, where one is shown.
    pub(crate) async fn recover(&self) -> Reply {
        self.begin("/auth/recover", self.reauthenticated(json!({"phone": self.phone()}))).await
    }

    /// `POST /auth/code`
    pub(crate) async fn ask_code(&self) -> Reply {
        self.begin("/auth/code", json!({"phone": self.phone()})).await
    }

    /// `POST /auth/code`, with this device token.
    pub(crate) async fn ask_code_with(&self, token: &str) -> Reply {
        self.begin("/auth/code", json!({"phone": self.phone(), "device_token": token})).await
    }

    /// `POST /auth/code/verify`
    pub(crate) async fn verify_code(&self, otp: &str) -> Reply {
        self.begin("/auth/code/verify", json!({"challenge": self.challenge(), "otp": otp})).await
    }

    /// `POST /auth/code/verify`, by a device that has a session.
    pub(crate) async fn verify_code_in_session(&self, otp: &str) -> Reply {
        self.post("/auth/code/verify", json!({"challenge": self.challenge(), "otp": otp})).await
    }

    /// `POST /auth/code/resend`
    pub(crate) async fn resend_code(&self) -> Reply {
        self.begin("/auth/code/resend", json!({"challenge": self.challenge()})).await
    }

    /// `POST /auth/code/resend`, with this device token.
    pub(crate) async fn resend_code_with(&self, token: &str) -> Reply {
        self.begin("/auth/code/resend", json!({"challenge": self.challenge(), "device_token": token})).await
    }

    /// `POST /auth/step-up`, by the password.
    pub(crate) async fn step_up(&self) -> Reply {
        self.post("/auth/step-up", self.reauthenticated(json!({}))).await
    }

    /// `POST /auth/step-up`, by the second factor that is shown alone.
    pub(crate) async fn step_up_by_factor(&self) -> Reply {
        self.post("/auth/step-up", self.with_factor(json!({}))).await
    }

    /// `POST /auth/step-up`, by a code of the challenge that was asked for last.
    pub(crate) async fn step_up_by_code(&self, otp: &str) -> Reply {
        let body = json!({"challenge": self.challenge(), "otp": otp});
        self.post("/auth/step-up", self.with_factor(body)).await
    }

    /// `POST /auth/set-password`
    pub(crate) async fn set_password(&self, new: &str) -> Reply {
        let reply = self.post("/auth/set-password", self.with_factor(json!({"new_password": new}))).await;
        self.learn_password(new, &reply);
        reply
    }

    /// `POST /auth/refresh`
    pub(crate) async fn refresh(&self) -> Reply {
        let mut body = json!({"refresh_token": self.refresh_token()});
        if let Some(attempt) = &self.attempt {
            body["attempt"] = attempt.as_str().into();
        }
        self.begin("/auth/refresh", body).await
    }

    /// `POST /auth/logout`, by the access token.
    pub(crate) async fn logout(&self) -> Reply {
        self.ask(Method::POST, "/auth/logout").await
    }

    /// `POST /auth/logout`, by the refresh token alone.
    pub(crate) async fn logout_by_refresh_token(&self) -> Reply {
        self.begin("/auth/logout", json!({"refresh_token": self.refresh_token()})).await
    }

    /// `POST /auth/logout-all`
    pub(crate) async fn logout_all(&self) -> Reply {
        self.ask(Method::POST, "/auth/logout-all").await
    }

    /// `POST /auth/logout-all`, by the refresh token alone.
    pub(crate) async fn logout_all_by_refresh_token(&self) -> Reply {
        self.begin("/auth/logout-all", json!({"refresh_token": self.refresh_token()})).await
    }

    /// `POST /auth/revoke`, with this token.
    pub(crate) async fn revoke(&self, token: &str) -> Reply {
        self.begin("/auth/revoke", json!({ "token": token })).await
    }

    /// `GET /auth/sessions`
    pub(crate) async fn sessions(&self) -> Reply {
        self.ask(Method::GET, "/auth/sessions").await
    }

    /// `DELETE /auth/sessions/{id}`
    pub(crate) async fn end_session(&self, id: &str) -> Reply {
        self.ask(Method::DELETE, &format!("/auth/sessions/{id}")).await
    }

    /// `DELETE /auth/sessions/{id}`, with the password and, where one is shown, the second factor.
    pub(crate) async fn end_session_with_password(&self, id: &str) -> Reply {
        let request = Request::post(&format!("/auth/sessions/{id}"), self.reauthenticated(json!({})));
        self.send(request.method(Method::DELETE)).await
    }

    /// `GET /auth/me`
    pub(crate) async fn me(&self) -> Reply {
        self.ask(Method::GET, "/auth/me").await
    }

    /// `GET /auth/me/export`
    pub(crate) async fn export(&self) -> Reply {
        self.ask(Method::GET, "/auth/me/export").await
    }

    /// `DELETE /auth/me`
    pub(crate) async fn delete_account(&self) -> Reply {
        self.send(Request::post("/auth/me", self.reauthenticated(json!({}))).method(Method::DELETE)).await
    }

    /// `POST /auth/change-password`, asking for the tokens of the new session.
    pub(crate) async fn change_password(&self, new: &str) -> Reply {
        let body = json!({"old_password": self.password(), "new_password": new, "tokens": true});
        let reply = self.post("/auth/change-password", self.with_factor(body)).await;
        self.learn_password(new, &reply);
        reply
    }

    /// `POST /auth/request-reset`
    pub(crate) async fn request_reset(&self) -> Reply {
        self.begin("/auth/request-reset", json!({"phone": self.phone()})).await
    }

    /// `POST /auth/request-reset`, with this device token.
    pub(crate) async fn request_reset_with(&self, token: &str) -> Reply {
        self.begin("/auth/request-reset", json!({"phone": self.phone(), "device_token": token})).await
    }

    /// `POST /auth/request-reset`, for the challenge that the device was given.
    pub(crate) async fn request_reset_again(&self) -> Reply {
        self.begin("/auth/request-reset", json!({"phone": self.phone(), "challenge": self.reset_challenge()})).await
    }

    /// `POST /auth/verify-reset`
    pub(crate) async fn verify_reset(&self, otp: &str, new: &str) -> Reply {
        let body = json!({"phone": self.phone(), "otp": otp, "new_password": new});
        let reply = self.begin("/auth/verify-reset", self.with_factor(body)).await;
        self.learn_password(new, &reply);
        reply
    }

    /// `POST /auth/verify-reset`, with the challenge that the device was given.
    pub(crate) async fn verify_reset_by_challenge(&self, otp: &str, new: &str) -> Reply {
        let body = json!({"challenge": self.reset_challenge(), "otp": otp, "new_password": new});
        let reply = self.begin("/auth/verify-reset", self.with_factor(body)).await;
        self.learn_password(new, &reply);
        reply
    }

    /// `POST /auth/verify-phone`
    pub(crate) async fn verify_phone(&self) -> Reply {
        self.ask(Method::POST, "/auth/verify-phone").await
    }

    /// `POST /auth/verify-phone/confirm`
    pub(crate) async fn confirm_phone(&self, otp: &str) -> Reply {
        self.post("/auth/verify-phone/confirm", json!({"otp": otp})).await
    }

    /// `POST /auth/change-phone`
    pub(crate) async fn change_phone(&self, new: &str) -> Reply {
        let reply = self.post("/auth/change-phone", self.reauthenticated(json!({"phone": new}))).await;
        if reply.status == 202 {
            self.learn(|known| known.wanted_phone = Some(new.to_owned()));
        }
        reply
    }

    /// `POST /auth/change-phone/verify`, for the phone that was asked for last.
    pub(crate) async fn change_phone_verify(&self, otp: &str) -> Reply {
        let wanted = self.known().wanted_phone.expect("another phone was asked for");
        let reply = self.post("/auth/change-phone/verify", json!({"phone": wanted, "otp": otp})).await;
        if reply.status == 200 {
            self.learn(|known| known.phone = wanted);
        }
        reply
    }

    /// `POST /auth/mfa/enroll`
    pub(crate) async fn mfa_enroll(&self) -> Reply {
        self.post("/auth/mfa/enroll", self.reauthenticated(json!({}))).await
    }

    /// `POST /auth/mfa/confirm`
    pub(crate) async fn mfa_confirm(&self, code: &str) -> Reply {
        let reply = self.post("/auth/mfa/confirm", json!({"code": code})).await;
        if reply.status == 200 {
            self.learn(|known| known.authenticator.clone_from(&known.new_authenticator));
        }
        reply
    }

    /// `POST /auth/mfa/recovery-codes`
    pub(crate) async fn mfa_recovery_codes(&self) -> Reply {
        self.post("/auth/mfa/recovery-codes", self.reauthenticated(json!({}))).await
    }

    /// `POST /auth/mfa/disable`
    pub(crate) async fn mfa_disable(&self) -> Reply {
        self.post("/auth/mfa/disable", self.reauthenticated(json!({}))).await
    }

    /// Posts what needs no session.
    async fn begin(&self, path: &str, body: Value) -> Reply {
        self.send_without_token(Request::post(path, body)).await
    }

    /// A body with the password and, where one is shown, the second factor.
    fn reauthenticated(&self, mut body: Value) -> Value {
        if !self.is_without_password {
            body["password"] = self.password().into();
        }
        self.with_factor(body)
    }

    /// A body with the second factor, where one is shown.
    fn with_factor(&self, mut body: Value) -> Value {
        if let Some((member, value)) = &self.proof {
            body[member] = value.as_str().into();
        }
        body
    }

    fn learn_password(&self, new: &str, reply: &Reply) {
        if let 200 | 204 = reply.status {
            self.learn(|known| new.clone_into(&mut known.password));
        }
    }
}
