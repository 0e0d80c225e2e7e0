#!/usr/bin/env bash
# title: Debian packages
# limit: 900
# needed: yes
set -euo pipefail

packages=(
  ca-certificates curl gcc jq libc6-dev shellcheck # for the checks themselves
  faketime openssl                                 # clocks that jump and certificates, for the tests
  e2fsprogs mount                                  # a disk of one's own, to cut the power of
  postgresql                                       # the second database
  docker.io containerd podman buildah skopeo wget  # clients
  python3 python3-venv                             # for a client of tus
  gnupg                                            # signed charts
)

absent=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then absent+=("$package"); fi
done
if [ "${#absent[@]}" -eq 0 ]; then
  echo "all there"
  exit 0
fi

# The packages' own services stay off: every server here is started, and stopped, by the stage that needs it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi

echo "installing: ${absent[*]}"
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${absent[@]}" >/dev/null
