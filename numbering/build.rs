//! Turns `plans.txt` into the table that `plan.rs` includes, so that a program neither reads nor allocates anything
//! before it can read a number.

use std::{env, error::Error, fmt::Write, fs, path::Path};

type Failure = Box<dyn Error>;

/// A plan, as the file has it: the lines below its first one.
#[derive(Default)]
struct Plan<'a> {
    region: &'a str,
    calling_code: &'a str,
    idd: &'a str,
    trunk: &'a str,
    transform: &'a str,
    leading: &'a str,
    example: &'a str,
    general: String,
    local: u32,
    fixed: String,
    mobile: String,
    others: Vec<String>,
    one_kind: bool,
}

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=plans.txt");
    let text = fs::read_to_string("plans.txt")?;
    let mut plans: Vec<Plan<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        read(line, &mut plans).map_err(|why| format!("plans.txt: {line:?}: {why}"))?;
    }
    let mut code = format!("static PLANS: [Plan; {}] = [\n", plans.len());
    for plan in &plans {
        let Plan { region, calling_code, idd, trunk, transform, leading, example, local, one_kind, .. } = plan;
        let [general, fixed, mobile] =
            [&plan.general, &plan.fixed, &plan.mobile].map(|numbers| if numbers.is_empty() { NONE } else { numbers });
        let others = plan.others.join(", ");
        writeln!(
            code,
            "    Plan {{ region: {region:?}, calling_code: {calling_code}, idd: {idd:?}, trunk: {trunk:?}, \
             transform: {transform:?}, leading: {leading:?}, example: {example:?}, general: {general}, local: {local}, \
             fixed: {fixed}, mobile: {mobile}, others: &[{others}], one_kind: {one_kind} }},"
        )?;
    }
    code.push_str("];\n");
    #[expect(clippy::disallowed_methods, reason = "Cargo tells build scripts by environment variables where to write")]
    let folder = env::var("OUT_DIR")?;
    fs::write(Path::new(&folder).join("plans.rs"), code)?;
    Ok(())
}

/// The numbers of a kind that a plan does not have.
const NONE: &str = "Numbers { lengths: 0, pattern: None }";

/// Reads a line: the first one of a plan, or one more about the last plan.
fn read<'a>(line: &'a str, plans: &mut Vec<Plan<'a>>) -> Result<(), Failure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if !line.starts_with(' ') {
        let [region, calling_code] = words[..] else { return Err("a plan is a region and a calling code".into()) };
        plans.push(Plan { region, calling_code, ..Plan::default() });
        return Ok(());
    }
    let plan = plans.last_mut().ok_or("no plan begins above")?;
    match words[..] {
        ["idd", pattern] => plan.idd = pattern,
        ["trunk", pattern] => plan.trunk = pattern,
        ["transform", template] => plan.transform = template,
        ["leading", pattern] => plan.leading = pattern,
        ["example", digits] => plan.example = digits,
        ["local", lengths] => plan.local = mask(lengths)?,
        ["one-kind"] => plan.one_kind = true,
        ["general", lengths, pattern] => plan.general = numbers(lengths, pattern)?,
        ["fixed", lengths, pattern] => plan.fixed = numbers(lengths, pattern)?,
        ["mobile", lengths, pattern] => plan.mobile = numbers(lengths, pattern)?,
        ["other", lengths, pattern] => plan.others.push(numbers(lengths, pattern)?),
        _ => return Err("is no line of a plan".into()),
    }
    Ok(())
}

fn numbers(lengths: &str, pattern: &str) -> Result<String, Failure> {
    let lengths = mask(lengths)?;
    // In thousands, as literals are written.
    let lengths =
        if lengths < 1000 { lengths.to_string() } else { format!("{}_{:03}", lengths / 1000, lengths % 1000) };
    Ok(format!("Numbers {{ lengths: {lengths}, pattern: Some({pattern:?}) }}"))
}

/// Returns lengths as bits; `*` stands for every length, which is no bit at all.
fn mask(lengths: &str) -> Result<u32, Failure> {
    if lengths == "*" {
        return Ok(0);
    }
    lengths.split(',').try_fold(0, |mask, length| {
        let bit = 1u32.checked_shl(length.parse()?).ok_or("a number is that long")?;
        Ok(mask | bit)
    })
}
