//! `POST /auth/mfa/recovery-codes`: replaces the recovery codes.

use latchkey::{
    ApiError, App, Context, Request, Response,
    domain::{
        proof::Proof,
        recovery_code::{RecoveryCodes, RecoverySeed},
    },
    error::TokenProblem,
    flows::{
        caller::Caller,
        repeats, second_factor,
        token_pair::{self, StepUp, TokenKeys, TokenResponse},
    },
    http::{
        StatusCode,
        members::OwnPassword,
        openapi::{
            CodeProblems, FactorProblems, LimitProblems, ReauthenticationProblems, ServerProblems, TokenProblems,
        },
    },
    messages::Notice,
    request_body,
    store::{Change, Repeatable},
};
use serde::Serialize;
use utoipa::ToSchema;

request_body! {
    /// The account's password and its second factor.
    pub struct MfaRecoveryCodesRequest {
        /// The account's password, required if it has one. Without one, the sign-in or `POST /auth/step-up` must be at most
        /// ten minutes old.
        password: OwnPassword,
        /// The TOTP code. `recovery_code` may be sent instead.
        code: Option<Proof>,
    }
}

/// Recovery codes, for the user to keep on paper, which are shown only once; and the tokens of a new session.
#[derive(Serialize, ToSchema)]
pub struct MfaRecoveryCodesResponse {
    /// The recovery codes. Each works once, in place of a TOTP code.
    #[schema(example = json!(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]))]
    recovery_codes: Vec<String>,
    #[serde(flatten)]
    tokens: TokenResponse,
}

/// Replace the recovery codes
///
/// The previous recovery codes stop working. Every session ends; the response has the tokens of a new one, and the new
/// codes, which are shown only in this response.
#[utoipa::path(
    post,
    path = "/auth/mfa/recovery-codes",
    operation_id = "mfa-recovery-codes",
    tag = "Second factor",
    security(("bearer" = [])),
    request_body = MfaRecoveryCodesRequest,
    responses(
        (status = 200, description = "The new codes; every other session has ended", body = MfaRecoveryCodesResponse),
        CodeProblems, TokenProblems, ReauthenticationProblems, FactorProblems, LimitProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    match Box::pin(replace(app, ctx, &request)).await {
        Err(ApiError::InvalidToken(TokenProblem::SessionRenewed)) => again(app, ctx, &request).await,
        answer => answer,
    }
}

/// The purpose by which a repeated request is recognized.
const PURPOSE: &str = "mfa-recovery-codes";

/// Answers a request that repeats the one that has ended the session of its token. Its response may have been lost, and with
/// it the codes, which nobody has seen then: it is recognized by the second factor that it showed.
async fn again(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let MfaRecoveryCodesRequest { code, .. } = request.read_again(&app.config, false)?;
    let renewed = || ApiError::InvalidToken(TokenProblem::SessionRenewed);
    let proof = code.ok_or_else(renewed)?;
    let found = repeats::repeated_by_proof(app, ctx, request, PURPOSE, &proof).await?;
    let tokens = repeats::tokens(app, ctx, &found).await?;
    let codes = repeats::recovery_codes(app, ctx, &found).await?.ok_or_else(renewed)?;
    Ok(Response::json(StatusCode::OK, &MfaRecoveryCodesResponse { recovery_codes: codes.reveal(), tokens }))
}

async fn replace(app: &App, ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    let caller = Caller::authenticate(app, ctx, request).await?;
    let user = caller.profile.user;
    let MfaRecoveryCodesRequest { password: OwnPassword(password), code } =
        request.read_again(&app.config, caller.has_password(app))?;
    if !caller.profile.mfa_enabled {
        return Err(ApiError::MfaNotEnabled);
    }
    let keys = TokenKeys::of(app, ctx).await?;
    let proved = caller.reauthenticate(app, ctx, password.as_ref(), code.as_ref());
    let (keys, proved) = tokio::join!(keys.current(app, ctx), proved);
    let (proved, keys) = (proved?, keys?);

    let key = &keys.secret.writing.recovery_code;
    let seed = RecoverySeed::generate(key.kid)?;
    let codes = RecoveryCodes::derive(key, user, &seed);
    let stored = codes
        .to_stored(&keys.newest_secret(app, ctx).writing.totp, user)
        .map_err(|error| ApiError::Internal(error.into()))?;
    let proof = StepUp { first: proved.first, second_factor: true };
    let (mut renewal, tokens) = token_pair::renewed_session(app, ctx, &keys, &caller, proof)?;
    let until = ctx.now.plus(second_factor::REPEATABLE);
    let same_request = repeats::by_proof(app, ctx, caller.session, PURPOSE, code.as_ref()).await?;
    renewal.repeat = same_request.map(|request| Repeatable { request, until, recovery_seed: Some(seed) });
    let change = app.store.replace_recovery_codes(&caller.profile, &stored, renewal, ctx.now);
    let notice = (ctx, &caller.profile, Notice::RecoveryCodesReplaced);
    match app.notify_when(Change::Done, change, notice).await? {
        Change::Done => {
            Ok(Response::json(StatusCode::OK, &MfaRecoveryCodesResponse { recovery_codes: codes.reveal(), tokens }))
        }
        Change::Overtaken => Err(caller.overtaken(app, ctx, second_factor::used(code.as_ref())).await),
    }
}
