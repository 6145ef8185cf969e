//! The list of endpoints. Each line adds one to the OpenAPI description and to the dev server.

use latchkey::runtime::Code;
use utoipa::OpenApi;

macro_rules! endpoints {
    ($($name:ident $(: $kind:ident)? $(as $also:ident)?,)+) => {
        /// The endpoints in the order of the description.
        #[derive(OpenApi)]
        #[openapi(paths($($name::handle, $($name::$also,)?)+))]
        pub(crate) struct Paths;

        /// Every endpoint: the name of its crate, and its code.
        pub const ENDPOINTS: &[(&str, Code)] = &[$((stringify!($name), latchkey::code!($($kind)? $name::handle)),)+];
    };
}

endpoints! {
    register,
    activate,
    resend_activation,
    login,
    login_mfa,
    refresh,
    logout,
    logout_all,
    revoke,
    sessions,
    sessions_delete,
    me,
    me_export,
    me_delete as handle_post,
    change_password,
    change_phone,
    change_phone_verify,
    verify_phone,
    verify_phone_confirm,
    mfa_enroll,
    mfa_confirm,
    mfa_disable,
    mfa_recovery_codes,
    request_reset,
    verify_reset,
    code,
    code_verify,
    code_resend,
    step_up,
    set_password,
    start_anew,
    recover,
    jwks,
    openid_configuration as handle_oauth,
    health: stateless,
}
