# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file read what it sets
# Shared by the scripts in this folder: servers on free loopback ports, each pinned to a core, stopped by their process
# ids whatever happens.
#
#   GRANARY_BIN     our server (default: target/PROFILE/granary at the root)
#   REGISTRY_BIN    CNCF distribution (default: docker-registry)
#   NGINX_BIN       nginx with WebDAV (default: nginx)

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo_root=$(cd "$here/../.." && pwd)
load=$here/target/release/granary-load
registry_bin=${REGISTRY_BIN:-docker-registry}
nginx_bin=${NGINX_BIN:-nginx}
stop_limit=30 # seconds within which a server must have stopped

die() {
  echo "$*" >&2
  exit 1
}

# whole NAME VALUE MOST: the value must be a number from 1 to MOST.
whole() {
  if ! [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || [ "$2" -gt "$3" ]; then die "$1 must be a number from 1 to $3, not '$2'"; fi
}

[ -x "$load" ] || die "build the load program first: (cd benches/load && cargo build --release)"
work=$(mktemp -d "${TMPDIR:-/tmp}/granary-load.XXXXXX")

# --- processes --------------------------------------------------------------------------------------------------

declare -A running=() # process ids of our servers

gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_server PID: ask it to stop, wait for that, force it after a while.
stop_server() {
  local pid=$1 end=$((SECONDS + stop_limit))
  kill -TERM "$pid" 2>/dev/null || true
  while ! gone "$pid" && [ "$SECONDS" -lt "$end" ]; do sleep 0.1; done
  if ! gone "$pid"; then kill -KILL "$pid" 2>/dev/null || true; fi
  wait "$pid" 2>/dev/null || true
  unset "running[$pid]"
}

clean_up() {
  local status=$? pid
  trap - EXIT
  trap '' INT TERM HUP
  for pid in "${!running[@]}"; do stop_server "$pid"; done
  rm -rf --one-file-system "$work" "$warming"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Server and client on cores of their own, so that costs and rates are those of one core.
on_server_core=()
on_client_core=()
pin() {
  if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
    on_server_core=(taskset -c 0)
    on_client_core=(taskset -c 1)
  else
    echo "not pinned: that takes two cores and taskset" >&2
  fi
}

warmed=2G # what the largest workload writes, twice
warming=/dev/shm/granary-load.$$

# warm_memory: have the host back the memory that the next run's files go to. A virtual machine gives free memory back to
# its host within seconds (free page reporting); whoever touches such a page next waits for the host, and the kernel calls
# that CPU time of the toucher: up to 2.4 s a GiB written, more than either server's own work, in some rounds and not
# in others.
warm_memory() {
  if ! { [ -w /dev/shm ] && head -c "$warmed" /dev/zero >"$warming"; } 2>/dev/null; then
    echo "less than $warmed of memory could be had for a file in /dev/shm: what writes may vary more" >&2
  fi
  rm -f "$warming"
}

# --- servers ----------------------------------------------------------------------------------------------------

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
  die "no free port found"
}

# granary_binary PROFILE
granary_binary() {
  local binary=${GRANARY_BIN:-$repo_root/target/$1/granary}
  [ -x "$binary" ] || die "no server: $binary is not there (cargo build --profile $1, or set GRANARY_BIN)"
  echo "$binary"
}

# Of the first administrator.
password=$(head -c 24 /dev/urandom | base64 | tr -d '+/=\n')

# What distribution is told: blobs in a folder, no authentication, no log of requests.
distribution_config() {
  cat <<EOF
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: "$1", maxthreads: 100}
  delete: {enabled: true}
http: {addr: "127.0.0.1:$2"}
EOF
}

# nginx as a store of files: WebDAV's PUT, and whatever lies in the folder.
nginx_config() {
  cat <<EOF
worker_processes 1;
error_log stderr error;
pid $1/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  client_body_temp_path $1/body;
  proxy_temp_path $1/proxy;
  fastcgi_temp_path $1/fastcgi;
  uwsgi_temp_path $1/uwsgi;
  scgi_temp_path $1/scgi;
  sendfile on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:$2;
    root $1/files;
    dav_methods PUT DELETE;
    create_full_put_path on;
  }
}
EOF
}

# start_server NAME SERVER [PROFILE]: starts a server over $work/NAME, new or left by an earlier start. SERVER is `granary`,
# `distribution`, `nginx`, or a shell command that runs a server in the foreground and finds $PORT and $DIR in its environment.
# Sets $pid, $url, $flags (what the load program needs to be let in) and $answers (milliseconds until the first answer).
start_server() {
  local name=$1 server=$2 profile=${3:-release} data=$work/$1 log=$work/$1.log port binary command began
  mkdir -p "$data"
  port=$(free_port)
  url=http://127.0.0.1:$port
  flags=()
  case $server in
    granary)
      binary=$(granary_binary "$profile")
      command=("$binary" serve --data "$data" --listen "127.0.0.1:$port")
      flags=(--user admin --password "$password")
      ;;
    distribution)
      command -v "$registry_bin" >/dev/null || die "no $registry_bin on this machine (apt-get install docker-registry)"
      distribution_config "$data" "$port" >"$work/$name.yml"
      command=("$registry_bin" serve "$work/$name.yml")
      ;;
    nginx)
      command -v "$nginx_bin" >/dev/null || die "no $nginx_bin on this machine (apt-get install nginx-light)"
      mkdir -p "$data/files"
      nginx_config "$data" "$port" >"$work/$name.conf"
      # One process, so that it is the one that is measured.
      command=("$nginx_bin" -c "$work/$name.conf" -g "daemon off; master_process off;")
      ;;
    *) command=(bash -c "exec $server") ;;
  esac
  began=$(date +%s%N)
  PORT=$port DIR=$data GRANARY_ADMIN_PASSWORD=$password "${on_server_core[@]}" "${command[@]}" >>"$log" 2>&1 </dev/null &
  pid=$!
  running[$pid]=$name
  if ! answers=$("${on_client_core[@]}" "$load" ready --url "$url" --since-ns "$began" --pid "$pid"); then
    tail -n 20 "$log" >&2
    die "the server did not start: $server"
  fi
}

# resident PID: its resident memory in MB of 2^20 bytes.
resident() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
# binary_size PID: the bytes of the program that it runs.
binary_size() { stat -Lc %s "/proc/$1/exe"; }
