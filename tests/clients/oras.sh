#!/usr/bin/env bash
# oras against Granary: artifacts, what refers to them, blobs and manifests by themselves.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs oras

export DOCKER_CONFIG=$work/oras-config
mkdir -p "$DOCKER_CONFIG"
# plain COMMAND...: oras over plain HTTP.
plain() { limited oras "$@" --plain-http; }
copy() { limited oras copy --from-plain-http --to-plain-http "$@"; }
login() { printf '%s' "$2" | plain login --username "$1" --password-stdin "$registry"; }

start_granary
things=$registry/oras/things
cd "$work"
echo '{"firmware": 1}' >config.json
head -c 3000000 /dev/urandom >firmware.bin
echo '{"packages": []}' >sbom.json
echo 'a signature' >signature.txt

refused "push without login is refused" 'unauthorized|denied|basic credential not found|authentication required' \
  plain push "$things:1.0" firmware.bin
refused "login with a wrong password is refused" 'unauthorized|denied|invalid' login "$user" not-the-password
says "login" 'Login Succeeded' login "$user" "$password"

check "push of an artifact" plain push --artifact-type application/vnd.granary.firmware --annotation board=a1 \
  --export-manifest "$work/pushed.json" "$things:1.0" firmware.bin:application/octet-stream
digest=sha256:$(sha256_of "$work/pushed.json")
same "resolve" "$digest" "$(plain resolve "$things:1.0")"
check "pull" plain pull --output "$work/pulled" "$things:1.0"
same "the pulled file is the one that was pushed" "$(sha256_of firmware.bin)" "$(sha256_of "$work/pulled/firmware.bin")"
check "push with a config" plain push --config config.json:application/vnd.granary.config+json "$things:config" firmware.bin
check "push of several tags at once" plain push "$things:a,b,c" sbom.json

check "attach" plain attach --artifact-type application/vnd.granary.sbom "$things:1.0" sbom.json:application/json
check "attach another" plain attach --artifact-type application/vnd.granary.signature "$things:1.0" signature.txt
check "discover" plain discover --format json "$things:1.0"
same "discover finds both referrers" 'application/vnd.granary.sbom application/vnd.granary.signature' \
  "$(jq -r '[(.referrers // .manifests)[].artifactType] | sort | join(" ")' <<<"$output")"
check "discover by type" plain discover --format json --artifact-type application/vnd.granary.sbom "$things:1.0"
same "discover by type finds the one" 'application/vnd.granary.sbom' \
  "$(jq -r '[(.referrers // .manifests)[].artifactType] | join(" ")' <<<"$output")"
sbom=$(jq -r '(.referrers // .manifests)[0].digest' <<<"$output")
check "pull of a referrer" plain pull --output "$work/referrer" "$things@$sbom"
same "the referrer's file is the one that was attached" "$(sha256_of sbom.json)" "$(sha256_of "$work/referrer/sbom.json")"
check "attach to a referrer" plain attach --artifact-type application/vnd.granary.signature "$things@$sbom" signature.txt
if own_server; then
  says "the referrers are answered by the registry itself" '^200$' status_of "/v2/oras/things/referrers/$digest"
  says "no fallback tag was made" '^1.0 a b c config$' jq -r '.tags | join(" ")' <(api /v2/oras/things/tags/list)
fi

check "copy with referrers to another repository" copy --recursive "$things:1.0" "$registry/oras/copy:1.0"
same "the copy has the same digest" "$digest" "$(plain resolve "$registry/oras/copy:1.0")"
check "discover in the copy" plain discover --format json "$registry/oras/copy:1.0"
same "the referrers came along" '2' "$(jq -r '(.referrers // .manifests) | length' <<<"$output")"
check "copy to an OCI layout" limited oras copy --from-plain-http --to-oci-layout "$things:1.0" "$work/layout:1.0"
same "the layout has the same digest" "$digest" "$(jq -r '.manifests[0].digest' "$work/layout/index.json")"
check "copy of a name of one segment" copy "$things:1.0" "$registry/single:1.0"
same "a name of one segment has the same digest" "$digest" "$(plain resolve "$registry/single:1.0")"

check "tag" plain tag "$things:1.0" stable latest
same "the tag points at the same artifact" "$digest" "$(plain resolve "$things:latest")"
check "repo tags" plain repo tags "$things"
same "repo tags names every tag but those of the fallback" '1.0 a b c config latest stable' \
  "$(grep -v '^sha256-' <<<"$output" | tr '\n' ' ' | sed 's/ *$//')"
says "repo ls" '^oras/things$' plain repo ls "$registry"
says "repo ls under a prefix" '^things$' plain repo ls "$registry/oras"

check "manifest fetch" plain manifest fetch --output "$work/fetched.json" "$things:1.0"
same "the manifest's bytes are those that were pushed" "$digest" "sha256:$(sha256_of "$work/fetched.json")"
check "manifest push" plain manifest push "$things:again" "$work/fetched.json"
same "the pushed manifest has the same digest" "$digest" "$(plain resolve "$things:again")"
check "manifest index create" plain manifest index create "$things:index" 1.0 config
says "the index names both" '^2$' jq '.manifests | length' <(plain manifest fetch "$things:index")

blob=sha256:$(sha256_of signature.txt)
check "blob push" plain blob push "$registry/oras/blobs@$blob" signature.txt
check "blob fetch" plain blob fetch --output "$work/blob" "$registry/oras/blobs@$blob"
same "the blob's bytes are those that were pushed" "$blob" "sha256:$(sha256_of "$work/blob")"
check "blob delete" plain blob delete --force "$registry/oras/blobs@$blob"
refused "the deleted blob is gone" 'not found|404' plain blob fetch --output "$work/blob" "$registry/oras/blobs@$blob"

check "manifest delete" plain manifest delete --force "$registry/oras/copy:1.0"
refused "the deleted manifest is gone" 'not found|404' plain resolve "$registry/oras/copy:1.0"
check "logout" limited oras logout "$registry"
refused "use after logout is refused" 'unauthorized|denied|basic credential not found|authentication required' plain resolve "$things:1.0"

finish
