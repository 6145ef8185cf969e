//! What the documents promise about the repository: links, citations and the tests that they name lead somewhere.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use latchkey::messages::Language;

use crate::harness::{file, root};

/// Folders with nothing of ours in them.
const NOT_OURS: [&str; 7] = [".git", "target", ".latchkey", ".venv", ".aws-sam", "cache", "data"];

/// The text files of the repository with one of these extensions (`None`: without one), by their paths in it.
fn files(extensions: &[Option<&str>]) -> Vec<(PathBuf, String)> {
    let (mut folders, mut found) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !NOT_OURS.contains(&name) {
                folders.push(path);
            } else if path.is_file() && extensions.contains(&path.extension().map(|end| end.to_str().unwrap())) {
                found.push((path.strip_prefix(root()).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn markdown() -> Vec<(PathBuf, String)> {
    files(&[Some("md")])
}

/// Everything that cites documents: code, scripts, configuration and the documents themselves.
fn texts() -> Vec<(PathBuf, String)> {
    files(&[Some("rs"), Some("py"), Some("sh"), Some("toml"), Some("yaml"), Some("yml"), Some("md"), None])
}

/// The lines of a document that are not in a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// As GitHub makes a heading's anchor: lower case, without punctuation, hyphens for spaces.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Where a fragment can lead in a document: its headings, and `<a id="…">`.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.strip_prefix(' ').map(slug)).flatten()
    });
    let named = text.split("<a id=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    headings.chain(named).collect()
}

/// Why a link to `target` from a document in `folder` leads nowhere.
fn broken(folder: &Path, own: &str, target: &str) -> Option<String> {
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let file = root().join(folder).join(path);
    if !path.is_empty() && !file.exists() {
        return Some(format!("{target}: there is no such file"));
    }
    if fragment.is_empty() {
        return None;
    }
    let text = if path.is_empty() { own.to_owned() } else { std::fs::read_to_string(file).unwrap() };
    (!anchors(&text).contains(fragment)).then(|| format!("{target}: there is no such heading"))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    let mut links = 0;
    for (path, text) in markdown() {
        let prose = prose(&text).collect::<Vec<_>>().join("\n");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let attributes = prose.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for target in inline.chain(attributes).filter(|target| !target.contains("://")) {
            links += 1;
            let why = broken(path.parent().unwrap(), &text, target);
            wrong.extend(why.map(|why| format!("{}: {why}", path.display())));
        }
    }
    assert!(links > 100, "{links}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Comments and documents cite a place as `docs/threats.md#j5`.
#[test]
fn every_citation_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    let mut citations = 0;
    for (path, text) in texts() {
        for (at, _) in text.match_indices("docs/").filter(|(at, _)| !text[..*at].ends_with(['/', '.'])) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "/.-_#".contains(c);
            let cited = text[at..].split(|c| !is_part(c)).next().unwrap().trim_end_matches('.');
            if cited.contains(".md") {
                citations += 1;
                wrong.extend(broken(Path::new(""), "", cited).map(|why| format!("{}: {why}", path.display())));
            }
        }
    }
    assert!(citations > 50, "{citations}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Specifications that the design began with, and that are not in the repository.
#[test]
fn nothing_cites_a_document_that_is_not_here() {
    const GONE: [&str; 6] = ["DESIGN", "ORIGIN", "PERFORMANCE", "REVIEW", "SECURITY", "TRIAL"];
    let mut wrong = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| !path.ends_with(file!())) {
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)));
            if words
                .any(|word| GONE.contains(&word.trim_end_matches('.').trim_end_matches(".md")) && word != "SECURITY.md")
            {
                wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A requirement is met by tests: they are named as `module::test`, by the stem of their file.
#[test]
fn every_test_that_a_document_names_exists() {
    let code = files(&[Some("rs")]);
    let stem = |path: &Path| {
        let stem = path.file_stem().unwrap();
        let stem = if stem == "mod" { path.parent().unwrap().file_name().unwrap() } else { stem };
        stem.to_str().unwrap().to_owned()
    };
    let is_name = |text: &str| {
        text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut wrong = Vec::new();
    let mut named = 0;
    for (path, text) in markdown() {
        for code_span in prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let Some((module, test)) = code_span.split_once("::").filter(|(_, test)| is_name(test)) else {
                continue;
            };
            named += 1;
            let definition = format!("fn {test}()");
            if !code.iter().any(|(path, text)| stem(path) == module && text.contains(&definition)) {
                wrong.push(format!("{}: {code_span}", path.display()));
            }
        }
    }
    assert!(named > 100, "{named}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A row of the field trial is done and names what shows it, or says that it is open.
#[test]
fn every_row_of_the_field_trial_is_shown_or_open() {
    let trial = file("docs/field-trial.md");
    let rows: Vec<_> = trial.lines().filter(|line| line.starts_with("| <a id=\"")).collect();
    let expected = [('C', 18), ('F', 27), ('N', 8)].into_iter();
    let expected = expected.flat_map(|(group, count)| (1..=count).map(move |at| format!("{group}{at}")));
    for (row, name) in rows.iter().zip(expected.clone()) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{name}");
        assert!(cells[0].ends_with(&format!("</a>{name}")), "{name} instead of {}", cells[0]);
        assert!(cells[..4].iter().all(|cell| !cell.is_empty()), "{name}");
        assert!(cells[3].starts_with("open") || cells[4].contains('`'), "{name} names no test and is not open");
    }
    assert_eq!(rows.len(), expected.count());
}

/// A requirement or an attack is met, or the row says why not.
#[test]
fn what_is_not_met_has_its_reason() {
    let threats = file("docs/threats.md");
    let (mut rows, mut open) = (0, 0);
    for row in threats.lines().filter(|line| line.starts_with("| <a id=\"")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let id = cells[0].split("</a>").nth(1).unwrap();
        // A rule of writes has no status: all of them hold.
        let Some(status) = (if id.starts_with('A') { cells.get(3) } else { cells.get(2) }) else { panic!("{id}") };
        if id.starts_with('W') {
            continue;
        }
        rows += 1;
        let (word, reason) = status.split_once([':', ',', ';']).unwrap_or((status, ""));
        assert!(["met", "partly", "not"].contains(&word.split(' ').next().unwrap()), "{id}: {status}");
        if word != "met" && !word.starts_with("met ") {
            open += 1;
            assert!(reason.split_whitespace().count() >= 8, "{id} does not say why it is {word}");
            assert!(!reason.to_lowercase().contains("todo") && !reason.contains("not yet"), "{id}: {reason}");
        }
    }
    assert!(rows > 140 && open > 0 && open < 20, "{rows} rows, {open} of them open");
}

#[test]
fn the_risk_of_sms_is_told_in_every_language() {
    let document = file("docs/sms.md");
    let (_, section) = document.split_once("## What to tell your users").unwrap();
    let told: BTreeSet<_> = section
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` | ")?.0.to_owned()))
        .collect();
    assert_eq!(told, Language::all().map(|language| language.code().to_owned()).collect());
}

#[test]
fn the_readme_counts_the_attacks_that_the_table_has() {
    let (threats, readme) = (file("docs/threats.md"), file("README.md"));
    let count = |status| {
        let rows = threats.lines().filter(|line| line.starts_with("| <a id=\"a"));
        rows.filter(|row| row.split(" | ").nth(3).unwrap().starts_with(status)).count()
    };
    let [all, met, partly] = ["", "met", "partly"].map(count);
    let claim =
        format!("{all} classes of published vulnerabilities: {met} covered by a test or check, {partly} partly");
    assert!(readme.contains(&claim), "README.md does not say: {claim}");
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    assert_eq!(
        slug("0012: Keys are read at run time, and `rotate-keys` runs"),
        "0012-keys-are-read-at-run-time-and-rotate-keys-runs"
    );
    let text = "# One\n```\n# not a heading\n```\n## Two & three\n| <a id=\"j5\"></a>J5 |\n#hash\n";
    assert_eq!(anchors(text), ["one", "two--three", "j5"].map(str::to_owned).into());
}
