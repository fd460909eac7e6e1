# SPDX-License-Identifier: Apache-2.0
"""dm_path, dm_disorder, uevent_overrun, dm_alua: multipath maps over scsi_debug, whose adapters share one store and one WWID
(vpd_use_hostno=0). The oracle is device-mapper's own status line, as dmsetup in the guest prints it."""
import re

import pytest
from conftest import ROOT, boot, tools

# $MP: 8:0 and 8:16 in the first group, 8:32 in the second.
PRELUDE = r"""
export DM_DISABLE_UDEV=1
command -v dmsetup >/dev/null || exit 9
modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 delay=0 add_host=3 vpd_use_hostno=0 max_luns=1
until_true 20 test -b /dev/sda -a -b /dev/sdb -a -b /dev/sdc || exit 10
TABLE="2 1 round-robin 0 2 1 8:0 1 8:16 1 round-robin 0 1 1 8:32 1"
told() { # KIND TEXT: events of that kind with that text so far
	"$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep "\"$1\"" | grep -c -- "$2"
}
wait_told() { # N KIND TEXT; each look takes a while here, so the bound is in seconds
	local end=$((SECONDS + 40))
	until [ "$(told "$2" "${3-}")" -ge "$1" ]; do
		[ $SECONDS -lt $end ] || { echo "guest: only $(told "$2" "${3-}") of $*"; cp -a /run/state/spool /out/spool; exit 20; }
		sleep 0.05
	done
}
oracle() { echo "$1: $(dmsetup status mp)" >> /out/oracle; }
read_mp() { dd if=/dev/mapper/mp of=/dev/null bs=4096 skip=$1 count=1 iflag=direct status=none; }
error_file() { echo /sys/kernel/debug/scsi_debug/$(basename $(readlink -f /sys/block/$1/device))/error; }
"""

PATH_SCRIPT = PRELUDE + r"""
start_agent || exit 12
# device-mapper is loaded behind the agent's back: it was parked
wait_told 1 collector.parked '"multipath"'
modprobe dm-multipath; modprobe dm-round-robin
wait_told 1 collector.up '"multipath"'
dmsetup create mp --uuid mpath-vmlab --table "0 32768 multipath 0 0 $TABLE" || exit 13
wait_told 1 multipath.map.added
dmsetup message mp 0 fail_path 8:0; oracle failed
wait_told 1 storage.path.failed
dmsetup message mp 0 reinstate_path 8:0; oracle reinstated
wait_told 1 storage.path.reinstated
dmsetup message mp 0 disable_group 1; wait_told 1 multipath.group.disabled
dmsetup message mp 0 enable_group 1; wait_told 1 multipath.group.enabled
dmsetup message mp 0 switch_group 2; wait_told 1 multipath.group.switched
dmsetup message mp 0 switch_group 1; wait_told 2 multipath.group.switched
# real: the first path's transport is gone
E=$(error_file sda); for op in 0x28 0x2a; do echo "2 1 $op 0x1 0 0 0 0 0" > $E; done
for i in 1 2 3 4; do read_mp $i || echo "guest: read $i failed" >> /out/dd; done; oracle no_connect
wait_told 2 storage.path.failed
# deleted under the map: the next I/O finds out
echo 1 > /sys/block/sdb/device/delete
wait_told 1 storage.path.removed
for i in 5 6 7 8; do read_mp $i || echo "guest: read $i failed" >> /out/dd; done; oracle deleted
wait_told 3 storage.path.failed
# the last one: the reads of the application fail now
echo offline > /sys/block/sdc/device/state
read_mp 9 2>/out/last; oracle down
wait_told 1 storage.device.all_paths_down
echo running > /sys/block/sdc/device/state
# neither an event number nor a uevent tells of this one; the event behind it does
dmsetup message mp 0 queue_if_no_path
dmsetup message mp 0 reinstate_path 8:32; oracle back
wait_told 1 storage.device.all_paths_down_cleared
wait_told 1 multipath.queueing.changed
dmsetup message mp 0 fail_if_no_path
dmsetup remove mp || exit 14
wait_told 1 multipath.map.removed
stop_agent
"""


def kinds(events, prefix=("storage.path", "storage.device.all", "storage.device.perm", "multipath.")):
    return [e for e in events if e["kind"].startswith(prefix)]


@pytest.fixture(scope="module")
def dm_path(folder):
    return boot("debian-6.12", PATH_SCRIPT, folder / "dm-path")


def paths_of(run, step):
    """(device -> state letter) of one step by dmsetup."""
    line = dict(text.split(": ", 1) for text in run.file("oracle").splitlines())[step]
    return {device: state for device, state in re.findall(r"(\d+:\d+) ([AF]) \d+", line)}


def device(event):
    return f"{event['multipath'].get('path_major', 0)}:{event['multipath'].get('path_minor', 0)}"


def test_dm_path_events(dm_path):
    events = kinds(dm_path.events())
    told = [(e["kind"], device(e), e["multipath"].get("action", "")) for e in events if e["kind"].startswith("storage.path")]
    assert told[:4] == [("storage.path.failed", "8:0", "PATH_FAILED"), ("storage.path.reinstated", "8:0", "PATH_REINSTATED"),
                        ("storage.path.failed", "8:0", "PATH_FAILED"), ("storage.path.removed", "8:16", "device_removed")]
    assert ("storage.path.failed", "8:16", "PATH_FAILED") in told
    assert ("storage.path.failed", "8:32", "PATH_FAILED") in told
    assert paths_of(dm_path, "failed") == {"8:0": "F", "8:16": "A", "8:32": "A"}
    assert paths_of(dm_path, "no_connect") == {"8:0": "F", "8:16": "A", "8:32": "A"}
    assert paths_of(dm_path, "deleted") == {"8:0": "F", "8:16": "F", "8:32": "A"}
    assert set(paths_of(dm_path, "down").values()) == {"F"}
    assert not (dm_path.out / "dd").exists(), "the application saw an error although a path was left"
    assert "Input/output error" in dm_path.file("last")


def test_dm_path_identity(dm_path):
    for event in kinds(dm_path.events()):
        assert event["subject"]["type"] == "multipath_map" and event["subject"]["id"] == "uuid:mpath-vmlab"
        assert event["multipath"]["map_name"] == "mp"
    failed = next(e for e in dm_path.events() if e["kind"] == "storage.path.failed")
    assert failed["multipath"]["path"] == "sda"
    assert (failed["multipath"]["valid_paths"], failed["multipath"]["total_paths"], failed["multipath"]["group"]) == (2, 3, 1)


def test_dm_path_groups(dm_path):
    events = kinds(dm_path.events())
    groups = [(e["kind"], e["multipath"].get("previous_group", 0), e["multipath"].get("group", 0)) for e in events if e["kind"].startswith("multipath.group")]
    assert groups[:4] == [("multipath.group.disabled", 0, 1), ("multipath.group.enabled", 0, 1),
                          ("multipath.group.switched", 1, 2), ("multipath.group.switched", 2, 1)]
    queueing = [e["multipath"].get("queue_if_no_path", False) for e in events if e["kind"] == "multipath.queueing.changed"]
    assert queueing[0] is True


def test_dm_path_faults_are_balanced(dm_path):
    faults = {}
    for event in kinds(dm_path.events()):
        phase = event.get("fault_phase")
        if phase in ("raised", "cleared"):
            faults.setdefault(event["fault_id"], []).append(phase)
    assert any("all_paths_down" in name for name in faults)
    for name, phases in faults.items():
        assert phases == ["raised", "cleared"] * (len(phases) // 2), f"{name}: {phases}"


def test_dm_path_order(dm_path):
    """Two failures in one go come in the wrong order from the kernel."""
    events = dm_path.events()
    seqs = [int(e["multipath"]["dm_seqnum"]) for e in kinds(events) if e["kind"].startswith("storage.path") and e["multipath"].get("dm_seqnum")]
    assert seqs == sorted(seqs) and len(set(seqs)) == len(seqs)
    assert [e for e in events if e["kind"] == "collector.gap"] == []


def test_dm_path_on_6_1(folder):
    """Up to the injected error, which scsi_debug of 6.1 can't do."""
    script = PATH_SCRIPT.split("# real:")[0] + "dmsetup remove mp || exit 14\nwait_told 1 multipath.map.removed\nstop_agent\n"
    run = boot("debian-6.1", script, folder / "dm-path-6.1")
    told = [(e["kind"], e["multipath"].get("action", "")) for e in kinds(run.events())]
    assert told == [("multipath.map.added", "compared"), ("storage.path.failed", "PATH_FAILED"), ("storage.path.reinstated", "PATH_REINSTATED"),
                    ("multipath.group.disabled", "compared"), ("multipath.group.enabled", "compared"), ("multipath.group.switched", "compared"),
                    ("multipath.group.switched", "compared"), ("multipath.map.removed", "map_removed")]


RESTART_SCRIPT = PRELUDE + r"""
modprobe dm-multipath; modprobe dm-round-robin
start_agent || exit 12
wait_told 1 collector.up '"multipath"'
dmsetup create mp --uuid mpath-vmlab --table "0 32768 multipath 0 0 $TABLE" || exit 13
wait_told 1 multipath.map.added
for d in 8:0 8:16 8:32; do dmsetup message mp 0 fail_path $d; done; oracle down
wait_told 1 storage.device.all_paths_down
# two of three paths come back while nobody listens
kill -TERM $agent; wait $agent
dmsetup message mp 0 reinstate_path 8:0; dmsetup message mp 0 reinstate_path 8:16; oracle back
start_agent || exit 15
wait_told 1 storage.device.all_paths_down_cleared
# the same after a kill, a second after the last change
dmsetup message mp 0 fail_path 8:0; wait_told 3 storage.path.failed ':8:0"' # raised, cleared, raised
sleep 2; kill -KILL $agent; wait $agent
dmsetup message mp 0 reinstate_path 8:0
start_agent || exit 16
wait_told 3 storage.path.failed 'nobody listened'
dmsetup message mp 0 reinstate_path 8:32; wait_told 1 storage.path.reinstated
stop_agent
"""


def test_dm_restart(folder):
    """What was raised before the agent ended and is over when it looks again is cleared, once; what lasts is not raised twice."""
    run = boot("debian-6.12", RESTART_SCRIPT, folder / "dm-restart", timeout=400)
    phases = {}
    for event in kinds(run.events()):
        if event.get("fault_phase") in ("raised", "cleared"):
            phases.setdefault(event["fault_id"], []).append(event["fault_phase"])
    path = "path_failed:uuid:mpath-vmlab:8:"
    assert phases == {path + "0": ["raised", "cleared"] * 2, path + "16": ["raised", "cleared"], path + "32": ["raised", "cleared"],
                      "all_paths_down:uuid:mpath-vmlab": ["raised", "cleared"]}
    unheard = [e for e in run.events() if any("nobody listened" in a["value"] for a in e.get("extra", []))]
    assert sorted(e["fault_id"] for e in unheard) == sorted([path + "0", path + "0", path + "16", "all_paths_down:uuid:mpath-vmlab"])
    still = [e for e in kinds(run.events()) if e.get("fault_id") == path + "32" and not e.get("fault_phase")]
    assert still and still[0]["kind"] == "storage.path.failed", "told again as still failed"


DISORDER_SCRIPT = PRELUDE + r"""
modprobe dm-multipath; modprobe dm-round-robin
start_agent || exit 12
wait_told 1 collector.up '"multipath"'
dmsetup create mp --uuid mpath-vmlab --table "0 32768 multipath 0 0 $TABLE" || exit 13
[ "$(cat /sys/block/dm-0/dev)" = 254:0 ] || exit 14
wait_told 1 multipath.map.added
# the path events that kernel 6.12 sent for such a map: 1 2 3 4 5 7 6 8
awk 'BEGIN { RS = ""; ORS = "\n\n" } /DM_SEQNUM/' @ROOT@/tests/data/uevent/dm-multipath.txt > /run/recorded
"$bin/uevent_inject" < /run/recorded > /out/sent
wait_told 1 storage.path.reinstated '"dm_seqnum": *8\b'
# 9 is missing, 10 and 11 never come
printf 'change@/devices/virtual/block/dm-0\nACTION=change\nSUBSYSTEM=block\nDM_TARGET=multipath\nDM_ACTION=PATH_FAILED\nDM_SEQNUM=12\nDM_PATH=8:32\nDM_NR_VALID_PATHS=1\nDM_NAME=mp\nDM_UUID=mpath-vmlab\nMAJOR=254\nMINOR=0\nDISKSEQ=4\n' | "$bin/uevent_inject" >> /out/sent
wait_told 1 collector.gap '"seqnum"'
stop_agent
"""


def test_dm_disorder(folder):
    run = boot("debian-6.12", DISORDER_SCRIPT.replace("@ROOT@", str(ROOT)), folder / "dm-disorder")
    assert run.file("sent").split() == ["8", "1"]
    events = run.events()
    heard = [int(e["multipath"]["dm_seqnum"]) for e in events if e["kind"].startswith("storage.path") and e["multipath"].get("dm_seqnum")]
    assert heard == [1, 2, 3, 4, 5, 6, 7, 8, 12]
    gaps = [e["gap"] for e in events if e["kind"] == "collector.gap"]
    assert [(g["collector"], g["cause"], int(g["count"]), g.get("count_is_minimum", False)) for g in gaps] == [("multipath", "seqnum", 3, False)]
    # None of it was true: the survey that follows says so.
    compared = {(device(e), e["kind"]) for e in events if e.get("multipath", {}).get("action") == "compared" and e["kind"].startswith("storage.path")}
    assert ("8:32", "storage.path.reinstated") in compared


OVERRUN_SCRIPT = PRELUDE + r"""
modprobe dm-multipath; modprobe dm-round-robin
start_agent || exit 12
wait_told 1 collector.up '"multipath"'
dmsetup create mp --uuid mpath-vmlab --table "0 32768 multipath 0 0 $TABLE" || exit 13
wait_told 1 multipath.map.added
# nobody reads: the small buffer fills, and what the kernel says of the path afterwards is lost too
kill -STOP $agent
printf 'change@/devices/virtual/misc/pathbell\nACTION=change\nSUBSYSTEM=misc\n' | "$bin/uevent_inject" 3000 > /out/sent
dmsetup message mp 0 fail_path 8:16; oracle failed
kill -CONT $agent
wait_told 1 collector.gap '"enobufs"'
wait_told 1 storage.path.failed
awk 'NR > 1 && $9 > 0 { print $9 }' /proc/net/netlink > /out/drops
# it hears again
dmsetup message mp 0 reinstate_path 8:16; oracle reinstated
wait_told 1 storage.path.reinstated PATH_REINSTATED
stop_agent
"""


def test_uevent_overrun(folder):
    run = boot("debian-6.12", OVERRUN_SCRIPT, folder / "uevent-overrun", collectors={"multipath": {"receive_buffer": 16384}})
    events = run.events()
    gap, = [e["gap"] for e in events if e["kind"] == "collector.gap" and e["gap"]["collector"] == "multipath"]
    assert gap["cause"] == "enobufs" and not gap.get("count_is_minimum", False)
    assert 0 < int(gap["count"]) <= int(run.file("sent")) + 1
    assert gap["count"] in [int(n) for n in run.file("drops").split()] or str(gap["count"]) in run.file("drops").split()
    failed, = [e for e in events if e["kind"] == "storage.path.failed"]
    assert (device(failed), failed["multipath"]["action"]) == ("8:16", "compared")
    assert paths_of(run, "failed")["8:16"] == "F"


# Debian's daemon is not installed (it would start): unpacked beside the kernels.
ALUA_PACKAGES = ["multipath-tools", "kpartx", "liburcu8", "udev"]

ALUA_SCRIPT = PRELUDE.replace("export DM_DISABLE_UDEV=1", "").replace("add_host=3", "add_host=2").replace(" -a -b /dev/sdc", "") + r"""
modprobe dm-multipath; modprobe dm-service-time; modprobe scsi_dh_alua
tar -C @TOOLS@ -c . | tar -C / -x --keep-directory-symlink 2>/out/tar || exit 15
start_agent || exit 12
mkdir -p /run/udev
/lib/systemd/systemd-udevd --daemon || exit 16
udevadm trigger --action=add --subsystem-match=block --subsystem-match=scsi; udevadm settle -t 60
printf 'defaults {\n polling_interval 1\n max_polling_interval 2\n find_multipaths no\n path_checker tur\n path_grouping_policy group_by_prio\n prio alua\n}\nblacklist {\n devnode "^(ram|loop|fd)"\n}\n' > /etc/multipath.conf
multipathd -d -s >/out/multipathd.log 2>&1 & daemon=$!
wait_told 1 multipath.map.added
# the daemon's checker finds out, tells the kernel, and the kernel tells us
echo offline > /sys/block/sdb/device/state
wait_told 1 storage.path.failed
echo running > /sys/block/sdb/device/state
wait_told 1 storage.path.reinstated
multipathd fail path sda > /out/command
wait_told 2 storage.path.failed
multipathd reinstate path sda >> /out/command
wait_told 2 storage.path.reinstated
dmsetup table > /out/table
multipathd shutdown > /dev/null; wait $daemon
stop_agent
"""


def test_dm_alua(folder):
    run = boot("debian-6.12", ALUA_SCRIPT.replace("@TOOLS@", str(tools(*ALUA_PACKAGES))), folder / "dm-alua")
    events = run.events()
    paths = [(e["kind"], device(e)) for e in events if e["kind"] in ("storage.path.failed", "storage.path.reinstated")]
    assert paths == [("storage.path.failed", "8:16"), ("storage.path.reinstated", "8:16"), ("storage.path.failed", "8:0"), ("storage.path.reinstated", "8:0")]
    failed = next(e for e in events if e["kind"] == "storage.path.failed")
    assert re.fullmatch(r"uuid:mpath-3[0-9a-f]+", failed["subject"]["id"])
    assert failed["multipath"]["handler"] == "alua"
    assert failed["multipath"]["verdict"]["handler"] == "alua" and failed["multipath"]["verdict"]["fail_path"]
    assert " 1 alua 2 " in run.file("table"), "two groups, by the priorities that ALUA gives"
    assert "8:16" in run.file("multipathd.log")
    assert [e for e in events if e["kind"] == "collector.gap"] == []
