#!/usr/bin/env bash
# containerd's ctr against Granary: a containerd of our own with its own root, state and socket.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs ctr containerd
if [ "$(id -u)" -ne 0 ]; then
  fail "containerd needs root"
  finish
fi

ctr() { limited ctr --address "$work/containerd.sock" --namespace granary "$@"; }
pull() { ctr images pull --plain-http --user "$user:$password" "$@"; }
push() { ctr images push --plain-http --user "$user:$password" "$@"; }
digest_of() { ctr images ls "name==$1" | awk 'NR == 2 { print $3 }'; }
ready() { gone "$containerd_pid" || ctr version; }

cat >"$work/containerd.toml" <<END
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/containerd.sock"
END
containerd --config "$work/containerd.toml" >"$work/containerd.log" 2>&1 </dev/null &
containerd_pid=$!
started "$containerd_pid"
if ! until_true "$start_limit" ready || gone "$containerd_pid"; then
  fail "containerd starts" "$(tail -n 20 "$work/containerd.log")"
  finish
fi

start_granary
image=$registry/ctr/hello:1.0
make_layout "$work/layout" "1.0" "hello from ctr" amd64 arm64
tar -C "$work/layout" -cf "$work/layout.tar" .
check "an image is imported" ctr images import --all-platforms --base-name "$registry/ctr/hello" "$work/layout.tar"
same "it has the digest of the layout" "$layout_digest" "$(digest_of "$image")"

refused "push without a password is refused" 'unauthorized|denied|authorization failed' ctr images push --plain-http "$image"
refused "push with a wrong password is refused" 'unauthorized|denied|authorization failed|401' \
  ctr images push --plain-http --user "$user:not-the-password" "$image"
check "push of an index with its images" push "$image"
check "push again" push "$image"
check "the image is removed" ctr images rm --sync "$image"
refused "pull without a password is refused" 'unauthorized|denied|authorization failed' ctr images pull --plain-http "$image"
check "pull of every architecture" pull --all-platforms "$image"
same "the pulled index has the same digest" "$layout_digest" "$(digest_of "$image")"
for member in "${layout_images[@]}"; do
  says "an image of the index was fetched" "$member" ctr content ls
done
check "pull by digest" pull "$registry/ctr/hello@${layout_images[0]}"
same "the image pulled by digest is the one asked for" "${layout_images[0]}" "$(digest_of "$registry/ctr/hello@${layout_images[0]}")"
refused "pull of a tag that does not exist" 'not found' pull "$registry/ctr/hello:absent"

check "tag for another repository" ctr images tag "$image" "$registry/ctr/copy:1.0"
check "push to another repository" push "$registry/ctr/copy:1.0"
same "the copy has the same digest" "$layout_digest" \
  "sha256:$(manifest_of ctr/copy 1.0 | sha256sum | cut -d' ' -f1)"
check "tag with a name of one segment" ctr images tag "$image" "$registry/single:1.0"
check "push of a name of one segment" push "$registry/single:1.0"
check "pull of a name of one segment" pull --all-platforms "$registry/single:1.0"

finish
