//! `POST /auth/mfa/confirm`: switches the second factor on with its first code.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        otp::OtpCode,
        proof::Factor,
        recovery_code::{RecoveryCodes, RecoverySeed},
    },
    error::TokenProblem,
    flows::{
        admission,
        caller::Caller,
        repeats, second_factor,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        openapi::{CodeProblems, ConfirmationProblems, LimitProblems, ServerProblems, TokenProblems},
    },
    messages::Notice,
    request_body,
    store::{Change, Enrollment, NewFactor, Repeatable},
};
use serde::Serialize;
use utoipa::ToSchema;

request_body! {
    /// The first code of an authenticator app.
    pub struct MfaConfirmRequest {
        /// The six digits that the authenticator app shows.
        code: OtpCode,
    }
}

/// Recovery codes, for the user to keep on paper, which are shown only once; and the tokens of a new session.
#[derive(Serialize, ToSchema)]
pub struct MfaConfirmResponse {
    /// The recovery codes. Each works once, in place of a TOTP code.
    #[schema(example = json!(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]))]
    recovery_codes: Vec<String>,
    #[serde(flatten)]
    tokens: TokenResponse,
}

/// Switch the second factor on
///
/// From now on, logins and password resets require it. Every session ends; the response has the tokens of a new one,
/// and the recovery codes, which are shown only in this response. Repeating the request within five minutes gets the same
/// ones, if the session's tokens were not used.
/// A wrong code may be entered again; after five tries, or ten minutes, the enrollment is over and begins again with
/// `POST /auth/mfa/enroll`.
#[utoipa::path(
    post,
    path = "/auth/mfa/confirm",
    operation_id = "mfa-confirm",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaConfirmRequest,
    responses(
        (status = 200, description = "Switched on; every other session has ended", body = MfaConfirmResponse),
        CodeProblems, TokenProblems, ConfirmationProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    match Box::pin(confirm(app, ctx, &request)).await {
        // The change has ended the session of this request's token. Its response may have been lost, and with it the
        // recovery codes, which nobody has seen then.
        Err(ApiError::InvalidToken(TokenProblem::SessionRenewed)) => {
            let MfaConfirmRequest { code } = request.read(&app.config)?;
            let found = repeats::repeated_with_ended_session(app, ctx, &request, PURPOSE, &code).await?;
            let tokens = repeats::tokens(app, ctx, &found).await?;
            let renewed = ApiError::InvalidToken(TokenProblem::SessionRenewed);
            let codes = repeats::recovery_codes(app, ctx, &found).await?.ok_or(renewed)?;
            Ok(Response::json(StatusCode::OK, &MfaConfirmResponse { recovery_codes: codes.reveal(), tokens }))
        }
        answer => answer,
    }
}

/// The purpose by which a repeated request is recognized.
const PURPOSE: &str = "mfa-confirm";

async fn confirm(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, request).await?;
    let user = caller.profile.user;
    let MfaConfirmRequest { code } = request.read(&app.config)?;

    let keys = TokenKeys::of(app, ctx).await?;
    let same_request = repeats::of_session(app, ctx, &caller, PURPOSE, &code).await?;
    let attempt = app.store.spend_enrollment_attempt(&caller.profile, &same_request, ctx.now);
    let (keys, admitted) = tokio::join!(keys.current(app, ctx), admission::admit_with_receipt(app, ctx, attempt));
    let (admitted, keys) = (admitted?, keys?);
    let Some((Enrollment { secrets, is_under_way }, receipt)) = admitted else {
        let over = if caller.profile.mfa_enabled { ApiError::MfaAlreadyEnabled } else { ApiError::EnrollmentOver };
        return Err(caller.overtaken(app, ctx, over).await);
    };
    ctx.audit.factor(Factor::Totp);
    let mut is_compared = false;
    let mut found = None;
    for sealed in secrets {
        let kid = sealed.kid().map_err(|error| ApiError::Internal(error.into()))?;
        let opening = admission::or_take_back(app, &receipt, app.keyring.reading(kid, ctx.now).await).await?;
        // A secret whose key leaked while it waited is no second factor to begin with.
        let Some(opening) = opening else { continue };
        let secret = sealed.open(&opening.totp, user).map_err(|error| ApiError::Internal(error.into()))?;
        is_compared = true;
        let step = secret.step_of(&code, None, ctx.now);
        found = found.or(step.map(|step| (sealed, step)));
    }
    if is_under_way {
        return Err(match found {
            Some(_) => caller.outcome_of_other(app, ctx, ApiError::EnrollmentOver).await,
            None => ApiError::EnrollmentOver,
        });
    }
    let wrong = if is_compared { ApiError::WrongTotp } else { ApiError::EnrollmentOver };
    let (sealed, step) = found.ok_or(wrong)?;

    let key = &keys.secret.writing.recovery_code;
    let seed = RecoverySeed::generate(key.kid)?;
    let codes = RecoveryCodes::derive(key, user, &seed);
    let stored = codes
        .to_stored(&keys.newest_secret(app, ctx).writing.totp, user)
        .map_err(|error| ApiError::Internal(error.into()))?;
    let factor = NewFactor { secret: &sealed, step, recovery_codes: &stored };
    // Who the caller is was proved when the enrollment began, perhaps in another session.
    let proof = StepUp { first: None, second_factor: true };
    let (mut renewal, tokens) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let until = ctx.now.plus(second_factor::REPEATABLE);
    renewal.repeat = Some(Repeatable { request: same_request, until, recovery_seed: Some(seed) });
    let change = app.store.switch_factor_on(&caller.profile, factor, renewal, ctx.now);
    let notice = (ctx, &caller.profile, Notice::SecondFactorOn);
    match Box::pin(admission::with_right_try(app, ctx, app.notify_when(Change::Done, change, notice))).await? {
        Change::Done => {
            Ok(Response::json(StatusCode::OK, &MfaConfirmResponse { recovery_codes: codes.reveal(), tokens }))
        }
        // Another request was faster: it confirmed the same enrollment, or did something else that ends sessions.
        Change::Overtaken => Err(caller.overtaken(app, ctx, ApiError::EnrollmentOver).await),
    }
}
