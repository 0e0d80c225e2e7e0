#!/usr/bin/env bash
# title: Real clients
# limit: 1800
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

passed=0
failed=()
GRANARY_FAILURES=$(mktemp)
export GRANARY_FAILURES
trap 'rm -f "$GRANARY_FAILURES"' EXIT
for test in tests/clients/*.sh; do
  name=$(basename "$test" .sh)
  case $name in lib | conformance) continue ;; esac
  start=$SECONDS
  # In our own process group, so that what stops this stage stops the test, which stops its servers.
  if timeout --foreground --kill-after=60 600 "$test"; then
    passed=$((passed + 1))
  else
    failed+=("$name")
  fi
  echo "--- $name: $((SECONDS - start)) s"
done
# Once more at the end, where who looks at a long log looks first.
cat "$GRANARY_FAILURES"
echo "clients failed: ${failed[*]:-none}"
echo "$passed passed, ${#failed[@]} failed"
[ "${#failed[@]}" -eq 0 ] && [ "$passed" -gt 0 ]
