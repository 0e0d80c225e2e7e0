#!/usr/bin/env bash
# crane (go-containerregistry) against Granary.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs crane

export DOCKER_CONFIG=$work/crane-config
mkdir -p "$DOCKER_CONFIG"
crane() { limited crane --insecure "$@"; }
login() { printf '%s' "$2" | crane auth login --username "$1" --password-stdin "$registry"; }

start_granary
make_layout "$work/single" 1.0 "hello from crane" amd64
single=$layout_digest
make_layout "$work/doomed" 1.0 "doomed" amd64
doomed=$layout_digest
make_layout "$work/multi" 1.0 "hello from crane" amd64 arm64
multi=$layout_digest
hello=$registry/crane/hello

refused "push without login is refused" 'unauthorized|denied|authentication required' crane push "$work/single" "$hello:1.0"
# crane's login only stores the password: the first use shows whether it is right.
check "login with a wrong password is stored" login "$user" not-the-password
refused "push with a wrong password is refused" 'unauthorized|denied|authentication required' crane push "$work/single" "$hello:1.0"
check "login" login "$user" "$password"

says "push of an OCI layout" "$single" crane push "$work/single" "$hello:1.0"
same "digest" "$single" "$(crane digest "$hello:1.0")"
says "push of an index" "$multi" crane push "$work/multi" "$hello:multi"
same "digest of an index" "$multi" "$(crane digest "$hello:multi")"
same "digest of one architecture" "${layout_images[1]}" "$(crane digest --platform linux/arm64 "$hello:multi")"
crane manifest "$hello:multi" >"$work/manifest" || true
same "manifest gives the bytes that were pushed" "$multi" "sha256:$(sha256_of "$work/manifest")"
says "push of an index within an index" "sha256:$(sha256_of "$work/multi/index.json")" crane push --index "$work/multi" "$hello:nested"
check "config" crane config "$hello:1.0"
check "validate: every layer reads back with its digest" crane validate --remote "$hello:1.0"
check "validate of an index" crane validate --remote "$hello:multi"

check "pull as a tarball" crane pull "$hello:1.0" "$work/pulled.tar"
says "push of a tarball" "sha256:" crane push "$work/pulled.tar" "$hello:tarball"
check "pull as an OCI layout" crane pull --format=oci "$hello:multi" "$work/pulled"
same "the layout has the same digest" "$multi" "$(jq -r '.manifests[0].digest' "$work/pulled/index.json")"
check "export of the root folder" crane export --platform linux/amd64 "$hello:multi" "$work/export.tar"
says "the program is in the exported folder" 'hello$' tar -tf "$work/export.tar"

check "copy to another repository" crane copy "$hello:multi" "$registry/crane/copy:1.0"
same "the copy has the same digest" "$multi" "$(crane digest "$registry/crane/copy:1.0")"
check "copy of a name of one segment" crane copy "$hello:1.0" "$registry/single:1.0"
same "a name of one segment has the same digest" "$single" "$(crane digest "$registry/single:1.0")"
check "tag" crane tag "$hello:1.0" stable
same "the tag points at the same image" "$single" "$(crane digest "$hello:stable")"
check "append of a layer" crane append --base "$hello:1.0" --new_layer "$work/export.tar" --new_tag "$hello:appended"
check "mutate" crane mutate --label team=granary --tag "$hello:labelled" "$hello:1.0"
check "index append" crane index append --manifest "$hello:1.0" --tag "$hello:both" "$hello:multi"
check "index filter" crane index filter --platform linux/arm64 --tag "$hello:arm64" "$hello:multi"
check "validate of the filtered index" crane validate --remote "$hello:arm64"
layer=$(crane manifest "$hello:1.0" | jq -r '.layers[0].digest')
crane blob "$hello@$layer" >"$work/blob" || true
same "blob gives the bytes of its digest" "$layer" "sha256:$(sha256_of "$work/blob")"

check "ls" crane ls "$hello"
same "ls names every tag, in order" '1.0 appended arm64 both labelled multi nested stable tarball' "$(tr '\n' ' ' <<<"$output" | sed 's/ *$//')"
says "catalog names the repositories" '^crane/hello$' crane catalog "$registry"

check "delete by tag" crane delete "$hello:stable"
refused "the tag is gone" 'MANIFEST_UNKNOWN|not found|404' crane digest "$hello:stable"
same "the other tag of the image stays" "$single" "$(crane digest "$hello:1.0")"
refused "an image that an index lists is not deleted" 'lists this manifest' crane delete "$hello@$single"
same "it is still there" "$single" "$(crane digest "$hello:1.0")"
check "push of an image that no index lists" crane push "$work/doomed" "$hello:doomed"
check "copy of it to another repository" crane copy "$hello:doomed" "$registry/crane/copy:doomed"
check "delete by digest" crane delete "$hello@$doomed"
refused "the image is gone, and its tag" 'MANIFEST_UNKNOWN|not found|404' crane manifest "$hello:doomed"
same "the copy in another repository stays" "$doomed" "$(crane digest "$registry/crane/copy:doomed")"
check "logout" crane auth logout "$registry"
refused "use after logout is refused" 'unauthorized|denied|authentication required' crane ls "$hello"

finish
