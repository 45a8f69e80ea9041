#!/bin/sh
# The life of a flow version over Patchworks' routes, by curl, against a running Penstock (`make run`).
# Needs curl and python3. Ends with 1 at the first answer that is not as it should be.
set -eu

. "${PENSTOCK_HOME:-.penstock}/credentials.env"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

fail() {
    echo "WRONG: $*" >&2
    cat "$answer" >&2
    echo >&2
    exit 1
}

# expect STATUS METHOD PATH [BODY]: sends a request, and keeps the answer for `field`.
expect() {
    if [ $# -gt 3 ]; then set -- "$1" "$2" "$3" -H "Content-Type: application/json" --data "$4"; fi
    wanted=$1 method=$2 path=$3
    shift 3
    got=$(curl -sS -o "$answer" -w '%{http_code}' -X "$method" -H "Authorization: $PENSTOCK_API_KEY" \
        -H "Accept: application/json" "$@" "$PENSTOCK_URL/api/v1$path")
    [ "$got" = "$wanted" ] || fail "$method $path answered $got instead of $wanted"
    echo "$got $method $path"
}

# field PATH: a value of the last answer, such as data.0.status; null reads None.
field() {
    python3 -c '
import json, sys
value = json.load(open(sys.argv[1]))
for part in sys.argv[2].split("."):
    value = value[int(part)] if isinstance(value, list) else value[part]
print(value)' "$answer" "$1"
}

is() {
    [ "$(field "$1")" = "$2" ] || fail "$1 is $(field "$1") instead of $2"
}

ahead() {
    python3 -c 'import datetime, sys
print((datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=float(sys.argv[1]))).isoformat())' "$1"
}

expect 200 POST /flows '{"name": "Orders to the warehouse", "flow_priority": 1}'
flow=$(field data.id)
is data.is_enabled True
expect 200 PATCH "/flows/$flow" '{"description": "Every order, once"}'
is data.description "Every order, once"
expect 200 GET "/flows/$flow?include=versions_count,latestVersion"
is data.versions_count 0
is data.latest_version None

versions="/flows/$flow/versions"
expect 200 POST "$versions"
first=$(field data.id)
is data.status Draft
expect 409 POST "$versions"
expect 409 DELETE "$versions/$first"

expect 200 PUT "$versions/$first" '{"deployed_at": "2020-01-01T00:00:00Z"}'
is data.status Deployed
is data.name v1
expect 200 GET "$versions"
is data.0.status Draft
is data.1.id "$first"
second=$(field data.0.id)
expect 200 GET "$versions?filter%5Bstatus%5D=Draft,Inactive&sort=-iteration"
is data.0.id "$second"

expect 200 PUT "$versions/$second" "{\"deployed_at\": \"$(ahead 3)\"}"
is data.status Draft
tries=0
until expect 200 GET "$versions/$second" >/dev/null; [ "$(field data.status)" = Deployed ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || fail "the planned deploy was not carried out"
    sleep 0.5
done
is data.name v2
expect 200 GET "$versions/$first"
is data.status Inactive
is data.deployed_at None

expect 200 POST "$versions/$first/copy"
draft=$(field data.id)
is data.status Draft
expect 409 POST "$versions/$draft/copy"
expect 200 PUT "$versions/$second" '{"deployed_at": null}'
is data.status Inactive
expect 200 DELETE "$versions/$second"
expect 404 GET "$versions/$second"

expect 200 GET "/flows/$flow/trash"
is data.0.version_id "$second"
expect 200 POST "/flows/$flow/trash/$(field data.0.id)/restore"
expect 200 GET "$versions/$second"
is data.name v2

expect 400 GET "$versions?include=nonsense"
expect 422 PUT "$versions/$second" '{"deployed_at": "tomorrow"}'
expect 200 DELETE "/flows/$flow"
expect 404 GET "/flows/$flow"
echo "Everything was as it should be."
