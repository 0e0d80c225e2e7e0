#!/usr/bin/env bash
# title: The README's commands
# limit: 1200
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
.ci/readme README.md
