//! The library is a house of floors: what a file imports is never above it, and no files import each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::harness::{file, root};

/// A module's path below the crate's root, such as `["store", "table", "keys"]`.
type Module = Vec<String>;

/// The source of a module: its code, without its tests and its comments.
type Sources = BTreeMap<Module, String>;

#[test]
fn no_floor_of_the_library_imports_one_above_it() {
    let floors = floors();
    let sources = sources();
    let found: BTreeSet<_> = sources.keys().filter_map(|module| module.first().cloned()).collect();
    assert_eq!(found, floors.iter().cloned().collect(), "the list in shared/src/lib.rs names every floor");
    let level = |floor: &str| floors.iter().position(|known| known == floor);
    for (module, source) in sources.iter().filter(|(module, _)| !module.is_empty()) {
        for path in imports(module, source) {
            let (own, other) = (level(&module[0]), level(&path[0]));
            assert!(other.is_some(), "{} names {}, which is on no floor", module.join("::"), path.join("::"));
            assert!(other <= own, "{} imports {}, which is above it", module.join("::"), path.join("::"));
        }
    }
}

#[test]
fn the_files_of_the_library_import_each_other_in_no_circle() {
    let sources = sources();
    let resolve = |path: &[String]| defining_module(&sources, path, 0);
    let graph: BTreeMap<Module, BTreeSet<Module>> = sources
        .iter()
        // A page that only names its rooms imports nothing for itself.
        .filter(|(_, source)| source.contains("fn ") || source.contains("struct ") || source.contains("enum "))
        .map(|(module, source)| {
            let paths = imports(module, source);
            let targets = paths.iter().filter_map(|path| resolve(path)).filter(|target| target != module);
            (module.clone(), targets.collect())
        })
        .collect();
    let circle: Vec<_> =
        graph.keys().filter(|module| reaches(&graph, module, module)).map(|module| module.join("::")).collect();
    assert!(graph.len() > 50, "the library has more files than {}", graph.len());
    assert_eq!(circle, Vec::<String>::new(), "these files import each other in a circle");
}

#[test]
fn the_map_of_the_architecture_is_the_list_of_the_library() {
    let map: Vec<_> = file("docs/ARCHITECTURE.md")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `shared/src/")?.split_once('`')?.0.to_owned()))
        .map(|path| path.trim_end_matches('/').trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(map, floors());
}

/// The floors, from the ground up, as the library's own page lists them.
fn floors() -> Vec<String> {
    let page = file("shared/src/lib.rs");
    page.lines().filter_map(|line| Some(line.strip_prefix("//! * [`")?.split_once('`')?.0.to_owned())).collect()
}

fn sources() -> Sources {
    let folder = root().join("shared/src");
    files(&folder).into_iter().map(|path| read(&folder, &path)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn read(folder: &Path, path: &Path) -> (Module, String) {
    let relative = path.strip_prefix(folder).unwrap().with_extension("");
    let mut module: Module = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let without_comments = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    (module, without_comments.collect::<Vec<_>>().join("\n"))
}

/// Every path that a module imports or names, from the crate's root.
fn imports(module: &Module, source: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        flatten(&[], &source[at + "crate::".len()..], &mut found);
    }
    for (at, _) in source.match_indices("super::") {
        let parent = &module[..module.len().saturating_sub(1)];
        flatten(parent, &source[at + "super::".len()..], &mut found);
    }
    found
}

/// Adds every path of a use tree; what follows the tree does not matter.
fn flatten(prefix: &[String], tree: &str, found: &mut Vec<Module>) {
    let name: String = tree.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &tree[name.len()..];
    if !name.is_empty() {
        let path = [prefix, &[name]].concat();
        match rest.strip_prefix("::") {
            Some(rest) => flatten(&path, rest, found),
            // A macro that is exported has its path at the root, whichever file defines it.
            None if rest.starts_with('!') => {}
            None => found.push(path),
        }
        return;
    }
    let Some(group) = rest.strip_prefix('{') else { return };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        let ends = matches!(c, ',' | '}') && depth == 0;
        if ends {
            flatten(prefix, group[start..at].trim(), found);
            start = at + 1;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The module that defines what a path names, re-exports followed.
fn defining_module(sources: &Sources, path: &[String], depth: usize) -> Option<Module> {
    let mut module = Module::new();
    let mut names = path.iter();
    for name in names.by_ref() {
        let below = [&module[..], std::slice::from_ref(name)].concat();
        if sources.contains_key(&below) {
            module = below;
            continue;
        }
        if name == "self" || depth > 5 {
            break;
        }
        // Not a module: it is defined here, or handed on from below.
        let mut handed_on = Vec::new();
        for (at, _) in sources[&module].match_indices("pub use ") {
            let tree = &sources[&module][at + "pub use ".len()..];
            let (prefix, tree) = match tree.strip_prefix("crate::") {
                Some(tree) => (Module::new(), tree),
                None => (module.clone(), tree),
            };
            flatten(&prefix, tree, &mut handed_on);
        }
        let source = handed_on.into_iter().find(|path| path.last() == Some(name));
        return match source {
            Some(path) if path[..] != below[..] => defining_module(sources, &path, depth + 1),
            _ => Some(module),
        };
    }
    (!module.is_empty()).then_some(module)
}

fn reaches(graph: &BTreeMap<Module, BTreeSet<Module>>, from: &Module, to: &Module) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = graph[from].iter().collect();
    while let Some(module) = open.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            open.extend(graph.get(module).into_iter().flatten());
        }
    }
    false
}
