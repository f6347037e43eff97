#!/usr/bin/env bash
# Runs schemathesis against a kith of its own for a minute: a second opinion on
# what the tests here hold the server to. Needs Python with venv, and what
# requirements.txt names.
#
#   BIN   where the binary and the venv are kept (default: bin)
#   TIME  seconds to go on for (default: 60)
#   SEED  of the requests (default: 1)
#
# Not run: the operations that end the caller's session or account, and the upload,
# whose body is an image. Not checked, since the server is meant to differ:
#   positive_data_acceptance  schemas do not say everything, such as which cursors there are
#   negative_data_rejection   the list of all users takes the default for a bad limit or
#                             offset, and a batch tells of each bad event in its 200
#   allow_header_conformance  /users/list is also of the route DELETE /users/{username}
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=$(realpath -m "${BIN:-bin}")
mkdir -p "$bin"
go build -trimpath -o "$bin/kith" ./cmd/kith
[ -x "$bin/schemathesis/bin/st" ] && cmp -s test/apifuzz/requirements.txt "$bin/schemathesis/requirements.txt" || {
	rm -rf "$bin/schemathesis"
	python3 -m venv "$bin/schemathesis"
	"$bin/schemathesis/bin/pip" install --quiet --disable-pip-version-check -r test/apifuzz/requirements.txt
	cp test/apifuzz/requirements.txt "$bin/schemathesis/"
}

dir=$(mktemp -d)
kith=
clean() {
	if [ -n "$kith" ]; then kill "$kith" 2>/dev/null || true; wait "$kith" || true; fi
	rm -rf "$dir"
}
trap clean EXIT

env KITH_DATA_DIR="$dir/data" KITH_HTTP_ADDR=127.0.0.1:0 KITH_OPS_ADDR=127.0.0.1:0 KITH_KAFKA_LISTEN=127.0.0.1:0 \
	KITH_LIMIT_AVAILABILITY=off KITH_LIMIT_REGISTER=off KITH_LIMIT_LOGIN=off KITH_LIMIT_USER=off KITH_LIMIT_EVENTS=off \
	"$bin/kith" serve 2>"$dir/log" &
kith=$!
url=
for _ in $(seq 100); do
	url=$(grep -o ' http=http://[0-9.:]*' "$dir/log" | cut -d= -f2 || true)
	[ -z "$url" ] || break
	kill -0 "$kith" || { cat "$dir/log"; exit 1; }
	sleep 0.1
done
token=$(curl -fsS "$url/auth/register" -H 'Content-Type: application/json' \
	-d '{"username":"alice","name":"Alice","password":"correct horse"}' | python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])')

status=0
cd "$dir" # for what it leaves
"$bin/schemathesis/bin/st" run "$url/openapi.json" -H "Authorization: Bearer $token" \
	--max-time "${TIME:-60}" --seed "${SEED:-1}" --workers 2 --continue-on-failure \
	--exclude-operation-id logout --exclude-operation-id delete-user --exclude-operation-id put-photo \
	--exclude-checks positive_data_acceptance,negative_data_rejection,allow_header_conformance || status=$?
if grep -E 'level=ERROR|^panic' "$dir/log"; then status=1; fi
exit "$status"
