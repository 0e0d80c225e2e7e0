# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # the scripts that source this file read what it sets, and set $version
# Shared by the client tests in this folder: a fresh Granary on loopback, test images made from nothing, and
# assertions that say what failed. Each test sources this file, calls `needs TOOL...` and ends with `finish`.
#
#   GRANARY_BIN          the server to test (default: target/release/granary)
#   GRANARY_TOOLS        where .ci/steps/55-tools.sh put crane, oras, helm and tuspy (default: ~/.cache/granary-tools)
#   GRANARY_CI=1         a missing client is a failure, not a skip
#   GRANARY_FAILURES     a file to which every failure is added as well, for who runs all the tests
#   GRANARY_KEEP=1       leave the working folder, with every log, after a failure
#   REGISTRY_UNDER_TEST  host:port of a registry that already runs, tested instead of a server of our own;
#                        GRANARY_TEST_USER and GRANARY_TEST_PASSWORD name an account there that may push

set -euo pipefail

repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
granary_bin=${GRANARY_BIN:-$repo_root/target/release/granary}
export PATH="${GRANARY_TOOLS:-${HOME:-/root}/.cache/granary-tools}/bin:$PATH"

client=$(basename "$0" .sh) # what the lines begin with
client_limit=120 # seconds that any one command of a client may take
start_limit=60   # seconds within which a server must be ready
stop_limit=30    # seconds within which a server must have stopped

passed=0
failed=0
own_pids=()
also_remove=() # what a test makes outside $work
secrets=()     # never shown
work=$(mktemp -d "${TMPDIR:-/tmp}/granary-$client.XXXXXX")

# Clients keep credentials and caches in the home folder: give them an empty one.
export HOME="$work/home" XDG_CONFIG_HOME="$work/home/.config" XDG_CACHE_HOME="$work/home/.cache"
export XDG_DATA_HOME="$work/home/.local/share" XDG_RUNTIME_DIR="$work/run"
mkdir -p "$XDG_CONFIG_HOME" "$XDG_CACHE_HOME" "$XDG_DATA_HOME" "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
unset REGISTRY_AUTH_FILE DOCKER_CONFIG DOCKER_HOST CONTAINERD_NAMESPACE

# --- saying what was checked ------------------------------------------------------------------------------------

ok() {
  passed=$((passed + 1))
  echo "ok $client: $1"
}

fail() {
  failed=$((failed + 1))
  {
    echo "FAILED $client: $1"
    if [ $# -gt 1 ] && [ -n "$2" ]; then
      printf '%s\n' "$2" | tail -n 40 | sed 's/^/    /'
    fi
  } | tee -a "${GRANARY_FAILURES:-/dev/null}"
}

# What ends a test early says where it was.
set -E
ended_at() { [ "$BASH_SUBSHELL" -gt 0 ] || echo "FAILED $client: ended with $1 at $2" | tee -a "${GRANARY_FAILURES:-/dev/null}" >&2; }
trap 'ended_at $? "${BASH_SOURCE[0]##*/}:$LINENO"' ERR

# check WHAT COMMAND...: the command must succeed. What it printed stays in $output.
check() {
  local what=$1 status=0
  shift
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [ "$status" -eq 0 ]; then
    ok "$what"
  else
    fail "$what" "$(printf '%s\nexit code %s from: %s' "$output" "$status" "$(shown "$@")")"
    return 0
  fi
}

# says WHAT PATTERN COMMAND...: the command must succeed and print the extended regular expression.
says() {
  local what=$1 pattern=$2 status=0
  shift 2
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [ "$status" -eq 0 ] && grep -qE -- "$pattern" <<<"$output"; then
    ok "$what"
  else
    fail "$what" "$(printf '%s\nexit code %s, wanted 0 and /%s/ from: %s' "$output" "$status" "$pattern" "$(shown "$@")")"
  fi
}

# refused WHAT PATTERN COMMAND...: the command must fail by itself (not by our time limit) and say why.
refused() {
  local what=$1 pattern=$2 status=0
  shift 2
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [ "$status" -ne 0 ] && [ "$status" -ne 124 ] && [ "$status" -ne 137 ] && grep -qiE -- "$pattern" <<<"$output"; then
    ok "$what"
  else
    fail "$what" "$(printf '%s\nexit code %s, wanted a failure and /%s/ from: %s' "$output" "$status" "$pattern" "$(shown "$@")")"
  fi
}

# same WHAT WANTED GOT: both must be equal, and not empty.
same() {
  if [ -n "$2" ] && [ "$2" = "$3" ]; then
    ok "$1"
  else
    fail "$1" "$(printf 'wanted: %s\n   got: %s' "$2" "$3")"
  fi
}

shown() {
  local line="$*" secret
  for secret in "${secrets[@]}"; do line=${line//"$secret"/***}; done
  printf '%s' "$line"
}

finish() {
  stop_granary
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# needs TOOL...: without one of them the test is skipped aloud, or fails where GRANARY_CI=1.
needs() {
  local tool
  for tool in curl jq gcc "$@"; do
    if ! command -v "$tool" >/dev/null 2>&1; then
      if [ "${GRANARY_CI:-0}" = 1 ]; then
        fail "no $tool on this machine"
        echo "$passed passed, $failed failed"
        exit 1
      fi
      echo "skipped: no $tool"
      echo "0 passed, 0 failed, 1 skipped"
      exit 0
    fi
  done
}

# --- processes --------------------------------------------------------------------------------------------------

# started PID: remember a process of ours, so that it is stopped whatever happens.
started() { own_pids+=("$1"); }

# ended PID: forget it, since its number may soon belong to somebody else.
ended() {
  local kept=() other
  for other in "${own_pids[@]}"; do
    if [ "$other" != "$1" ]; then kept+=("$other"); fi
  done
  own_pids=("${kept[@]}")
}

# until_true SECONDS COMMAND...: poll until the command succeeds.
until_true() {
  local limit=$1 end=$((SECONDS + $1))
  shift
  while ! "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "not within $limit s: $(shown "$@")" >&2
      return 1
    fi
    sleep 0.1
  done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_pid PID: ask it to stop, wait for that, force it after a while. Gives its exit code for a child of ours.
stop_pid() {
  local pid=$1 status=0
  kill -TERM "$pid" 2>/dev/null || true
  if ! until_true "$stop_limit" gone "$pid"; then
    kill -KILL "$pid" 2>/dev/null || true
  fi
  wait "$pid" 2>/dev/null || status=$?
  ended "$pid"
  return "$status"
}

clean_up() {
  local status=$? mount
  trap - EXIT ERR
  trap '' INT TERM HUP
  while [ "${#own_pids[@]}" -gt 0 ]; do
    stop_pid "${own_pids[-1]}" || true
  done
  # Engines leave mounts under their folders; the innermost come last in the list.
  while read -r mount; do
    umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || true
  done < <(awk -v top="$work/" 'index($2, top) == 1 { print $2 }' /proc/mounts | sort -r)
  if [ "$status" -ne 0 ] && [ "${GRANARY_KEEP:-0}" = 1 ]; then
    echo "kept: $work" >&2
  else
    rm -rf --one-file-system "$work" "${also_remove[@]}"
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# limited COMMAND...: not longer than a client may take. In our own process group, so that what stops us stops it.
limited() { timeout --foreground "$client_limit" "$@"; }

# --- the server -------------------------------------------------------------------------------------------------

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: a loopback port that nobody listens on, below the range from which connections take theirs.
free_port() {
  local port tries
  for ((tries = 0; tries < 50; tries++)); do
    port=$((20000 + RANDOM % 10000))
    if ! listening "$port"; then
      echo "$port"
      return
    fi
  done
  echo "no free port found" >&2
  return 1
}

random_password() { head -c 24 /dev/urandom | base64 | tr -d '+/=\n'; }

ready_or_gone() { gone "$granary_pid" || curl -fsS -o /dev/null -m 5 "http://$registry/readyz"; }

data=$work/data # the server's data folder
# start_granary [NAME=VALUE...]: a server over $data with more environment if wanted. Sets $registry, $user and
# $password. A second call after stop_granary starts the same data again.
start_granary() {
  user=${GRANARY_TEST_USER:-admin}
  if [ -n "${REGISTRY_UNDER_TEST:-}" ]; then
    registry=$REGISTRY_UNDER_TEST
    password=${GRANARY_TEST_PASSWORD:?the password of $user on $registry}
    secrets+=("$password")
    return
  fi
  if [ ! -x "$granary_bin" ]; then
    echo "no server to test: $granary_bin is not there (cargo build --release, or set GRANARY_BIN)" >&2
    exit 1
  fi
  user="admin"
  password=${password:-$(random_password)}
  secrets+=("$password")
  local tries
  for ((tries = 0; tries < 5; tries++)); do
    registry=127.0.0.1:${granary_port:-$(free_port)}
    env GRANARY_ADMIN_PASSWORD="$password" "$@" "$granary_bin" serve --data "$data" --listen "$registry" \
      >>"$work/granary.log" 2>&1 </dev/null &
    granary_pid=$!
    started "$granary_pid"
    if until_true "$start_limit" ready_or_gone && ! gone "$granary_pid"; then
      granary_port=${registry##*:} # a restart keeps its address, so that clients keep their credentials
      return
    fi
    stop_pid "$granary_pid" || true
  done
  echo "the server did not become ready:" >&2
  tail -n 40 "$work/granary.log" >&2
  exit 1
}

stop_granary() {
  if [ -z "${granary_pid:-}" ]; then return; fi
  local status=0
  stop_pid "$granary_pid" || status=$?
  granary_pid=
  if [ "$status" -eq 0 ]; then
    ok "the server stops cleanly on SIGTERM"
  else
    fail "the server stops cleanly on SIGTERM" "$(printf 'exit code %s; its last lines:\n' "$status"; tail -n 20 "$work/granary.log")"
  fi
}

own_server() { [ -z "${REGISTRY_UNDER_TEST:-}" ]; }

# granary ARGUMENT...: a command of the server's program, on the data of the running server.
granary() { limited "$granary_bin" "$@" --data "$data"; }

# create_user NAME PASSWORD
create_user() { printf '%s\n' "$2" | granary user create "$1" --password-stdin >/dev/null; }

# api PATH [CURL ARGUMENT...]: a request with the account's password, for what a client does not show.
api() {
  local path=$1
  shift
  curl -sS -m "$client_limit" -u "$user:$password" "$@" "http://$registry$path"
}

# manifest_of NAME REFERENCE [CURL ARGUMENT...]: the manifest as it is stored, whatever its kind.
manifest_of() {
  local kind accept=()
  for kind in vnd.oci.image.manifest.v1 vnd.oci.image.index.v1 vnd.docker.distribution.manifest.v2 \
    vnd.docker.distribution.manifest.list.v2; do
    accept+=(-H "Accept: application/$kind+json")
  done
  api "/v2/$1/manifests/$2" "${accept[@]}" "${@:3}"
}

status_of() { api "$1" -o /dev/null -w '%{http_code}' "${@:2}"; }

# --- a Docker engine --------------------------------------------------------------------------------------------

# start_engine NAME: an engine of our own in $work/NAME. No bridge and no packet filter rules: nothing here runs a
# container. Debian's engine speaks plain HTTP to every registry on loopback.
start_engine() {
  local top=$work/$1 driver
  mkdir -p "$top/client"
  echo '{}' >"$top/daemon.json" # never the machine's own settings
  for driver in overlay2 vfs; do
    dockerd --data-root "$top/data" --exec-root "$top/exec" --pidfile "$top/pid" --host "unix://$top/socket" \
      --config-file "$top/daemon.json" --bridge=none --iptables=false --ip6tables=false --storage-driver "$driver" \
      >>"$top/log" 2>&1 </dev/null &
    engine_pid=$!
    started "$engine_pid"
    if until_true "$start_limit" engine_ready_or_gone "$1" && ! gone "$engine_pid"; then return; fi
    stop_pid "$engine_pid" || true
  done
  fail "Docker engine $1 starts" "$(tail -n 20 "$top/log")"
  finish
}
engine_ready_or_gone() { gone "$engine_pid" || on "$1" version; }

# on ENGINE ARGUMENT...: the docker client against one of the engines, with that engine's credentials.
on() {
  local top=$work/$1
  shift
  DOCKER_BUILDKIT=0 limited docker --config "$top/client" --host "unix://$top/socket" "$@"
}

# --- Helm -------------------------------------------------------------------------------------------------------

helm_versions=(helm3.12 helm3 helm4) # the oldest that we promise, and the newest of each major version

# helm COMMAND...: the version under test, $version, with a home of its own. Those before 3.13 know no --plain-http: they
# speak plain HTTP to every registry on loopback.
helm() {
  local argument arguments=()
  for argument in "$@"; do
    if [ "$version" != helm3.12 ] || [ "$argument" != --plain-http ]; then arguments+=("$argument"); fi
  done
  HELM_CONFIG_HOME="$work/$version/config" HELM_CACHE_HOME="$work/$version/cache" HELM_DATA_HOME="$work/$version/data" \
    limited "$version" "${arguments[@]}"
}

# login USER PASSWORD
login() { printf '%s' "$2" | helm registry login --plain-http --username "$1" --password-stdin "$registry"; }

# make_chart DIR NAME VERSION
make_chart() {
  mkdir -p "$1/$2/templates"
  printf 'apiVersion: v2\nname: %s\ndescription: A test chart\ntype: application\nversion: %s\nappVersion: "1"\n' "$2" "$3" >"$1/$2/Chart.yaml"
  printf 'greeting: hello\n' >"$1/$2/values.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  greeting: {{ .Values.greeting }}\n' >"$1/$2/templates/config.yaml"
}

# upload WHAT STATUS CURL-ARGUMENTS...: an upload by curl must be answered so. What was answered stays in $work/answer.
upload() {
  local what=$1 status=$2
  shift 2
  same "$what" "$status" "$(limited curl -sS -o "$work/answer" -w '%{http_code}' -u "$user:$password" "$@")"
}

# make_keys: keyrings of old, as Helm reads them, in $keys; the key is the tester's.
make_keys() {
  keys=$work/keys
  mkdir -m 700 "$keys"
  gpg --homedir "$keys" --batch --quiet --passphrase '' --quick-generate-key tester rsa2048 sign never 2>"$keys/log"
  gpg --homedir "$keys" --batch --quiet --export-secret-keys >"$keys/secret.gpg"
  gpg --homedir "$keys" --batch --quiet --export >"$keys/public.gpg"
}

# --- test content, made from nothing ----------------------------------------------------------------------------

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# make_program FILE TEXT: a static program that prints the text.
make_program() {
  printf '#include <unistd.h>\nstatic const char text[] = "%s\\n";\nint main(void) { return write(1, text, sizeof text - 1) < 0; }\n' "$2" >"$work/program.c"
  gcc -static -Os -s -o "$1" "$work/program.c"
}

# make_rootfs DIR TEXT [MEGABYTES]: a root folder with one program, and random bytes for a layer of some size.
make_rootfs() {
  mkdir -p "$1"
  make_program "$1/hello" "$2"
  if [ "${3:-0}" -gt 0 ]; then head -c "$(($3 * 1024 * 1024))" /dev/urandom >"$1/ballast"; fi
}

# pack_layer DIR FILE: the folder as a tar that has the same bytes every time.
pack_layer() { tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$2" .; }

# put_blob LAYOUT FILE: moves a file into an OCI layout; prints digest and size.
put_blob() {
  local hex size
  hex=$(sha256_of "$2")
  size=$(stat -c %s "$2")
  mkdir -p "$1/blobs/sha256"
  mv "$2" "$1/blobs/sha256/$hex"
  echo "sha256:$hex $size"
}

# make_layout LAYOUT TAG TEXT ARCHITECTURE...: an OCI image layout by hand. One architecture gives an image, more give
# an index of images. Sets $layout_digest to what the tag names and $layout_images to the images' digests.
make_layout() {
  local layout=$1 tag=$2 text=$3 arch config layer manifest diff_id digest size entries=() type
  shift 3
  mkdir -p "$layout"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  layout_images=()
  for arch in "$@"; do
    rm -rf "$work/rootfs"
    make_rootfs "$work/rootfs" "$text on $arch"
    pack_layer "$work/rootfs" "$work/layer.tar"
    diff_id=sha256:$(sha256_of "$work/layer.tar")
    gzip -n -f "$work/layer.tar"
    layer=$(put_blob "$layout" "$work/layer.tar.gz")
    jq -cn --arg arch "$arch" --arg diff "$diff_id" \
      '{architecture:$arch,os:"linux",created:"1970-01-01T00:00:00Z",config:{Entrypoint:["/hello"]},rootfs:{type:"layers",diff_ids:[$diff]},history:[{created:"1970-01-01T00:00:00Z",created_by:"by hand"}]}' >"$work/config.json"
    config=$(put_blob "$layout" "$work/config.json")
    jq -cn --arg config "${config% *}" --argjson config_size "${config#* }" --arg layer "${layer% *}" --argjson layer_size "${layer#* }" \
      '{schemaVersion:2,mediaType:"application/vnd.oci.image.manifest.v1+json",config:{mediaType:"application/vnd.oci.image.config.v1+json",digest:$config,size:$config_size},layers:[{mediaType:"application/vnd.oci.image.layer.v1.tar+gzip",digest:$layer,size:$layer_size}]}' >"$work/manifest.json"
    manifest=$(put_blob "$layout" "$work/manifest.json")
    digest=${manifest% *} size=${manifest#* }
    layout_images+=("$digest")
    entries+=("$(jq -cn --arg d "$digest" --argjson s "$size" --arg a "$arch" '{mediaType:"application/vnd.oci.image.manifest.v1+json",digest:$d,size:$s,platform:{architecture:$a,os:"linux"}}')")
  done
  type=application/vnd.oci.image.manifest.v1+json
  if [ $# -gt 1 ]; then
    type=application/vnd.oci.image.index.v1+json
    printf '%s\n' "${entries[@]}" | jq -cs '{schemaVersion:2,mediaType:"application/vnd.oci.image.index.v1+json",manifests:.}' >"$work/index.json"
    manifest=$(put_blob "$layout" "$work/index.json")
    digest=${manifest% *} size=${manifest#* }
  fi
  layout_digest=$digest
  jq -cn --arg t "$type" --arg d "$digest" --argjson s "$size" --arg tag "$tag" \
    '{schemaVersion:2,mediaType:"application/vnd.oci.image.index.v1+json",manifests:[{mediaType:$t,digest:$d,size:$s,annotations:{"org.opencontainers.image.ref.name":$tag}}]}' >"$layout/index.json"
}
