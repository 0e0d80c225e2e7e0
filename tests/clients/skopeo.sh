#!/usr/bin/env bash
# Skopeo against Granary: copies from every kind of source, listing, inspection, sync and deletion.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs skopeo

skopeo() { limited skopeo "$@"; }
login() { printf '%s' "$2" | skopeo login --tls-verify=false --authfile "$work/auth.json" --username "$1" --password-stdin "$registry"; }
push() { skopeo copy --quiet --dest-tls-verify=false --authfile "$work/auth.json" "$@"; }
pull() { skopeo copy --quiet --src-tls-verify=false --authfile "$work/auth.json" "$@"; }
both() { skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false --authfile "$work/auth.json" "$@"; }
inspect() { skopeo inspect --tls-verify=false --authfile "$work/auth.json" "$@"; }
# digest_of REFERENCE: of the manifest's bytes as they arrive here.
digest_of() { inspect --raw "$1" >"$work/raw" && echo "sha256:$(sha256_of "$work/raw")"; }

start_granary
echo '{}' >"$work/auth.json"
make_layout "$work/single" 1.0 "hello from skopeo" amd64
single=$layout_digest
make_layout "$work/multi" 2.0 "hello from skopeo" amd64 arm64 s390x
multi=$layout_digest

refused "copy without login is refused" 'unauthorized|denied|authentication required' \
  push "oci:$work/single:1.0" "docker://$registry/skopeo/hello:1.0"
refused "login with a wrong password is refused" 'unauthorized|invalid username/password|denied' login "$user" not-the-password
says "login" 'Login Succeeded' login "$user" "$password"

check "copy from an OCI layout" push "oci:$work/single:1.0" "docker://$registry/skopeo/hello:1.0"
same "the image keeps its digest" "$single" "$(digest_of "docker://$registry/skopeo/hello:1.0")"
check "copy to an OCI layout" pull "docker://$registry/skopeo/hello:1.0" "oci:$work/back:1.0"
same "it comes back with the same digest" "$single" "$(jq -r '.manifests[0].digest' "$work/back/index.json")"
check "copy with the password on the command line" skopeo copy --quiet --src-tls-verify=false \
  --src-creds "$user:$password" "docker://$registry/skopeo/hello:1.0" "dir:$work/creds"
refused "copy with a wrong password on the command line" 'unauthorized|denied|invalid username/password' skopeo copy --quiet \
  --src-tls-verify=false --src-creds "$user:not-the-password" "docker://$registry/skopeo/hello:1.0" "dir:$work/wrong"

check "an archive is made" skopeo copy --quiet "oci:$work/single:1.0" "docker-archive:$work/archive.tar:skopeo/archive:1.0"
check "copy from a docker-archive" push "docker-archive:$work/archive.tar" "docker://$registry/skopeo/archive:1.0"
check "copy to a docker-archive" pull "docker://$registry/skopeo/archive:1.0" "docker-archive:$work/again.tar:skopeo/archive:1.0"
same "the archive has the same image id" "$(tar -xOf "$work/archive.tar" manifest.json | jq -r '.[0].Config')" \
  "$(tar -xOf "$work/again.tar" manifest.json | jq -r '.[0].Config')"
check "copy in Docker's format" push --format v2s2 "oci:$work/single:1.0" "docker://$registry/skopeo/hello:schema2"
check "copy with zstd layers" push --dest-compress-format zstd --dest-compress "oci:$work/single:1.0" "docker://$registry/skopeo/hello:zstd"

check "copy of a multi-arch layout with --all" push --all "oci:$work/multi:2.0" "docker://$registry/skopeo/multi:2.0"
same "the index keeps its digest" "$multi" "$(digest_of "docker://$registry/skopeo/multi:2.0")"
for image in "${layout_images[@]}"; do
  same "an image of the index keeps its digest" "$image" "$(digest_of "docker://$registry/skopeo/multi@$image")"
done
check "copy of a multi-arch image to a layout with --all" pull --all "docker://$registry/skopeo/multi:2.0" "oci:$work/multi-back:2.0"
same "the index comes back with the same digest" "$multi" "$(jq -r '.manifests[0].digest' "$work/multi-back/index.json")"
check "copy from repository to repository with --all" both --all "docker://$registry/skopeo/multi:2.0" "docker://$registry/skopeo/elsewhere:2.0"
same "the copy has the same digest" "$multi" "$(digest_of "docker://$registry/skopeo/elsewhere:2.0")"
check "copy of one architecture" skopeo --override-arch arm64 copy --quiet --src-tls-verify=false --authfile "$work/auth.json" \
  "docker://$registry/skopeo/multi:2.0" "oci:$work/arm64:2.0"
same "it is the image of that architecture" "${layout_images[1]}" "$(jq -r '.manifests[0].digest' "$work/arm64/index.json")"

check "list-tags" skopeo list-tags --tls-verify=false --authfile "$work/auth.json" "docker://$registry/skopeo/hello"
same "list-tags names every tag, in order" '1.0 schema2 zstd' "$(jq -r '.Tags | join(" ")' <<<"$output")"
check "inspect" inspect "docker://$registry/skopeo/hello:1.0"
same "inspect reports the digest" "$single" "$(jq -r .Digest <<<"$output")"
same "inspect reports the architecture" amd64 "$(jq -r .Architecture <<<"$output")"
check "inspect --config" inspect --config "docker://$registry/skopeo/hello:1.0"

check "sync from the registry to a folder" skopeo sync --src-tls-verify=false --authfile "$work/auth.json" --all \
  --src docker --dest dir "$registry/skopeo/multi" "$work/synced"
check "sync from a folder to the registry" skopeo sync --dest-tls-verify=false --authfile "$work/auth.json" --all \
  --src dir --dest docker "$work/synced" "$registry/synced"
same "the synced index has the same digest" "$multi" "$(digest_of "docker://$registry/synced/multi:2.0")"

check "delete" skopeo delete --tls-verify=false --authfile "$work/auth.json" "docker://$registry/skopeo/archive:1.0"
refused "the deleted image is gone" 'manifest unknown|not found' inspect "docker://$registry/skopeo/archive:1.0"
check "logout" skopeo logout --authfile "$work/auth.json" "$registry"
refused "inspect after logout is refused" 'unauthorized|denied|authentication required' inspect "docker://$registry/skopeo/hello:1.0"

finish
