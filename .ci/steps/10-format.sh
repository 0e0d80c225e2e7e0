#!/usr/bin/env bash
# title: Format
# limit: 300
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo fmt --all --check
