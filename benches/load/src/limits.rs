//! What this machine can do at best: how fast content is made and hashed, on one core.

use crate::content;
use crate::process::thread_cpu;
use std::hint::black_box;

/// MiB that are hashed in one go.
const HASHED: u64 = 512;
/// Times as many are made.
const MADE_TIMES: u64 = 16;
/// Goes, the best of which counts.
const GOES: usize = 5;

/// The limits, as two lines of text.
pub(crate) fn limits() -> String {
    const PIECE: u64 = 128 << 10;
    let data = content::bytes(1, 0, 1 << 20);
    let made = best(|| {
        for piece in 0..((HASHED * MADE_TIMES) << 20) / PIECE {
            black_box(content::bytes(1, piece * PIECE, PIECE as usize));
        }
    });
    let hashed = best(|| {
        for _ in 0..HASHED {
            black_box(content::digest_of(&data));
        }
    });
    let megabytes = (HASHED << 20) as f64 / 1e6;
    format!(
        "making content: {:.0} MB/s of CPU time, best of {GOES}\nSHA-256: {:.0} MB/s of CPU time, best of {GOES}",
        megabytes * MADE_TIMES as f64 / made,
        megabytes / hashed
    )
}

/// The least CPU time of several goes, in seconds.
fn best(work: impl Fn()) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..GOES {
        let start = thread_cpu();
        work();
        least = least.min(thread_cpu() - start);
    }
    least
}
