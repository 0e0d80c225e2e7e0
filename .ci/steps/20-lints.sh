#!/usr/bin/env bash
# title: Lints
# limit: 1500
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo clippy --workspace --all-targets --locked -- -D warnings
