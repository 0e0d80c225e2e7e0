//! CPU time, memory and disk traffic of processes, and of the whole machine, from `/proc`.
//!
//! What cannot be read counts as nothing: processes come and go while they are looked at.

use std::collections::{HashMap, HashSet};
use std::fs;

/// Ticks a second in which `/proc` counts CPU time (USER_HZ), the same on every Linux.
const TICKS: f64 = 100.0;
/// Fields of `/proc/PID/stat`, counted from after the command's name.
const STATE: usize = 0;
const PARENT: usize = 1;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// What some processes have used together since they started.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    /// Seconds of CPU time, user and system.
    pub(crate) cpu: f64,
    /// Bytes written to disk.
    pub(crate) disk_written: u64,
    /// Bytes read from disk.
    pub(crate) disk_read: u64,
    /// The most memory that was resident, in KiB.
    pub(crate) peak_resident: u64,
    /// The memory that is resident, in KiB.
    pub(crate) resident: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// What the machine has done since it started, over all its cores.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct Machine {
    /// Seconds of CPU time used by anybody.
    pub(crate) busy: f64,
    /// Seconds of CPU time that the hypervisor gave to others.
    pub(crate) stolen: f64,
}

/// The fields of `/proc/PID/stat` after the command's name, which may itself hold spaces and brackets.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Whether a process runs; one that has ended and is only still on the list does not.
pub(crate) fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.get(STATE).is_some_and(|state| state != "Z"))
}

/// A process and its descendants that live.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let parent = pid.and_then(stat).and_then(|fields| fields.get(PARENT)?.parse().ok());
        if let (Some(pid), Some(parent)) = (pid, parent) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut seen, mut left) = (Vec::new(), HashSet::new(), vec![root]);
    while let Some(pid) = left.pop() {
        if seen.insert(pid) {
            found.push(pid);
            left.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

/// What processes have used so far.
pub(crate) fn usage(pids: &[u32]) -> Usage {
    let read = |pid: &u32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut usage = Usage::default();
    for pid in pids {
        let fields = stat(*pid).unwrap_or_default();
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse().ok()).unwrap_or(0.0);
        usage.cpu += (ticks(USER_TIME) + ticks(SYSTEM_TIME)) / TICKS;
        let status = read(pid, "status");
        usage.peak_resident += number(&status, "VmHWM:");
        usage.resident += number(&status, "VmRSS:");
        usage.threads += number(&status, "Threads:");
        let io = read(pid, "io");
        usage.disk_written += number(&io, "write_bytes:");
        usage.disk_read += number(&io, "read_bytes:");
    }
    usage
}

/// The number behind a word at the start of a line.
fn number(text: &str, word: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Lets the peak of resident memory begin anew, where that is permitted.
pub(crate) fn reset_peak(pids: &[u32]) {
    for pid in pids {
        // Not permitted on another user's process; then the peak is the one since its start.
        drop(fs::write(format!("/proc/{pid}/clear_refs"), "5"));
    }
}

/// What the machine has done so far.
pub(crate) fn machine() -> Machine {
    parse_machine(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn parse_machine(stat: &str) -> Machine {
    let first = stat.lines().next().unwrap_or("");
    let seconds: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .map(|ticks| ticks.parse().unwrap_or(0.0) / TICKS)
        .collect();
    // user nice system idle iowait irq softirq steal …
    match seconds[..] {
        [user, nice, system, _, _, irq, softirq, stolen, ..] => Machine {
            busy: user + nice + system + irq + softirq,
            stolen,
        },
        _ => Machine::default(),
    }
}

/// CPU seconds of the thread that asks, so that other load on the machine does not count.
pub(crate) fn thread_cpu() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn this_process_is_running_and_uses_memory() {
        let me = std::process::id();
        assert!(runs(me));
        assert!(tree(me).contains(&me));
        let usage = usage(&[me]);
        assert!(
            usage.resident > 0 && usage.peak_resident >= usage.resident && usage.threads > 0,
            "{usage:?}"
        );
    }

    #[test]
    fn a_child_belongs_to_the_tree_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        assert!(tree(std::process::id()).contains(&pid));
        assert!(runs(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!runs(pid));
        assert_eq!(usage(&[pid]).resident, 0);
    }

    #[test]
    fn busy_is_neither_idle_nor_waiting_nor_stolen() {
        let machine = parse_machine("cpu  100 200 300 4000 5000 600 700 800 0 0\ncpu0 1 1 1 1\n");
        assert_eq!(machine, Machine { busy: 19.0, stolen: 8.0 });
        assert_eq!(parse_machine(""), Machine::default());
    }

    #[test]
    fn a_word_in_the_middle_of_a_line_is_not_it() {
        let text = "NotVmRSS: 1 kB\nVmRSS:\t  42 kB\n";
        assert_eq!(number(text, "VmRSS:"), 42);
        assert_eq!(number(text, "VmHWM:"), 0);
    }
}
