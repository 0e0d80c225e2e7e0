//! What server, client and machine do while a workload runs.

use crate::process::{self, Machine, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the server's memory is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Looks after which its processes are listed anew.
const LOOKS_PER_LISTING: u32 = 20;

/// Whom to measure, and when to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    /// The server's process.
    pub(crate) server: Option<u32>,
    /// How long to wait for a quiet machine, at most.
    pub(crate) quiet_wait: Duration,
    /// A machine is quiet when it uses fewer cores than this.
    pub(crate) quiet_below: f64,
}

/// A measurement under way.
pub(crate) struct Meter {
    root: Option<u32>,
    server: Usage,
    client: Usage,
    machine: Machine,
    peak: Peak,
}

/// What was used between begin and end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// By the server, when its process is known.
    pub(crate) server: Option<ServerUse>,
    /// CPU seconds of this process.
    pub(crate) client_cpu: f64,
    /// CPU seconds of everybody else.
    pub(crate) other_cpu: f64,
    /// CPU seconds that the hypervisor gave to others.
    pub(crate) stolen: f64,
}

/// What a server used, its children included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServerUse {
    /// CPU seconds.
    pub(crate) cpu: f64,
    /// Resident memory at the beginning, in KiB.
    pub(crate) resident_before: u64,
    /// Resident memory at the end, in KiB.
    pub(crate) resident_after: u64,
    /// The most resident memory, in KiB.
    pub(crate) resident_peak: u64,
    /// Threads at the end.
    pub(crate) threads: u64,
    /// Bytes written to disk.
    pub(crate) disk_written: u64,
    /// Bytes read from disk.
    pub(crate) disk_read: u64,
}

impl Meter {
    /// Begins, once the machine is quiet.
    pub(crate) fn begin(watched: Watched) -> Self {
        wait_until_quiet(watched);
        let pids = watched.server.map(process::tree).unwrap_or_default();
        process::reset_peak(&pids);
        Self {
            root: watched.server,
            server: process::usage(&pids),
            client: process::usage(&[std::process::id()]),
            machine: process::machine(),
            peak: Peak::watch(watched.server),
        }
    }

    /// Ends.
    pub(crate) fn end(self) -> Measured {
        let peak = self.peak.end();
        let after = process::usage(&self.root.map(process::tree).unwrap_or_default());
        let client = process::usage(&[std::process::id()]);
        let machine = process::machine();
        let server = self.root.map(|_| ServerUse {
            cpu: after.cpu - self.server.cpu,
            resident_before: self.server.resident,
            resident_after: after.resident,
            resident_peak: peak.max(after.peak_resident),
            threads: after.threads,
            disk_written: after.disk_written.saturating_sub(self.server.disk_written),
            disk_read: after.disk_read.saturating_sub(self.server.disk_read),
        });
        let client_cpu = client.cpu - self.client.cpu;
        let server_cpu = server.map_or(0.0, |server| server.cpu);
        Measured {
            server,
            client_cpu,
            other_cpu: (machine.busy - self.machine.busy - server_cpu - client_cpu).max(0.0),
            stolen: machine.stolen - self.machine.stolen,
        }
    }
}

/// Waits for a second in which the machine is quiet, or until there is no more time for that.
fn wait_until_quiet(watched: Watched) {
    const SECOND: Duration = Duration::from_secs(1);
    let start = Instant::now();
    while start.elapsed() < watched.quiet_wait {
        let before = process::machine();
        std::thread::sleep(SECOND);
        if process::machine().busy - before.busy < watched.quiet_below {
            return;
        }
    }
}

/// The most memory that is resident over all processes of a server at the same time; they come and go.
struct Peak {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Peak {
    fn watch(root: Option<u32>) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = root.map(|root| {
            let (stop, most) = (stop.clone(), most.clone());
            std::thread::spawn(move || {
                let mut pids = Vec::new();
                for look in 0u32.. {
                    if look % LOOKS_PER_LISTING == 0 {
                        pids = process::tree(root);
                    }
                    most.fetch_max(process::usage(&pids).resident, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(LOOK);
                }
            })
        });
        Self { stop, most, thread }
    }

    /// In KiB.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread {
            // A panic in it would have been shown; what it had seen until then still stands.
            drop(thread.join());
        }
        self.most.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn watched(server: Option<u32>) -> Watched {
        Watched {
            server,
            quiet_wait: Duration::ZERO,
            quiet_below: 0.3,
        }
    }

    #[test]
    fn memory_that_was_given_back_counts_towards_the_peak() {
        const MIB: usize = 1 << 20;
        let meter = Meter::begin(watched(Some(std::process::id())));
        let block = std::hint::black_box(vec![1u8; 64 * MIB]);
        std::thread::sleep(3 * LOOK);
        drop(block);
        let server = meter.end().server.unwrap();
        assert!(server.resident_peak >= server.resident_before + 48 * 1024, "{server:?}");
        assert!(server.threads > 0);
    }

    #[test]
    fn without_a_process_there_is_nothing_to_say_about_the_server() {
        let measured = Meter::begin(watched(None)).end();
        assert!(measured.server.is_none());
        assert!(measured.other_cpu >= 0.0);
    }
}
