//! `POST /auth/revoke`: ends the session of a token (RFC 7009).

use latchkey::{
    ApiError, App, Context, Request, Response,
    base::id::{SessionId, UserId},
    domain::proof::Factor,
    flows::{caller::claims_of_any_age, refresh_token},
    http::{
        members::{RevocableToken, TokenTypeHint},
        openapi::{BodyProblems, ServerProblems},
    },
    request_body,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{AdditionalProperties, Object, Type},
    },
};

request_body! {
    /// The token whose session is to end, by RFC 7009 section 2.1. Other members, such as `client_id`, are ignored: the
    /// clients of this service are public.
    pub struct RevokeRequest {
        /// A refresh token or an access token, expired or not.
        token: RevocableToken,
        /// The kind of the token: `refresh_token` or `access_token`. It is not needed, because a token shows its kind.
        token_type_hint: Option<TokenTypeHint>,
    }
}

/// The same as a form.
struct RevokeForm;

impl PartialSchema for RevokeForm {
    /// Returns the schema of the members, of which none may occur twice, read or not (RFC 6749 section 3.1).
    fn schema() -> RefOr<Schema> {
        let mut schema = RevokeRequest::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let text = Object::with_type(Type::String);
            object.additional_properties = Some(Box::new(AdditionalProperties::RefOr(text.into())));
        }
        schema
    }
}

impl ToSchema for RevokeForm {}

/// Revoke a token
///
/// Ends the session of a refresh token or an access token, by RFC 7009: every token of the session stops working at
/// once. The token is the only proof that is needed, and it may have expired. The response is the same for a text that
/// is no token of this service, for one whose key was removed, and for a session that has already ended. After a removal
/// of keys, send the refresh token.
#[utoipa::path(
    post,
    path = "/auth/revoke",
    operation_id = "revoke",
    tag = "Sign-in",
    request_body(content(
        (RevokeRequest = "application/json"),
        (RevokeForm = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "No session of this token is alive"), BodyProblems, ServerProblems)
)]
pub async fn handle(app: &App, ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let RevokeRequest { token: RevocableToken(token), token_type_hint: _ } = request.read_form(&app.config)?;
    match session_of(app, ctx, &token).await {
        Ok((user, session)) => {
            ctx.audit.session(user, session);
            // Deleted whether or not it is alive, so that the response does not reveal it.
            app.store.end_session(user, session).await?;
        }
        // There is nothing to revoke, which is a success (RFC 7009 section 2.2).
        Err(ApiError::InvalidToken(why)) => ctx.audit.reason(why.as_str()),
        Err(error) => return Err(error),
    }
    Ok(Response::empty())
}

/// Returns the session of a token that we issued, of any age and whether or not it was spent.
async fn session_of(app: &App, ctx: &Context, token: &str) -> Result<(UserId, SessionId), ApiError> {
    // A refresh token is base64url, which has no dots.
    if token.contains('.') {
        let claims = claims_of_any_age(app, ctx, token).await?;
        return Ok((claims.sub, claims.sid));
    }
    let (token, _) = refresh_token::open(app, ctx, token).await?;
    ctx.audit.factor(Factor::RefreshToken);
    Ok((token.user, token.session))
}
