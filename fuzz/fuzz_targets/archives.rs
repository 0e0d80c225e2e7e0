//! The end of a ZIP and its directory, which anybody may have written.
#![no_main]

use granary_formats::generic::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::zip(bytes));
