#!/usr/bin/env bash
# title: 200 kills under load
# limit: 1200
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unset GRANARY_TEST_POSTGRES
# GRANARY_TEST_KILLS=2000 for a long night.
export GRANARY_TEST_KILLS=${GRANARY_TEST_KILLS:-200}
cargo test -p granary-server --test tests -- --exact --nocapture \
  crash::kills::nothing_acknowledged_is_lost_when_the_server_is_killed_at_random_instants
