#!/usr/bin/env bash
# title: OCI conformance
# limit: 1200
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
.ci/with-postgres tests/clients/conformance.sh
