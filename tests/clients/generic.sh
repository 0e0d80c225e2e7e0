#!/usr/bin/env bash
# curl and wget against Granary: files in, files out, downloads that go on where they broke off.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs wget unzip python3 tar sha256sum sha512sum sha1sum md5sum

start_granary
cd "$work"
files=http://$registry/generic/acme/firmware
# as_user ARGUMENT...: curl with the account's password, which fails where the server refuses.
as_user() { limited curl -sS --fail-with-body -u "$user:$password" "$@"; }
status() { limited curl -sS -o /dev/null -w '%{http_code}' -u "$user:$password" "$@"; }
# What curl asks for it can answer: Basic, and no token.
wgets() { limited wget --no-verbose --no-proxy --user "$user" --password "$password" "$@"; }

head -c 5000000 /dev/urandom >fw.bin
head -c 1000 /dev/urandom >small.bin
sha256=$(sha256_of fw.bin)

refused "an upload without a password is refused" '401' limited curl -sS --fail -T fw.bin "$files/1.2/fw.bin"
says "who has no password is asked for one" 'www-authenticate: Basic realm=' \
  limited curl -sS -o /dev/null -D - "$files/1.2/fw.bin"

check "curl -T stores a file" as_user -T fw.bin "$files/1.2/fw.bin"
same "its checksum is told" "$sha256" "$(jq -r .sha256 <<<"$output")"
says "a new file is created" '^201$' status -T small.bin "$files/1.2/small.bin"
says "the same file again is found identical" '^200$' status -T small.bin "$files/1.2/small.bin"
check "curl -T into a folder appends the name" as_user -T small.bin "$files/1.3/"
says "the name was appended" '^200$' status "$files/1.3/small.bin"
check "curl -T from a pipe" bash -c "limited() { timeout $client_limit \"\$@\"; }; cat fw.bin | limited curl -sS --fail -u '$user:$password' -T - '$files/1.2/piped.bin'"
same "the piped file is the one that was sent" "$sha256" "$(as_user "$files/1.2/piped.bin" | sha256sum | cut -d' ' -f1)"

mkdir out && cd out
check "curl -O fetches it" as_user -O "$files/1.2/fw.bin"
same "the bytes are those that were sent" "$sha256" "$(sha256_of fw.bin)"
for kind in sha256 sha512 sha1 md5; do
  as_user "$files/1.2/fw.bin.$kind" >"fw.bin.$kind" || true
  says "${kind}sum -c holds" 'fw.bin: OK' "${kind}sum" -c "fw.bin.$kind"
done

head -c 1234567 ../fw.bin >fw.bin
check "curl -C - goes on where a download broke off" as_user -C - -O "$files/1.2/fw.bin"
same "the whole file is there" "$sha256" "$(sha256_of fw.bin)"
rm fw.bin
check "wget fetches it" wgets "$files/1.2/fw.bin"
same "the bytes are those that were sent to wget, too" "$sha256" "$(sha256_of fw.bin)"
head -c 1234567 ../fw.bin >fw.bin
says "wget -c goes on where a download broke off" '5000000/5000000|3765433/3765433|\[3765433|\[5000000' wgets -c "$files/1.2/fw.bin"
same "the whole file is there after wget -c" "$sha256" "$(sha256_of fw.bin)"
check "wget -c of a complete file fetches nothing" wgets -c "$files/1.2/fw.bin"
same "and leaves it as it is" "$sha256" "$(sha256_of fw.bin)"
says "wget -N fetches nothing that it has" '304 Not Modified' wgets --server-response -N "$files/1.2/fw.bin"
check "the last bytes" as_user -r -100 -o tail.bin "$files/1.2/fw.bin"
same "are the last bytes" "$(tail -c 100 ../fw.bin | sha256sum | cut -d' ' -f1)" "$(sha256_of tail.bin)"
says "a range past the end is refused with the size" 'content-range: bytes \*/5000000' \
  limited curl -sS -o /dev/null -D - -u "$user:$password" -r 5000000- "$files/1.2/fw.bin"
check "curl saves the entity tag" as_user --etag-save etag -o /dev/null "$files/1.2/fw.bin"
says "curl with the entity tag is told that nothing changed" '^304$' status --etag-compare etag "$files/1.2/fw.bin"
says "curl -z with a newer date is told so, too" '^304$' status -z "$(date -uR -d tomorrow)" "$files/1.2/fw.bin"
says "HEAD tells the length" '^content-length: 5000000' as_user -I "$files/1.2/fw.bin"
cd ..

same "a folder is listed" 'fw.bin piped.bin small.bin' "$(as_user "$files/1.2/" | jq -r '[.entries[].name] | join(" ")')"
same "in pages" 'fw.bin' "$(as_user "$files/1.2/?n=1" | jq -r '[.entries[].name] | join(" ")')"
says "with a link to the next one" '^link: </generic/acme/firmware/1.2/\?n=1&last=fw%2Ebin>; rel="next"' \
  as_user -o /dev/null -D - "$files/1.2/?n=1"
same "the repository lists its folders" '1.2/ 1.3/' "$(as_user "$files/" | jq -r '[.entries[].name] | join(" ")')"

says "a checksum that holds" '^201$' status -T fw.bin -H "X-Checksum-Sha256: $sha256" "$files/2.0/fw.bin"
says "a checksum that does not" '^422$' status -T small.bin -H "X-Checksum-Sha256: $sha256" "$files/2.0/small.bin"
says "leaves nothing" '^404$' status "$files/2.0/small.bin"
says "a file that must be new and is not" '^412$' status -T small.bin -H 'If-None-Match: *' "$files/2.0/fw.bin"
says "a file where a folder is" '^409$' status -T small.bin "$files/2.0"
says "a part of a file is never taken for the whole" '^400$' status -T small.bin -H 'Content-Range: bytes 0-999/5000' "$files/2.0/part"
says "what is coded is refused" '^415$' status -T small.bin -H 'Content-Encoding: gzip' "$files/2.0/coded.gz"
says "curl by HTTP/1.0 stores a file" '^201$' status --http1.0 -T small.bin "$files/2.0/old.bin"
check "names with spaces and of every script" as_user -T small.bin "$files/x/gr%C3%B6%C3%9Fe%20(1).bin"
same "are listed as they are" 'größe (1).bin' "$(as_user "$files/x/" | jq -r '.entries[0].name')"

# What a folder holds is fetched in one, and unpacked by the programs that everybody has.
mkdir folder && cd folder
check "a folder is fetched as a ZIP" as_user -o folder.zip "$files/?archive=zip"
says "unzip finds no fault in it" 'No errors detected' unzip -t folder.zip
check "neither does Python" python3 -c 'import sys, zipfile; sys.exit(zipfile.ZipFile("folder.zip").testzip() is not None)'
check "it unpacks" unzip -q folder.zip
as_user -o SHA256SUMS "$files/SHA256SUMS?recursive" || true
check "to the files that are stored" bash -c 'cd firmware && sha256sum --strict --quiet -c ../SHA256SUMS'
rm -r firmware
check "a folder is fetched as a compressed tar" as_user -o folder.tar.gz "$files/?archive=tar.gz"
check "tar unpacks it" tar -xzf folder.tar.gz
check "to the same files" bash -c 'cd firmware && sha256sum --strict --quiet -c ../SHA256SUMS'
check "what others packed is stored" bash -c 'cd firmware && python3 -m zipfile -c ../other.zip x && tar -czf ../other.tgz x'
as_user -o /dev/null -T other.zip "$files/other.zip" || true
as_user -o /dev/null -T other.tgz "$files/other.tgz" || true
for archive in other.zip other.tgz; do
  same "$archive is looked into" 'größe (1).bin' "$(as_user "$files/$archive!/x/" | jq -r '.entries[0].name')"
  same "a file is read out of $archive" "$(sha256_of ../small.bin)" \
    "$(as_user -g "$files/$archive!/x/gr%C3%B6%C3%9Fe%20(1).bin" | sha256sum | cut -d' ' -f1)"
  as_user -o /dev/null -X DELETE "$files/$archive" || true
done
check "wget -r fetches a folder" wgets -r -np -nH "$files/1.2/?format=html"
same "each file of it, and the page" 'fw.bin index.html?format=html piped.bin small.bin' \
  "$(find generic/acme/firmware -type f -printf '%f\n' | sort | tr '\n' ' ' | sed 's/ $//')"
cd ..

says "curl -X DELETE removes a file" '^204$' status -X DELETE "$files/2.0/fw.bin"
says "it is gone" '^404$' status "$files/2.0/fw.bin"
if own_server; then
  stop_granary
  start_granary
  same "files outlive the server" "$sha256" "$(as_user "$files/1.2/fw.bin" | sha256sum | cut -d' ' -f1)"
  check "the store is whole" granary fsck
fi

finish
