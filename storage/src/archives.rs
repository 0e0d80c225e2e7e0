//! How many requests of one account make archives of folders, or look into archives, at once. Such work goes on for a while
//! after its client has hung up, so that who asks anew, and hangs up again, would otherwise have ever more of it.

use crate::catalog::AccountId;
use crate::error::{Error, ErrorKind, Result, What};
use crate::limits::Limits;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By account; all that is anonymous is one. Who has none under way is not here.
type Running = HashMap<Option<AccountId>, usize>;

/// What is under way. Cheap to clone.
#[derive(Clone)]
pub struct Archives {
    most_of_one: usize,
    running: Arc<Mutex<Running>>,
}

/// A request that has such work; over when dropped.
pub struct ArchiveVisit {
    home: Archives,
    account: Option<AccountId>,
}

impl Archives {
    /// None yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            most_of_one: limits.archives_per_principal,
            running: Arc::default(),
        }
    }

    /// Begins one for that account, or for somebody anonymous.
    ///
    /// # Errors
    /// `TooManyRequests`/`Request` when it has [`Limits::archives_per_principal`] under way.
    pub fn begin(&self, account: Option<AccountId>) -> Result<ArchiveVisit> {
        let mut running = self.lock();
        let of_one = running.get(&account).copied().unwrap_or(0);
        if of_one >= self.most_of_one {
            return Err(Error::new(
                ErrorKind::TooManyRequests,
                What::Request,
                "this account has too many archives under way; let some of them end first",
            ));
        }
        running.insert(account, of_one + 1);
        Ok(ArchiveVisit {
            home: self.clone(),
            account,
        })
    }

    /// The counts are whole whenever the lock is free, so a holder that panicked does no harm.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ArchiveVisit {
    fn drop(&mut self) {
        if let Entry::Occupied(mut of_one) = self.home.lock().entry(self.account) {
            *of_one.get_mut() -= 1;
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
    fn one_account_has_no_more_than_its_own_and_takes_nothing_from_another() {
        let archives = Archives::new(&Limits {
            archives_per_principal: 2,
            ..Limits::default()
        });
        let refusal = |account| archives.begin(account).err().map(|error| error.kind());
        let (hoarder, other) = (Some(AccountId(1)), Some(AccountId(2)));
        let mut held: Vec<_> = (0..2).map(|_| archives.begin(hoarder).unwrap()).collect();
        assert_eq!(refusal(hoarder), Some(ErrorKind::TooManyRequests));
        assert_eq!((refusal(other), refusal(None)), (None, None));
        held.pop();
        assert_eq!(refusal(hoarder), None);
        drop(held);
        assert!(archives.lock().is_empty());
    }
}
