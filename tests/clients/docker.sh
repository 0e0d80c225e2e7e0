#!/usr/bin/env bash
# The Docker engine against Granary: two engines of our own, each with its own data, socket and credentials.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs docker dockerd containerd
if [ "$(id -u)" -ne 0 ]; then
  fail "a Docker engine needs root"
  finish
fi

login() { printf '%s' "$3" | on "$1" login --username "$2" --password-stdin "$registry"; }
image_id() { on "$1" image inspect --format '{{.Id}}' "$2" 2>&1; }
forget() { on "$1" image rm --force "$2" >/dev/null 2>&1 || true; }

start_granary
start_engine one
start_engine two

# Two layers, one of them large enough to be sent in many pieces.
make_rootfs "$work/context/base" "hello from docker" 24
make_rootfs "$work/context/top" "hello from the upper layer"
printf 'FROM scratch\nCOPY base/ /\nCOPY top/ /top/\nENTRYPOINT ["/hello"]\n' >"$work/context/Dockerfile"
hello=$registry/demo/hello:1.0
check "an image is built from nothing" on one build --quiet --tag "$hello" "$work/context"
built=$(image_id one "$hello")

refused "push without login is refused" 'unauthorized|denied|no basic auth|authentication required' on one push "$hello"
refused "login with a wrong password is refused" 'unauthorized|denied|incorrect' login one "$user" not-the-password
says "login" 'Login Succeeded' login one "$user" "$password"
says "push" 'digest: sha256:[0-9a-f]{64} size: [0-9]+' on one push "$hello"
digest=$(grep -oE 'sha256:[0-9a-f]{64}' <<<"$output" | tail -n 1)

refused "pull without login is refused" 'unauthorized|denied|no basic auth|authentication required' on two pull "$hello"
says "login on another engine" 'Login Succeeded' login two "$user" "$password"
check "pull on another engine" on two pull "$hello"
same "push and pull on another engine give the same image id" "$built" "$(image_id two "$hello")"
forget one "$hello"
check "pull where the image was removed" on one pull "$hello"
same "the pulled image has the id that was pushed" "$built" "$(image_id one "$hello")"
forget two "$hello"
says "pull by digest" "Digest: $digest" on two pull "$registry/demo/hello@$digest"
same "the image pulled by digest is the same" "$built" "$(image_id two "$registry/demo/hello@$digest")"
refused "pull of a tag that does not exist" 'not found|manifest unknown' on two pull "$registry/demo/hello:absent"

says "a second push finds every layer there" 'Layer already exists' on one push "$hello"
same "a second push gives the same digest" "$digest" "$(grep -oE 'sha256:[0-9a-f]{64}' <<<"$output" | tail -n 1)"
check "tag for another repository" on one tag "$hello" "$registry/demo/copy:1.0"
says "push to another repository mounts the layers" 'Mounted from demo/hello' on one push "$registry/demo/copy:1.0"

check "tag with a name of one segment" on one tag "$hello" "$registry/single:1.0"
check "push of a name of one segment" on one push "$registry/single:1.0"
forget two "$registry/single:1.0"
check "pull of a name of one segment" on two pull "$registry/single:1.0"
same "a name of one segment gives the same image id" "$built" "$(image_id two "$registry/single:1.0")"
if own_server; then
  check "a name of one segment is in the project library" on two pull "$registry/library/single:1.0"
  same "both names give the same image id" "$built" "$(image_id two "$registry/library/single:1.0")"
fi

# The manifest command first speaks TLS to the port and falls back only when it hears a plain HTTP answer.
list=$registry/demo/hello:list
check "manifest create" on one manifest create --insecure "$list" "$hello"
check "manifest annotate" on one manifest annotate "$list" "$hello" --os linux --arch amd64
says "manifest push" 'sha256:[0-9a-f]{64}' on one manifest push --insecure "$list"
list_digest=$(grep -oE 'sha256:[0-9a-f]{64}' <<<"$output" | tail -n 1)
says "manifest inspect names the image" "$digest" on two manifest inspect --insecure "$list"
forget two "$list"
says "pull through the list" "Digest: $list_digest" on two pull "$list"
same "the image pulled through the list is the same" "$built" "$(image_id two "$list")"

if own_server; then
  reader_password=$(random_password)
  secrets+=("$reader_password")
  check "an account is created while the server runs" create_user reader "$reader_password"
  says "a new account logs in" 'Login Succeeded' login two reader "$reader_password"
  forget two "$hello"
  refused "an account without a role cannot pull" 'denied|forbidden|unauthorized' on two pull "$hello"
  check "a role is granted while the server runs" granary project grant demo reader viewer
  check "a viewer pulls" on two pull "$hello"
  same "a viewer gets the same image id" "$built" "$(image_id two "$hello")"
  check "a viewer tags on its own engine" on two tag "$hello" "$registry/demo/hello:stolen"
  refused "a viewer cannot push" 'denied|forbidden|unauthorized' on two push "$registry/demo/hello:stolen"
  check "an account is disabled while the server runs" granary user disable reader
  forget two "$hello"
  refused "a disabled account cannot pull" 'denied|forbidden|unauthorized' on two pull "$hello"
  says "the first account logs in again" 'Login Succeeded' login two "$user" "$password"

  stop_granary
  start_granary
  forget two "$hello"
  check "pull after a restart of the server" on two pull "$hello"
  same "a restart keeps the image id" "$built" "$(image_id two "$hello")"
fi

says "logout" 'Removing login credentials' on two logout "$registry"
forget two "$hello"
refused "pull after logout is refused" 'unauthorized|denied|no basic auth|authentication required' on two pull "$hello"

finish
