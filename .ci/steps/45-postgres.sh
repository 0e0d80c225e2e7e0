#!/usr/bin/env bash
# title: Tests, with PostgreSQL
# limit: 1800
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# The whole workspace again, since choosing packages would choose other features and so build everything anew.
.ci/with-postgres cargo test --workspace
