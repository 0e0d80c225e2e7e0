#!/usr/bin/env bash
# title: Fuzz targets, each for a moment
# limit: 900
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=${GRANARY_TOOLS:-${HOME:-/root}/.cache/granary-tools}
seconds=${GRANARY_FUZZ_SECONDS:-20}
version=0.13.1

if [ ! -x "$tools/cargo-fuzz-$version/bin/cargo-fuzz" ]; then
  cargo install --quiet --locked --debug --root "$tools/cargo-fuzz-$version" --version "$version" cargo-fuzz
fi
export PATH="$tools/cargo-fuzz-$version/bin:$PATH"

unset CARGO_TARGET_DIR
cargo fmt --manifest-path fuzz/Cargo.toml --check
# The compiler's instruments, without a nightly one. No sanitizer: what is fuzzed holds no unsafe code.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --dev --sanitizer none

targets=$(cargo fuzz list)
[ -n "$targets" ]
for target in $targets; do
  mkdir -p "fuzz/corpus/$target"
  log=fuzz/target/$target.log
  if ! cargo fuzz run --dev --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -max_len=16384 -print_final_stats=1 2>"$log"; then
    tail -n 60 "$log"
    exit 1
  fi
  printf '%s: %s\n' "$target" "$(grep -E 'number_of_executed_units|peak_rss_mb' "$log" | tr -s '\n ' ' ')"
done
