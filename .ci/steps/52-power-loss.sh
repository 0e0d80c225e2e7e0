#!/usr/bin/env bash
# title: Power loss
# limit: 600
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/faults/power-loss.sh
