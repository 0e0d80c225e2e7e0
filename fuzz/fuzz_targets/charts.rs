//! Charts: the archive as it is sent, as it is behind the compression, the Chart.yaml in it, and its provenance.
#![no_main]

use granary_formats::helm::chart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    chart::fuzz_archive(input);
    chart::fuzz_tar(input);
    chart::fuzz_metadata(input);
    chart::fuzz_provenance(input);
});
