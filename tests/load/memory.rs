//! Memory does not grow with the size of what passes through.

use crate::support::TestServer;
use sha2::{Digest as _, Sha256};
use std::io::Read;

const MIB: u64 = 1024 * 1024;
/// Far more than the server may hold.
const SIZE: u64 = 256 * MIB;
/// What the whole process may take, the program itself and its caches included.
const CEILING: u64 = 96 * MIB;

/// Bytes of the long stream that are alike.
const PIECE: usize = 4096;

/// A long stream that costs nothing to make, and whose every piece shows where it stands.
struct Content {
    at: u64,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(usize::try_from(SIZE - self.at).unwrap_or(usize::MAX));
        let mut rest = &mut buffer[..count];
        while !rest.is_empty() {
            let (number, within) = (self.at / PIECE as u64, (self.at % PIECE as u64) as usize);
            let (piece, next) = rest.split_at_mut(rest.len().min(PIECE - within));
            piece.fill((number % 251) as u8);
            self.at += piece.len() as u64;
            rest = next;
        }
        Ok(count)
    }
}

/// The digest of what a reader gives, and how much it is.
fn digest_of(mut reader: impl Read) -> (String, u64) {
    let mut hasher = Sha256::new();
    let (mut buffer, mut total) = (vec![0; 256 * 1024], 0);
    loop {
        let count = reader.read(&mut buffer).unwrap();
        if count == 0 {
            let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return (format!("sha256:{hex}"), total);
        }
        hasher.update(&buffer[..count]);
        total += count as u64;
    }
}

#[test]
fn a_blob_of_256_mib_passes_up_and_down_in_constant_memory() {
    let server = TestServer::start();
    let admin = server.admin();
    let (digest, total) = digest_of(Content { at: 0 });
    assert_eq!(total, SIZE);

    let session = admin.open_session("acme/app");
    admin.call("PATCH", &session.location).stream(Content { at: 0 }).expect(202);
    session.finish(b"", &digest).expect(201);
    let after_upload = server.peak_memory();
    assert!(after_upload < CEILING, "{} MiB", after_upload / MIB);

    let path = format!("/v2/acme/app/blobs/{digest}");
    let read = digest_of(admin.call("GET", &path).open_reader());
    assert_eq!(read, (digest, SIZE));
    let after_download = server.peak_memory();
    assert!(after_download < CEILING, "{} MiB", after_download / MIB);
}
