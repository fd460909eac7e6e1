# SPDX-License-Identifier: Apache-2.0
"""wq-key, wq-loss, wq-block: the notification pipe of the patched kernel, where watch_devices() is system call 470
(tests/kernel/patched), and a kernel without the pipe. One boot for all on the patched kernel; each scenario runs an agent of its own."""
import json
import subprocess

import pytest
from conftest import BIN, boot

KEYS = [{"key": "keyring:pathbell-ring", "name": "ring"}, {"key": "user:watched", "name": "watched"}, {"key": "user:doomed"}]
RING = [{"key": "keyring:pathbell-ring", "name": "ring"}]
DEVICES = {"syscall": 470, "dialect": "block"}
AGENTS = {
    "key": {"block": {"enabled": False}, "watch_queue": {"keys": KEYS}},
    "revoked": {"block": {"enabled": False}, "watch_queue": {"keys": RING, "filters": [{"type": 1, "subtypes": 1 << 4}]}},
    "loss": {"block": {"enabled": False}, "watch_queue": {"keys": RING, "pipe_notes": 32}},
    "both": {"watch_queue": {"devices": DEVICES}},
    "alone": {"block": {"enabled": False}, "watch_queue": {"devices": DEVICES}},
    "absent": {"block": {"enabled": False}, "watch_queue": {"keys": [{"key": "@u"}]}},
    "refused": {"block": {"enabled": False}, "watch_queue": {"devices": {"syscall": 436, "dialect": "block"}}},
}
GUEST = r"""
start() { # NAME
	name=$1; socket=/run/$name.run/agent.sock
	"$bin/pathbelld" --config /out/$name.yaml >/out/$name.log 2>&1 & agent=$!
	until_true 60 grep -q 'started version=' /out/$name.log || exit 20
}
is_up() { grep -q 'collector up collector=watch_queue' /out/$name.log; }
stop() {
	kill -TERM $agent; wait $agent || exit 21
	cp -a /run/$name/spool /out/$name.spool
}
column() { "$bin/pathbell" -o json local --socket $socket collectors | /usr/bin/python3 -c '
import json, sys
rows = json.load(sys.stdin)
rows = rows["collectors"] if isinstance(rows, dict) else rows
sys.exit(0 if int([r for r in rows if r["name"] == sys.argv[1]][0].get(sys.argv[2], 0)) >= int(sys.argv[3]) else 1)' "$@"; }
watched() { [ $(grep -c 'key is watched' /out/$name.log) -ge $1 ]; }
gone() { ! grep -q "^$(printf %08x $1) " /proc/keys; }
serial_of() { awk -v w=$1 '$1 == w { print $2; exit }' /out/changes; }
"""

PATCHED_SCRIPT = GUEST + r"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 max_luns=1
until_true 20 test -b /dev/sda || exit 10
H=$(basename $(readlink -f /sys/block/sda/device)); E=/sys/kernel/debug/scsi_debug/$H/error
"$bin/wq_keys" make || exit 11

start key
until_true 20 is_up && watched 3 || exit 12
"$bin/wq_keys" change > /out/changes || exit 13
# the collector of dead keys takes them some time later, and the watches with them
echo 0 > /proc/sys/kernel/keys/gc_delay
until_true 60 gone $(serial_of invalidated) || exit 14
until_true 6 column watch_queue events 9 || exit 15
"$bin/wq_keys" again > /out/again || exit 16
until_true 20 watched 4 || exit 17
"$bin/wq_keys" update >> /out/again || exit 18
until_true 3 column watch_queue events 11 || exit 19
stop

start revoked
until_true 20 watched 1 || exit 12
"$bin/wq_keys" flood 3 || exit 13
stop

start loss
until_true 20 watched 1 || exit 30
kill -STOP $agent
"$bin/wq_keys" flood 100 || exit 31
kill -CONT $agent
until_true 3 column watch_queue gaps 1 || exit 32
stop

fail() { # SECTOR: a medium error there
	echo "2 1 0x28 0 0 0x2 0x3 0x11 0x0" > $E
	dd if=/dev/sda of=/dev/null bs=512 skip=$1 count=1 iflag=direct status=none 2>>/out/dd
	echo "- 2 0x28" > $E
}
start both
until_true 20 is_up && until_true 20 block_is_armed || exit 40
for sector in 64 128 128 128; do fail $sector; done
until_true 3 column block events 5 || exit 41
voluntary() { awk '/voluntary_ctxt/ {s+=$2} END {print s}' /proc/$agent/task/*/status; }
# what waited is remembered for two seconds, without a timer
sleep 1; before=$(voluntary); sleep 5; echo $(($(voluntary) - before)) > /out/switches
stop

start alone
until_true 20 is_up || exit 50
fail 256
until_true 3 column watch_queue events 1 || exit 51
stop

start refused
until_true 20 grep -q 'collector parked collector=watch_queue' /out/refused.log || exit 60
stop
"""


def write_agents(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, collectors in AGENTS.items():
        config = {"host_id": "guest", "state_dir": f"/run/{name}", "runtime_dir": f"/run/{name}.run", "uplink": {"enabled": False}, "collectors": collectors}
        (folder / f"{name}.yaml").write_text(json.dumps(config) + "\n")


def events(run, name, collector=None):
    done = subprocess.run([str(BIN / "pathbell"), "-o", "json", "local", "spool", "dump", str(run.out / f"{name}.spool")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    return [e for e in found if collector in (None, e.get("source", {}).get("collector"))]


@pytest.fixture(scope="module")
def patched(folder):
    write_agents(folder / "watch-queue")
    return boot("patched", PATCHED_SCRIPT, folder / "watch-queue", timeout=300)


def key_events(run, name):
    return [e for e in events(run, name, "watch_queue") if e["kind"].startswith("key.")]


def serials(run, name):
    return [(word, int(key), int(other)) for word, key, other in (line.split() for line in run.file(name).splitlines())]


def test_wq_key(patched):
    """The seven subtypes that mainline can post to a watcher, each where the guest program did it. INSTANTIATED has no
    such happening: KEYCTL_WATCH_KEY does not take a key that is under construction."""
    done = serials(patched, "changes")
    heard = [(e["kind"].removeprefix("key."), int(e["key_notification"]["key_id"]), int(e["key_notification"].get("aux", 0))) for e in key_events(patched, "key")]
    assert heard[: len(done)] == done
    names = {e["kind"]: e["subject"]["id"] for e in key_events(patched, "key")}
    assert names["key.linked"] == "key:ring" and names["key.revoked"] == "key:watched" and names["key.invalidated"] == "key:user:doomed"
    linked = [e for e in key_events(patched, "key") if e["kind"] == "key.linked"][0]
    assert linked["key_notification"]["description"] == "keyring pathbell-ring" and linked["source"]["interface"] == "pipe:watch_queue"


def test_wq_key_removed_and_again(patched):
    """A watched key dies: watch.removed; the key that takes its name is watched as soon as its keyring tells of it."""
    done = {word: key for word, key, _ in serials(patched, "changes")}
    removed = [e for e in events(patched, "key", "watch_queue") if e["kind"] == "watch.removed"]
    assert {int(e["watch_queue_meta"]["object_id"]) for e in removed} == {done["revoked"], done["invalidated"]}
    again = {key for _, key, _ in serials(patched, "again")}
    assert len(again) == 1 and again != {done["revoked"]}
    heard = key_events(patched, "key")[-1]
    assert (heard["kind"], {int(heard["key_notification"]["key_id"])}, heard["subject"]["id"]) == ("key.updated", again, "key:watched")


def test_wq_filter(patched):
    """The kernel filters: only CLEARED is let through, so three added keys are not heard."""
    assert [e["kind"] for e in key_events(patched, "revoked")] == []
    assert len(key_events(patched, "loss")) > 0


def test_wq_loss(patched):
    """32 records of room, 100 changes while nobody reads: what fits is heard, and the loss is told though poll does not show it."""
    heard = [e["kind"] for e in key_events(patched, "loss")]
    assert heard == ["key.linked"] * 32
    gaps = [e for e in events(patched, "loss") if e["kind"] == "collector.gap"]
    assert [(g["gap"]["cause"], g["gap"].get("count", 0), g["gap"]["count_is_minimum"]) for g in gaps] == [("loss_record", 0, True)]
    assert [e["collector_state"]["reason"] for e in events(patched, "loss") if e["kind"] == "collector.snapshot_finished"][:1] == ["start"]


def test_wq_block_is_one_event(patched):
    """Trace event and block record tell the same fault: one event with what both know. The same sector again: an event again."""
    errors = [e for e in events(patched, "both") if e["kind"] == "storage.block.error"]
    assert [int(e["block_error"]["sector"]) for e in errors] == [64, 128, 128, 128]
    for event in errors:
        error = event["block_error"]
        assert (error["error_class"], error["error_type"], error["rwbs"], error["sector_count"]) == ("critical_medium", "ENODATA", "RS", 1)
        assert error["via_watch_queue"] and event["source"]["collector"] == "block" and event["subject"]["name"] == "sda"
    assert int(patched.file("switches")) <= 1


def test_wq_block_alone(patched):
    """Without the block collector the pipe's 24 bytes are the event."""
    (event,) = [e for e in events(patched, "alone") if e["kind"] == "storage.block.error"]
    error = event["block_error"]
    assert (error["error_class"], int(error["sector"]), error["via_watch_queue"]) == ("critical_medium", 256, True)
    assert event["source"] == {**event["source"], "collector": "watch_queue", "interface": "pipe:watch_queue"}
    assert event["subject"]["name"] == "sda" and not int(error.get("sector_count", 0))


def test_wq_number_of_another_call_is_refused(patched):
    """436 is close_range: an agent that called it would lose its descriptors. It parks, says why, and lives."""
    (parked,) = [e for e in events(patched, "refused", "watch_queue") if e["kind"] == "collector.parked"]
    assert "436" in parked["collector_state"]["reason"] and "close_range" in parked["collector_state"]["reason"]


ABSENT_SCRIPT = GUEST + r"""
start absent
until_true 30 grep -q 'collector parked collector=watch_queue' /out/absent.log || exit 13
stop
"""


def test_wq_absent(folder):
    """Debian's kernel is built without the pipe."""
    write_agents(folder / "watch-queue-absent")
    run = boot("debian-6.12", ABSENT_SCRIPT, folder / "watch-queue-absent")
    (parked,) = [e for e in events(run, "absent", "watch_queue") if e["kind"] == "collector.parked"]
    assert "CONFIG_WATCH_QUEUE" in parked["collector_state"]["reason"]
