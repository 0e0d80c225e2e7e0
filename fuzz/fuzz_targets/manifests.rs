//! Manifests. The first line is the type that they are declared as; an empty one declares none.
#![no_main]

use granary_formats::oci::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let declared = std::str::from_utf8(&input[..end]).unwrap_or("");
    let body = input.get(end + 1..).unwrap_or(&[]);
    fuzzing::manifest(body, Some(declared).filter(|text| !text.is_empty()));
    fuzzing::manifest(body, None);
});
