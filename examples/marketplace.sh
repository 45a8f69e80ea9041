#!/bin/sh
# A flow version on its way from a parent company to its child, by curl, against a running Penstock (`make run`): deployed,
# uploaded, seen by one company and not by another, downloaded, verified without a server, tampered with, installed as a
# Draft, yanked.
# Needs curl and python3, and the program `penstock` beside (.venv/bin, or in PATH) to make companies and to verify.
# Ends with 1 at the first answer that is not as it should be.
set -eu

. "${PENSTOCK_HOME:-.penstock}/credentials.env"
PATH="$PWD/.venv/bin:$PATH"
export DATABASE_URL="${DATABASE_URL:-$PENSTOCK_DATABASE_URL}"
folder=$(mktemp -d)
answer="$folder/answer"
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "WRONG: $*" >&2
    cat "$answer" >&2 2>/dev/null || true
    echo >&2
    exit 1
}

# expect STATUS WHO METHOD PATH [BODY]: sends a request with somebody's token, and keeps the answer for `field`.
expect() {
    if [ $# -gt 4 ]; then set -- "$1" "$2" "$3" "$4" -H "Content-Type: application/json" --data "$5"; fi
    wanted=$1 who=$2 method=$3 path=$4
    shift 4
    got=$(curl -sS -o "$answer" -w '%{http_code}' -X "$method" -H "Authorization: $who" \
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

# word NAME: what a command of ours printed behind a name.
word() {
    sed -n "s/^$1 //p" "$folder/printed"
}

# company NAME [OPTIONS]: makes one with an administrator who logs in; leaves $company and $token.
company() {
    penstock admin company create "$@" >"$folder/printed"
    company=$(word company)
    email="admin-$company@$(date +%s).example"
    penstock admin user create "$company" "$email" --role administrator >"$folder/printed"
    curl -sS -o "$answer" -H "Content-Type: application/json" \
        --data "{\"username\": \"$email\", \"password\": \"$(word password)\"}" "$PENSTOCK_URL/fabric/api/login"
    token="Bearer $(field token)"
    echo "company $company: $1"
}

# completed WHO JOB: waits for a job to end well.
completed() {
    tries=0
    until expect 200 "$1" GET "/jobs/$2" >/dev/null; [ "$(field data.finished_at)" != None ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "the job did not end"
        sleep 0.1
    done
    is data.status completed
}

company "Parent"
parent=$token parent_id=$company
company "Child" --parent "$parent_id"
child=$token child_id=$company
company "Stranger"
stranger=$token
penstock admin key create "$parent_id" >"$folder/printed"
key=$(word key)

# A version, deployed, with a schedule.
expect 200 "$parent" POST /flows '{"name": "Orders to the warehouse", "description": "Every order, once"}'
flow=$(field data.id)
expect 200 "$parent" POST "/flows/$flow/versions"
version=$(field data.id)
expect 200 "$parent" POST "/flow-versions/$version/schedules" '{"cron_string": "30 2 * * *", "timezone": "Europe/Berlin"}'
expect 409 "$parent" POST "/flow-versions/$version/upload"
expect 200 "$parent" PUT "/flows/$flow/versions/$version" '{"deployed_at": "2020-01-01T00:00:00Z"}'

# Uploaded, by an administrator who has logged in and by nobody else.
expect 403 "$key" POST "/flow-versions/$version/upload"
expect 404 "$child" POST "/flow-versions/$version/upload"
expect 422 "$parent" POST "/flow-versions/$version/upload" '{"private": "maybe"}'
expect 202 "$parent" POST "/flow-versions/$version/upload" '{"private": "true"}'
job=$(field jobId)
completed "$parent" "$job"
item=$(field data.result.item_id)
digest=$(field data.result.digest)

# Seen by the child, unknown to the stranger.
expect 200 "$child" GET "/marketplace/flows?filter%5Bdigest%5D=$digest"
is data.0.id "$item"
is data.0.name "Orders to the warehouse"
is data.0.company.id "$parent_id"
expect 404 "$stranger" GET "/marketplace/flows/$item"
expect 404 "$stranger" GET "/marketplace/flows/$item/artifact"
expect 404 "$stranger" POST "/marketplace/flows/$item/install"

# Downloaded, and verified without a server.
expect 200 "$child" GET "/marketplace/flows/$item/artifact"
cp "$answer" "$folder/orders.json"
got=$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: $child" -H "If-None-Match: \"$digest\"" \
    "$PENSTOCK_URL/api/v1/marketplace/flows/$item/artifact")
[ "$got" = 304 ] || fail "whoever has the artifact was answered $got instead of 304"
curl -sS -o "$folder/keys.json" "$PENSTOCK_URL/.well-known/penstock-keys.json"
env -u DATABASE_URL penstock marketplace verify "$folder/orders.json" --keys "$folder/keys.json" >"$folder/printed"
[ "$(word digest)" = "$digest" ] || fail "the file verifies as another one"
echo "verified $digest"
sed 's/Every order, once/Every order, twice/' "$folder/orders.json" >"$folder/tampered.json"
if penstock marketplace verify "$folder/tampered.json" --keys "$folder/keys.json" >"$folder/printed" 2>&1; then
    fail "a file that was tampered with passes"
fi
cat "$folder/printed"
expect 422 "$child" POST /flows/import "@$folder/tampered.json"

# Installed by the child: disabled, with a Draft and its schedule, and it says where it is from.
expect 202 "$child" POST "/marketplace/flows/$item/install" '{"name": "Our orders"}'
job=$(field jobId)
completed "$child" "$job"
installed=$(field data.result.flow_id)
draft=$(field data.result.flow_version_id)
expect 200 "$child" GET "/flows/$installed"
is data.name "Our orders"
is data.is_enabled False
is data.installed_from "$item"
expect 200 "$child" GET "/flows/$installed/versions/$draft"
is data.status Draft
expect 200 "$child" GET "/flow-versions/$draft/schedules"
is data.0.timezone Europe/Berlin

# Yanked by the parent: pinned downloads go on, installs do not, but by force.
expect 403 "$child" POST "/marketplace/flows/$item/yank" '{"reason": "Not ours"}'
expect 200 "$parent" POST "/marketplace/flows/$item/yank" '{"reason": "It loses every second order."}'
expect 200 "$child" GET "/marketplace/flows/$item/artifact"
cmp -s "$answer" "$folder/orders.json" || fail "the artifact has changed"
expect 409 "$child" POST "/marketplace/flows/$item/install"
expect 202 "$child" POST "/marketplace/flows/$item/install" '{"force": true}'
job=$(field jobId)
completed "$child" "$job"
expect 200 "$child" GET "/marketplace/log?filter%5Bcompany_id%5D=$parent_id"
is data.0.kind yank
is data.1.kind upload
is data.0.previous "$(field data.1.hash)"

# The same file by hand.
expect 200 "$child" POST /flows/import "@$folder/orders.json"
is data.is_enabled False
echo "Everything was as it should be."
