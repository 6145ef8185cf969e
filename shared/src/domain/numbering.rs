//! What people know of numbering plans that libphonenumber's tables do not say: which territories a country's code
//! stands for, and how numbers were written before their plan changed.

/// Countries, each with the territories that people mean by it as well: libphonenumber has codes of their own for them,
/// or reads their numbers as the country's.
const TERRITORIES: [(&str, &[&str]); 7] = [
    ("AU", &["CC", "CX"]),
    ("FI", &["AX"]),
    ("GB", &["GG", "IM", "JE"]),
    ("IT", &["VA"]),
    ("MA", &["EH"]),
    ("NO", &["SJ"]),
    ("US", &["AS", "GU", "MP", "PR", "VI"]),
];

/// Returns the country that this territory belongs to.
pub(super) fn country_of(territory: &str) -> Option<&'static str> {
    TERRITORIES.iter().find(|(_, territories)| territories.contains(&territory)).map(|(country, _)| *country)
}

/// Prefixes of mobile numbers in Vietnam until 2018, and those that took their place.
const VIETNAM: [(&str, &str); 21] = [
    ("120", "70"),
    ("121", "79"),
    ("122", "77"),
    ("126", "76"),
    ("128", "78"),
    ("123", "83"),
    ("124", "84"),
    ("125", "85"),
    ("127", "81"),
    ("129", "82"),
    ("162", "32"),
    ("163", "33"),
    ("164", "34"),
    ("165", "35"),
    ("166", "36"),
    ("167", "37"),
    ("168", "38"),
    ("169", "39"),
    ("186", "56"),
    ("188", "58"),
    ("199", "59"),
];

/// Returns how the number is written today whose national digits were these before its numbering plan changed. Whether
/// there is such a number is for the caller to check.
pub(super) fn moved(calling_code: u16, national: &str) -> Option<String> {
    match (calling_code, national.len()) {
        // Mexico, 2019: no 1 after +52, no prefix before a mobile number.
        (52, 11..=13) => {
            let rest = ["044", "045", "01", "1"].into_iter().find_map(|prefix| national.strip_prefix(prefix))?;
            (rest.len() == 10).then(|| rest.to_owned())
        }
        // Brazil, 2012 to 2016: a 9 before mobile numbers, behind the area code.
        (55, 10) => {
            let (area, local) = national.split_at_checked(2)?;
            local.starts_with(['6', '7', '8', '9']).then(|| format!("{area}9{local}"))
        }
        // Benin, 2024: 01 before every number.
        (229, 8) => Some(format!("01{national}")),
        // Ivory Coast, 2021: the operator's prefix, which the second digit told until then.
        (225, 8) if !national.starts_with(['2', '3']) => {
            let prefix = match national.as_bytes().get(1)? {
                b'0'..=b'3' => "01",
                b'4'..=b'6' => "05",
                _ => "07",
            };
            Some(format!("{prefix}{national}"))
        }
        // The same, with the first zero left out as if it were a trunk prefix.
        (225 | 229, 9) => Some(format!("0{national}")),
        // Uzbekistan: the trunk prefix 8 is gone, and the dialing prefix 8 10.
        (998, 10) => national.strip_prefix('8').map(str::to_owned),
        (998, 15) => national.strip_prefix("810998").map(str::to_owned),
        // Ukraine, 2009: 0 in place of the trunk prefix 8 0, 00 in place of the dialing prefix 8 10.
        (380, 11) => national.strip_prefix("80").map(str::to_owned),
        (380, 15) => national.strip_prefix("810380").map(str::to_owned),
        // Chile: a 9 before mobile numbers. Those that began with 5 to 7 cannot be told from landlines of then.
        (56, 8) => national.starts_with(['8', '9']).then(|| format!("9{national}")),
        // Cameroon, 2014: a 6 before mobile numbers.
        (237, 8) => national.starts_with(['5', '6', '7', '9']).then(|| format!("6{national}")),
        // Mauritius, 2013: a 5 before mobile numbers. Those that began with another digit cannot be told from landlines.
        (230, 7) => national.starts_with(['7', '9']).then(|| format!("5{national}")),
        // Argentina: the 9 of mobile numbers, and what is dialed within the country in its place: 0 before the area code,
        // or 15 behind it.
        (54, 12) => national.strip_prefix("90").map(|rest| format!("9{rest}")),
        (54, 13 | 14) => national.strip_prefix('9').map(str::to_owned),
        // Vietnam, 2018: ten digits and no longer eleven, with the trunk prefix.
        (84, 10) => {
            let (old, new) = VIETNAM.iter().find(|(old, _)| national.starts_with(old))?;
            Some(national.replacen(old, new, 1))
        }
        _ => None,
    }
}
