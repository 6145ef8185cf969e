//! `POST /auth/activate`: creates the account of a registration whose code is entered.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::UserId,
    domain::{otp::OtpCode, phone::Phone, proof::SignInMethod},
    flows::{
        admission,
        codes::{self, Compared},
        recycled,
        registration::{PendingRegistration, RegisterResponse, Waiting},
        repeats,
        token_pair::{self, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::SealedActivationId,
        openapi::{ActivationProblems, CodeProblems, LimitProblems, PhoneProblems, ServerProblems},
    },
    request_body,
    store::{Activation, UsedCode},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{AllOfBuilder, AnyOfBuilder},
    },
};

request_body! {
    /// A pending registration and the code that was sent for it.
    pub struct ActivateRequest {
        /// The `activation_id` from the response of `POST /auth/register`.
        activation_id: SealedActivationId,
        /// The six digits of the code.
        otp: OtpCode,
        /// Whether to sign in as well.
        sign_in: bool,
    }
}

/// The new account and, with `sign_in`, the tokens of its first session.
#[derive(Serialize)]
pub struct ActivateResponse {
    #[serde(flatten)]
    account: RegisterResponse,
    #[serde(flatten)]
    tokens: Option<TokenResponse>,
}

/// The name of the schema of an account with tokens. Generators of clients name what they generate for it.
const WITH_TOKENS: &str = "ActivatedSession";

impl PartialSchema for ActivateResponse {
    /// Returns the schema of an account with tokens, or without: a client that did not ask for them must not require them.
    fn schema() -> RefOr<Schema> {
        let description = "The new account and, with `sign_in`, the tokens of its first session.";
        let forms = [WITH_TOKENS, "RegisterResponse"].map(Ref::from_schema_name);
        forms.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item).description(Some(description)).into()
    }
}

impl ToSchema for ActivateResponse {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let parts = ["RegisterResponse", "TokenResponse"].map(Ref::from_schema_name);
        let with_tokens = parts.into_iter().fold(AllOfBuilder::new(), AllOfBuilder::item);
        schemas.extend([
            (WITH_TOKENS.to_owned(), with_tokens.into()),
            ("RegisterResponse".to_owned(), RegisterResponse::schema()),
            ("TokenResponse".to_owned(), TokenResponse::schema()),
        ]);
        RegisterResponse::schemas(schemas);
        TokenResponse::schemas(schemas);
    }
}

/// Activate an account
///
/// Creates the account with the password of this registration and counts its phone as verified. A code allows five
/// tries. With `"sign_in": true`, the response also has the tokens of a session. The response is the same for a wrong,
/// expired or used code and for the code of another registration. Repeating the request that used the code gets the
/// account again until the code expires, and the tokens of the same session if they were not used.
///
/// If the phone has an account whose owner has not proved it for long, the right code gets 403 `identity-required`. `POST
/// /auth/start-anew` then creates the account of this registration, with its password.
#[utoipa::path(
    post,
    path = "/auth/activate",
    operation_id = "activate",
    tag = "Registration",
    request_body = ActivateRequest,
    responses(
        (status = 201, description = "The account was created", body = ActivateResponse),
        CodeProblems, ActivationProblems, PhoneProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    app.require_method(SignInMethod::Password)?;
    let ActivateRequest { activation_id: SealedActivationId(activation_id), otp, sign_in } =
        request.read(&app.config)?;
    let registration = PendingRegistration::of_id(app, ctx, Waiting::Registration, &activation_id).await?;
    let registration = registration.ok_or(ApiError::InvalidOtp)?;

    let phone = &registration.phone;
    // No account is made in a country that has been closed since.
    let not_served = |why| ApiError::not_served("/activation_id", &why);
    app.check_recipient(phone).map_err(not_served)?;
    let keys = if sign_in { Some(TokenKeys::of(app, ctx).await?) } else { None };
    let compared = codes::compare(app, ctx, registration.purpose(), phone, &otp);
    let (keys, code) = tokio::join!(TokenKeys::current_if(keys, app, ctx), compared);
    let (code, keys) = (code?, keys?);
    let code = match code {
        Compared::Right(code) => code,
        Compared::Repeated(used) => return repeated(app, ctx, phone, keys, &used).await,
    };
    // A right code is bound to the user who will have the account.
    let account = code.account.ok_or(ApiError::InvalidOtp)?;
    if account.exists() {
        // The phone has had an account for long, and perhaps another owner since.
        let keys = TokenKeys::or_current(keys, app, ctx).await?;
        let bound = (account, &code, true);
        return Err(recycled::begin_second_step(app, ctx, &keys, (phone, registration.purpose()), bound).await?);
    }
    let how = (SignInMethod::Code, false);
    let started = keys.as_ref().map(|keys| token_pair::new_session(app, ctx, keys, account.user, account.epoch, how));
    let (session, tokens) = started.transpose()?.unzip();
    let session_id = session.as_ref().map(|session| session.id);
    let effect = codes::effect(app, ctx, account.user, account.epoch, None).await?;
    let activated = app.store.activate(phone, registration.purpose(), (&code, &effect), session, ctx.now);
    match admission::with_right_try(app, ctx, activated).await? {
        Activation::Created(id) => {
            codes::count_verified(app, ctx, phone);
            let answer = created(ctx, phone, id, tokens);
            if let Some(session) = session_id {
                ctx.audit.session(id, session);
            }
            Ok(answer)
        }
        Activation::Repeated(used) => repeated(app, ctx, phone, keys, &used).await,
        // The caller has proved that they own the phone, so this reveals nothing to a stranger.
        Activation::PhoneTaken => Err(ApiError::PhoneTaken),
        Activation::Outrun => Err(ApiError::InvalidOtp),
    }
}

/// Answers a request that repeats the one that created the account, as long as the account is as it was created, or the one
/// that began a second step.
async fn repeated(
    app: &App,
    ctx: &Context,
    phone: &Phone,
    keys: Option<TokenKeys>,
    used: &UsedCode,
) -> Result<Response, ApiError> {
    if used.second_step.is_some() {
        let keys = TokenKeys::or_current(keys, app, ctx).await?;
        return Err(recycled::repeated_second_step(app, ctx, &keys, used, true)?);
    }
    let account = app.store.credential_of(phone).await?.ok_or(ApiError::InvalidOtp)?;
    if !used.has_made(&codes::effect(app, ctx, account.user, account.epoch, None).await?) {
        return Err(ApiError::InvalidOtp);
    }
    ctx.audit.reason("already-done");
    let tokens = repeats::tokens_of_code(app, ctx, keys.as_ref(), used).await?;
    Ok(created(ctx, phone, account.user, tokens))
}

fn created(ctx: &Context, phone: &Phone, id: UserId, tokens: Option<TokenResponse>) -> Response {
    ctx.audit.user(id);
    let account = RegisterResponse { id, phone: phone.as_e164().to_owned() };
    Response::json(StatusCode::CREATED, &ActivateResponse { account, tokens })
}
