//! Clients who take more than their share, by number, by size or by slowness: they are bounded, and others are unharmed.

mod bodies;
mod connections;
mod floods;
mod http2;
mod slow;
mod tls;

use crate::support::TestServer;

/// The memory that the process holds now, in bytes.
fn memory(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

/// The connections that the server holds; those that wait to be accepted are not among them.
fn connections(server: &TestServer) -> usize {
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap();
    let here = format!(":{:04X}", server.address().port());
    let held = table.lines().skip(1).filter(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Local address, state and inode: neither the listening socket nor what nobody holds.
        words[1].ends_with(&here) && words[3] != "0A" && words[9] != "0"
    });
    held.count()
}
