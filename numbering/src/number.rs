//! Phone numbers, read by the rules of libphonenumber.

use crate::{
    pattern,
    plan::{Length, Plan},
};

/// The least number of digits in a national number.
const SHORTEST: usize = 2;
/// The largest number of digits in a national number.
const LONGEST: usize = 17;
/// The largest number of digits in a calling code.
const LONGEST_CALLING_CODE: usize = 3;

/// What a number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A landline.
    FixedLine,
    /// A mobile phone.
    Mobile,
    /// A landline or a mobile phone: the digits do not tell which.
    FixedLineOrMobile,
    /// A number of another kind: premium, toll-free, a pager and so on.
    Other,
}

/// A number that may be dialed: a calling code, and a national number that need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    calling_code: u16,
    national: String,
}

impl Number {
    /// Reads digits, behind `+` or not. Without `+` they are dialed in a country: a national number, or an
    /// international one behind the country's dialing prefix or calling code.
    pub fn parse(text: &str, dialed_in: Option<&'static Plan>) -> Option<Self> {
        let (international, digits) = match text.strip_prefix('+') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let least = if international { SHORTEST + 1 } else { SHORTEST };
        if digits.len() < least || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if international {
            if let Some(read) = split(digits) {
                return read.of_main_country();
            }
            // People put a plus sign before a dialing prefix.
            return match dialed(digits, dialed_in?)? {
                Dialed::International(read) => read.of_main_country(),
                Dialed::National(..) => None,
            };
        }
        match dialed(digits, dialed_in?)? {
            Dialed::International(read) => read.of_main_country(),
            Dialed::National(read, plan) => read.within(plan),
        }
    }

    /// Returns whether the digits of an international number begin with a calling code that exists.
    pub fn has_calling_code(digits: &str) -> bool {
        split(digits).is_some()
    }

    /// Returns the calling code, such as 20.
    pub fn calling_code(&self) -> u16 {
        self.calling_code
    }

    /// Returns the digits behind the calling code.
    pub fn national(&self) -> &str {
        &self.national
    }

    /// Returns the number in E.164, with the plus sign.
    pub fn e164(&self) -> String {
        format!("+{}{}", self.calling_code, self.national)
    }

    /// Returns the plan that the number belongs to. A calling code of one country alone is its own plan, whether the
    /// number exists or not; one that several share is none's unless the number is in one's plan.
    pub fn plan(&self) -> Option<&'static Plan> {
        match Plan::of_calling_code(self.calling_code) {
            [plan] => Some(plan),
            plans => plans.iter().find(|plan| {
                let leads = !plan.leading.is_empty() && pattern::match_start(plan.leading, self.digits()).is_some();
                leads || plan.kind(self.digits()).is_some()
            }),
        }
    }

    /// Returns what the number is for. None if it does not exist.
    pub fn kind(&self) -> Option<Kind> {
        self.plan()?.kind(self.digits())
    }

    /// Returns whether the number exists.
    pub fn is_valid(&self) -> bool {
        self.kind().is_some()
    }

    fn digits(&self) -> &[u8] {
        self.national.as_bytes()
    }

    /// Drops what may precede the national number, by the plan of the calling code's main country.
    fn of_main_country(self) -> Option<Self> {
        let plan = Plan::of_calling_code(self.calling_code).first()?;
        self.within(plan)
    }

    /// Drops what may precede the national number in its plan. None if what is left has no length of a number.
    fn within(mut self, plan: &Plan) -> Option<Self> {
        if self.national.len() < SHORTEST {
            return None;
        }
        let bare = plan.without_trunk(&self.national);
        if !matches!(plan.length(bare.len()), Length::LocalOnly | Length::TooShort | Length::Invalid) {
            self.national = bare;
        }
        (SHORTEST..=LONGEST).contains(&self.national.len()).then_some(self)
    }
}

/// Digits that were dialed in a country.
enum Dialed {
    /// The calling code was among them.
    International(Number),
    /// It was not: a number of the country itself, by its plan.
    National(Number, &'static Plan),
}

/// Splits a calling code from the digits behind it.
fn split(digits: &str) -> Option<Number> {
    if digits.len() <= SHORTEST || digits.starts_with('0') {
        return None;
    }
    (1..=LONGEST_CALLING_CODE).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let calling_code = code.parse().ok()?;
        let exists = !Plan::of_calling_code(calling_code).is_empty();
        exists.then(|| Number { calling_code, national: national.to_owned() })
    })
}

/// Reads digits as they are dialed in a country. None if a dialing prefix is followed by no calling code.
fn dialed(digits: &str, plan: &'static Plan) -> Option<Dialed> {
    if let Some(after) = plan.after_idd(digits) {
        return split(after).map(Dialed::International);
    }
    let calling_code = plan.calling_code;
    if let Some(behind) = digits.strip_prefix(&*calling_code.to_string()) {
        // The calling code without a plus sign, if the digits are no national number with it but are one without it.
        let bare = plan.without_trunk(behind);
        let becomes_one = !plan.general.match_pattern(digits.as_bytes()) && plan.general.match_pattern(bare.as_bytes());
        if becomes_one || plan.length(digits.len()) == Length::TooLong {
            return Some(Dialed::International(Number { calling_code, national: bare }));
        }
    }
    Some(Dialed::National(Number { calling_code, national: digits.to_owned() }, plan))
}

impl Plan {
    /// Returns what a national number of the plan is for. None if there is no such number.
    fn kind(&self, national: &[u8]) -> Option<Kind> {
        if !self.general.contain(national) {
            return None;
        }
        if self.others.iter().any(|numbers| numbers.contain(national)) {
            return Some(Kind::Other);
        }
        if self.fixed.contain(national) {
            let is_either = self.one_kind || self.mobile.contain(national);
            return Some(if is_either { Kind::FixedLineOrMobile } else { Kind::FixedLine });
        }
        (!self.one_kind && self.mobile.contain(national)).then_some(Kind::Mobile)
    }

    /// Returns the digits behind the prefix with which other countries are dialed, if there is one. No calling code
    /// begins with 0.
    pub fn after_idd<'d>(&self, digits: &'d str) -> Option<&'d str> {
        if self.idd.is_empty() {
            return None;
        }
        let (end, _) = pattern::match_start(self.idd, digits.as_bytes())?;
        digits.get(end..).filter(|after| !after.starts_with('0'))
    }

    /// Returns the digits without what may precede a national number, unless they are only with it a number of the
    /// plan.
    fn without_trunk(&self, digits: &str) -> String {
        let bare = || {
            if self.trunk.is_empty() || digits.is_empty() {
                return None;
            }
            let (end, captures) = pattern::match_start(self.trunk, digits.as_bytes())?;
            let rest = digits.get(end..)?;
            let text = |group: Option<(usize, usize)>| group.and_then(|(start, end)| digits.get(start..end));
            let [first, second] = captures.map(text);
            let is_transformed = first.is_some_and(|first| match second {
                Some(second) => !second.is_empty(),
                None => !first.is_empty(),
            });
            if self.transform.is_empty() || !is_transformed {
                return Some(rest.to_owned());
            }
            let [first, second] = [first, second].map(Option::unwrap_or_default);
            Some(self.transform.replace("$1", first).replace("$2", second) + rest)
        };
        let is_number = |digits: &str| self.general.match_pattern(digits.as_bytes());
        bare().filter(|bare| !is_number(digits) || is_number(bare)).unwrap_or_else(|| digits.to_owned())
    }
}
