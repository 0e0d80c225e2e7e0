//! What runs beside the requests.

use granary_storage::Stores;
use granary_storage::ballast::{Ballast, Kept};
use granary_storage::clock;
use granary_storage::sweep::{Swept, sweep};
use std::time::Duration;

/// How often freed memory is given back.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// Gives memory that was freed on this thread back to the system now and then: what a burst of requests took would
/// otherwise stay with the allocator until the next one.
pub(crate) async fn give_memory_back_forever() {
    let mut ticks = tokio::time::interval(GIVE_BACK);
    loop {
        ticks.tick().await;
        crate::memory::give_back();
    }
}

/// Sweeps at once and then every `interval`; sees to the ballast each time.
pub(crate) async fn sweep_forever(stores: Stores, ballast: Ballast, interval: Duration, orphan_age: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        keep(ballast.clone()).await;
        match sweep(&stores, orphan_age).await {
            Ok(swept) if swept == Swept::default() => tracing::debug!("swept: nothing to remove"),
            Ok(swept) => tracing::info!(?swept, "swept expired uploads and orphan files"),
            Err(error) => tracing::error!(
                cause = std::error::Error::source(&error).map(ToString::to_string),
                "a sweep stopped: {error}"
            ),
        }
        if let Err(error) = stores.catalog.sweep_refresh_tokens(clock::now()).await {
            tracing::error!(
                cause = std::error::Error::source(&error).map(ToString::to_string),
                "expired refresh tokens were not swept: {error}"
            );
        }
    }
}

/// Makes the ballast, at the start and when there is room for it again.
async fn keep(ballast: Ballast) {
    match tokio::task::spawn_blocking(move || ballast.keep()).await {
        Ok(Ok(Kept::Made)) => tracing::info!("the ballast is in place: it makes room for deletes when the disk is full"),
        Ok(Ok(Kept::NoRoom)) => tracing::warn!("there is no room for the ballast: less than storage.reserve would be free"),
        Ok(Ok(Kept::There | Kept::Unwanted)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the ballast could not be made"),
        Err(error) => tracing::error!(%error, "the ballast could not be made"),
    }
}
