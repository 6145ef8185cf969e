//! Turns what is kept in a readable form into the code that the library includes, so that a function parses nothing when
//! it starts: the sentences in `languages/*.toml` for `messages::language`, and Amazon's roots for `aws`. English defines the
//! sentences; a language that lacks one or has an extra one fails the build.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};

/// The sections of a file by name, each with its sentences by name.
type Sentences = BTreeMap<String, BTreeMap<String, String>>;

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "Cargo tells build scripts by environment variables where to write")]
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(folder.join("catalogs.rs"), catalogs()?)?;
    write_roots(&folder)
}

/// Writes each of Amazon's roots in DER, and an expression of them all.
fn write_roots(folder: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=data/amazon-roots.pem");
    let pem = fs::read_to_string("data/amazon-roots.pem")?;
    let mut code = String::from("&[\n");
    for (number, block) in pem.split("-----BEGIN CERTIFICATE-----").skip(1).enumerate() {
        let (body, _) = block.split_once("-----END CERTIFICATE-----").ok_or("a certificate has no end")?;
        let body: String = body.split_whitespace().collect();
        fs::write(folder.join(format!("root-{number}.der")), BASE64_STANDARD.decode(body)?)?;
        writeln!(code, "    include_bytes!(concat!(env!(\"OUT_DIR\"), \"/root-{number}.der\")),")?;
    }
    fs::write(folder.join("roots.rs"), code + "]\n")?;
    Ok(())
}

/// Returns the code of the sentences in every language.
fn catalogs() -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed=languages");
    let mut files: Vec<PathBuf> =
        fs::read_dir("languages")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let english = read(Path::new("languages/en.toml"))?;

    let mut code = String::from("/// The sentences of one language.\n#[derive(Debug)]\npub(super) struct Catalog {\n");
    writeln!(code, "    /// The language's ISO 639-1 code.\n    pub(super) code: &'static str,")?;
    for (section, name) in names(&english) {
        writeln!(code, "    /// The sentence `{name}` in `[{section}]`.\n    pub(super) {name}: &'static str,")?;
    }
    writeln!(code, "}}\n")?;
    let mut names_of_all = Vec::new();
    for file in &files {
        let sentences = read(file)?;
        let (found, wanted) = (names(&sentences), names(&english));
        if let Some((section, name)) = wanted.iter().find(|name| !found.contains(name)) {
            return Err(format!("{}: [{section}] lacks {name}, which en.toml has", file.display()).into());
        }
        if let Some((section, name)) = found.iter().find(|name| !wanted.contains(name)) {
            return Err(format!("{}: [{section}] has {name}, which en.toml lacks", file.display()).into());
        }
        let language = file.file_stem().and_then(|stem| stem.to_str()).ok_or("a file in languages/ has no name")?;
        let name_in_code = language.to_uppercase();
        writeln!(
            code,
            "/// `{language}.toml`.\npub(super) static {name_in_code}: Catalog = Catalog {{\n    code: {language:?},"
        )?;
        for (name, sentence) in sentences.values().flatten() {
            writeln!(code, "    {name}: {sentence:?},")?;
        }
        writeln!(code, "}};\n")?;
        names_of_all.push(format!("&{name_in_code}"));
    }
    let all = names_of_all.join(", ");
    writeln!(code, "/// Every language, sorted by its code.\npub(super) static CATALOGS: &[&Catalog] = &[{all}];")?;
    Ok(code)
}

fn read(file: &Path) -> Result<Sentences, Box<dyn Error>> {
    toml::from_str(&fs::read_to_string(file)?).map_err(|error| format!("{}: {error}", file.display()).into())
}

fn names(sentences: &Sentences) -> Vec<(&str, &str)> {
    sentences
        .iter()
        .flat_map(|(section, sentences)| sentences.keys().map(move |name| (section.as_str(), name.as_str())))
        .collect()
}
