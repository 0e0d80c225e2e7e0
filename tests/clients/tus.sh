#!/usr/bin/env bash
# tuspy against Granary: files by tus 1.0 over a line that breaks, from a client that is stopped, to a server that dies.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs tuspy-python sha256sum

start_granary
cd "$work"
here=$repo_root/tests/clients
export GRANARY_USER=$user GRANARY_PASSWORD=$password PYTHONDONTWRITEBYTECODE=1
root=/generic/acme/firmware/
# sent ARGUMENT...: an upload, by the server's own address.
sent() { limited tuspy-python "$here/tus_upload.py" "http://$registry$root" "$@"; }
# sent_by LINE ARGUMENT...: an upload over a line.
sent_by() { limited tuspy-python "$here/tus_upload.py" "http://127.0.0.1:$1$root" "${@:2}"; }
# begin LOG ARGUMENT...: a client of its own in the background, over the line; sets $client_pid.
begin() {
  tuspy-python "$here/tus_upload.py" "http://127.0.0.1:$line_port$root" "${@:2}" >"$1" 2>&1 </dev/null &
  client_pid=$!
  started "$client_pid"
}
fetched() { api "$root$1" --fail | sha256sum | cut -d' ' -f1; }
# line LOG ARGUMENT...: a line to the server; sets $line_port and $line_pid.
line() {
  line_port=$(free_port)
  tuspy-python "$here/flaky_line.py" "$line_port" "${registry##*:}" "$@" >>"$work/line.log" 2>&1 </dev/null &
  line_pid=$!
  started "$line_pid"
  until_true "$start_limit" listening "$line_port"
}
# held: bytes of uploads that the server has taken in and not yet made files of.
held() { find "$data/store/uploads" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'; }
holds_or_gone() { [ "$(held)" -ge "$1" ] || gone "$client_pid"; }

head -c 40000000 /dev/urandom >fw.bin
head -c 100000 /dev/urandom >small.bin
: >empty.bin
sha256=$(sha256_of fw.bin)

check "a file in one piece" sent fw.bin 1.0/whole.bin
same "is what was sent" "$sha256" "$(fetched 1.0/whole.bin)"
check "a file in many pieces with a checksum each" sent fw.bin 1.0/pieces.bin --chunk 1000000 --checksum
same "is what was sent in pieces" "$sha256" "$(fetched 1.0/pieces.bin)"
check "an empty file" sent empty.bin 1.0/empty.bin
same "is empty" "$(sha256_of empty.bin)" "$(fetched 1.0/empty.bin)"

check "a file in parts, side by side" sent fw.bin 1.0/parts.bin --parts 4 --chunk 3000000
same "is one file, in the right order" "$sha256" "$(fetched 1.0/parts.bin)"

line "$work/cuts" --cut 4000000 --cuts 5
check "a file over a line that breaks" sent_by "$line_port" fw.bin 1.1/fw.bin
same "arrives whole" "$sha256" "$(fetched 1.1/fw.bin)"
same "though the line broke five times" 5 "$(wc -l <"$work/cuts")"
stop_pid "$line_pid" || true

if own_server; then
  line "$work/no-cuts" --rate 8000000
  begin "$work/first.log" fw.bin 1.2/fw.bin --store "$work/addresses"
  until_true "$client_limit" holds_or_gone 10000000
  kill -KILL "$client_pid" 2>/dev/null || fail "the client sends" "$(cat "$work/first.log")"
  wait "$client_pid" 2>/dev/null || true
  ended "$client_pid"
  check "a client that was stopped goes on when it is started again" sent fw.bin 1.2/fw.bin --store "$work/addresses"
  same "with the file that it had begun" "$sha256" "$(fetched 1.2/fw.bin)"

  begin "$work/second.log" fw.bin 1.3/fw.bin
  until_true "$client_limit" holds_or_gone 20000000
  kill -KILL "$granary_pid"
  wait "$granary_pid" 2>/dev/null || true
  ended "$granary_pid"
  start_granary
  status=0
  wait "$client_pid" || status=$?
  ended "$client_pid"
  same "a client completes after the server was killed" "0 $(wc -l <"$work/second.log")" "$status 1"
  same "and the file is whole" "$sha256" "$(fetched 1.3/fw.bin)"
  stop_pid "$line_pid" || true
  check "the store is whole" granary fsck
  same "and holds no byte of any upload" 0 "$(held)"
fi

finish
