#!/usr/bin/env bash
# title: Release build
# limit: 2400
# needed: yes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo build --release --locked --bin granary
