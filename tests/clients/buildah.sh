#!/usr/bin/env bash
# Buildah against Granary: an image built from nothing, pushed, pulled into another store, and a list of images.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs buildah

# store NAME ARGUMENT...: buildah over a store of its own.
store() {
  local top=$work/$1
  shift
  mkdir -p "$top"
  limited buildah --root "$top/root" --runroot "$top/run" "$@"
}
login() { printf '%s' "$2" | store one login --tls-verify=false --authfile "$work/auth.json" --username "$1" --password-stdin "$registry"; }
push() { store one push --tls-verify=false --authfile "$work/auth.json" "$@"; }
pull() { store two pull --quiet --policy always --tls-verify=false --authfile "$work/auth.json" "$@"; }
image_id() { store "$1" inspect --type image --format '{{.FromImageID}}' "$2" 2>&1; }

start_granary
echo '{}' >"$work/auth.json"
image=$registry/buildah/hello:1.0
make_rootfs "$work/context" "hello from buildah" 8

check "a container is made from nothing" store one from --name work scratch
check "a program is copied into it" store one copy work "$work/context/hello" /hello
check "its entry point is set" store one config --entrypoint '["/hello"]' work
check "it is committed as an image" store one commit --quiet --format oci work "$image"
built=$(image_id one "$image")

refused "push without login is refused" 'unauthorized|denied|authentication required' push "$image"
refused "login with a wrong password is refused" 'unauthorized|invalid username/password|denied' login "$user" not-the-password
says "login" 'Login Succeeded' login "$user" "$password"
check "push" push --digestfile "$work/digest" "$image"
digest=$(cat "$work/digest" 2>/dev/null || true)
check "pull into another store" pull "$image"
same "push and pull give the same image id" "$built" "$(image_id two "$image")"
same "the registry answers with the digest that push reported" "$digest" \
  "$(manifest_of buildah/hello 1.0 -I | tr -d '\r' | awk 'tolower($1) == "docker-content-digest:" { print $2 }')"

printf 'FROM %s\nCOPY hello /second\nCOPY ballast /ballast\n' "$image" >"$work/context/Containerfile"
store one rmi --force "$image" >/dev/null 2>&1 || true
store one rm work >/dev/null 2>&1 || true
check "build on a base image that is pulled from the registry" \
  store one build --quiet --tls-verify=false --authfile "$work/auth.json" --format docker --tag "$registry/buildah/second:1.0" "$work/context"
check "push of the built image, in Docker's format" push "$registry/buildah/second:1.0"
check "pull of the built image" pull "$registry/buildah/second:1.0"
same "the built image has the same id in both stores" "$(image_id one "$registry/buildah/second:1.0")" \
  "$(image_id two "$registry/buildah/second:1.0")"

check "manifest list: create" store one manifest create list
check "manifest list: add two images from the registry" \
  store one manifest add --tls-verify=false --authfile "$work/auth.json" --arch amd64 list "docker://$image"
check "manifest list: add another architecture" \
  store one manifest add --tls-verify=false --authfile "$work/auth.json" --arch arm64 list "docker://$registry/buildah/second:1.0"
check "manifest list: push with its images" \
  store one manifest push --all --tls-verify=false --authfile "$work/auth.json" list "docker://$registry/buildah/list:1.0"
says "the list names two images" '^2$' jq '.manifests | length' <(manifest_of buildah/list 1.0)
check "pull through the list" pull "$registry/buildah/list:1.0"

check "logout" store one logout --authfile "$work/auth.json" "$registry"
refused "pull after logout is refused" 'unauthorized|denied|authentication required' pull "$image"

finish
