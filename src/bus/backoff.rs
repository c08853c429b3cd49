//! How long to wait before the next try.

use std::time::Duration;

/// Pauses that grow, for [`Delivery::retry_after`](super::Delivery::retry_after): each is `factor` times the one before,
/// from `first` to `longest`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// After the first attempt.
    pub first: Duration,
    /// By how much each is longer than the one before; at least 1.
    pub factor: f64,
    /// No pause is longer.
    pub longest: Duration,
}

impl Backoff {
    /// Twice as long each time.
    pub fn doubling(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, factor: 2.0, longest }
    }

    /// The pause after this attempt, of which the first is number 1.
    pub fn delay(&self, attempt: u32) -> Duration {
        let grown = self.factor.max(1.0).powf(f64::from(attempt.saturating_sub(1))).min(f64::MAX);
        // What is too long to be expressed is longer than the longest.
        let delay = Duration::try_from_secs_f64(self.first.as_secs_f64() * grown).unwrap_or(Duration::MAX);
        delay.min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_stay_there() {
        let delays = |backoff: Backoff| [0, 1, 2, 3, 4, 40, u32::MAX].map(|attempt| backoff.delay(attempt).as_millis());
        let doubling = Backoff::doubling(Duration::from_millis(500), Duration::from_secs(3));
        assert_eq!(delays(doubling), [500, 500, 1000, 2000, 3000, 3000, 3000]);
        let slow = Backoff { factor: 1.5, ..doubling };
        assert_eq!(delays(slow)[..5], [500, 500, 750, 1125, 1687]);
        let constant = Backoff { factor: 0.1, ..doubling };
        assert_eq!(delays(constant), [500; 7]);
        let none = Backoff::doubling(Duration::ZERO, Duration::from_secs(3));
        assert_eq!(delays(none), [0; 7]);
        assert_eq!(delays(Backoff { longest: Duration::MAX, ..doubling })[6], Duration::MAX.as_millis());
    }
}
