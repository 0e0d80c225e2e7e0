//! `Range` headers over content of any size.
#![no_main]

use granary_formats::oci::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u8, &str)| {
    let (size, most, header) = input;
    for size in [size, size % 100] {
        fuzzing::range(header, size, most.into());
        fuzzing::range(&format!("bytes={header}"), size, most.into());
    }
});
