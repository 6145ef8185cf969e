//! `POST /auth/mfa/enroll`: a second factor, to be confirmed with its first code.

use latchkey::{
    ApiError, App, Context, Fields, FromFields, Request, Response,
    domain::{password::Password, proof::Proof, totp::TotpSecret},
    flows::caller::Caller,
    http::{
        StatusCode,
        openapi::{CodeProblems, EnrolmentProblems, LimitProblems, ServerProblems, TokenProblems},
    },
};
use qrcode::{QrCode, render::svg};
use serde::Serialize;
use utoipa::ToSchema;

/// The smallest picture that phones read off a screen, in pixels.
const QR_SIZE: u32 = 240;

/// The password again.
#[derive(ToSchema)]
pub struct MfaEnrollRequest {
    /// The account's password.
    #[schema(value_type = String, format = Password, example = "mypassword")]
    password: Password,
    /// The code of the authenticator that is to be replaced, where a second factor is on: `code`, or `recovery_code` in its
    /// place.
    #[schema(value_type = Option<String>, example = "654321")]
    code: Option<Proof>,
}

impl FromFields for MfaEnrollRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (password, code) = (fields.password("password"), fields.proof());
        Some(Self { password: password?, code })
    }
}

/// What an authenticator needs to know. Shown once.
#[derive(Serialize, ToSchema)]
pub struct MfaEnrollResponse {
    /// To be typed in: base 32.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// To be opened on the phone itself.
    #[schema(
        example = "otpauth://totp/Latchkey:%2B201012345678?secret=…&issuer=Latchkey&algorithm=SHA1&digits=6&period=30"
    )]
    otpauth_uri: String,
    /// The same as a QR code, to be scanned: an SVG image.
    #[schema(example = "<svg …>")]
    qr_svg: String,
}

/// Begins to switch a second factor on
///
/// Time-based codes (RFC 6238), for Google Authenticator and the like. Nothing is on before the first code has come to
/// `POST /auth/mfa/confirm`, within ten minutes and five tries. The phone must be verified.
#[utoipa::path(
    post,
    path = "/auth/mfa/enroll",
    operation_id = "mfa-enroll",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaEnrollRequest,
    responses(
        (status = 200, description = "To be put into an authenticator", body = MfaEnrollResponse),
        CodeProblems, TokenProblems, EnrolmentProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, &request).await?;
    let MfaEnrollRequest { password, code } = request.read(&app.config)?;
    if !caller.profile.phone_verified {
        // Whoever took somebody else's number must not be able to keep its owner out for good.
        return Err(ApiError::PhoneNotVerified);
    }
    let credential = caller.reauthenticate(app, ctx, &password, code.as_ref()).await?;

    let secret = TotpSecret::generate()?;
    let keys = app.keyring.secret(ctx.now).await?;
    let sealed = secret.seal(&keys.totp, caller.profile.user).map_err(|error| ApiError::Internal(error.into()))?;
    let uri = secret.to_uri(&app.config.sms.text.service_name, &caller.profile.phone);
    let code = QrCode::new(uri.as_bytes()).map_err(|error| ApiError::Internal(error.into()))?;
    app.store.enrol(&credential, &sealed, ctx.now).await?;

    let answer = MfaEnrollResponse {
        secret: secret.to_base32().to_string(),
        otpauth_uri: uri.to_string(),
        qr_svg: code.render::<svg::Color<'_>>().min_dimensions(QR_SIZE, QR_SIZE).build(),
    };
    Ok(Response::json(StatusCode::OK, &answer))
}
