//! `GET /docs`, `GET /openapi.json`: Swagger UI, from files of our own, and the OpenAPI description that the handlers' types
//! give. Everything comes from this binary: no page of ours asks another host for anything.

mod endpoints;

use std::sync::{Arc, LazyLock};

use latchkey::{ApiError, Context, Request, Response, http::header};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ServerBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

pub use endpoints::ENDPOINTS;
use endpoints::Paths;

/// What the description says besides the endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Latchkey",
        description = "Phone and password sign-in with one-time codes by SMS.\n\n\
            Errors are RFC 9457 problems; `code` is stable and for programs, `detail` is for people.",
        license(name = "MIT OR Apache-2.0"),
    ),
    components(schemas(latchkey::http::problem::Problem)),
    modifiers(&Bearer),
    tags(
        (name = "Sign-in", description = "Tokens for a phone and a password, and the sessions that they belong to"),
        (name = "Account", description = "The account itself"),
        (name = "Second factor", description = "Codes of an authenticator, asked for besides the password"),
        (name = "Password reset", description = "A new password by a code"),
        (name = "Service", description = "For operators"),
    ),
)]
struct Description;

/// The bearer scheme, and the address of the API: wherever the description was read from.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `access_token` of POST /auth/login"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        openapi.servers =
            Some(vec![ServerBuilder::new().url(".").description(Some("Where this description came from")).build()]);
    }
}

/// The OpenAPI description, in JSON.
pub fn description() -> &'static str {
    &DESCRIPTION
}

fn described() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    description.merge(Paths::openapi());
    description
}

static DESCRIPTION: LazyLock<String> =
    LazyLock::new(|| described().to_json().unwrap_or_else(|error| error.to_string()));

/// The page. Its links are relative, so that it works below a base path as well.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Latchkey API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"#;

/// Starts Swagger UI; the token that was typed into "Authorize" stays there when the page is loaded again.
const START: &str = r##"SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
});
"##;

/// The files of Swagger UI that the page loads.
const FILES: [(&str, &str); 3] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// Nothing but our own files, whatever a description says (Swagger UI sets styles inline and draws icons as data URLs).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For files that change only with a deployment.
const CACHED: &str = "public, max-age=300";

/// Serves the page, its files and the description, by the request's path.
pub fn handle(_ctx: &Context, request: &Request) -> Result<Response, ApiError> {
    if let Some(name) = request.path_parameter("file") {
        return file(name);
    }
    if request.path().ends_with("/openapi.json") {
        let description = Response::file("application/json", DESCRIPTION.clone().into_bytes());
        return Ok(description.with_header(header::CACHE_CONTROL, CACHED));
    }
    Ok(Response::file("text/html; charset=utf-8", PAGE.into())
        .with_header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)
        .with_header(header::CACHE_CONTROL, CACHED))
}

fn file(name: &str) -> Result<Response, ApiError> {
    let response = if name == "start.js" {
        Response::file("text/javascript; charset=utf-8", START.into())
    } else {
        let (name, content_type) = FILES.into_iter().find(|(known, _)| *known == name).ok_or(ApiError::NotFound)?;
        let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default()))
            .map_err(|error| ApiError::Internal(error.to_string().into()))?;
        Response::file(content_type, file.ok_or(ApiError::NotFound)?.bytes.into_owned())
    };
    Ok(response.with_header(header::CACHE_CONTROL, CACHED))
}
