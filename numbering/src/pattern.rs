//! The patterns of numbering plans: regular expressions over digits, as far as libphonenumber's tables use them: digits,
//! sets of digits, `\d`, groups, alternatives, counts (`?`, `{2}`, `{2,5}`), and the end (`$`). They are matched as they stand, without
//! being compiled, because each number meets each pattern once. The first alternative that leads to a match counts.

use std::ops::Range;

/// The parts of a text that the first two capturing groups have matched.
pub(crate) type Captures = [Option<(usize, usize)>; 2];

/// Returns whether the pattern matches the whole text.
pub(crate) fn matches_all(pattern: &str, digits: &[u8]) -> bool {
    let matcher = Matcher { pattern: pattern.as_bytes(), digits };
    matcher.one_of(0..pattern.len(), 0, &mut Captures::default(), &mut |end, _| end == digits.len())
}

/// Returns where the match ends with which the text begins, and what its groups have captured.
pub(crate) fn match_start(pattern: &str, digits: &[u8]) -> Option<(usize, Captures)> {
    let matcher = Matcher { pattern: pattern.as_bytes(), digits };
    let mut found = None;
    matcher.one_of(0..pattern.len(), 0, &mut Captures::default(), &mut |end, captures| {
        found = Some((end, *captures));
        true
    });
    found
}

/// How often a part of a pattern may occur.
#[derive(Clone, Copy)]
struct Count {
    least: usize,
    most: usize,
}

/// The first part of a sequence.
enum Part {
    /// One digit of a set: a bit for each.
    Digit(u16),
    /// The end of the text.
    End,
    /// Alternatives, and the number of the group if it captures.
    Group(Range<usize>, Option<usize>),
}

/// What follows: it gets where the part so far ends and what was captured, and returns whether all of it matches.
type Rest<'r> = &'r mut dyn FnMut(usize, &mut Captures) -> bool;

struct Matcher<'a> {
    pattern: &'a [u8],
    digits: &'a [u8],
}

impl Matcher<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.pattern.get(at).copied()
    }

    /// Matches the first of the alternatives in `range` with which the rest matches as well.
    fn one_of(&self, range: Range<usize>, at: usize, captures: &mut Captures, rest: Rest<'_>) -> bool {
        let (mut depth, mut start) = (0_usize, range.start);
        for position in range.clone() {
            match self.byte(position) {
                Some(b'(') => depth += 1,
                Some(b')') => depth = depth.saturating_sub(1),
                Some(b'|') if depth == 0 => {
                    if self.sequence(start..position, at, captures, rest) {
                        return true;
                    }
                    start = position + 1;
                }
                _ => {}
            }
        }
        self.sequence(start..range.end, at, captures, rest)
    }

    fn sequence(&self, range: Range<usize>, at: usize, captures: &mut Captures, rest: Rest<'_>) -> bool {
        if range.is_empty() {
            return rest(at, captures);
        }
        let Some((part, after)) = self.first(&range) else { return false };
        let (count, after) = self.count(after, range.end);
        let following = after..range.end;
        match part {
            Part::Digit(set) => {
                let is_in_set = |digit: &&u8| set >> (**digit - b'0') & 1 == 1;
                let digits = self.digits.get(at..).unwrap_or_default();
                let most = digits.iter().take(count.most).take_while(is_in_set).count();
                (count.least..=most).rev().any(|taken| self.sequence(following.clone(), at + taken, captures, rest))
            }
            Part::End => at == self.digits.len() && self.sequence(following, at, captures, rest),
            Part::Group(inside, number) => self.repeat(&(inside, number), count, &following, at, captures, rest),
        }
    }

    /// Matches a group as often as it may occur, and then what follows it.
    fn repeat(
        &self,
        group: &(Range<usize>, Option<usize>),
        count: Count,
        following: &Range<usize>,
        at: usize,
        captures: &mut Captures,
        rest: Rest<'_>,
    ) -> bool {
        let (inside, number) = group;
        let once_more = count.most > 0
            && self.one_of(inside.clone(), at, captures, &mut |end, captures| {
                let before = *captures;
                if let Some(captured) = number.and_then(|number| captures.get_mut(number)) {
                    *captured = Some((at, end));
                }
                let left = Count { least: count.least.saturating_sub(1), most: count.most - 1 };
                let matched = self.repeat(group, left, following, end, captures, rest);
                if !matched {
                    *captures = before;
                }
                matched
            });
        once_more || (count.least == 0 && self.sequence(following.clone(), at, captures, rest))
    }

    /// Reads the first part of a sequence. Returns it, and where the next begins.
    fn first(&self, range: &Range<usize>) -> Option<(Part, usize)> {
        let start = range.start;
        match self.byte(start)? {
            digit @ b'0'..=b'9' => Some((Part::Digit(1 << (digit - b'0')), start + 1)),
            // `\d`.
            b'\\' => Some((Part::Digit(0x3ff), start + 2)),
            b'$' => Some((Part::End, start + 1)),
            b'[' => {
                let end = self.find(start, range.end, b']')?;
                Some((Part::Digit(set(self.pattern.get(start + 1..end)?)), end + 1))
            }
            b'(' => {
                let end = self.closing(start, range.end)?;
                let captures = self.byte(start + 1) != Some(b'?');
                let number = captures.then(|| self.capturing_before(start));
                let inside = if captures { start + 1 } else { start + 3 };
                Some((Part::Group(inside..end, number), end + 1))
            }
            _ => None,
        }
    }

    /// Reads how often a part may occur, if that is said at this place. Returns it, and where the next part begins.
    fn count(&self, at: usize, end: usize) -> (Count, usize) {
        let once = (Count { least: 1, most: 1 }, at);
        if at >= end {
            return once;
        }
        match self.byte(at) {
            Some(b'?') => (Count { least: 0, most: 1 }, at + 1),
            Some(b'{') => {
                let Some(close) = self.find(at, end, b'}') else { return once };
                let (mut numbers, mut comma) = ([0; 2], 0);
                for byte in self.pattern.get(at + 1..close).unwrap_or_default() {
                    match byte {
                        b',' => comma = 1,
                        digit => {
                            if let Some(number) = numbers.get_mut(comma) {
                                *number = *number * 10 + usize::from(digit - b'0');
                            }
                        }
                    }
                }
                let [least, most] = numbers;
                (Count { least, most: if comma == 0 { least } else { most } }, close + 1)
            }
            _ => once,
        }
    }

    fn find(&self, start: usize, end: usize, wanted: u8) -> Option<usize> {
        (start..end).find(|at| self.byte(*at) == Some(wanted))
    }

    /// Returns where the group ends that begins at `start`.
    fn closing(&self, start: usize, end: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (start..end).find(|at| {
            match self.byte(*at) {
                Some(b'(') => depth += 1,
                Some(b')') => depth -= 1,
                _ => {}
            }
            depth == 0
        })
    }

    /// Returns the number of capturing groups that begin before this place.
    fn capturing_before(&self, at: usize) -> usize {
        let before = (0..at).filter(|at| self.byte(*at) == Some(b'(') && self.byte(at + 1) != Some(b'?'));
        before.count()
    }
}

/// Reads a set of digits, such as `1-46`.
fn set(text: &[u8]) -> u16 {
    let mut set = 0;
    let mut bytes = text.iter().copied().peekable();
    while let Some(first) = bytes.next() {
        let last = if bytes.next_if_eq(&b'-').is_some() { bytes.next().unwrap_or(first) } else { first };
        for digit in first..=last {
            set |= 1 << (digit - b'0');
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_text() {
        for (pattern, matching, others) in [
            ("", &[""][..], &["1"][..]),
            ("12", &["12"], &["1", "123", "13"]),
            (r"[1-46]\d", &["10", "49", "65"], &["50", "1", "7"]),
            (r"1(?:2|34?)\d{2}", &["1299", "1399", "13499", "1349"], &["129", "12999", "1"]),
            (r"\d{2,4}", &["12", "1234"], &["1", "12345"]),
            (r"(?:12){2}3", &["12123"], &["123", "1212123"]),
            (r"(?:1|12)(?:3|23)", &["13", "123", "1223"], &["12", "1233"]),
            (r"(?:12)?3", &["123", "3"], &["12", "23"]),
        ] {
            for text in matching {
                assert!(matches_all(pattern, text.as_bytes()), "{pattern}: {text}");
            }
            for text in others {
                assert!(!matches_all(pattern, text.as_bytes()), "{pattern}: {text}");
            }
        }
    }

    #[test]
    fn the_first_alternative_that_matches_counts_and_groups_capture() {
        assert_eq!(match_start("1|12", b"123"), Some((1, [None, None])));
        assert_eq!(match_start("(1[2-4])?(\\d{2})?", b"1299"), Some((4, [Some((0, 2)), Some((2, 4))])));
        assert_eq!(match_start("0(?:(1)5)?", b"016"), Some((1, [None, None])));
        assert_eq!(match_start("0", b"10"), None);
        assert_eq!(match_start("(12)$|1", b"12"), Some((2, [Some((0, 2)), None])));
        assert_eq!(match_start("(12)$|1", b"123"), Some((1, [None, None])));
    }
}
