//! The index, compressed: only for who asks (helm does not, and would not understand it), once for each generation.

use super::index::lock;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use granary_storage::{Error, Result};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

/// How well it is compressed: better than fast, for it is done once and sent often.
const GZIP: u32 = 6;
const ZSTD: i32 = 6;

/// A coding of content (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Its name in a header.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What an `Accept-Encoding` asks for by name (RFC 9110 §12.5.3): of two that are as welcome, the smaller one. `*`
    /// asks for nothing.
    pub(super) fn asked(list: &str) -> Option<Self> {
        let offers = list.split(',').filter_map(|offer| {
            let mut words = offer.split(';').map(str::trim);
            let name = words.next().unwrap_or_default();
            let coding = [Self::Gzip, Self::Zstd]
                .into_iter()
                .find(|coding| name.eq_ignore_ascii_case(coding.word()))?;
            let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
            let weight: f32 = weight.map_or(Ok(1.0), |weight| weight.trim().parse()).ok()?;
            (weight > 0.0).then_some((weight, coding))
        });
        let best = offers.max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        best.map(|(_, coding)| coding)
    }

    fn of(self, pieces: [&[u8]; 3]) -> io::Result<Bytes> {
        fn all(mut to: impl Write, pieces: [&[u8]; 3]) -> io::Result<()> {
            pieces.into_iter().try_for_each(|piece| to.write_all(piece))
        }
        let bytes = match self {
            Self::Gzip => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::new(GZIP));
                all(&mut packer, pieces)?;
                packer.finish()?
            }
            Self::Zstd => {
                let mut packer = zstd::Encoder::new(Vec::new(), ZSTD)?;
                all(&mut packer, pieces)?;
                packer.finish()?
            }
        };
        Ok(bytes.into())
    }
}

/// What an index was compressed to. Its beginning differs by the path that it is asked for at.
#[derive(Default)]
pub(super) struct Coded(Mutex<BTreeMap<(Coding, Bytes), Made>>);

/// What is made once.
type Made = Arc<OnceCell<Bytes>>;

impl Coded {
    /// Compressed by the first who asks, while the others wait for it.
    pub(super) async fn get(&self, coding: Coding, begin: Bytes, entries: Bytes) -> Result<Bytes> {
        let cell = lock(&self.0).entry((coding, begin.clone())).or_default().clone();
        if let Some(made) = cell.get() {
            return Ok(made.clone());
        }
        // On a task of its own: who asks and goes away must not have the next one begin again.
        let making = tokio::spawn(async move {
            let made = cell.get_or_try_init(|| async move {
                let work = tokio::task::spawn_blocking(move || coding.of([&begin, &entries, b"}}"]));
                work.await.map_err(Error::internal)?.map_err(Error::internal)
            });
            made.await.cloned()
        });
        making.await.map_err(Error::internal)?
    }

    pub(super) fn bytes(&self) -> u64 {
        lock(&self.0)
            .values()
            .filter_map(|cell| cell.get())
            .map(|bytes| bytes.len() as u64)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures_util::FutureExt as _;
    use std::time::Duration;

    #[tokio::test]
    async fn who_asks_and_goes_away_leaves_what_was_begun_to_the_next() {
        let coded = Coded::default();
        let entries = Bytes::from(vec![b'x'; 1 << 20]);
        let asked = coded.get(Coding::Gzip, Bytes::new(), entries);
        assert!(asked.now_or_never().is_none());
        let made = async {
            while coded.bytes() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), made).await.unwrap();
    }
}
