#!/usr/bin/env bash
# title: Load program: format, lints, tests
# limit: 900
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../benches/load"
cargo fmt --all --check
cargo clippy --all-targets --locked -- -D warnings
cargo test --locked
