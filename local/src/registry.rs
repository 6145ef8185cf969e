//! Which handler is behind which function's name. The contract test holds this list to the template.

use latchkey::runtime::{EventHandler, Handler, StatelessHandler};

/// A function's code.
#[derive(Clone, Copy)]
pub enum Code {
    /// With table, keys and configuration.
    Stateful(Handler),
    /// With the same, for events that are no HTTP requests.
    Event(EventHandler),
    /// With nothing but the request.
    Stateless(StatelessHandler),
}

/// Every function, by name.
pub const FUNCTIONS: &[(&str, Code)] = &[
    ("activate", Code::Stateful(|app, ctx, request| Box::pin(activate::handle(app, ctx, request)))),
    ("authorizer", Code::Event(|app, invocation, event| Box::pin(authorizer::handle(app, invocation, event)))),
    ("change-password", Code::Stateful(|app, ctx, request| Box::pin(change_password::handle(app, ctx, request)))),
    ("change-phone", Code::Stateful(|app, ctx, request| Box::pin(change_phone::handle(app, ctx, request)))),
    (
        "change-phone-verify",
        Code::Stateful(|app, ctx, request| Box::pin(change_phone_verify::handle(app, ctx, request))),
    ),
    ("docs", Code::Stateless(docs::handle)),
    ("health", Code::Stateless(health::handle)),
    ("jwks", Code::Stateful(|app, ctx, request| Box::pin(jwks::handle(app, ctx, request)))),
    ("login", Code::Stateful(|app, ctx, request| Box::pin(login::handle(app, ctx, request)))),
    ("login-mfa", Code::Stateful(|app, ctx, request| Box::pin(login_mfa::handle(app, ctx, request)))),
    ("logout", Code::Stateful(|app, ctx, request| Box::pin(logout::handle(app, ctx, request)))),
    ("logout-all", Code::Stateful(|app, ctx, request| Box::pin(logout_all::handle(app, ctx, request)))),
    ("me", Code::Stateful(|app, ctx, request| Box::pin(me::handle(app, ctx, request)))),
    ("me-delete", Code::Stateful(|app, ctx, request| Box::pin(me_delete::handle(app, ctx, request)))),
    ("me-export", Code::Stateful(|app, ctx, request| Box::pin(me_export::handle(app, ctx, request)))),
    ("mfa-confirm", Code::Stateful(|app, ctx, request| Box::pin(mfa_confirm::handle(app, ctx, request)))),
    ("mfa-disable", Code::Stateful(|app, ctx, request| Box::pin(mfa_disable::handle(app, ctx, request)))),
    ("mfa-enroll", Code::Stateful(|app, ctx, request| Box::pin(mfa_enroll::handle(app, ctx, request)))),
    ("mfa-recovery-codes", Code::Stateful(|app, ctx, request| Box::pin(mfa_recovery_codes::handle(app, ctx, request)))),
    (
        "openid-configuration",
        Code::Stateful(|app, ctx, request| Box::pin(openid_configuration::handle(app, ctx, request))),
    ),
    ("refresh", Code::Stateful(|app, ctx, request| Box::pin(refresh::handle(app, ctx, request)))),
    ("register", Code::Stateful(|app, ctx, request| Box::pin(register::handle(app, ctx, request)))),
    ("request-reset", Code::Stateful(|app, ctx, request| Box::pin(request_reset::handle(app, ctx, request)))),
    ("resend-activation", Code::Stateful(|app, ctx, request| Box::pin(resend_activation::handle(app, ctx, request)))),
    ("rotate-keys", Code::Event(|app, invocation, event| Box::pin(rotate_keys::handle(app, invocation, event)))),
    ("sessions", Code::Stateful(|app, ctx, request| Box::pin(sessions::handle(app, ctx, request)))),
    ("sessions-delete", Code::Stateful(|app, ctx, request| Box::pin(sessions_delete::handle(app, ctx, request)))),
    ("verify-phone", Code::Stateful(|app, ctx, request| Box::pin(verify_phone::handle(app, ctx, request)))),
    (
        "verify-phone-confirm",
        Code::Stateful(|app, ctx, request| Box::pin(verify_phone_confirm::handle(app, ctx, request))),
    ),
    ("verify-reset", Code::Stateful(|app, ctx, request| Box::pin(verify_reset::handle(app, ctx, request)))),
];

/// The code of a function.
pub fn code(name: &str) -> Option<Code> {
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}
