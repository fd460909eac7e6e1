#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run demo [--once] [--json FILE]
# One real block I/O error from the kernel to the fleet's store, and one signed command back. Everything
# lives in one temporary folder and on loopback; nothing is left behind, also after Ctrl-C.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

once=0
json=
while [ $# -gt 0 ]; do
	case "$1" in
	--once) once=1 ;;
	--json)
		[ $# -ge 2 ] || die "--json needs a file"
		json=$(realpath -m "$2")
		shift
		;;
	*) die "demo: unknown argument $1" ;;
	esac
	shift
done

if [ -z "${PATHBELL_DEMO_BUILT:-}" ]; then
	need build demo
	say "building (preset release)"
	build_preset release "${programs[@]}"
fi
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || die "the demo needs root (trace events, a loop device): run it as root or install sudo"
	args=()
	[ $once = 1 ] && args+=(--once)
	[ -n "$json" ] && args+=(--json "$json")
	exec sudo PATHBELL_DEMO_BUILT=1 "$0" "${args[@]}"
fi

bin=$PWD/build/release/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/pathbell-demo.XXXXXX")
chmod 711 "$work"
host=demo-host
pids=()
loop=
mounted=
follower=

# Ends only what was started here, by pid.
stop_pid() {
	local pid=$1
	kill -TERM "$pid" 2>/dev/null || return 0
	for _ in $(seq 50); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

cleanup() {
	local status=$?
	trap - EXIT INT TERM HUP
	[ -n "$follower" ] && stop_pid "$follower"
	local i
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do stop_pid "${pids[$i]}"; done
	[ -n "$loop" ] && losetup -d "$loop" 2>/dev/null
	if [ -n "${tracefs:-}" ] && [ -d "$tracefs/instances" ]; then
		local instance
		for instance in "$tracefs"/instances/pathbell-*-"${agent_pid:-none}"; do
			[ -d "$instance" ] && rmdir "$instance" 2>/dev/null
		done
	fi
	[ -n "$mounted" ] && umount "$mounted" 2>/dev/null
	if [ "$status" != 0 ]; then
		say "--- the last lines of the programs"
		tail -n 15 "$work"/*.log 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ctl() { "$bin/pathbell" --config "$work/pathbell.yaml" "$@"; }

# wait_for SECONDS COMMAND...: until the command succeeds; the bound is only for a broken machine.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

say "== keys and certificates (throw-away, in $work)"
"$bin/pathbell" pki init --dir "$work/pki" --trust-domain demo.pathbell >/dev/null
"$bin/pathbell" pki aggregator demo --dir "$work/pki" --san 127.0.0.1 --san localhost >/dev/null
"$bin/pathbell" pki host "$host" --dir "$work/pki" >/dev/null
"$bin/pathbell" pki operator demo --dir "$work/pki" >/dev/null
"$bin/pathbell" key new "$work/operator.key" >/dev/null
public=$("$bin/pathbell" -o json key show "$work/operator.key" | "$PYTHON" -c 'import json,sys; print(json.load(sys.stdin)["public_key"])')
chmod 711 "$work/pki"
chown nobody "$work/pki/host-$host.key"

say "== aggregator (SQLite)"
cat >"$work/aggregator.yaml" <<END
listen: 127.0.0.1:0
port_file: $work/ports
trust_domain: demo.pathbell
credentials:
  ca_file: $work/pki/ca.pem
  certificate_file: $work/pki/aggregator-demo.pem
  key_file: $work/pki/aggregator-demo.key
store:
  path: $work/store.db
http:
  listen: 127.0.0.1:0
roles:
  - name: demo
    role: admin
END
"$bin/pathbell-aggregator" --config "$work/aggregator.yaml" >"$work/aggregator.log" 2>&1 &
pids+=($!)
wait_for 30 test -s "$work/ports" || die "the aggregator did not start"
grpc=$(sed -n 's/^grpc //p' "$work/ports")
http=$(sed -n 's/^http //p' "$work/ports")
cat >"$work/pathbell.yaml" <<END
server: $grpc
ca_file: $work/pki/ca.pem
certificate_file: $work/pki/operator-demo.pem
key_file: $work/pki/operator-demo.key
signing_key: $work/operator.key
END

source=kernel
missing=
tracefs=/sys/kernel/tracing
if [ ! -d $tracefs/events/block ]; then
	mkdir "$work/tracing"
	if mount -t tracefs none "$work/tracing" 2>/dev/null; then
		mounted=$work/tracing
		tracefs=$work/tracing
	else
		missing="tracefs can't be mounted here"
	fi
fi
if [ -z "$missing" ] && [ ! -d "$tracefs/events/block" ]; then missing="this kernel has no block trace events"; fi
if [ -z "$missing" ]; then
	truncate -s 8M "$work/disk.img"
	if ! loop=$(losetup --find --show "$work/disk.img" 2>"$work/losetup.log"); then
		loop=
		missing="no loop device: $(head -n 1 "$work/losetup.log")"
	fi
fi
if [ -n "$missing" ]; then
	source=replay
	say "== NOTE: $missing. A recording is REPLAYED instead; its events are marked replayed."
	"$bin/pathbell-recording" generate --count 1 --seed 1 "$work/demo.rec" >/dev/null
fi

say "== agent (pathbelld, privileged) with its uplink (pathbell-uplink, user nobody)"
cat >"$work/pathbelld.yaml" <<END
host_id: $host
state_dir: $work/state
runtime_dir: $work/run
tracefs: $tracefs
collectors:
  block:
    enabled: $([ $source = kernel ] && echo true || echo false)
  replay:
    enabled: $([ $source = replay ] && echo true || echo false)
$([ $source = replay ] && echo "    file: $work/demo.rec")
uplink:
  enabled: true
  addresses: ["$grpc"]
  ca_file: $work/pki/ca.pem
  certificate_file: $work/pki/host-$host.pem
  key_file: $work/pki/host-$host.key
  user: nobody
commands:
  trusted_keys:
    - name: demo
      key: $public
END
"$bin/pathbelld" --config "$work/pathbelld.yaml" >"$work/agent.log" 2>&1 &
agent_pid=$!
pids+=("$agent_pid")
host_is_connected() { ctl -o json hosts | grep -q '"connected": *true'; }
wait_for 30 host_is_connected || die "the agent did not reach the aggregator"
collector_is_up() { ctl local --socket "$work/run/agent.sock" -o json collectors | grep -Eq '"state": *"(up|ended)"'; }
wait_for 30 collector_is_up || die "the collector did not come up"

if [ $source = kernel ]; then
	device=$(basename "$loop")
	say "== the fault: $loop loses the second half of its backing file, then it is read with O_DIRECT"
	truncate -s 4M "$work/disk.img"
	if dd if="$loop" of=/dev/null bs=4096 skip=1536 count=1 iflag=direct status=none 2>"$work/dd.log"; then
		die "the read of the broken device succeeded"
	fi
	sed 's/^/   /' "$work/dd.log"
	wanted='.get("event",{}).get("subject",{}).get("name")=="'$device'"'
else
	device=
	wanted='.get("event",{}).get("replayed") is True'
fi

find_event() {
	ctl -o json events --kind storage.block.error --limit 100 | "$PYTHON" -c '
import json, sys
for line in sys.stdin:
    record = json.loads(line)
    if record'"$wanted"':
        json.dump(record, open(sys.argv[1], "w"))
        sys.exit(0)
sys.exit(1)' "$work/event.json"
}
wait_for 30 find_event || die "the event did not reach the store"
say "== the event, as the CLI reads it back from the store"
ctl events --kind storage.block.error --limit 5

say "== a signed command: probe${device:+ of $device}"
command_status=0
if [ $source = kernel ]; then
	ctl command probe "$host" --device "$device" --reason "demo" || command_status=$?
else
	disk=$(basename "$(find /sys/block -mindepth 1 -maxdepth 1 | sort | head -n 1)")
	ctl command probe "$host" --device "$disk" --reason "demo" || command_status=$?
fi
ctl -o json commands >"$work/commands.json"
[ "$command_status" = 0 ] || die "the command did not succeed (exit $command_status)"

"$PYTHON" - "$work/event.json" "$work/commands.json" "$source" ${json:+"$json"} <<'END'
import json, sys
event = json.load(open(sys.argv[1]))
command = json.loads(open(sys.argv[2]).readline())
milliseconds = (event["stored_unix_ns"] - event["event"]["observed_unix_ns"]) / 1e6
print(f"== capture to stored: {milliseconds:.2f} ms (source: {sys.argv[3]})")
if len(sys.argv) > 4:
    with open(sys.argv[4], "w") as out:
        json.dump({"event": event, "command": command, "capture_to_stored_ms": milliseconds, "source": sys.argv[3]}, out, indent=2)
        out.write("\n")
END
say "== http://$http/ (metrics: http://$http/metrics, events: http://$http/api/v1/events)"

if [ $once = 0 ]; then
	say "== live events until Ctrl-C"
	ctl events --follow &
	follower=$!
	wait "$follower"
fi
