//! Trouble of the environment is not the task's fault: wait and try again, for as long as it takes.

use crate::shutdown::Shutdown;
use crate::store;
use rand::RngExt;
use std::fmt::Display;
use std::time::Duration;
use tracing::{info, warn};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// A store's answer as [`persist`] takes it: it is asked again only while the database is away.
pub fn settled<T>(answer: Result<T, store::Error>) -> Result<Result<T, store::Error>, store::Error> {
    match answer {
        Err(error) if error.is_environment() => Err(error),
        settled => Ok(settled),
    }
}

/// Tries until it works: the waits double, with jitter, up to ten seconds. `None` only if shutdown is asked for
/// between two tries; a try under way is never cut off. `doing` names it for the log.
pub async fn persist<T, E: Display, F: Future<Output = Result<T, E>>>(
    doing: &str,
    shutdown: &Shutdown,
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    let mut pause = FIRST;
    for tries in 1u32.. {
        match attempt().await {
            Ok(value) => {
                if tries > 1 {
                    info!("{doing}: worked at try {tries}");
                }
                return Some(value);
            }
            Err(error) => warn!("{doing}: {error:#}; trying again in {:.1} s", pause.as_secs_f64()),
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        shutdown.or(tokio::time::sleep(pause.mul_f64(jitter))).await?;
        pause = (pause * 2).min(LONGEST);
    }
    None
}
