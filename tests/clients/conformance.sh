#!/usr/bin/env bash
# The conformance program of the OCI distribution specification against Granary, by Bearer tokens. Every case must
# pass: the program itself is content with skipped cases, and with a run that never got as far as a test.
# With GRANARY_TEST_POSTGRES set (see .ci/with-postgres) there is one more round over that database.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs conformance

results=${GRANARY_RESULTS:-$repo_root/target/conformance}
fewest_cases=900 # a run of version dev has about a thousand results; far fewer means that it stopped early
# Manifests that name content which is absent are refused unless a server is told otherwise.
sparse_settings=(GRANARY_OCI__ALLOW_MISSING=true)

challenge() { curl -sS -m 10 -o /dev/null -D - "http://$registry/v2/"; }

# count ATTRIBUTE FILE: from the suite's element in junit.xml, where an absent attribute means none.
count() {
  local found
  found=$(grep -m 1 '<testsuite name=' "$2" | grep -oE "\b$1=\"[0-9]+\"" | grep -oE '[0-9]+') || found=0
  echo "$found"
}

# round NAME SPARSE [NAME=VALUE...]: a fresh server with that environment, and one run of the program.
round() {
  local name=$1 sparse=$2 folder=$results/$1 tests failures errors skipped disabled status=0
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder"
  data=$work/data-$name
  start_granary "$@"
  says "$name: the server asks for Bearer tokens" '[Ww][Ww][Ww]-[Aa]uthenticate: Bearer ' challenge

  env OCI_REGISTRY="$registry" OCI_TLS=disabled OCI_VERSION=dev OCI_DATA_SPARSE="$sparse" \
    OCI_REPO1=conformance/one OCI_REPO2=conformance/two OCI_USERNAME="$user" OCI_PASSWORD="$password" \
    OCI_CONFIGURATION=/dev/null OCI_RESULTS_DIR="$folder" \
    timeout --foreground 900 conformance >"$folder/output.txt" 2>"$folder/log.txt" </dev/null || status=$?
  if own_server; then stop_granary; fi

  if [ ! -s "$folder/junit.xml" ] || [ ! -s "$folder/results.yaml" ]; then
    fail "$name: the program wrote its results" "$(tail -n 20 "$folder/output.txt" "$folder/log.txt")"
    return
  fi
  tests=$(count tests "$folder/junit.xml")
  failures=$(count failures "$folder/junit.xml")
  errors=$(count errors "$folder/junit.xml")
  skipped=$(count skipped "$folder/junit.xml")
  disabled=$(count disabled "$folder/junit.xml")
  echo "conformance $name: $tests results: $failures failed, $errors in error, $skipped skipped, $disabled disabled"
  if [ "$status" -eq 0 ] && [ "$((failures + errors + skipped + disabled))" -eq 0 ] && [ "$tests" -ge "$fewest_cases" ]; then
    ok "$name: every case passes"
  else
    fail "$name: every case passes (exit code $status, $tests results)" "$(not_passed "$folder/output.txt" | head -n 80)"
  fi
}

# not_passed FILE: the cases of the report that did not pass and have a reason below them.
not_passed() {
  awk '/: (FAIL|Skip|Error|Disabled)$/ { case_line = $0; next }
       case_line != "" && /^ *- / { print case_line; case_line = ""; print; reason = 1; next }
       /: Pass$/ || /^$/ { case_line = ""; reason = 0; next }
       reason { print }' "$1"
}

round sqlite false
round sqlite-sparse true "${sparse_settings[@]}"
if [ -n "${GRANARY_TEST_POSTGRES:-}" ] && own_server; then
  round postgres false "GRANARY_DATABASE__URL=$GRANARY_TEST_POSTGRES"
fi

finish
