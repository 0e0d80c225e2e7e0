#!/usr/bin/env bash
# title: Shell scripts
# limit: 300
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scripts=()
while IFS= read -r -d '' file; do
  case $file in
    *.sh) scripts+=("$file") ;;
    *) if head -n 1 "$file" | grep -qE '^#!.*\b(ba)?sh\b'; then scripts+=("$file"); fi ;;
  esac
done < <(find .ci tests benches -name target -prune -o -type f -not -name '.*' -print0 2>/dev/null | sort -z)

for script in "${scripts[@]}"; do bash -n "$script"; done
shellcheck "${scripts[@]}"
echo "${#scripts[@]} scripts"
