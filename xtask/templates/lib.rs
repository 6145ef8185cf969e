//! `__ROUTE__`: who is asking.

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::UserId,
    flows::caller::Caller,
    http::{
        StatusCode,
        openapi::{ServerProblems, TokenProblems},
    },
};
use serde::Serialize;
use utoipa::ToSchema;

/// Who is asking.
#[derive(Serialize, ToSchema)]
pub struct __TYPE__Response {
    /// The account's identifier: `sub` in the access token.
    #[schema(value_type = String, example = "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b")]
    user: UserId,
    /// `{__PARAMETER__}` of the path.
    #[schema(example = "some-__PARAMETER__")]
    __PARAMETER__: String,
}

/// Returns the caller's identifier
#[utoipa::path(
    __VERB__,
    path = "__PATH__",
    operation_id = "__NAME__",
    tag = "Account",
    security(("bearer" = [])),
    params(__PARAMETERS__),
    responses(
        (status = 200, description = "The caller", body = __TYPE__Response),
        TokenProblems, ServerProblems,
    )
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let Caller { profile, .. } = Caller::authenticate(app, ctx, &request).await?;

    let __PARAMETER__ = request.path_parameter("__PARAMETER__").unwrap_or_default().to_owned();
    let answer = __TYPE__Response { user: profile.user__FIELDS__ };
    Ok(Response::json(StatusCode::OK, &answer))
}
