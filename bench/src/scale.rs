//! `scale`: how often transactions on one item meet, by simulation, and how many fail after all tries.
//!
//! Messages of one country share two counters, and each transaction that stores a code writes both. DynamoDB refuses a
//! transaction that meets another one on an item; `shared/src/store/table/wire.rs` then tries again. The simulation has no
//! machine in it, so its results are the same everywhere.

use std::collections::BTreeMap;

use crate::{Failure, results::Table};

/// How long a transaction holds its items, in ms: the time of a transactional write, assumed.
const HELD: f64 = 10.0;
/// The tries of a transaction, as in `wire.rs`.
const TRIES: u32 = 6;
/// The shortest pause, in ms, as in `wire.rs`. The random part is at most twice, four times and then eight times as long.
const PAUSE: f64 = 25.0;
/// The simulated time, in ms.
const SPAN: f64 = 600_000.0;

/// What became of the transactions at one rate.
struct Outcome {
    met: f64,
    failed: f64,
    waited: f64,
}

pub(crate) fn run() -> Result<(), Failure> {
    let mut rows = BTreeMap::new();
    for rate in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        let Outcome { met, failed, waited } = simulate(rate);
        rows.insert(format!("{rate:>3} per second"), vec![failed * 100.0, met * 100.0, waited]);
    }
    let columns = vec!["503 after six tries, %", "met another, %", "waited on average, ms"];
    Table { name: "scale", title: "Codes of one country that are stored at once", columns, rows }.publish()
}

/// A generator that always gives the same numbers (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns 64 bits.
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number between 0 and 1.
    fn draw(&mut self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// Returns an identifier: a UUID of version 4.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.bits(), self.bits());
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0x0fff);
        let (fourth, fifth) = ((low >> 48) & 0x3fff, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-4{third:03x}-{:04x}-{fifth:012x}", fourth | 0x8000)
    }
}

/// Lets transactions arrive at random, `rate` per second on average. One holds both counters for [`HELD`]; those that
/// come meanwhile are refused and wait at random.
fn simulate(rate: f64) -> Outcome {
    let mut random = Random(17);
    // When a try begins, when its transaction came, and which try it is.
    let mut tries: Vec<(f64, f64, u32)> = Vec::new();
    let mut arrival = 0.0;
    while arrival < SPAN {
        arrival += -(1.0 - random.draw()).max(f64::MIN_POSITIVE).ln() / rate * 1e3;
        tries.push((arrival, arrival, 1));
    }
    let all = f64::from(u32::try_from(tries.len()).unwrap_or(u32::MAX));
    tries.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut free_at, mut met, mut failed, mut waited) = (0.0, 0.0, 0.0, 0.0);
    // The next try is the last of the list.
    while let Some((now, came, tried)) = tries.pop() {
        if now >= free_at {
            free_at = now + HELD;
            waited += now - came;
            continue;
        }
        met += f64::from(u32::from(tried == 1));
        if tried == TRIES {
            failed += 1.0;
            continue;
        }
        let again = now + HELD / 2.0 + PAUSE + random.draw() * PAUSE * f64::from(1u32 << tried.min(3));
        let place = tries.partition_point(|other| other.0 > again);
        tries.insert(place, (again, came, tried + 1));
    }
    Outcome { met: met / all, failed: failed / all, waited: waited / all }
}
