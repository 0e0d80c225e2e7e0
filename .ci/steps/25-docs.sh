#!/usr/bin/env bash
# title: Documentation
# limit: 900
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Reads the same artefacts of the dependencies as the lints before it.
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
