//! libphonenumber is the oracle: the table is its table, and every number is read as it reads it.
//!
//! Latchkey reads more than the library, on purpose: numbers behind `00` or the default country's code, those of the old
//! form of a plan, and those with a zero that their country does not dial (`read_digits` and `today` in
//! `shared/src/domain/phone.rs`, with tests of their own). It does so on top of this crate, which has no such exceptions.

#![expect(
    deprecated,
    reason = "the fields of the metadata are empty in the library's own copy, not in what is decoded here"
)]
use std::{collections::BTreeMap, env, fmt::Write, fs, path::Path, process::Command};

use numbering_plans::{Kind, Number, Plan};
use prost::Message;
use rlibphonenumber::{
    PHONE_NUMBER_UTIL as LIBRARY, PhoneMetadata, PhoneMetadataCollection, PhoneNumberDesc, PhoneNumberFormat,
    PhoneNumberType, Region,
};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans.txt");

const SPELLINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spellings.txt");

const HEADER: &str = "\
# Numbering plans, from libphonenumber's metadata (Copyright Google, Apache-2.0), as the crate rlibphonenumber has it.
# Written by `cd numbering/oracle && UPDATE=1 cargo test`, after an update of that crate; never by hand.
#
# A plan is a region and its calling code, and below it: the patterns of the dialing prefixes (idd), of what may precede
# a national number (trunk) and what takes its place (transform), of first digits that are the region's alone (leading);
# a mobile number (example); the lengths of local numbers (local); and for each kind of number its lengths (* = those of
# `general`) and its pattern. Premium, toll-free and the like are `other`. In `one-kind` plans fixed and mobile are one.
";

#[test]
fn the_table_is_that_of_the_library() {
    check_file(TABLE, &table());
}

/// Numbers of today's plans that `shared/src/domain/phone.rs` makes of what some examples begin with.
const OF_TODAY: [&str; 3] = ["+2250101234567", "+237667123456", "+5511996123456"];

/// The numbers of our own tests, which have no library: every country's mobile example, and what it begins with.
#[test]
fn the_spellings_are_those_of_the_library() {
    let mut text = String::new();
    for plan in Plan::all().iter().filter(|plan| !plan.is_of_no_country()) {
        let Some(example) = plan.mobile_example() else { continue };
        let example = Number::parse(example, Some(plan)).unwrap().e164();
        for number in (5..=example.len()).map(|length| &example[..length]) {
            write_spelling(&mut text, number);
        }
    }
    OF_TODAY.iter().for_each(|number| write_spelling(&mut text, number));
    check_file(SPELLINGS, &text);
}

/// Writes a number, if it is one, and how it is written at home.
fn write_spelling(text: &mut String, number: &str) {
    if let Ok(parsed) = LIBRARY.parse(number, None) {
        writeln!(text, "{number} {}", parsed.format_as(PhoneNumberFormat::National)).unwrap();
    }
}

/// Fails if a file is not what it should be, unless it is to be written.
fn check_file(path: &str, wanted: &str) {
    if env::var_os("UPDATE").is_some() {
        fs::write(path, wanted).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    let differs = committed.lines().zip(wanted.lines()).find(|(committed, wanted)| committed != wanted);
    assert!(differs.is_none() && committed == wanted, "{differs:?}: write it again by UPDATE=1");
}

fn table() -> String {
    let mut plans = metadata().metadata;
    // Those of one calling code stay in the library's order, behind the main country.
    plans.sort_by_key(|plan| (plan.country_code(), !plan.main_country_for_code()));
    let mut text = HEADER.to_owned();
    for plan in &plans {
        write_plan(&mut text, plan).unwrap();
    }
    text
}

/// The library's metadata, in the file that it includes itself.
fn metadata() -> PhoneMetadataCollection {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked"];
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let packages: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = packages["packages"].as_array().unwrap();
    let library = packages.iter().find(|package| package["name"] == "rlibphonenumber").unwrap();
    let folder = Path::new(library["manifest_path"].as_str().unwrap()).parent().unwrap();
    let bytes = fs::read(folder.join("src/generated/metadata/metadata.bin")).unwrap();
    PhoneMetadataCollection::decode(&*bytes).unwrap()
}

fn write_plan(text: &mut String, plan: &PhoneMetadata) -> std::fmt::Result {
    writeln!(text, "\n{} {}", plan.id, plan.country_code())?;
    for (name, pattern) in [
        ("idd", plan.international_prefix()),
        ("trunk", plan.national_prefix_for_parsing()),
        ("leading", plan.leading_digits()),
    ] {
        if !pattern.is_empty() {
            writeln!(text, " {name} {}", bare(pattern))?;
        }
    }
    let transform = plan.national_prefix_transform_rule();
    if !transform.is_empty() {
        // `$1` and `$2` are told from what follows them only at the end.
        assert!(transform.ends_with("$1") || transform.ends_with("$2"), "{transform}");
        assert_eq!(transform.matches('$').count(), 1, "{transform}");
        writeln!(text, " transform {transform}")?;
    }
    let general = plan.general_desc.as_ref().unwrap();
    write_numbers(text, "general", general)?;
    if !general.possible_length_local_only.is_empty() {
        writeln!(text, " local {}", lengths(&general.possible_length_local_only))?;
    }
    for (name, numbers) in [
        ("fixed", &plan.fixed_line),
        ("mobile", &plan.mobile),
        ("other", &plan.premium_rate),
        ("other", &plan.toll_free),
        ("other", &plan.shared_cost),
        ("other", &plan.voip),
        ("other", &plan.personal_number),
        ("other", &plan.pager),
        ("other", &plan.uan),
        ("other", &plan.voicemail),
    ] {
        if let Some(numbers) = numbers {
            write_numbers(text, name, numbers)?;
        }
    }
    if plan.same_mobile_and_fixed_line_pattern() {
        writeln!(text, " one-kind")?;
    }
    if let Some(example) = plan.mobile.as_ref().and_then(|mobile| mobile.example_number.as_ref()) {
        writeln!(text, " example {example}")?;
    }
    Ok(())
}

fn write_numbers(text: &mut String, name: &str, numbers: &PhoneNumberDesc) -> std::fmt::Result {
    // Lengths of -1 are the library's way to say that there are none.
    match numbers.national_number_pattern.as_deref() {
        Some(pattern) => writeln!(text, " {name} {} {}", lengths(&numbers.possible_length), bare(pattern)),
        None => Ok(()),
    }
}

fn lengths(lengths: &[i32]) -> String {
    if lengths.is_empty() {
        return "*".to_owned();
    }
    assert!(lengths.iter().all(|length| (1..=17).contains(length)), "{lengths:?}");
    lengths.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// Returns a pattern without the anchors that the library puts around it.
fn bare(pattern: &str) -> &str {
    pattern.strip_prefix("^(?:").and_then(|pattern| pattern.strip_suffix(")$")).expect(pattern)
}

/// What is read in a text: the number in E.164, its national part, its region and its kind.
type Read = Option<(String, String, Option<String>, Option<Kind>)>;

fn ours(text: &str, country: Option<&str>) -> Read {
    let number = Number::parse(text, country.map(|code| Plan::of_region(code).unwrap()))?;
    let region = number.plan().map(|plan| plan.region.to_owned());
    Some((number.e164(), number.national().to_owned(), region, number.kind()))
}

fn theirs(text: &str, country: Option<Region>) -> Read {
    let number = LIBRARY.parse(text, country).ok()?;
    let kind = match number.get_type() {
        _ if !number.is_valid() => None,
        PhoneNumberType::FixedLine => Some(Kind::FixedLine),
        PhoneNumberType::Mobile => Some(Kind::Mobile),
        PhoneNumberType::FixedLineOrMobile => Some(Kind::FixedLineOrMobile),
        _ => Some(Kind::Other),
    };
    let region = number.get_region_code().map(code_of);
    let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
    Some((e164, number.get_national_significant_number(), region, kind))
}

fn code_of(region: Region) -> String {
    region.as_region_str().as_str().to_owned()
}

/// Compares what is read in a text. Returns whether it is a number that exists.
fn compare(text: &str, country: Region) -> bool {
    let ours = ours(text, Some(&code_of(country)));
    assert_eq!(ours, theirs(text, Some(country)), "{text:?} dialed in {country:?}");
    ours.is_some_and(|(_, _, _, kind)| kind.is_some())
}

fn regions() -> Vec<Region> {
    let mut regions: Vec<_> = LIBRARY.get_supported_regions().collect();
    regions.sort_by_key(|region| code_of(*region));
    regions
}

const TYPES: [PhoneNumberType; 10] = [
    PhoneNumberType::FixedLine,
    PhoneNumberType::Mobile,
    PhoneNumberType::TollFree,
    PhoneNumberType::PremiumRate,
    PhoneNumberType::SharedCost,
    PhoneNumberType::PersonalNumber,
    PhoneNumberType::VoIP,
    PhoneNumberType::Pager,
    PhoneNumberType::UAN,
    PhoneNumberType::VoiceMail,
];

/// Every example of the library, by its region, in E.164.
fn examples() -> BTreeMap<String, Vec<String>> {
    let mut examples = BTreeMap::new();
    for region in regions() {
        let of_types = TYPES.iter().filter_map(|of| LIBRARY.get_example_number_for_type_and_region(region, *of).ok());
        let texts = of_types.map(|number| number.format_as(PhoneNumberFormat::E164).into_owned());
        examples.insert(code_of(region), texts.collect());
    }
    let of_no_country = LIBRARY.get_supported_global_network_calling_codes();
    let texts = of_no_country.filter_map(|code| LIBRARY.get_example_number_for_non_geo_entity(code).ok());
    let texts = texts.map(|number| number.format_as(PhoneNumberFormat::E164).into_owned()).collect();
    examples.insert(Plan::WORLD.to_owned(), texts);
    examples
}

#[test]
fn the_regions_are_those_of_the_library() {
    let mut ours: Vec<_> = Plan::all().iter().filter(|plan| !plan.is_of_no_country()).map(|plan| plan.region).collect();
    ours.sort_unstable();
    assert_eq!(ours, regions().iter().map(|region| code_of(*region)).collect::<Vec<_>>());
    for region in regions() {
        let example = LIBRARY.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile).ok();
        let ours = Plan::of_region(&code_of(region)).unwrap();
        let ours = ours.mobile_example().map(|example| Number::parse(example, Some(ours)).unwrap().e164());
        assert_eq!(ours, example.map(|number| number.format_as(PhoneNumberFormat::E164).into_owned()), "{region:?}");
    }
}

/// Every example, as it is written at home and abroad, whole, cut short and too long.
#[test]
fn every_example_is_read_as_the_library_reads_it() {
    let (mut read, mut valid) = (0, 0);
    let examples = examples();
    for region in regions() {
        for example in &examples[&code_of(region)] {
            let number = LIBRARY.parse(example, None).unwrap();
            let national = number.get_national_significant_number();
            let typed: String =
                number.format_as(PhoneNumberFormat::National).chars().filter(char::is_ascii_digit).collect();
            let code = number.country_code;
            let mut texts = vec![national.clone(), typed, format!("0{national}"), format!("1{national}")];
            texts.extend(["", "00", "011", "810", "+00", "+0", "++"].map(|prefix| format!("{prefix}{code}{national}")));
            texts.push(format!("+{code}0{national}"));
            texts.extend((1..example.len()).map(|length| example[..length].to_owned()));
            texts.extend((0..10).map(|digit| format!("{example}{digit}")));
            for text in texts.iter().filter(|text| !text.starts_with("++")) {
                valid += usize::from(compare(text, region));
                read += 1;
            }
            for text in texts.iter().filter(|text| text.starts_with('+') && !text.starts_with("++")) {
                assert_eq!(ours(text, None), theirs(text, None), "{text:?} dialed nowhere");
            }
        }
    }
    assert!(read > 30_000 && valid > 7_000, "{valid} of {read}");
}

/// A generator of numbers that always gives the same ones (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap())).collect()
    }
}

/// A million numbers: random ends behind the beginnings of examples, and mere digits, dialed in every country.
#[test]
fn a_million_random_numbers_are_read_as_the_library_reads_them() {
    const THREADS: usize = 2;
    const OF_EACH: usize = 1_000_000 / THREADS;
    let (examples, regions) = (examples(), regions());
    let all: Vec<_> = examples.values().flatten().collect();
    let valid = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (all, regions, examples) = (&all, &regions, &examples);
                scope.spawn(move || {
                    let mut random = Numbers(thread as u64);
                    let mut valid = 0;
                    for _ in 0..OF_EACH {
                        let region = regions[random.below(regions.len())];
                        let own = &examples[&code_of(region)];
                        let (example, prefixes) = match random.below(4) {
                            0 | 1 if !own.is_empty() => (&own[random.below(own.len())], &["", "0", "1", "8", "00"][..]),
                            _ => (all[random.below(all.len())], &["", "00", "011", "810", "+"][..]),
                        };
                        let digits = &example[1..];
                        let national = LIBRARY.get_country_code_for_region(region).unwrap_or(0).to_string();
                        let digits = match random.below(2) {
                            0 => digits.strip_prefix(&national).unwrap_or(digits),
                            _ => digits,
                        };
                        let kept = random.below(digits.len() + 1);
                        let count = (digits.len() + random.below(3)).saturating_sub(kept + random.below(2));
                        let end = random.digits(count);
                        let text = format!("{}{}{end}", prefixes[random.below(prefixes.len())], &digits[..kept]);
                        valid += usize::from(compare(&text, region));
                    }
                    valid
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert!(valid > 100_000, "{valid}");
}
