//! From the head of a request about files to the operation and what it needs: lines of method, path, query and headers.
#![no_main]

use granary_formats::generic::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| fuzzing::dispatch(text));
