//! The table of numbering plans.

use crate::pattern;

include!(concat!(env!("OUT_DIR"), "/plans.rs"));

/// The numbers of one kind in a plan.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// A bit for each length that a number may have; 0 if the plan's general lengths hold.
    lengths: u32,
    /// The pattern of the whole national number. None if the plan has no such numbers.
    pattern: Option<&'static str>,
}

impl Numbers {
    /// Returns whether a national number is one of these.
    pub(crate) fn contain(&self, national: &[u8]) -> bool {
        (self.lengths == 0 || has_length(self.lengths, national.len())) && self.match_pattern(national)
    }

    /// Returns whether a national number matches the pattern, whatever its length.
    pub(crate) fn match_pattern(&self, national: &[u8]) -> bool {
        self.pattern.is_some_and(|pattern| pattern::matches_all(pattern, national))
    }
}

/// The numbering plan of a country or a territory, or of a calling code of no country.
#[derive(Debug)]
pub struct Plan {
    /// The ISO 3166-1 alpha-2 code of the country, or [`Plan::WORLD`].
    pub region: &'static str,
    /// The calling code, such as 20. Several countries may share one.
    pub calling_code: u16,
    /// The pattern of the prefixes with which other countries are dialed.
    pub(crate) idd: &'static str,
    /// The pattern of what may precede a national number.
    pub(crate) trunk: &'static str,
    /// What takes the place of `trunk`, if that has captured something.
    pub(crate) transform: &'static str,
    /// The pattern of the first digits that are the region's alone among those of its calling code.
    pub(crate) leading: &'static str,
    /// A mobile number in national form, or nothing.
    example: &'static str,
    pub(crate) general: Numbers,
    /// A bit for each length that only local numbers have.
    local: u32,
    pub(crate) fixed: Numbers,
    pub(crate) mobile: Numbers,
    /// Premium, toll-free, shared-cost, personal, universal access and voicemail numbers, pagers and internet telephony.
    pub(crate) others: &'static [Numbers],
    /// Whether fixed and mobile numbers have one pattern.
    pub(crate) one_kind: bool,
}

/// How the length of a national number compares with those of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Possible,
    LocalOnly,
    TooShort,
    TooLong,
    /// Between the shortest and the longest, but none of them.
    Invalid,
}

impl Plan {
    /// The region of calling codes that belong to no country, such as those of satellite phones.
    pub const WORLD: &'static str = "001";

    /// Returns every plan, sorted by calling code; of those that share one, the main country's is first.
    pub fn all() -> &'static [Self] {
        &PLANS
    }

    /// Returns the plan of a country or territory by its ISO 3166-1 alpha-2 code.
    pub fn of_region(code: &str) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.region == code && !plan.is_of_no_country())
    }

    /// Returns the plans of a calling code, the main country's first.
    pub(crate) fn of_calling_code(code: u16) -> &'static [Self] {
        let start = PLANS.partition_point(|plan| plan.calling_code < code);
        let end = PLANS.partition_point(|plan| plan.calling_code <= code);
        PLANS.get(start..end).unwrap_or_default()
    }

    /// Returns whether the calling code belongs to no country.
    pub fn is_of_no_country(&self) -> bool {
        self.region == Self::WORLD
    }

    /// Returns a mobile number of the plan in national form, if it has mobile numbers.
    pub fn mobile_example(&self) -> Option<&'static str> {
        Some(self.example).filter(|example| !example.is_empty())
    }

    /// Compares a length with those that the plan's numbers have.
    pub(crate) fn length(&self, length: usize) -> Length {
        let possible = self.general.lengths;
        if has_length(self.local, length) {
            return Length::LocalOnly;
        }
        let Ok(length) = u32::try_from(length) else { return Length::TooLong };
        if possible == 0 {
            Length::Invalid
        } else if length < possible.trailing_zeros() {
            Length::TooShort
        } else if length > possible.ilog2() {
            Length::TooLong
        } else if has_length(possible, length as usize) {
            Length::Possible
        } else {
            Length::Invalid
        }
    }
}

fn has_length(lengths: u32, length: usize) -> bool {
    u32::try_from(length).ok().and_then(|length| lengths.checked_shr(length)).is_some_and(|bits| bits & 1 == 1)
}
