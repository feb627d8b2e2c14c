#!/bin/sh
# The tour: starts a daemon on a copy of automations.d in a temporary root, edits a spec, posts a signed webhook with curl, shows
# the run, a forgery turned away and a bad edit refused, stops cleanly. Exits 0 only if all of that was seen.
set -eu

BIN=${BIN:?say where the program is: BIN=/path/to/.venv/bin sh tests/e2e/demo.sh}
REPOSITORY=$(cd "$(dirname "$0")/../.." && pwd)
WORK=$(mktemp -d)
SECRET=not-a-secret
export HASNA_AUTOMATIONS_DIR="$WORK/root" AUTOMATIONS_WEBHOOK_SECRET_HELLO="$SECRET" AUTOMATIONS_LOG_FORMAT=text
DAEMON=

finish() {
  status=$?
  [ -z "$DAEMON" ] || kill "$DAEMON" 2>/dev/null || true
  [ "$status" -eq 0 ] || { echo; echo "the demo failed; the daemon's log:"; cat "$WORK/daemon.log" 2>/dev/null || true; }
  rm -rf "$WORK"
  exit "$status"
}
trap finish EXIT INT TERM

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
automations() { "$BIN/automations" "$@"; }

# Waits until a command's output holds a text; gives up after ten seconds or so.
await() {
  what=$1
  shift
  tries=0
  until "$@" 2>/dev/null | grep -q -- "$what"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "waited in vain for: $what"; exit 1; }
    sleep 0.1
  done
}

command -v curl >/dev/null || { echo "the demo posts its webhook with curl; please install it"; exit 1; }

step "A directory of specs, and a daemon that watches it"
cp -R "$REPOSITORY/automations.d" "$WORK/automations.d"
cd "$WORK"
show automations plan automations.d | head -n 6
echo "  …"
"$BIN/automations-daemon" --json serve automations.d --port 0 >"$WORK/started.json" 2>"$WORK/daemon.log" &
DAEMON=$!
await '"port"' cat "$WORK/started.json"
PORT=$(sed -n 's/.*"port": *\([0-9]*\).*/\1/p' "$WORK/started.json")
await 'Synced' automations status
show automations status

step "Edit a spec: the loop takes it in by itself"
sed 's/^name: Greet whoever calls$/name: Greet everybody who calls/' automations.d/hello.yaml >"$WORK/edited" && mv "$WORK/edited" automations.d/hello.yaml
await '"generation": 2' automations --json show hello
automations show hello | head -n 3

step "Post a signed webhook with plain curl"
printf '{"name":"Ada"}' >body.json
SIGNATURE=$("$BIN/python" -c "import hmac,sys; print(hmac.new(sys.argv[1].encode(), open('body.json','rb').read(), 'sha256').hexdigest())" "$SECRET")
post() { # id, signature
  curl --silent --show-error --max-time 10 --write-out '\nHTTP %{http_code}\n' --data-binary @body.json \
    --header "X-Delivery: $1" --header "X-Signature: sha256=$2" "http://127.0.0.1:$PORT/webhooks/hello"
}
post demo-1 "$SIGNATURE" | tee answer
grep -q 'HTTP 202' answer

step "Two dependent steps run; the second uses the first one's output"
await succeeded automations runs list --automation hello
RUN=$(sed -n 's/.*"runId":"\([^"]*\)".*/\1/p' answer)
show automations runs show "$RUN" | tee story
grep -q 'HELLO, ADA!' story

step "The same delivery again starts nothing new"
post demo-1 "$SIGNATURE" | tee answer
grep -q '"duplicate":true' answer

step "A forged webhook is turned away"
FORGED=$(printf '%s' "$SIGNATURE" | tr '0123456789abcdef' '123456789abcdef0')
post demo-2 "$FORGED" | tee answer
grep -q 'HTTP 401' answer
[ "$(automations --json runs list --automation hello | grep -c '"idempotencyKey"')" -eq 1 ]

step "A bad edit is refused with its place, and the old generation keeps running"
sed 's/dependsOn: \[greet\]/dependsOn: [great]/' automations.d/hello.yaml >"$WORK/edited" && mv "$WORK/edited" automations.d/hello.yaml
await 'SpecValid=False' automations status
automations status | sed -n '/^source/,$p' | tee answer
grep -q 'hello.yaml:[0-9]*:[0-9]*' answer
post demo-3 "$SIGNATURE" | grep 'HTTP 202'
await '"triggerEventId": "webhook:hello:demo-3"' automations --json runs list --automation hello --status succeeded
echo "the webhook still ran, on generation 2"

step "Stop the daemon: it drains, gives up its lease and exits 0"
kill "$DAEMON"
wait "$DAEMON"
DAEMON=
automations status | sed -n 's/^daemon.*/&/p'
echo
echo "That was the tour. Now: make up, and edit automations.d."
