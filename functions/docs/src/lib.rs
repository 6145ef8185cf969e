//! `GET /docs`, `GET /openapi.json`: serves Swagger UI and the OpenAPI description, which is generated from the
//! handlers' types. This binary contains every file, so that no page of ours loads anything from another host.
//!
//! Strangers can ask for these files as often as they like, so each is small (gzip; Swagger UI's are compressed when this is
//! built) and asked for once (its name contains
//! its hash, and caches keep it for a year).

mod endpoints;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write},
    sync::{Arc, LazyLock, OnceLock},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use latchkey::{ApiError, App, Context, Request, Response, domain::proof::SignInMethod, http::header};
use ring::digest::{SHA256, digest};
use utoipa::{
    OpenApi as _,
    openapi::{
        PathItem, RefOr, Required, Schema,
        path::Operation,
        request_body::RequestBody,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

pub use endpoints::ENDPOINTS;
use endpoints::Paths;

/// The parts of the description that are not endpoints.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Latchkey",
        description = "Phone sign-in with one-time codes by SMS, passwords and second factors.\n\n\
            Errors are RFC 9457 problems. `code` is stable and meant for programs; `detail` is meant for people.",
        contact(name = "The operator of this service"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(latchkey::http::problem::Problem)),
    servers((url = "/", description = "This host")),
    tags(
        (name = "Registration", description = "Creating an account, and activating it by a code"),
        (name = "Sign-in", description = "Signing in with a code by SMS or a password, tokens and sessions"),
        (name = "Password reset", description = "Setting a new password with a code by SMS"),
        (name = "Account", description = "Showing, changing, exporting and deleting an account"),
        (name = "Second factor", description = "TOTP codes of an authenticator app, in addition to the password"),
        (name = "Service", description = "The health check, and keys and metadata for verifying access tokens"),
    ),
)]
struct Description;

/// Returns the OpenAPI description of every endpoint as JSON.
pub fn description() -> &'static str {
    static DESCRIPTION: LazyLock<String> = LazyLock::new(|| described(&SignInMethod::ALL));
    &DESCRIPTION
}

/// Builds the description of the endpoints that these ways of signing in leave: what the handlers declare, with what
/// they share.
fn described(methods: &[SignInMethod]) -> String {
    let mut description = Description::openapi();
    description.merge(Paths::openapi());
    for off in SignInMethod::ALL.into_iter().filter(|method| !methods.contains(method)) {
        description.paths.paths.retain(|path, _| !paths_of(off).contains(&path.as_str()));
    }
    let components = description.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` from the response of `POST /auth/code/verify` or `POST /auth/login`"))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let mut problems = latchkey::http::openapi::components();
    let mut shared = BTreeMap::new();
    for operation in description.paths.paths.values_mut().flat_map(operations) {
        // Generators take an operation without requirements for one that was forgotten.
        operation.security.get_or_insert_default();
        latchkey::http::openapi::add_problem_of_all(&mut operation.responses.responses);
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            allow_absence(body);
        }
        for response in operation.responses.responses.values() {
            let RefOr::Ref(reference) = response else { continue };
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            if let Some((name, problem)) = problems.remove_entry(name) {
                shared.insert(name, RefOr::T(problem));
            }
        }
    }
    components.responses = shared;
    description.to_json().unwrap_or_else(|error| error.to_string())
}

/// Returns the operations of a path.
fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

/// Describes a body that may be absent as what it is. `Option<…>` in a handler's description would say that it may be
/// `null`.
fn allow_absence(body: &mut RequestBody) {
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        let Some(RefOr::T(Schema::OneOf(choice))) = &content.schema else { continue };
        if let Some(reference) = choice.items.iter().find(|item| matches!(item, RefOr::Ref(_))) {
            content.schema = Some(reference.clone());
            body.required = Some(Required::False);
        }
    }
}

/// Returns the paths that refuse every request if this way of signing in is off (`SIGN_IN_METHODS`).
fn paths_of(method: SignInMethod) -> &'static [&'static str] {
    match method {
        SignInMethod::Password => &[
            "/auth/register",
            "/auth/activate",
            "/auth/resend-activation",
            "/auth/login",
            "/auth/change-password",
            "/auth/set-password",
            "/auth/request-reset",
            "/auth/verify-reset",
        ],
        SignInMethod::Code => &["/auth/code", "/auth/code/verify", "/auth/code/resend"],
        SignInMethod::Factor => &[],
    }
}

/// Returns the description as it is served, which is built at its first request.
fn description_of(methods: &[SignInMethod]) -> &'static Result<Document, String> {
    static DESCRIPTIONS: [OnceLock<Result<Document, String>>; 4] = [const { OnceLock::new() }; 4];
    let [password, code] = SignInMethod::ALL.map(|method| methods.contains(&method));
    let [none, passwords, codes, both] = &DESCRIPTIONS;
    let built = match (password, code) {
        (false, false) => none,
        (true, false) => passwords,
        (false, true) => codes,
        (true, true) => both,
    };
    built.get_or_init(|| Document::new("application/json", &described(methods)))
}

/// The page of Swagger UI. Its links are relative, so that it also works below a base path. Names in braces become those
/// of files.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Latchkey API</title>
<link rel="icon" type="image/png" href="docs/{favicon-32x32.png}">
<link rel="stylesheet" href="docs/{swagger-ui.css}">
<style>
  /* A phone has no room beside names and responses. */
  @media (max-width: 40rem) {
    .swagger-ui .opblock-tag { flex-wrap: wrap; }
    .swagger-ui .opblock-tag a { flex: 1; }
    .swagger-ui .opblock-tag small { order: 1; flex: 1 0 100%; padding: .3rem 0 0; }
    .swagger-ui .response-col_links { display: none; }
    .swagger-ui .opblock-body pre.microlight { overflow-wrap: anywhere; }
  }
</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/{swagger-ui-bundle.js}"></script>
<script src="docs/{start.js}"></script>
</body>
</html>
"#;

/// The script that starts Swagger UI. The token of a response signs the next request in, and one entered under
/// "Authorize" survives a reload of the page. Responses of problems are shown without their examples, which stay in the
/// description: a row for each, so that an operation fits on a screen.
const START: &str = r##"const briefProblems = () => ({
  wrapComponents: {
    response: (Original, { React }) => (props) => {
      if (props.code < "400") return React.createElement(Original, props);
      const text = props.response.get("description") ?? "";
      return React.createElement("tr", { className: "response" },
        React.createElement("td", { className: "response-col_status" }, props.code),
        React.createElement("td", { className: "response-col_description" }, text.replaceAll("`", "")),
        React.createElement("td", { className: "response-col_links" }));
    },
  },
});
const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  plugins: [briefProblems],
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  responseInterceptor: (response) => {
    // 200 of a sign-in, 201 of an activation with `sign_in`. No problem has this member.
    const token = response.ok && response.body?.access_token;
    if (token) ui.preauthorizeApiKey("bearer", token);
    return response;
  },
});
"##;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of Swagger UI that the page loads: their names and media types.
const FILES: [(&str, &str); 3] =
    [("swagger-ui.css", "text/css; charset=utf-8"), ("swagger-ui-bundle.js", JAVASCRIPT), ("favicon-32x32.png", PNG)];

/// The only media type here that is compressed already.
const PNG: &str = "image/png";

/// The policy by which the page loads only our own files, whatever a description contains. Swagger UI sets inline
/// styles and draws icons as data URLs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The cache policy of what keeps its name when a deployment changes it.
const CACHED: &str = "public, max-age=300";

/// The cache policy of files whose name changes with their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// A document, compressed unless its media type is.
struct Document {
    content_type: &'static str,
    bytes: Cow<'static, [u8]>,
    is_gzip: bool,
}

/// Everything that is served.
struct Documents {
    page: Document,
    /// The files, each with the name under which the page loads it.
    files: Vec<(String, Document)>,
}

static DOCUMENTS: LazyLock<Result<Documents, String>> = LazyLock::new(Documents::build);

impl Document {
    /// Compresses a document of ours.
    fn new(content_type: &'static str, body: &str) -> Result<Self, String> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish());
        Ok(Self { content_type, bytes: packed.map_err(|error| error.to_string())?.into(), is_gzip: true })
    }

    /// Returns the response, compressed if the client accepts that.
    fn respond(&self, request: &Request, cache_control: &str) -> Result<Response, ApiError> {
        let accepted = request.header(header::ACCEPT_ENCODING).is_some_and(accepts_gzip);
        let response = match (self.is_gzip, accepted) {
            (true, true) => {
                Response::file(self.content_type, self.bytes.to_vec()).with_header(header::CONTENT_ENCODING, "gzip")
            }
            (true, false) => {
                Response::file(self.content_type, unpacked(&self.bytes).map_err(|why| ApiError::Internal(why.into()))?)
            }
            (false, _) => Response::file(self.content_type, self.bytes.to_vec()),
        };
        // A cache that knows one form must not give it to a client that asked for the other.
        Ok(response.with_header(header::VARY, "accept-encoding").with_header(header::CACHE_CONTROL, cache_control))
    }
}

impl Documents {
    fn build() -> Result<Self, String> {
        let config = Arc::new(Config::default());
        let mut sources = vec![("start.js", Document::new(JAVASCRIPT, START)?)];
        for (name, content_type) in FILES {
            let file = utoipa_swagger_ui::serve(name, config.clone()).map_err(|error| error.to_string())?;
            let file = file.ok_or_else(|| format!("Swagger UI has no {name}"))?;
            let is_gzip = file.gzpipped && content_type != PNG;
            let bytes = if file.gzpipped && !is_gzip { unpacked(&file.bytes)?.into() } else { file.bytes };
            sources.push((name, Document { content_type, bytes, is_gzip }));
        }
        let (mut page, mut files) = (PAGE.to_owned(), Vec::new());
        for (name, document) in sources {
            let hashed = name_with_hash(name, &document.bytes);
            page = page.replace(&format!("{{{name}}}"), &hashed);
            files.push((hashed, document));
        }
        Ok(Self { page: Document::new("text/html; charset=utf-8", &page)?, files })
    }
}

/// Reads every document but the description, while the sandbox starts.
pub fn prepare() {
    LazyLock::force(&DOCUMENTS);
}

/// Serves the page, one of its files or the description, depending on the request's path.
#[expect(clippy::unused_async, reason = "the shape of every handler")]
pub async fn handle(app: &App, _ctx: &Context, request: Request) -> Result<Response, ApiError> {
    let request = &request;
    let documents = DOCUMENTS.as_ref().map_err(|why| ApiError::Internal(why.clone().into()))?;
    if let Some(name) = request.path_parameter("file") {
        let file = documents.files.iter().find(|(known, _)| known == name);
        let (_, file) = file.ok_or(ApiError::NotFound)?;
        return file.respond(request, IMMUTABLE);
    }
    if request.path().ends_with("/openapi.json") {
        let description = description_of(&app.config.sign_in_methods).as_ref();
        return description.map_err(|why| ApiError::Internal(why.clone().into()))?.respond(request, CACHED);
    }
    let page = documents.page.respond(request, CACHED)?;
    Ok(page.with_header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
}

/// Returns the name of a file with a hash of its bytes, as they are kept, before the extension: `start.0f1e2d3c4b5a6978.js`.
fn name_with_hash(name: &str, bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut hashed = format!("{stem}.");
    for byte in digest.as_ref().iter().take(8) {
        let _ = write!(hashed, "{byte:02x}");
    }
    hashed + "." + extension
}

/// Returns what was compressed.
fn unpacked(gzip: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut body).map_err(|error| error.to_string())?;
    Ok(body)
}

/// Returns whether `Accept-Encoding` allows gzip (RFC 9110 section 12.5.3).
fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        is_gzip && weight.is_none_or(|weight| weight > 0.0)
    })
}
