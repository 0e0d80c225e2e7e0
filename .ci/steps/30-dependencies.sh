#!/usr/bin/env bash
# title: Dependencies: licences, sources, duplicates, unused
# limit: 1500
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=${GRANARY_TOOLS:-${HOME:-/root}/.cache/granary-tools}
export PATH="$tools/bin:$PATH"

# install NAME VERSION: built once, without optimisation: it runs for a second and would build for minutes.
install() {
  if [ ! -x "$tools/$1-$2/bin/$1" ]; then
    cargo install --quiet --locked --debug --root "$tools/$1-$2" --version "$2" "$1"
  fi
  mkdir -p "$tools/bin"
  ln -sfn "$tools/$1-$2/bin/$1" "$tools/bin/$1"
}
install cargo-machete 0.9.2
install cargo-deny 0.20.2

# Advisories are left out: they need a database that is fetched from outside the package registries.
cargo deny --workspace check --hide-inclusion-graph bans licenses sources
cargo machete
