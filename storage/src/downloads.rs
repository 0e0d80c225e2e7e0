//! How much of what is sent may be under way: each large answer holds memory, and one that
//! streams a blob an open file too, for as long as its reader likes to take.

use crate::catalog::AccountId;
use crate::error::{Error, ErrorKind, Result, What};
use crate::limits::Limits;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of memory that one place among the downloads stands for; a blob under way takes one, whatever its size.
pub const PLACE: u64 = 512 * 1024;

/// The downloads under way. Cheap to clone.
#[derive(Clone)]
pub struct Downloads(Arc<Inner>);

struct Inner {
    most: usize,
    most_of_one: usize,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    all: usize,
    /// By account; all that is anonymous is one. Who has none under way is not here.
    of: HashMap<Option<AccountId>, usize>,
}

/// A download under way; over when dropped.
pub struct Download {
    home: Downloads,
    account: Option<AccountId>,
    places: usize,
}

impl Downloads {
    /// None yet.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Inner {
            most: limits.downloads,
            most_of_one: limits.downloads_per_principal,
            running: Mutex::default(),
        }))
    }

    /// Begins one that holds so many bytes in memory, of that account or of somebody anonymous. One that is too large for
    /// all the places there are may still go alone.
    ///
    /// # Errors
    /// `TooManyRequests` when the account has as many under way as one may have, `Unavailable` when all together have.
    pub fn begin(&self, account: Option<AccountId>, held: u64) -> Result<Download> {
        let most = self.0.most.min(self.0.most_of_one);
        let places = usize::try_from(held.div_ceil(PLACE)).unwrap_or(most).clamp(1, most);
        let mut running = self.lock();
        if running.all + places > self.0.most {
            return Err(Error::new(
                ErrorKind::Unavailable,
                What::Request,
                "too many downloads are under way; try again shortly",
            ));
        }
        let of_one = running.of.entry(account).or_insert(0);
        if *of_one + places > self.0.most_of_one {
            return Err(Error::new(
                ErrorKind::TooManyRequests,
                What::Request,
                "this account has too many downloads under way; let some of them end first",
            ));
        }
        *of_one += places;
        running.all += places;
        Ok(Download {
            home: self.clone(),
            account,
            places,
        })
    }

    /// The counts are whole whenever the lock is free, so a holder that panicked does no harm.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let mut running = self.home.lock();
        running.all -= self.places;
        if let Entry::Occupied(mut of_one) = running.of.entry(self.account) {
            *of_one.get_mut() -= self.places;
            if *of_one.get() == 0 {
                of_one.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn one_principal_cannot_take_every_place_and_all_together_no_more_than_there_are() {
        let downloads = Downloads::new(&Limits {
            downloads: 3,
            downloads_per_principal: 2,
            ..Limits::default()
        });
        let refusal = |account: Option<AccountId>| downloads.begin(account, 1).err().map(|error| error.kind());
        let (hoarder, other) = (Some(AccountId(1)), Some(AccountId(2)));
        let held: Vec<_> = (0..2).map(|_| downloads.begin(hoarder, 1).unwrap()).collect();
        assert_eq!(refusal(hoarder), Some(ErrorKind::TooManyRequests));
        let last = downloads.begin(other, 1).unwrap();
        assert_eq!(refusal(other), Some(ErrorKind::Unavailable));
        drop(last);
        drop(downloads.begin(None, 1).unwrap());
        drop(held);
        drop(downloads.begin(hoarder, 1).unwrap());
        assert!(downloads.lock().of.is_empty());
    }

    #[test]
    fn one_that_holds_much_counts_for_many_and_one_that_holds_too_much_goes_alone() {
        let downloads = Downloads::new(&Limits {
            downloads: 4,
            downloads_per_principal: 4,
            ..Limits::default()
        });
        let three = downloads.begin(None, 2 * PLACE + 1).unwrap();
        assert!(downloads.begin(None, 2 * PLACE).is_err());
        drop(downloads.begin(None, PLACE).unwrap());
        drop(three);
        let huge = downloads.begin(None, u64::MAX).unwrap();
        assert!(downloads.begin(Some(AccountId(1)), 0).is_err());
        drop(huge);
        assert_eq!(downloads.lock().all, 0);
    }
}
