#!/usr/bin/env bash
# Take a song apart: separate.sh song.mp3
# Needs curl and python3 (which reads JSON), and STEMWRIGHT_API_KEY and STEMWRIGHT_BASE_URL in the
# environment.
set -euo pipefail

song=$1
api="$STEMWRIGHT_BASE_URL/v1"
# In a file that only you can read: what is on the command line, all users can see.
auth=$(mktemp)
trap 'rm -f "$auth"' EXIT
echo "X-API-Key: $STEMWRIGHT_API_KEY" > "$auth"

# Again after broken connections, 429, 502, 503 and 504; other errors end this.
call() { curl --fail-with-body -sS --retry 5 --retry-connrefused -H "@$auth" "$@"; }
# value NAME: of the JSON object on standard input.
value() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# 1. Upload. For large files and bad networks: docs/uploads.md.
asset=$(call -F "file=@$song" "$api/assets" | value id)

# 2. Order. Under the same key, the same order is one job and is charged once, however often it is
#    sent.
key=$(python3 -c 'import uuid; print(uuid.uuid4())')
job=$(call -H "Idempotency-Key: $key" -H "Content-Type: application/json" "$api/jobs" \
  -d "{\"asset\": \"$asset\", \"stems\": [\"vocals\", \"instrumental\"]}" | value id)

# 3. Wait. Events come until the job has ended; the stream itself ends after five minutes.
while true; do
  call -N "$api/jobs/$job/events" > /dev/null || sleep 2
  status=$(call "$api/jobs/$job" | value status)
  case $status in succeeded) break ;; failed | cancelled) call "$api/jobs/$job"; exit 1 ;; esac
done

# 4. Download. The links need no key; `-C -` goes on with what is there already.
mkdir -p out
call "$api/jobs/$job" | python3 -c '
import json, sys
for output in json.load(sys.stdin)["outputs"]:
    print(output["download_url"], output["sha256"], output["filename"].replace("/", "_"))
' | while read -r url sha256 name; do
  curl --fail -sSL --retry 5 -C - -o "out/$name" "$url"
  echo "$sha256  out/$name" | sha256sum --check
done
