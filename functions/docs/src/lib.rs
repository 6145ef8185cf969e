//! `GET /docs`, `GET /openapi.json`: serves Swagger UI and the OpenAPI description, which is generated from the
//! handlers' types. This binary contains every file, so that no page of ours loads anything from another host.

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

/// The parts of the description that are not endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Latchkey",
        description = "Phone and password sign-in with one-time codes by SMS.\n\n\
            Errors are RFC 9457 problems. `code` is stable and meant for programs; `detail` is meant for people.",
        license(name = "MIT OR Apache-2.0"),
    ),
    components(schemas(latchkey::http::problem::Problem)),
    modifiers(&Bearer),
    tags(
        (name = "Sign-in", description = "Signing in with phone and password, tokens and sessions"),
        (name = "Account", description = "Creating, changing, exporting and deleting an account"),
        (name = "Second factor", description = "TOTP codes of an authenticator app, in addition to the password"),
        (name = "Password reset", description = "Setting a new password with a code by SMS"),
        (name = "Service", description = "The health check, and keys and metadata for verifying access tokens"),
    ),
)]
struct Description;

/// A modifier that adds the bearer scheme and the API's URL, which is relative to the description's own.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `access_token` from the response of `POST /auth/login`"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        openapi.servers = Some(vec![
            ServerBuilder::new().url(".").description(Some("The host that served this description")).build(),
        ]);
    }
}

/// Returns the OpenAPI description as JSON.
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

/// The page of Swagger UI. Its links are relative, so that it also works below a base path.
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

/// The script that starts Swagger UI. A token entered under "Authorize" survives a reload of the page.
const START: &str = r##"SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
});
"##;

/// The files of Swagger UI that the page loads: their names and content types.
const FILES: [(&str, &str); 3] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// The policy by which the page loads only our own files, whatever a description contains. Swagger UI sets inline
/// styles and draws icons as data URLs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The cache policy of files that change only with a deployment.
const CACHED: &str = "public, max-age=300";

/// Serves the page, one of its files or the description, depending on the request's path.
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
