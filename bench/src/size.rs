//! `size`: what is uploaded, unpacked and paged in.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use flate2::{Compression, write::DeflateEncoder};

use crate::{Arguments, Failure, results::Table};

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let names: Vec<_> = if arguments.functions.is_empty() {
        let functions = fs::read_dir(crate::lab::root().join("functions"))?.flatten();
        functions.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    } else {
        arguments.functions.clone()
    };
    let mut rows = BTreeMap::new();
    for name in names {
        if let Ok((binary, zip)) = measure(&arguments.binaries.join(&name)) {
            rows.insert(name, vec![zip, binary]);
        }
    }
    Table { name: "size", title: "Sizes", columns: vec!["zip, MB", "binary, MB"], rows }.publish()
}

/// Returns the sizes of a binary and of its zip, in MB.
pub(crate) fn measure(binary: &Path) -> Result<(f64, f64), Failure> {
    let binary = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
    zip.write_all(&binary)?;
    Ok((megabytes(binary.len())?, megabytes(zip.finish()?.len())?))
}

fn megabytes(bytes: usize) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(bytes)?) / 1e6)
}
