//! Writes a new endpoint: a function that returns the caller's identifier, and its entry in every list. All of it is
//! prepared in memory first, so that a refusal writes nothing.

use std::{fmt::Write, fs, io, path::Path};

use serde_norway::Value;

use crate::route::{Route, is_reserved};

/// Routes, permissions and environment: the source of truth.
const TEMPLATE: &str = "template.yaml";
/// The table of endpoints.
const REFERENCE: &str = "docs/endpoints.md";
/// The list of endpoints, for the OpenAPI description and the dev server, and the manifest with its packages.
const LIST: &str = "functions/docs/src/endpoints.rs";
const LIST_MANIFEST: &str = "functions/docs/Cargo.toml";
/// The routes, for what matches none.
const ROUTES: &str = "functions/unmatched/src/routes.rs";
/// The events in their order, with their answers.
const ANSWERS: &str = "events/answers.json";
/// The modules of the tests.
const TESTS: &str = "local/tests/it";
const TEST_MODULES: &str = "local/tests/it/main.rs";
/// Every package that there is.
const LOCK: &str = "Cargo.lock";

/// With a longer name, some lines would exceed the width that rustfmt allows.
const MAX_NAME_LENGTH: usize = 30;

/// Why an endpoint cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} exists already: the function `{1}` serves it")]
    Exists(Route, String),
    #[error("{new} and {known} have different names for one parameter: use the same name")]
    TwoNames { new: Route, known: Route },
    #[error("{route} would be the function `{name}`, but {taken_by}: choose another path")]
    NameTaken { route: Route, name: String, taken_by: String },
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: &'static str, source: io::Error },
    #[error("{path} does not have the form that this command expects: {problem}")]
    Unexpected { path: &'static str, problem: String },
}

/// The files of an endpoint, ready to be written.
pub(crate) struct Plan {
    route: Route,
    name: String,
    /// Path and text.
    new: Vec<(String, String)>,
    changed: Vec<(&'static str, String)>,
}

/// A route of the template and its function.
struct Served {
    name: String,
    logical_id: String,
    route: Route,
}

impl Plan {
    /// Prepares the endpoint for the workspace in this folder.
    pub(crate) fn new(root: &Path, route: &Route) -> Result<Self, Refusal> {
        let template = read(root, TEMPLATE)?;
        let served = served(&template)?;
        let name = name(root, route, &served)?;
        let files = Files { root, route, name: &name };
        let neighbour = neighbour(route, &served)?;
        let ident = files.ident();

        let changed = vec![
            (TEMPLATE, files.in_template(&template, &neighbour.logical_id)?),
            (LIST, files.after(LIST, &format!("    {},", ident_of(&neighbour.name)), &format!("    {ident},"))?),
            (LIST_MANIFEST, files.in_order(LIST_MANIFEST, "[dependencies]", &files.dependency())?),
            (ROUTES, files.after(ROUTES, &format!("\"{}\",", neighbour.route), &format!("    \"{route}\","))?),
            (REFERENCE, files.after(REFERENCE, &format!("| `{}` |", neighbour.route), &files.row())?),
            (ANSWERS, files.after(ANSWERS, "\"event\": \"me\",", &files.answer())?),
            (TEST_MODULES, files.in_order(TEST_MODULES, "mod ", &format!("mod {ident};"))?),
        ];
        let new = vec![
            (format!("functions/{name}/Cargo.toml"), files.fill(include_str!("../templates/Cargo.toml"))),
            (format!("functions/{name}/src/lib.rs"), files.fill(include_str!("../templates/lib.rs"))),
            (format!("functions/{name}/src/main.rs"), files.fill(include_str!("../templates/main.rs"))),
            (format!("events/{name}.json"), files.fill(include_str!("../templates/event.json"))),
            (format!("{TESTS}/{ident}.rs"), files.fill(include_str!("../templates/test.rs"))),
        ];
        Ok(Self { route: route.clone(), name, new, changed })
    }

    /// Writes the files.
    pub(crate) fn write(&self, root: &Path) -> io::Result<()> {
        for (path, text) in &self.new {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            fs::write(path, text)?;
        }
        self.changed.iter().try_for_each(|(path, text)| fs::write(root.join(path), text))
    }

    /// Says what was written, and what a person does next.
    pub(crate) fn report(&self) -> String {
        let Self { route, name, .. } = self;
        let mut report = format!("{route} is served by the function `{name}`: it returns the caller's identifier.\n\n");
        for (path, _) in &self.new {
            let _ = writeln!(report, "  new      {path}");
        }
        for (path, _) in &self.changed {
            let _ = writeln!(report, "  changed  {path}");
        }
        let module = ident_of(name);
        let _ = write!(
            report,
            "\nTry it: cargo test -p local --test it -- contract events {module}\n\
             Then edit it: docs/adding-an-endpoint.md lists the files.\n"
        );
        report
    }
}

/// The texts of one endpoint, and where they go.
struct Files<'a> {
    root: &'a Path,
    route: &'a Route,
    name: &'a str,
}

impl Files<'_> {
    /// The name of the crate and of the tests' module.
    fn ident(&self) -> String {
        ident_of(self.name)
    }

    /// The name in types and in the template: `MeDelete` for `me-delete`.
    fn type_name(&self) -> String {
        let words = self.name.split('-').map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            first.to_uppercase() + rest
        });
        words.collect()
    }

    /// Fills a template in. Consecutive lines about a parameter are repeated for each parameter.
    fn fill(&self, template: &str) -> String {
        let Route { method, path } = self.route;
        let parameters: Vec<_> = self.route.parameters().collect();
        let each = |form: &dyn Fn(&str) -> String| parameters.iter().map(|name| form(name)).collect::<Vec<_>>();
        let described = |name: &str| format!("(\"{name}\" = String, Path, description = \"Names what is asked for\")");
        let sent = |name: &str| format!("\"{name}\": \"some-{name}\"");
        let is_quoted = !parameters.is_empty();
        let values = [
            ("__ROUTE__", self.route.to_string()),
            ("__NAME__", self.name.to_owned()),
            ("__IDENT__", self.ident()),
            ("__TYPE__", self.type_name()),
            ("__ID__", self.type_name()),
            ("__METHOD__", method.clone()),
            ("__VERB__", method.to_lowercase()),
            ("__PATH__", path.clone()),
            ("__QUOTED_PATH__", if is_quoted { format!("\"{path}\"") } else { path.clone() }),
            ("__SENT_PATH__", self.route.path_with(|name| format!("some-{name}"))),
            ("__FIELDS__", each(&|name| format!(", {name}")).concat()),
            ("__PARAMETERS__", each(&described).join(", ")),
            ("__SENT_PARAMETERS__", each(&sent).join(", ")),
        ];
        let mut text = String::new();
        let lines: Vec<_> = template.lines().collect();
        for run in lines.chunk_by(|one, next| one.contains("__PARAMETER__") == next.contains("__PARAMETER__")) {
            let run: String = run.iter().flat_map(|line| [line, "\n"]).collect();
            if run.contains("__PARAMETER__") {
                text.extend(parameters.iter().map(|name| run.replace("__PARAMETER__", name)));
            } else {
                text.push_str(&run);
            }
        }
        if method != "GET" {
            text = text.lines().filter(|line| !line.contains("HEAD")).flat_map(|line| [line, "\n"]).collect();
        }
        if parameters.is_empty() {
            text = text.lines().filter(|line| !line.contains("PARAMETERS__")).flat_map(|line| [line, "\n"]).collect();
        }
        values.iter().fold(text, |text, (key, value)| text.replace(key, value))
    }

    fn dependency(&self) -> String {
        format!("{0} = {{ path = \"../{0}\" }}", self.name)
    }

    fn row(&self) -> String {
        format!("| `{}` | `{}` | Returns the caller's identifier (bearer) → 200 `{{user}}` |", self.route, self.name)
    }

    fn answer(&self) -> String {
        format!("  {{\"event\": \"{}\", \"status\": 200}},", self.name)
    }

    /// Inserts the function after its neighbour and, if its method may write, a rate of its own.
    fn in_template(&self, template: &str, neighbour: &str) -> Result<String, Refusal> {
        let mut lines: Vec<_> = template.lines().collect();
        let first = format!("  {neighbour}:");
        let first = lines.iter().position(|line| *line == first);
        let first = first.ok_or_else(|| unexpected(TEMPLATE, &format!("there is no line `  {neighbour}:`")))?;
        let body = lines.iter().skip(first + 1).take_while(|line| line.starts_with("    ")).count();
        let function = self.fill(include_str!("../templates/template.yaml"));
        lines.splice(first + 1 + body..first + 1 + body, function.lines());

        let rate = format!("        {}: {{ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20}}", self.route);
        if ["POST", "PUT", "PATCH"].contains(&self.route.method.as_str()) {
            let is_rate = |line: &&str| line.starts_with("        ") && line.contains(": {ThrottlingRateLimit: ");
            let last = lines.iter().rposition(is_rate);
            let last = last.ok_or_else(|| unexpected(TEMPLATE, "no route has a rate of its own"))?;
            lines.insert(last + 1, &rate);
        }

        let text = lines.join("\n") + "\n";
        let is_there = served(&text)?.iter().any(|served| served.name == self.name && served.route == *self.route);
        is_there.then_some(text).ok_or_else(|| unexpected(TEMPLATE, "the function cannot be added after its neighbour"))
    }

    /// Inserts a line after the last one that contains the anchor.
    fn after(&self, path: &'static str, anchor: &str, line: &str) -> Result<String, Refusal> {
        let text = read(self.root, path)?;
        let mut lines: Vec<_> = text.lines().collect();
        let at = lines.iter().rposition(|known| known.contains(anchor));
        let at = at.ok_or_else(|| unexpected(path, &format!("it has no line with `{anchor}`")))?;
        lines.insert(at + 1, line);
        Ok(lines.join("\n") + "\n")
    }

    /// Inserts a line into the alphabetical list that begins with the anchor and ends with a blank line.
    fn in_order(&self, path: &'static str, anchor: &str, line: &str) -> Result<String, Refusal> {
        let text = read(self.root, path)?;
        let mut lines: Vec<_> = text.lines().collect();
        let first = lines.iter().position(|known| known.starts_with(anchor));
        let first = first.ok_or_else(|| unexpected(path, &format!("it has no line with `{anchor}`")))?;
        let word = |line: &str| line.trim_start_matches("mod ").split(['.', ' ', ';']).next().map(str::to_owned);
        let is_after = |known: &&str| known.is_empty() || (*known != anchor && word(known) > word(line));
        let at = lines.iter().skip(first).position(is_after);
        lines.insert(at.map_or(lines.len(), |at| first + at), line);
        Ok(lines.join("\n") + "\n")
    }
}

/// Reads the routes below `/auth/` and their functions, in the template's order.
fn served(template: &str) -> Result<Vec<Served>, Refusal> {
    let template: Value = serde_norway::from_str(template).map_err(|error| unexpected(TEMPLATE, &error.to_string()))?;
    let resources = template.get("Resources").and_then(Value::as_mapping);
    let resources = resources.ok_or_else(|| unexpected(TEMPLATE, "it has no Resources"))?;
    let mut served = Vec::new();
    for (logical_id, resource) in resources {
        let text = |value: &Value, path: &[&str]| {
            path.iter().try_fold(value, |value, part| value.get(part))?.as_str().map(str::to_owned)
        };
        let Some(name) = text(resource, &["Metadata", "BuildProperties", "Binary"]) else { continue };
        let events = resource.get("Properties").and_then(|properties| properties.get("Events"));
        for (_, event) in events.and_then(Value::as_mapping).into_iter().flatten() {
            let part = |part| text(event, &["Properties", part]);
            if let (Some(logical_id), Some(method), Some(path)) = (logical_id.as_str(), part("Method"), part("Path"))
                && path.starts_with("/auth/")
                // A GET's shadow.
                && method != "HEAD"
            {
                let route = Route { method, path };
                served.push(Served { name: name.clone(), logical_id: logical_id.to_owned(), route });
            }
        }
    }
    Ok(served)
}

/// Names the function of a new route.
fn name(root: &Path, route: &Route, served: &[Served]) -> Result<String, Refusal> {
    if let Some(known) = served.iter().find(|known| known.route == *route) {
        return Err(Refusal::Exists(route.clone(), known.name.clone()));
    }
    if let Some(known) = served.iter().find(|known| known.route.renames_a_parameter_of(route)) {
        return Err(Refusal::TwoNames { new: route.clone(), known: known.route.clone() });
    }
    // A second method on a path, parameters dropped: `DELETE /auth/sessions/{id}` beside `GET /auth/sessions`.
    let words = |route: &Route| route.words().map(str::to_owned).collect::<Vec<_>>();
    let is_second = served.iter().any(|known| words(&known.route) == words(route));
    let name = route.name(is_second);

    let taken = |taken_by: String| Err(Refusal::NameTaken { route: route.clone(), name: name.clone(), taken_by });
    if is_reserved(&name) {
        return taken("Rust or cargo reserves that name".to_owned());
    }
    if name.len() > MAX_NAME_LENGTH {
        return taken(format!("a name has at most {MAX_NAME_LENGTH} characters"));
    }
    if let Some(known) = served.iter().find(|known| known.name == name) {
        return taken(format!("that is {}", known.route));
    }
    if read(root, LOCK)?.lines().any(|line| line == format!("name = \"{name}\"")) {
        return taken("a package has that name".to_owned());
    }
    let ident = ident_of(&name);
    for path in [format!("functions/{name}"), format!("events/{name}.json"), format!("{TESTS}/{ident}.rs")] {
        if root.join(&path).exists() {
            return taken(format!("{path} exists"));
        }
    }
    if root.join(TESTS).join(&ident).exists() {
        return taken(format!("{TESTS}/{ident} exists"));
    }
    Ok(name)
}

/// Returns the function to insert the new one after: the last one whose path has most parts in common with the route's.
fn neighbour<'a>(route: &Route, served: &'a [Served]) -> Result<&'a Served, Refusal> {
    let neighbour = served.iter().max_by_key(|known| known.route.parts_in_common(route));
    neighbour.ok_or_else(|| unexpected(TEMPLATE, "no function has a route below /auth/"))
}

fn ident_of(name: &str) -> String {
    name.replace('-', "_")
}

fn read(root: &Path, path: &'static str) -> Result<String, Refusal> {
    fs::read_to_string(root.join(path)).map_err(|source| Refusal::Unreadable { path, source })
}

fn unexpected(path: &'static str, problem: &str) -> Refusal {
    Refusal::Unexpected { path, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;

    const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    /// A folder with what the command reads of this workspace.
    fn copy() -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for path in [TEMPLATE, REFERENCE, LIST, LIST_MANIFEST, ROUTES, ANSWERS, TEST_MODULES, LOCK] {
            let target = copy.path().join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(Path::new(WORKSPACE).join(path), target).unwrap();
        }
        copy
    }

    fn files(folder: &Path) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
        files
    }

    /// Adds an endpoint; returns its name.
    fn add(root: &Path, route: &str) -> Result<String, String> {
        let plan = Plan::new(root, &route.parse().unwrap()).map_err(|error| error.to_string())?;
        plan.write(root).unwrap();
        Ok(plan.name)
    }

    /// The lines that are new in a file.
    fn new_lines<'a>(before: &str, after: &'a str) -> Vec<&'a str> {
        let mut before = before.lines().peekable();
        let is_new = |line: &&str| before.next_if(|old| old == line).is_none();
        let new = after.lines().filter(is_new).collect();
        assert_eq!(before.next(), None, "every line stays");
        new
    }

    #[test]
    fn an_endpoint_has_five_files_of_its_own_and_entries_in_seven() {
        let copy = copy();
        let before = files(copy.path());
        add(copy.path(), "POST /auth/mfa/devices/{id}").unwrap();
        let after = files(copy.path());

        let own: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        let expected = [
            "events/mfa-devices.json",
            "functions/mfa-devices/Cargo.toml",
            "functions/mfa-devices/src/lib.rs",
            "functions/mfa-devices/src/main.rs",
            "local/tests/it/mfa_devices.rs",
        ];
        assert_eq!(own, expected);
        let changed: Vec<_> =
            before.iter().filter(|(path, text)| after[*path] != **text).map(|(path, _)| path).collect();
        assert_eq!(changed, [REFERENCE, ANSWERS, LIST_MANIFEST, LIST, ROUTES, TEST_MODULES, TEMPLATE]);
        for (path, line) in [
            (ANSWERS, "  {\"event\": \"mfa-devices\", \"status\": 200},"),
            (LIST_MANIFEST, "mfa-devices = { path = \"../mfa-devices\" }"),
            (LIST, "    mfa_devices,"),
            (ROUTES, "    \"POST /auth/mfa/devices/{id}\","),
            (TEST_MODULES, "mod mfa_devices;"),
        ] {
            assert_eq!(new_lines(&before[path], &after[path]), [line]);
        }
        let row = new_lines(&before[REFERENCE], &after[REFERENCE]);
        assert!(row.len() == 1 && row[0].starts_with("| `POST /auth/mfa/devices/{id}` | `mfa-devices` | "), "{row:?}");
        let function = new_lines(&before[TEMPLATE], &after[TEMPLATE]);
        assert!(function[0].starts_with("        POST /auth/mfa/devices/{id}: {ThrottlingRateLimit: "), "{function:?}");
        assert_eq!(function[1], "  MfaDevicesFunction:");
        for path in own {
            assert!(!after[path].contains("__"), "{path} is filled in");
        }
        serde_norway::from_str::<Value>(&after[ANSWERS]).unwrap();
        let event: Value = serde_norway::from_str(&after["events/mfa-devices.json"]).unwrap();
        assert_eq!(event["rawPath"], "/auth/mfa/devices/some-id");
        assert_eq!(event["pathParameters"]["id"], "some-id");
    }

    #[test]
    fn it_is_put_behind_those_that_are_most_like_it() {
        let copy = copy();
        add(copy.path(), "GET /auth/mfa/devices").unwrap();
        let after = files(copy.path());
        for (path, known, new) in [
            (LIST, "    mfa_recovery_codes,", "    mfa_devices,"),
            (TEST_MODULES, "mod mfa_confirm;", "mod mfa_devices;"),
            (LIST_MANIFEST, "mfa-confirm = ", "mfa-devices = "),
            (REFERENCE, "| `POST /auth/mfa/recovery-codes` |", "| `GET /auth/mfa/devices` |"),
        ] {
            let mut lines = after[path].lines();
            lines.find(|line| line.starts_with(known)).unwrap();
            assert!(lines.next().unwrap().starts_with(new), "{path}");
        }
        // What only reads needs no rate of its own: the description, GET and HEAD.
        assert_eq!(after[TEMPLATE].matches("/auth/mfa/devices").count(), 3);
    }

    #[test]
    fn the_lists_keep_their_order_at_both_ends() {
        let copy = copy();
        add(copy.path(), "GET /auth/aardvark").unwrap();
        add(copy.path(), "GET /auth/zebra").unwrap();
        let after = files(copy.path());
        for (path, first, last) in [
            (LIST_MANIFEST, "[dependencies]\naardvark = ", "\nzebra = { path = \"../zebra\" }\n\n[dev-dependencies]"),
            (TEST_MODULES, "\n\nmod aardvark;\n", "\nmod zebra;\n"),
        ] {
            assert!(after[path].contains(first) && after[path].contains(last), "{path}");
        }
        assert!(after[TEST_MODULES].ends_with("mod zebra;\n"));
    }

    #[test]
    fn every_endpoint_that_there_is_has_the_name_that_its_route_gives() {
        let copy = copy();
        let mut served = served(&read(copy.path(), TEMPLATE).unwrap()).unwrap();
        assert!(served.len() > 20);
        // Without what has the name already.
        fs::write(copy.path().join(LOCK), "").unwrap();
        while let Some(last) = served.pop() {
            // A second route to a function is named by the first one.
            if !served.iter().any(|known| known.name == last.name) {
                assert_eq!(name(copy.path(), &last.route, &served).unwrap(), last.name);
            }
        }
    }

    #[test]
    fn what_exists_or_cannot_have_its_name_is_refused_and_nothing_is_written() {
        let copy = copy();
        add(copy.path(), "GET /auth/devices/{id}").unwrap();
        fs::create_dir_all(copy.path().join("functions/cellar")).unwrap();
        let before = files(copy.path());
        for (route, reason) in [
            ("POST /auth/login", "exists already: the function `login`"),
            ("GET /auth/devices/{id}", "exists already: the function `devices`"),
            ("PUT /auth/devices/{name}", "different names for one parameter"),
            ("PUT /auth/devices/{name}/x", "different names for one parameter"),
            ("POST /auth/login-mfa", "that is POST /auth/login/mfa"),
            ("POST /auth/static", "reserves that name"),
            ("POST /auth/serde", "a package has that name"),
            ("POST /auth/admin", "a package has that name"),
            ("POST /auth/answers", "events/answers.json exists"),
            ("POST /auth/main", "local/tests/it/main.rs exists"),
            ("POST /auth/cellar", "functions/cellar exists"),
            ("POST /auth/a-name-that-is-longer/than-allowed", "at most 30 characters"),
        ] {
            let error = add(copy.path(), route).unwrap_err();
            assert!(error.contains(reason), "{route}: {error}");
        }
        assert_eq!(files(copy.path()), before);
    }

    #[test]
    fn a_second_method_on_a_path_appends_its_verb() {
        let copy = copy();
        assert_eq!(add(copy.path(), "GET /auth/devices").unwrap(), "devices");
        assert_eq!(add(copy.path(), "DELETE /auth/devices/{id}").unwrap(), "devices-delete");
        assert_eq!(add(copy.path(), "PATCH /auth/devices/{id}").unwrap(), "devices-patch");
        assert_eq!(add(copy.path(), "PATCH /auth/me").unwrap(), "me-patch");
    }

    #[test]
    fn a_file_that_is_not_as_it_is_known_is_named_and_nothing_is_written() {
        for (path, text) in [
            (TEMPLATE, "Resources: ["),
            (TEMPLATE, "Resources: {}"),
            (REFERENCE, "# Endpoints\n"),
            (LIST, "endpoints! {}\n"),
            (ROUTES, "pub const ROUTES: &[&str] = &[];\n"),
            (LIST_MANIFEST, "[package]\n"),
            (ANSWERS, "[]\n"),
            (TEST_MODULES, "//! Tests\n"),
        ] {
            let copy = copy();
            fs::write(copy.path().join(path), text).unwrap();
            let before = files(copy.path());
            let error = add(copy.path(), "POST /auth/x").unwrap_err();
            assert!(
                error.starts_with(&format!("{path} does not have the form that this command expects: ")),
                "{error}"
            );
            assert_eq!(files(copy.path()), before);
        }
        let copy = copy();
        fs::remove_file(copy.path().join(REFERENCE)).unwrap();
        let error = add(copy.path(), "POST /auth/x").unwrap_err();
        assert!(error.starts_with("docs/endpoints.md cannot be read: "), "{error}");
    }
}
