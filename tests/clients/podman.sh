#!/usr/bin/env bash
# Podman against Granary: two stores of our own stand for two machines.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs podman

# store NAME ARGUMENT...: podman over a store of its own.
store() {
  local top=$work/$1
  shift
  mkdir -p "$top"
  limited podman --root "$top/root" --runroot "$top/run" --tmpdir "$top/tmp" \
    --cgroup-manager=cgroupfs --events-backend=none "$@"
}
login() { printf '%s' "$3" | store "$1" login --tls-verify=false --authfile "$work/$1.json" --username "$2" --password-stdin "$registry"; }
push() { store one push --tls-verify=false --authfile "$work/one.json" "$@"; }
pull() { store two pull --quiet --tls-verify=false --authfile "$work/two.json" "$@"; }
image_id() { store "$1" image inspect --format '{{.Id}}' "$2" 2>&1; }
forget() { store "$1" image rm --force "$2" >/dev/null 2>&1 || true; }

start_granary
echo '{}' >"$work/one.json"
echo '{}' >"$work/two.json"
image=$registry/podman/hello:1.0

make_rootfs "$work/rootfs-podman" "hello from podman" 8
pack_layer "$work/rootfs-podman" "$work/import.tar"
check "an image is imported from a tar" store one import --quiet "$work/import.tar" "$image"
built=$(image_id one "$image")

refused "push without login is refused" 'unauthorized|denied|authentication required' push "$image"
refused "login with a wrong password is refused" 'unauthorized|invalid username/password|denied' login one "$user" not-the-password
says "login" 'Login Succeeded' login one "$user" "$password"
check "push" push --digestfile "$work/digest" "$image"
digest=$(cat "$work/digest" 2>/dev/null || true)
refused "pull without login is refused" 'unauthorized|denied|authentication required' pull "$image"
says "login from another store" 'Login Succeeded' login two "$user" "$password"
check "pull into another store" pull "$image"
same "push and pull give the same image id" "$built" "$(image_id two "$image")"
same "the pulled image has the digest that push reported" "$digest" "$(store two image inspect --format '{{.Digest}}' "$image" 2>&1)"
forget two "$image"
check "pull by digest" pull "$registry/podman/hello@$digest"
same "the image pulled by digest is the same" "$built" "$(image_id two "$registry/podman/hello@$digest")"
refused "pull of a tag that does not exist" 'manifest unknown|not found' pull "$registry/podman/hello:absent"

check "push in Docker's format" push --format v2s2 "$image" "$registry/podman/hello:schema2"
says "the manifest is stored in Docker's format" 'vnd.docker.distribution.manifest.v2\+json' \
  manifest_of podman/hello schema2
check "pull of Docker's format" pull "$registry/podman/hello:schema2"
check "push with zstd layers" push --compression-format zstd "$image" "$registry/podman/hello:zstd"
forget two "$registry/podman/hello:zstd"
check "pull of zstd layers" pull "$registry/podman/hello:zstd"
same "an image of zstd layers has the same id" "$built" "$(image_id two "$registry/podman/hello:zstd")"

check "push of a name of one segment" push "$image" "$registry/single:1.0"
check "pull of a name of one segment" pull "$registry/single:1.0"
same "a name of one segment gives the same image id" "$built" "$(image_id two "$registry/single:1.0")"
check "push to another repository" push "$image" "$registry/podman/copy:1.0"

says "search finds the repository" "$registry/podman/hello" \
  store one search --tls-verify=false --authfile "$work/one.json" "$registry/podman"
says "search lists the tags" 'schema2' \
  store one search --tls-verify=false --authfile "$work/one.json" --list-tags "$registry/podman/hello"

check "manifest list: create" store one manifest create list
check "manifest list: add from the registry" \
  store one manifest add --tls-verify=false --authfile "$work/one.json" list "$image"
check "manifest list: push" \
  store one manifest push --all --tls-verify=false --authfile "$work/one.json" list "docker://$registry/podman/hello:list"
forget two "$registry/podman/hello:list"
check "pull through the list" pull "$registry/podman/hello:list"
same "the image pulled through the list is the same" "$built" "$(image_id two "$registry/podman/hello:list")"

says "logout" 'Removed login credentials' store two logout --authfile "$work/two.json" "$registry"
refused "pull after logout is refused" 'unauthorized|denied|authentication required' pull "$image"

finish
