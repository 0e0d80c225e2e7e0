//! Charts: the archive as it is sent, as it is behind the compression, and the Chart.yaml in it.
#![no_main]

use granary_formats::helm::chart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    chart::fuzz_archive(input);
    chart::fuzz_tar(input);
    chart::fuzz_metadata(input);
});
