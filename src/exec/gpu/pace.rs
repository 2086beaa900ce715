//! How much work one submission may have: bounded by measured time, because systems reset a device that one submission keeps
//! busy for seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long one submission shall keep the device busy, at most. A display's driver waits two seconds and a desktop shall not stutter.
const LONGEST: f64 = 0.1;

/// What a submission may cost before anything was measured: a tenth of a second on a slow integrated GPU.
const BEFORE_MEASURED: f64 = 2e9;

/// The device's speed, as submissions show it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Bits of the cost a second, 0 before the first observation.
    rate: AtomicU64,
}

impl Pace {
    /// Learns from a submission. A host that looks late sees it take long: the fastest of the latest counts.
    pub fn observe(&self, cost: u64, took: Duration) {
        if cost == 0 || took.is_zero() {
            return;
        }
        let seen = cost as f64 / took.as_secs_f64();
        let before = f64::from_bits(self.rate.load(Ordering::Relaxed));
        let now = seen.max(0.9 * before);
        self.rate.store(now.to_bits(), Ordering::Relaxed);
    }

    /// What one submission may cost.
    pub fn most(&self) -> u64 {
        let rate = f64::from_bits(self.rate.load(Ordering::Relaxed));
        if rate == 0.0 {
            BEFORE_MEASURED as u64
        } else {
            (LONGEST * rate) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_may_take_a_tenth_of_a_second() {
        let pace = Pace::default();
        assert_eq!(pace.most(), 2_000_000_000);
        pace.observe(1_000_000, Duration::from_millis(1));
        assert_eq!(pace.most(), 100_000_000);
        // A host that was away for a second takes little away.
        pace.observe(1_000_000, Duration::from_secs(1));
        assert_eq!(pace.most(), 90_000_000);
        pace.observe(4_000_000, Duration::from_millis(1));
        assert_eq!(pace.most(), 400_000_000);
    }
}
