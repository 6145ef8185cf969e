//! `POST /auth/mfa/enroll`: starts enrolling an authenticator app, which `POST /auth/mfa/confirm` completes.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{proof::Proof, totp::TotpSecret},
    flows::caller::Caller,
    http::{
        StatusCode,
        members::OwnPassword,
        openapi::{CodeProblems, EnrollmentProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    request_body,
};
use qrcode::{QrCode, render::svg};
use serde::Serialize;
use utoipa::ToSchema;

/// The smallest QR code that phones read from a screen, in pixels.
const QR_SIZE: u32 = 240;

request_body! {
    /// The account's password and, to replace an authenticator app, a second factor.
    pub struct MfaEnrollRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The TOTP code of the authenticator app to replace, required if a second factor is on. `recovery_code` may be
        /// sent instead.
        code: Option<Proof>,
    }
}

/// The secret for an authenticator app, in three forms. It is shown only once.
#[derive(Serialize, ToSchema)]
pub struct MfaEnrollResponse {
    /// The secret in base 32, to type in.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The secret as a URI, to open on the phone that has the app.
    #[schema(
        example = "otpauth://totp/Latchkey:%2B201012345678?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Latchkey\
                   &algorithm=SHA1&digits=6&period=30"
    )]
    otpauth_uri: String,
    /// The URI as a QR code, to scan: an SVG image.
    #[schema(
        example = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"><path d=\"M0 0h1v1H0z\"/></svg>"
    )]
    qr_svg: String,
}

/// Start enrolling an authenticator app
///
/// Works with Google Authenticator and other apps for time-based codes (RFC 6238). The second factor is on only when
/// its first code has been sent to `POST /auth/mfa/confirm`, within ten minutes and five tries. Of two enrollments that
/// wait, either may be confirmed. The phone must be verified.
#[utoipa::path(
    post,
    path = "/auth/mfa/enroll",
    operation_id = "mfa-enroll",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaEnrollRequest,
    responses(
        (status = 200, description = "The secret for the authenticator app", body = MfaEnrollResponse),
        CodeProblems, TokenProblems, EnrollmentProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let MfaEnrollRequest { password: OwnPassword(password), code } =
        request.read_again(&app.config, caller.has_password(app))?;
    let phone = caller.phone()?;
    if !caller.profile.phone_verified {
        // A caller who registered another person's number must not be able to lock its owner out for good.
        return Err(ApiError::PhoneNotVerified);
    }
    let proved = caller.reauthenticate(app, ctx, password.as_ref(), code.as_ref()).await?;

    let secret = TotpSecret::generate()?;
    let keys = app.keyring.secret(ctx.now).await?;
    let sealed =
        secret.seal(&keys.writing.totp, caller.profile.user).map_err(|error| ApiError::Internal(error.into()))?;
    let uri = secret.to_uri(&app.config.sms.text.service_name, phone);
    let code = QrCode::new(uri.as_bytes()).map_err(|error| ApiError::Internal(error.into()))?;
    app.store.enroll(proved.account, &sealed, ctx.now).await?;

    let answer = MfaEnrollResponse {
        secret: secret.to_base32().to_string(),
        otpauth_uri: uri.to_string(),
        qr_svg: code.render::<svg::Color<'_>>().min_dimensions(QR_SIZE, QR_SIZE).build(),
    };
    Ok(Response::json(StatusCode::OK, &answer))
}
