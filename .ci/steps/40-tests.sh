#!/usr/bin/env bash
# title: Tests, as the README has them
# limit: 2400
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unset GRANARY_TEST_POSTGRES
cargo test --workspace
