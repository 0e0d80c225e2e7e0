#!/usr/bin/env bash
# The machine loses its power: a server works on a file system of its own, whose disk is copied at random instants
# while it is pushed to. A copy is what a machine would find when it comes back: what was acknowledged before must be
# in it. Needs root, for the mounts; the rest, and what the variables mean, is in ../clients/lib.sh.
#
#   GRANARY_TEST_COPIES  how many copies are made (default: 12)
source "$(dirname "${BASH_SOURCE[0]}")/../clients/lib.sh"
needs mkfs.ext4 e2fsck mount cmp

copies=${GRANARY_TEST_COPIES:-12}
pushers=3
disk=$work/disk.img
password=$(random_password)

if [ "$(id -u)" -ne 0 ]; then
  if [ "${GRANARY_CI:-0}" = 1 ]; then
    fail "only root may mount"
    echo "$passed passed, $failed failed"
    exit 1
  fi
  echo "skipped: only root may mount"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi

# A server that is held still could not be asked to stop.
trap 'status=$?; set +e; trap - ERR; kill -CONT "${granary_pid:-}" 2>/dev/null; (exit $status); clean_up' EXIT

# --- those who push ---------------------------------------------------------------------------------------------

# answered STATUS CURL ARGUMENT...: whether a request is answered so.
answered() {
  local wanted=$1 status
  shift
  status=$(curl -sS -m "$client_limit" -u "$user:$password" -o /dev/null -w '%{http_code}' "$@") && [ "$status" = "$wanted" ]
}

# acknowledged PATH: it may be relied on from now on. One short line is one write.
acknowledged() { echo "$1" >>"$work/acknowledged"; }

# location_of CURL ARGUMENT...: where the answer says that an upload goes on.
location_of() {
  curl -sS -m "$client_limit" -u "$user:$password" -o /dev/null -D - "$@" |
    tr -d '\r' | sed -n 's/^[Ll]ocation: //p'
}

# push_blob REPOSITORY FILE HEX: in one request.
push_blob() {
  answered 201 --data-binary "@$2" -H 'Content-Type: application/octet-stream' \
    "http://$registry/v2/$1/blobs/uploads/?digest=sha256:$3" && acknowledged "/v2/$1/blobs/sha256:$3"
}

# push_in_two REPOSITORY FILE HEX: in a session.
push_in_two() {
  local location
  location=$(location_of -X POST "http://$registry/v2/$1/blobs/uploads/")
  location=$(head -c 10000 "$2" | location_of -X PATCH --data-binary @- -H 'Content-Type: application/octet-stream' "${location/#\//http://$registry/}")
  location=${location/#\//http://$registry/}
  if [[ $location == *\?* ]]; then location+='&'; else location+='?'; fi
  tail -c +10001 "$2" |
    answered 201 -X PUT --data-binary @- -H 'Content-Type: application/octet-stream' "${location}digest=sha256:$3" &&
    acknowledged "/v2/$1/blobs/sha256:$3"
}

# push_manifest REPOSITORY TAG HEX SIZE FILE: an image whose config and layer are both that blob.
push_manifest() {
  local hex type=application/vnd.oci.image
  printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json","digest":"sha256:%s","size":%s},"layers":[]}' \
    "$type" "$type" "$3" "$4" >"$5"
  hex=$(sha256_of "$5")
  answered 201 -X PUT --data-binary "@$5" -H "Content-Type: $type.manifest.v1+json" \
    "http://$registry/v2/$1/manifests/$2" && acknowledged "/v2/$1/manifests/sha256:$hex"
}

# push_on NUMBER: until told to stop. What is refused while the server is held still, or ends, is nobody's loss.
push_on() {
  local own=$work/pusher-$1 repository=power/loss-$1 round size hex
  mkdir -p "$own"
  for ((round = 0; round < 100000; round++)); do
    if [ -e "$work/enough" ]; then return; fi
    size=$((11000 + RANDOM))
    head -c "$size" /dev/urandom >"$own/blob"
    hex=$(sha256_of "$own/blob")
    if ((round % 3 == 0)); then
      push_in_two "$repository" "$own/blob" "$hex" || continue
    else
      push_blob "$repository" "$own/blob" "$hex" || continue
    fi
    push_manifest "$repository" "tag-$((round % 5))" "$hex" "$size" "$own/manifest" || continue
  done
}

# --- the disk ---------------------------------------------------------------------------------------------------

# copy_disk FILE: the disk as it is at one instant: held still are only those who write, not what the system has
# in memory and would still write. A copy that is the same as the disk afterwards is of one instant.
copy_disk() {
  local tries
  for ((tries = 0; tries < 50; tries++)); do
    cp --sparse=always "$disk" "$1"
    if cmp -s "$disk" "$1"; then return; fi
  done
  echo "the disk does not hold still" >&2
  return 1
}

# readable BASE LIST: everything in the list has the bytes that its name promises. Prints what has not.
readable() {
  local read=$work/read number=0 path
  rm -rf "$read"
  mkdir "$read"
  while read -r path; do
    number=$((number + 1))
    printf 'url = "%s%s"\noutput = "%s/%s"\n' "$1" "$path" "$read" "$number" >>"$read/config"
    echo "${path##*:}  $read/$number" >>"$read/sums"
  done <"$2"
  curl -sS -m "$client_limit" --fail -u "$user:$password" -H 'Accept: */*' -K "$read/config" || true
  sha256sum --quiet --check "$read/sums"
}

# serves_all DATA LIST: a second server on that data.
serves_all() {
  local port address pid status=0
  port=$(free_port)
  address=http://127.0.0.1:$port
  env GRANARY_ADMIN_PASSWORD="$password" "$granary_bin" serve --data "$1" --listen "127.0.0.1:$port" \
    >>"$work/again.log" 2>&1 </dev/null &
  pid=$!
  started "$pid"
  if until_true "$start_limit" curl -fsS -o /dev/null -m 5 "$address/readyz"; then
    readable "$address" "$2" || status=1
  else
    status=1
  fi
  stop_pid "$pid" || status=1
  return "$status"
}

# check_copy NUMBER: what a machine finds that comes back on this copy.
check_copy() {
  local copy=$work/copy.img back=$work/back list=$work/list-$1 repaired=0 found
  # 1: the file system put itself in order, which is what its journal is for.
  e2fsck -fy "$copy" >"$work/e2fsck.log" 2>&1 || repaired=$?
  if [ "$repaired" -gt 1 ]; then
    fail "copy $1: the file system is whole" "$(cat "$work/e2fsck.log")"
    return
  fi
  mkdir -p "$back"
  mount -o loop "$copy" "$back"
  if [ ! -s "$back/flushed" ]; then fail "copy $1: what was flushed is there"; fi
  if ! cmp -s "$work/probe" "$back/unflushed-$1"; then lost=$((lost + 1)); fi
  # An upload that was never finished may have lost bytes; it says so and goes on from there.
  if found=$(limited "$granary_bin" fsck --output json --data "$back/data" 2>"$work/fsck.log") &&
    [ "$(jq '[.findings[] | select(.finding != "upload-short")] | length' <<<"$found")" = 0 ]; then
    ok "copy $1: granary fsck finds nothing"
  else
    fail "copy $1: granary fsck finds nothing" "$found$(cat "$work/fsck.log")"
  fi
  check "copy $1: all $(wc -l <"$list") things acknowledged before are there" serves_all "$back/data" "$list"
  umount "$back"
}

# --- the story --------------------------------------------------------------------------------------------------

truncate -s 1G "$disk"
mkfs.ext4 -q -F -J size=16 -E lazy_itable_init=0,lazy_journal_init=0 "$disk"
mkdir "$work/mounted"
mount -o loop "$disk" "$work/mounted"
data=$work/mounted/data
head -c 10000 /dev/urandom >"$work/probe"
cp "$work/probe" "$work/mounted/flushed"
sync -f "$work/mounted"
start_granary
: >"$work/acknowledged"

own_pushers=()
for ((number = 1; number <= pushers; number++)); do
  push_on "$number" 2>>"$work/pushers.log" &
  started $!
  own_pushers+=("$!")
done
some_pushed() { [ -s "$work/acknowledged" ]; }
until_true "$start_limit" some_pushed

lost=0
for ((number = 1; number <= copies; number++)); do
  sleep "0.$((RANDOM % 9 + 1))"
  cp "$work/probe" "$work/mounted/unflushed-$number"
  kill -STOP "$granary_pid"
  cp "$work/acknowledged" "$work/list-$number"
  copy_disk "$work/copy.img"
  kill -CONT "$granary_pid"
  check_copy "$number"
done
touch "$work/enough"
for pid in "${own_pushers[@]}"; do
  wait "$pid" || fail "a pusher came to its end"
  ended "$pid"
done
# Otherwise these copies were of a disk that had everything on it, and proved nothing.
if [ "$lost" -gt 0 ]; then ok "$lost of $copies copies lost what was not flushed"; else fail "no copy lost anything"; fi
sort -u "$work/acknowledged" >"$work/list"
check "everything is there on the disk itself" readable "http://$registry" "$work/list"
finish
