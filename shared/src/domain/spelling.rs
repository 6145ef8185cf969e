//! One spelling for what people type and paste: phone numbers, codes, recovery codes and cells of other systems.
//!
//! A number that was copied from a contact, a messenger or a spreadsheet carries characters that nobody sees, and many
//! keyboards write digits of another script. What is dropped or replaced here never changes which number people read in a
//! text. Everything else is refused, so that no two numbers become one. Texts are brought to this form before anything is
//! counted, so that all spellings of a guess are the same guess.

use std::ops::RangeInclusive;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use zeroize::Zeroizing;

/// The length of the longest text that is returned, in bytes. Phone numbers have at most 15 digits (E.164) behind a
/// dialing prefix, recovery codes 24 characters.
const MAX_LENGTH: usize = 32;

/// The length of the longest message whose number is read, in characters. Ours have at most 300 and what apps and browsers
/// read.
const MAX_MESSAGE: usize = 500;

/// The length of the hash by which a message names an Android app, in characters.
const APP_HASH: usize = 11;

/// The length of the longest words in front of a code that are no part of it, in characters.
const MAX_LABEL: usize = 30;

/// The least number of digits behind a slash. In `1234567/8` the slash stands for "or".
const MIN_DIGITS_AFTER_SLASH: usize = 3;

/// The meaning of a character to people who read a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// A decimal digit of any script, by its value.
    Digit(char),
    /// A plus sign.
    Plus,
    /// White space, a dash, an underscore, a dot or a bracket, or a character that is not visible.
    Separator,
    /// A slash.
    Slash,
    /// A quotation mark or an apostrophe.
    Quote,
    /// A comma or a semicolon.
    ListSeparator,
    /// Any other character.
    Other,
}

/// Characters of other categories that people see nothing in: fillers, the combining grapheme joiner, variation selectors.
const INVISIBLE: [RangeInclusive<char>; 8] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{e0100}'..='\u{e01ef}',
];
/// Dashes of other categories: the minus sign, and what input methods and line drawing have in its place.
const DASHES: &str = "−ーｰ⁃─˗";
const UNDERSCORES: &str = "_＿";
/// What stands for the wave dash `〜` on many keyboards. Only phone numbers are written with it.
const TILDES: &str = "~～";
/// Bullets, check marks and boxes, and what Markdown marks lists, quotations and emphasis with.
const LIST_MARKS: &str = "*~#>`•◦▪‣●○☐☑☒✓✔\u{20e3}";
/// Numbers of a list that are one character.
const NUMBERS: [RangeInclusive<char>; 2] = ['\u{2460}'..='\u{249b}', '\u{2776}'..='\u{2793}'];
/// Full stops and the dots in their place.
const DOTS: &str = ".．。｡﹒․·•・･‧∙⋅۔";
/// Brackets of other categories.
const ANGLE_BRACKETS: &str = "<>＜＞﹤﹥";
const SLASHES: &str = "/／⁄∕";
const QUOTES: &str = "\"'`´ʼ＂＇";
const LIST_SEPARATORS: &str = ",;，；、､،؛﹐﹔";

impl Meaning {
    fn of(c: char) -> Self {
        match c {
            '0'..='9' => Self::Digit(c),
            '+' | '＋' | '﹢' => Self::Plus,
            _ if SLASHES.contains(c) => Self::Slash,
            _ if QUOTES.contains(c) => Self::Quote,
            _ if LIST_SEPARATORS.contains(c) => Self::ListSeparator,
            _ if [DASHES, UNDERSCORES, DOTS, ANGLE_BRACKETS].iter().any(|list| list.contains(c)) => Self::Separator,
            _ if INVISIBLE.iter().any(|range| range.contains(&c)) => Self::Separator,
            // Tab, carriage return, line feed and the like.
            _ if c.is_whitespace() => Self::Separator,
            _ => Self::of_category(c),
        }
    }

    fn of_category(c: char) -> Self {
        match c.general_category() {
            GeneralCategory::DecimalNumber => Self::Digit(ascii_digit(c)),
            GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::Format
            | GeneralCategory::DashPunctuation
            | GeneralCategory::OpenPunctuation
            | GeneralCategory::ClosePunctuation => Self::Separator,
            GeneralCategory::InitialPunctuation | GeneralCategory::FinalPunctuation => Self::Quote,
            _ => Self::Other,
        }
    }
}

/// Returns the ASCII digit with the value of a decimal digit. Unicode encodes the digits of a script one after the other
/// from zero to nine, and guarantees that; where two such rows touch, their length is a multiple of ten.
fn ascii_digit(digit: char) -> char {
    let is_digit = |c: char| c.general_category() == GeneralCategory::DecimalNumber;
    let before = ('\0'..digit).rev().take_while(|c| is_digit(*c)).count();
    u32::try_from(before % 10).ok().and_then(|value| char::from_digit(value, 10)).unwrap_or('0')
}

/// Returns the text without what surrounds a value in a list, a table or a message: white space, characters that are not
/// visible, quotation marks, and at the end commas and semicolons.
pub fn cell(text: &str) -> &str {
    let surrounds = |c: char| match Meaning::of(c) {
        Meaning::Quote => true,
        // Of the separators only those that nobody sees: a hash may end with a dot.
        Meaning::Separator => c.is_whitespace() || c.general_category() == GeneralCategory::Format,
        // Columns of a fixed number of bytes are filled up with NUL.
        _ => c == '\0',
    };
    text.trim_start_matches(surrounds).trim_end_matches(|c| surrounds(c) || Meaning::of(c) == Meaning::ListSeparator)
}

/// Returns the digits of a phone number, behind `+` if the text begins or ends with it: in ASCII, and without the separators
/// and the `tel:` (RFC 3966) or `="…"` (a spreadsheet's text) that people type and paste. Returns `None` for any other text.
pub fn phone_number(typed: &str) -> Option<Zeroizing<String>> {
    let typed = core(typed);
    let typed = typed.strip_prefix("=\"").map_or(typed, core);
    let (has_plus, typed) = match typed.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => after_scheme(core(rest)),
        _ => (false, typed),
    };
    let typed = without_decimals(typed);
    let (has_plus, typed) = match without_plus_behind(typed) {
        Some(rest) if !has_plus => (true, rest),
        _ => (has_plus, typed),
    };
    // No slash yet: then any number of digits may follow.
    let mut after_slash = MIN_DIGITS_AFTER_SLASH;
    let number = collect(typed, |c, so_far| match Meaning::of(c) {
        Meaning::Digit(digit) => {
            after_slash = after_slash.saturating_add(1);
            Keep::This(digit)
        }
        Meaning::Plus if so_far.is_empty() && !has_plus => Keep::This('+'),
        Meaning::Slash => {
            after_slash = 0;
            Keep::Nothing
        }
        Meaning::Separator => Keep::Nothing,
        Meaning::Other if TILDES.contains(c) => Keep::Nothing,
        _ => Keep::Refused,
    })?;
    let number = if has_plus { with_plus(&number)? } else { number };
    (after_slash >= MIN_DIGITS_AFTER_SLASH).then_some(number)
}

/// Returns whether a URL's number begins with an escaped plus sign, and what is left of it.
fn after_scheme(typed: &str) -> (bool, &str) {
    let rest = typed.strip_prefix("%2B").or_else(|| typed.strip_prefix("%2b"));
    rest.map_or((false, typed), |rest| (true, rest))
}

/// Returns the text without the plus sign at its end. In text from right to left, the sign of an international number shows
/// there, and some people type it there.
fn without_plus_behind(typed: &str) -> Option<&str> {
    typed.strip_suffix(|c| Meaning::of(c) == Meaning::Plus).filter(|rest| !rest.is_empty())
}

/// Returns digits behind a plus sign, if they are not too many.
fn with_plus(digits: &str) -> Option<Zeroizing<String>> {
    (digits.len() < MAX_LENGTH).then(|| Zeroizing::new(format!("+{digits}")))
}

/// Returns a number without the `.0` that spreadsheets and columns of numbers leave behind it. Read as a digit, that zero
/// would make it another number. Numbers that people separate by dots are not meant: `06.12.34.56.00` keeps its zeros.
fn without_decimals(typed: &str) -> &str {
    let number = typed.strip_suffix(".0").or_else(|| typed.strip_suffix(".00"));
    let is_plain = |number: &&str| number.strip_prefix('+').unwrap_or(number).bytes().all(|b| b.is_ascii_digit());
    number.filter(is_plain).unwrap_or(typed)
}

/// Returns the digits of a code in ASCII, without what separates and surrounds them. Returns `None` for a text that
/// contains anything else.
pub fn digits(typed: &str) -> Option<Zeroizing<String>> {
    collect(core(typed), |c, _| match Meaning::of(c) {
        Meaning::Digit(digit) => Keep::This(digit),
        Meaning::Separator | Meaning::Slash => Keep::Nothing,
        _ => Keep::Refused,
    })
}

/// Returns the digits of the only number in a message, in ASCII. One space or dash may stand between two of them. Returns
/// `None` if the message has other digits, fractions, control characters or the like, or if a plus sign or an ASCII letter
/// touches the number.
///
/// At its end may be what apps and browsers read: the hash of an app, whose digits do not count, and `@`, a site, `#` and
/// the same number again. A field without lines has spaces in place of the line ends.
pub fn only_number(message: &str) -> Option<Zeroizing<String>> {
    if message.chars().nth(MAX_MESSAGE).is_some() {
        return None;
    }
    let message = cell(message);
    let (message, repeated) = without_site(message).map_or((message, None), |(text, number)| (text, Some(number)));
    let number = number_within(without_app_hash(message))?;
    match repeated {
        None => Some(number),
        Some(repeated) if number.is_empty() => digits(repeated),
        Some(repeated) => digits(repeated).filter(|repeated| **repeated == *number).map(|_| number),
    }
}

/// Splits what a browser reads from the end of a message: returns the text before it, and its number.
fn without_site(message: &str) -> Option<(&str, &str)> {
    let (rest, last) = last_word(message);
    let number = last.strip_prefix('#')?;
    let (rest, site) = last_word(rest);
    site.starts_with('@').then_some((rest, number))
}

/// Returns a message without the hash of an app at its end.
fn without_app_hash(message: &str) -> &str {
    let (rest, last) = last_word(message);
    let is_hash = last.len() == APP_HASH
        && last.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
        && last.bytes().any(|b| b.is_ascii_alphabetic());
    if is_hash && !rest.is_empty() { rest } else { message }
}

/// Splits the last word from a text.
fn last_word(text: &str) -> (&str, &str) {
    let text = text.trim_end();
    text.rsplit_once(char::is_whitespace).map_or(("", text), |(rest, last)| (rest.trim_end(), last))
}

/// Returns the digits of the only number in a text, or no digits if the text has no number.
fn number_within(text: &str) -> Option<Zeroizing<String>> {
    let is_invisible =
        |c: &char| c.general_category() == GeneralCategory::Format || INVISIBLE.iter().any(|range| range.contains(c));
    let (mut before, mut between) = (None, 0_usize);
    collect_all(text.chars().filter(|c| !is_invisible(c)), |c, so_far| {
        let last = before.replace(c);
        let touches = |c: char| Meaning::of(c) == Meaning::Plus || c.is_ascii_alphabetic();
        let joins = |c: char| {
            let is_dash = DASHES.contains(c) || c.general_category() == GeneralCategory::DashPunctuation;
            is_dash || (c.is_whitespace() && !c.is_control())
        };
        match Meaning::of(c) {
            Meaning::Digit(_) if so_far.is_empty() && last.is_some_and(touches) => Keep::Refused,
            Meaning::Digit(_) if between > 1 || (between == 1 && !last.is_some_and(joins)) => Keep::Refused,
            Meaning::Digit(digit) => {
                between = 0;
                Keep::This(digit)
            }
            _ if c.is_numeric() || (c.is_control() && !c.is_whitespace()) => Keep::Refused,
            _ if so_far.is_empty() => Keep::Nothing,
            _ if between == 0 && touches(c) => Keep::Refused,
            _ => {
                between = between.saturating_add(1);
                Keep::Nothing
            }
        }
    })
}

/// Returns the digits and letters of a code in ASCII, as [`digits`] does. Letters keep their case.
pub fn digits_and_letters(typed: &str) -> Option<Zeroizing<String>> {
    collect(core(typed), |c, _| match (Meaning::of(c), c) {
        (Meaning::Digit(digit), _) => Keep::This(digit),
        (Meaning::Separator | Meaning::Slash, _) => Keep::Nothing,
        (Meaning::Other, 'A'..='Z' | 'a'..='z') => Keep::This(c),
        (Meaning::Other, 'Ａ'..='Ｚ' | 'ａ'..='ｚ') => full_width_letter(c).map_or(Keep::Refused, Keep::This),
        _ => Keep::Refused,
    })
}

/// Returns the text without what comes along when it is copied from a list or a note: bullets, arrows, checkboxes, lines
/// of a table and emphasis around it, and a number such as `7. `, `10)`, `[3]`, `3/10`, `7- `, `a)`, `⑦` or `Code 7:` in
/// front of it.
pub fn without_list_mark(typed: &str) -> &str {
    let surrounds = |c: char| match Meaning::of(c) {
        Meaning::Separator | Meaning::Slash | Meaning::Quote | Meaning::ListSeparator => true,
        Meaning::Digit(_) | Meaning::Plus => false,
        Meaning::Other => LIST_MARKS.contains(c) || is_symbol(c),
    };
    let typed = without_label(without_checked_box(typed, surrounds)).trim_matches(surrounds);
    without_number(typed).trim_matches(|c| c == ':' || surrounds(c))
}

/// Returns the text without the number or the letter that it has in a list.
fn without_number(typed: &str) -> &str {
    // Circled and bracketed numbers, and those with a dot, are one character.
    if let Some(rest) = typed.strip_prefix(|c: char| NUMBERS.iter().any(|range| range.contains(&c))) {
        return rest;
    }
    let (digits, mut rest) = split_digits(typed);
    let is_short = (1..=2).contains(&digits);
    // `3/10`
    if let Some((1..=2, behind)) = rest.strip_prefix('/').map(split_digits) {
        rest = behind;
    }
    let is_mark = rest.starts_with(|c: char| ".:\u{fe0f}\u{20e3}".contains(c) || c.is_whitespace() || is_closing(c))
        || rest.strip_prefix(['-', '–']).is_some_and(|rest| rest.starts_with(char::is_whitespace));
    if is_mark && is_short {
        return rest;
    }
    // `a)`
    let behind_letter = typed.strip_prefix(|c: char| c.is_ascii_alphabetic());
    behind_letter.filter(|rest| rest.starts_with(|c| ".:".contains(c) || is_closing(c))).unwrap_or(typed)
}

/// Splits the digits that a text begins with from it, and counts them.
fn split_digits(text: &str) -> (usize, &str) {
    let rest = text.trim_start_matches(|c| matches!(Meaning::of(c), Meaning::Digit(_)));
    (text.chars().count() - rest.chars().count(), rest)
}

/// Returns the text without words such as `Code 7:` in front of it.
fn without_label(typed: &str) -> &str {
    let is_label = |label: &str| {
        let digits = label.chars().filter(|c| c.is_numeric()).count();
        label.starts_with(char::is_alphabetic)
            && digits <= 2
            && label.chars().nth(MAX_LABEL).is_none()
            && label.chars().all(|c| c.is_alphanumeric() || " #№.".contains(c))
    };
    let split = typed.split_once([':', '：']).filter(|(label, _)| is_label(label));
    split.map_or(typed, |(_, rest)| rest)
}

fn is_closing(c: char) -> bool {
    c.general_category() == GeneralCategory::ClosePunctuation
}

/// Returns whether a character is an arrow, a line, an emoji or the like.
fn is_symbol(c: char) -> bool {
    matches!(c.general_category(), GeneralCategory::MathSymbol | GeneralCategory::OtherSymbol)
}

/// Returns the text without what surrounds it, and without the `[x]` of a list's entry that is done.
fn without_checked_box(typed: &str, surrounds: impl Fn(char) -> bool + Copy) -> &str {
    let trimmed = typed.trim_matches(surrounds);
    let in_box = typed.trim_start_matches(|c| surrounds(c) && c != '[').strip_prefix(['[']);
    let behind = in_box.and_then(|rest| rest.strip_prefix(['x', 'X'])?.strip_prefix(']'));
    behind.map_or(trimmed, |rest| rest.trim_matches(surrounds))
}

/// Returns the ASCII letter of a full-width one: their blocks have the same order.
fn full_width_letter(c: char) -> Option<char> {
    char::from_u32(u32::from(c) - u32::from('Ａ') + u32::from('A'))
}

/// Returns the text without everything around its digits, letters and plus sign that is dropped anyway.
fn core(typed: &str) -> &str {
    let around = |c: char| matches!(Meaning::of(c), Meaning::Separator | Meaning::Slash | Meaning::Quote);
    typed.trim_start_matches(around).trim_end_matches(|c| around(c) || Meaning::of(c) == Meaning::ListSeparator)
}

/// What [`collect`] does with a character.
enum Keep {
    This(char),
    Nothing,
    Refused,
}

/// Collects the characters that are kept. Returns `None` if one is refused or if they are too many.
fn collect(typed: &str, keep: impl FnMut(char, &str) -> Keep) -> Option<Zeroizing<String>> {
    collect_all(typed.chars(), keep)
}

fn collect_all(
    typed: impl Iterator<Item = char>,
    mut keep: impl FnMut(char, &str) -> Keep,
) -> Option<Zeroizing<String>> {
    // It never grows, because a text that grows leaves a copy of the code behind in memory.
    let mut kept = Zeroizing::new(String::with_capacity(MAX_LENGTH));
    for c in typed {
        match keep(c, &kept) {
            Keep::This(_) if kept.len() == MAX_LENGTH => return None,
            Keep::This(c) => kept.push(c),
            Keep::Nothing => {}
            Keep::Refused => return None,
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that may stand between two digits of a number.
    const BETWEEN: [char; 48] = [
        ' ',
        '\t',
        '\n',
        '\r',
        '\u{b}',
        '\u{85}',
        '\u{a0}',
        '\u{2009}',
        '\u{202f}',
        '\u{2028}',
        '\u{2029}',
        '\u{3000}',
        '-',
        '\u{2010}',
        '\u{2011}',
        '\u{2013}',
        '\u{2014}',
        '\u{2212}',
        '\u{30fc}',
        '\u{ff0d}',
        '\u{ad}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{61c}',
        '\u{202a}',
        '\u{202e}',
        '\u{2066}',
        '\u{2069}',
        '\u{2060}',
        '\u{feff}',
        '\u{fe0e}',
        '\u{e0101}',
        '.',
        '\u{3002}',
        '\u{ff0e}',
        '\u{b7}',
        '(',
        ')',
        '[',
        ']',
        '{',
        '>',
        '\u{3010}',
        '\u{ff09}',
        '\u{34f}',
    ];
    /// What may stand in front of a number, and behind it.
    const BEFORE: [&str; 10] = ["", "'", "\"", "tel:", "TEL: ", "\u{201c}", "<tel:", "«", "\u{feff}", "- "];
    const BEHIND: [&str; 10] = ["", "\n", ",", ";\r\n", "\"", "\u{201d},", ">", "»", ".", "\u{60c}"];
    /// The zeros of some scripts.
    const ZEROS: [char; 8] = ['0', '٠', '۰', '०', '０', '𝟎', '๐', '𞥐'];

    #[test]
    fn every_digit_of_unicode_has_its_value() {
        for (row, first) in ZEROS.map(|zero| (u32::from(zero)..).take(10)).into_iter().zip(ZEROS) {
            let values: String = row.map(|digit| ascii_digit(char::from_u32(digit).unwrap())).collect();
            assert_eq!(values, "0123456789", "{first:?}");
        }
        let digits: Vec<_> = (char::MIN..=char::MAX)
            .filter(|c| c.general_category() == GeneralCategory::DecimalNumber)
            .map(u32::from)
            .collect();
        assert!(digits.len() >= 760, "Unicode 17 has 760, and none was ever taken away");
        // Rows of one or more scripts, each of them whole.
        for row in digits.chunk_by(|one, next| one + 1 == *next) {
            assert_eq!(row.len() % 10, 0, "{:x}", row[0]);
        }
    }

    #[test]
    fn characters_mean_what_people_see_in_them() {
        for (characters, meaning) in [
            ("+＋﹢", Meaning::Plus),
            ("/／⁄∕", Meaning::Slash),
            ("\"'`´ʼ‘’“”«»‹›＂＇", Meaning::Quote),
            (",;，；、،؛", Meaning::ListSeparator),
            ("()[]{}<>（）［］【】「」〈〉﴾﴿‚„", Meaning::Separator),
            ("-‐‑‒–—―−－﹣ー⸺〜.。．·・۔", Meaning::Separator),
            ("abcEXTx#*=%&@!?~|:\\^$€½²①Ⅷ十٪ä\u{308}\u{20e3}\u{0}\u{1b}\u{1f}\u{7f}👍", Meaning::Other),
        ] {
            for c in characters.chars() {
                assert!(Meaning::of(c) == meaning, "{c:?} {:x}", u32::from(c));
            }
        }
    }

    #[test]
    fn more_than_one_plain_number_is_refused() {
        for typed in [
            "12,34",
            "12;34",
            "12;ext=34",
            "12;phone-context=34",
            "12x34",
            "12 ext 34",
            "12#34",
            "12*34",
            "1+2",
            "++12",
            "+1+2",
            "tel:tel:12",
            "tel:x",
            "phone:12",
            "tel12",
            "12'34",
            "12/3",
            "123/45",
            "12:34",
            "1=2",
            "=12",
            "=\"12\"34",
            "%2B12",
            "tel:%2B%2B12",
            "tel:%2B+12",
            "+12+",
            "12++",
            "12+3",
            "tel:%2B12+",
            "tel:+12+",
            "tel:+%2B12",
            "tel:1%2B2",
            "tel:%2D12",
            "12 or 34",
            &"1".repeat(33),
        ] {
            assert!(phone_number(typed).is_none(), "{typed:?}");
        }
        for (typed, number) in [
            ("12_34", "1234"),
            ("1\u{ff3f}2", "12"),
            ("1~2\u{ff5e}3\u{301c}4", "1234"),
            ("tel:%2B12", "+12"),
            ("TEL:%2b1-2", "+12"),
            ("=\"+12\"", "+12"),
            // As a plus sign in front shows, or is typed, in text from right to left.
            ("12+", "+12"),
            ("12 +", "+12"),
            ("(12) (+)\n", "+12"),
            ("١٢+", "+12"),
            ("tel:12\u{ff0b}\u{202c}", "+12"),
            ("\"=\"\"+12\"\"\"", "+12"),
        ] {
            assert_eq!(phone_number(typed).unwrap().as_str(), number, "{typed:?}");
        }
        assert!(digits("12~34").is_none() && digits("=\"12\"").is_none());
        assert_eq!(digits("123_456").unwrap().as_str(), "123456");
        // As many digits as a number may have behind a slash, and fewer.
        assert_eq!(phone_number("0170/123").unwrap().as_str(), "0170123");
        assert_eq!(phone_number("0170/1234567").unwrap().as_str(), "01701234567");
        assert_eq!(phone_number("0170/1234567/").unwrap().as_str(), "01701234567");
        assert!(phone_number("0170/1234567/8").is_none());
        assert!(digits("+123456").is_none() && digits("tel:123456").is_none());
        assert!(digits_and_letters("Ä1").is_none() && digits_and_letters("a,b").is_none());
    }

    #[test]
    fn a_cell_keeps_all_of_its_value() {
        for (text, value) in [
            ("'value", "value"),
            (" \"a value.\",\r\n", "a value."),
            ("\u{feff}(value)-", "(value)-"),
            ("+20", "+20"),
            ("", ""),
            (" '\",; ", ""),
            ("value\0\0\0", "value"),
        ] {
            assert_eq!(cell(text), value, "{text:?}");
        }
    }

    #[test]
    fn the_mark_of_a_list_is_no_part_of_a_code() {
        for (typed, code) in [
            ("7. 9QK2", "9QK2"),
            ("\n10)\t9QK2", "9QK2"),
            ("1: 9QK2", "9QK2"),
            ("#3 9QK2", "9QK2"),
            ("* 9QK2", "9QK2"),
            ("☐ 9QK2", "9QK2"),
            ("**9QK2**", "9QK2"),
            ("- [ ] 12. 9QK2", "9QK2"),
            ("[x] 9QK2", "9QK2"),
            ("- [X] 3. 9QK2", "9QK2"),
            ("x] 9QK2", "9QK2"),
            ("[xx] 9QK2", "xx] 9QK2"),
            ("1- 9QK2", "9QK2"),
            ("10 – 9QK2", "9QK2"),
            ("12-34", "12-34"),
            ("① 9QK2", "9QK2"),
            ("⑽9QK2", "9QK2"),
            ("9QK2①", "9QK2①"),
            ("9QK2", "9QK2"),
            ("123. 9QK2", "123. 9QK2"),
            ("[3] 9QK2", "9QK2"),
            ("3/10 9QK2", "9QK2"),
            ("3/10: 9QK2", "9QK2"),
            ("3/100 9QK2", "3/100 9QK2"),
            ("3/10", "3/10"),
            ("a) 9QK2", "9QK2"),
            ("(b) 9QK2", "9QK2"),
            ("a 9QK2", "a 9QK2"),
            ("✅ 9QK2", "9QK2"),
            ("✅\u{fe0f} [3] 9QK2", "9QK2"),
            ("→9QK2", "9QK2"),
            ("➤ 9QK2", "9QK2"),
            ("3\u{fe0f}\u{20e3} 9QK2", "9QK2"),
            ("| 9QK2 |", "9QK2"),
            ("| 3 | 9QK2 |", "9QK2"),
            ("Code 1: 9QK2", "9QK2"),
            ("Recovery code #10: `9QK2`", "9QK2"),
            ("Code 100: 9QK2", "Code 100: 9QK2"),
            ("9QK2\u{7}", "9QK2\u{7}"),
            ("!9QK2", "!9QK2"),
            ("", ""),
        ] {
            assert_eq!(without_list_mark(typed), code, "{typed:?}");
        }
    }

    #[test]
    fn the_only_number_of_a_message_is_read() {
        for (message, number) in [
            ("G-12", "12"),
            ("#12", "12"),
            ("12!", "12"),
            ("12 is 1st", ""),
            ("코드는 ١-2입니다", "12"),
            ("1\u{200b} 2", "12"),
            ("Ⅷ 12", ""),
            ("1+2", ""),
            ("1\n2", ""),
            ("1  2", ""),
            ("+12", ""),
            ("12x", ""),
            ("x12", ""),
            ("code 12 FA+9qCX9VSu", "12"),
            ("FA+9qCX9VSu", ""),
            ("code 12\nFA+9qCX9VSu\n\n@1.example.com #12", "12"),
            ("code 12\n@example.com #13", ""),
            ("@1.example.com #12", "12"),
            ("12 #12", ""),
            ("12\u{7}", ""),
            ("", ""),
        ] {
            let read = only_number(message);
            assert_eq!(read.as_deref().map_or("", |read| read.as_str()), number, "{message:?}");
        }
        let long = |length: usize| format!("12{}", " .".repeat(length / 2 - 1));
        assert!(only_number(&long(MAX_MESSAGE)).is_some() && only_number(&long(MAX_MESSAGE + 2)).is_none());
    }

    #[test]
    fn the_decimals_of_a_spreadsheet_are_no_digits_of_a_number() {
        for (typed, number) in [
            ("01012345678.0", Some("01012345678")),
            ("+4915112345678.0", Some("+4915112345678")),
            ("'628123456789.00\"\n", Some("628123456789")),
            ("tel:0664123456.0", Some("0664123456")),
            // People's dots.
            ("06.12.34.56.00", Some("0612345600")),
            ("0664 123 45.0", Some("0664123450")),
            ("066412345.6", Some("0664123456")),
            ("2.01012E+11", None),
            ("201012345678,0", None),
        ] {
            assert_eq!(phone_number(typed).as_ref().map(|number| number.as_str()), number, "{typed:?}");
        }
    }

    /// A number in ASCII, and the same with all that is allowed around, between and in place of its digits.
    fn decorated() -> impl Strategy<Value = (String, String)> {
        let separators = proptest::collection::vec(prop::sample::select(&BETWEEN[..]), 0..3);
        let digit = (0..10_u32, prop::sample::select(&ZEROS[..]), separators);
        (
            any::<bool>(),
            proptest::collection::vec(digit, 1..20),
            prop::sample::select(&BEFORE[..]),
            prop::sample::select(&BEHIND[..]),
            any::<bool>(),
        )
            .prop_map(|(plus, digits, before, behind, slash)| {
                let (mut plain, mut typed) = (String::new(), before.to_owned());
                if plus {
                    plain.push('+');
                    typed.push_str("(+");
                }
                for (at, (value, zero, separators)) in digits.iter().enumerate() {
                    plain.push(char::from_digit(*value, 10).unwrap());
                    typed.push(char::from_u32(u32::from(*zero) + value).unwrap());
                    typed.extend(separators);
                    if slash && digits.len() - at == 5 {
                        typed.push('/');
                    }
                }
                typed.push_str(behind);
                (plain, typed)
            })
    }

    proptest! {
        #[test]
        fn a_decorated_number_is_the_number((plain, typed) in decorated()) {
            prop_assume!(without_decimals(core(&typed)) == core(&typed));
            let read = phone_number(&typed);
            prop_assert_eq!(read.as_ref().map(|read| read.as_str()), Some(plain.as_str()), "{:?}", typed);
            let again = phone_number(&plain);
            prop_assert_eq!(again.as_ref().map(|read| read.as_str()), Some(plain.as_str()));
            if !plain.starts_with('+') && !typed.to_lowercase().contains("tel:") {
                let read = (digits(&typed), digits_and_letters(&typed));
                prop_assert_eq!(read.0.as_ref().map(|read| read.as_str()), Some(plain.as_str()), "{:?}", typed);
                prop_assert_eq!(read.1.as_ref().map(|read| read.as_str()), Some(plain.as_str()), "{:?}", typed);
            }
        }

        #[test]
        fn what_is_read_of_any_text_is_plain_and_reads_again(typed in any::<String>()) {
            for read in [phone_number, digits, digits_and_letters, only_number] {
                if let Some(plain) = read(&typed) {
                    prop_assert!(plain.len() <= MAX_LENGTH);
                    prop_assert!(plain.bytes().enumerate().all(|(at, b)| b.is_ascii_alphanumeric() || (b == b'+' && at == 0)));
                    let again = read(&plain);
                    prop_assert_eq!(again.as_deref(), Some(&*plain));
                }
            }
            let _ = (cell(&typed), without_list_mark(&typed));
        }

        /// No digit of a text is lost or made up, and no letter becomes one.
        #[test]
        fn every_digit_of_a_text_is_kept(typed in "[0-9٠-٩۰-۹ +/.()\u{202a}x-]{0,30}") {
            prop_assume!(without_decimals(core(&typed)) == core(&typed));
            if let Some(plain) = phone_number(&typed) {
                let digits = typed.chars().filter(|c| c.general_category() == GeneralCategory::DecimalNumber);
                prop_assert_eq!(plain.trim_start_matches('+').len(), digits.count());
            }
        }
    }
}
