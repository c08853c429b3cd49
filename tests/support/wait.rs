//! Waiting for something to become true: the one place in the tests that polls, because the other side has no event to
//! send. Whoever can await an event awaits that instead.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Long enough for a broker to restart on a machine that is busy with five other suites.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Returns as soon as `condition` holds; fails with "`what` did not happen" if it does not within a minute.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: did not happen within {PATIENCE:?}");
        std::thread::sleep(PAUSE);
    }
}

/// [`wait_until`] for a condition that has to be awaited itself; one that hangs is cut off by the same deadline.
pub async fn wait_until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, polling).await;
    assert!(waited.is_ok(), "{what}: did not happen within {PATIENCE:?}");
}

/// Waits until `current` is `wanted`, and says what it was last if it does not become that within a minute.
pub async fn wait_until_equal<T: PartialEq + Debug>(what: &str, wanted: T, mut current: impl AsyncFnMut() -> T) {
    let mut last = None;
    let polling = async {
        while last.insert(current().await) != &wanted {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, polling).await;
    assert!(waited.is_ok(), "{what}: {last:?} instead of {wanted:?} after {PATIENCE:?}");
}
