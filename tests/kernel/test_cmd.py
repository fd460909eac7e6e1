# SPDX-License-Identifier: Apache-2.0
"""cmd-multipath-reinstate, cmd-switch-group, cmd-last-path, cmd-ineffective, cmd-crash-after-start, cmd-device-recycled: commands of an
operator outside, through an aggregator with real TLS, to an agent in a guest with real multipath maps. One boot; the scenarios
run in the order of this file and each leaves three active paths behind."""
import re

import pytest
from guest_site import FUNC, GuestSite

MAP = {"map_uuid": "mpath-lab"}
GUEST = r"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 add_host=3 vpd_use_hostno=0 max_luns=1
until_true 20 test -b /dev/sda -a -b /dev/sdb -a -b /dev/sdc || exit 10
modprobe dm-multipath; modprobe dm-service-time; modprobe scsi_dh_alua
export DM_DISABLE_UDEV=1
# By ALUA the disk of host 0 is active/optimized, that of host 1 active/non-optimized, that of host 2 in standby; the array switches
# only by itself. Names are given in the order in which the disks are found.
for h in 0 1 2; do n=$(ls /sys/bus/scsi/devices/$h:0:0:0/block); echo $n $(cat /sys/block/$n/dev); done > /out/disks
g=$(awk '{printf " service-time 0 1 1 %s 1", $2}' /out/disks)
dmsetup create mp --uuid mpath-lab --table "0 32768 multipath 1 queue_if_no_path 1 alua 3 1$g" || exit 11
start_agent || exit 12
"""


@pytest.fixture(scope="module")
def guest(folder):
    site = GuestSite("debian-6.12", folder / "cmd", GUEST, verbs=["probe", "resync", "multipath.reinstate", "multipath.fail",
                                                                 "multipath.switch-group", "scsi.rescan", "diag", "halt", "resume"])
    try:
        site.wait_connected()
        site.disks = [line.split() for line in site.sh("cat /out/disks").splitlines()]
        yield site
        site.finish()
    finally:
        site.close()


def paths(guest):
    """device -> A or F, and the group in use."""
    status = guest.sh("dmsetup status mp")
    return dict(re.findall(r"(\d+:\d+) ([AF]) ", status))


def test_cmd_multipath_reinstate(guest):
    (name, dev), _, _ = guest.disks
    guest.sh(f"dmsetup message mp 0 fail_path {dev}")
    guest.events("storage.path.failed", wait=1)
    assert paths(guest)[dev] == "F"
    # nothing is done by a dry run, and it says what would be
    life, _, detail, lives = guest.order("MULTIPATH_REINSTATE", MAP | {"name": name}, dry_run=True)
    assert life == "SUCCEEDED" and detail.startswith(f"dry run: would reinstate {name}; map mp (mpath-lab): 2 of 3 paths usable"), detail
    assert paths(guest)[dev] == "F"
    life, _, detail, lives = guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})
    assert (life, detail) == ("SUCCEEDED", f"{name} is active and was read; 3 of 3 paths of map mp are usable")
    assert lives.index("STARTED") < lives.index("SUCCEEDED")
    assert paths(guest)[dev] == "A"
    back, = guest.events("storage.path.reinstated", wait=1)
    assert (f"{back['multipath']['path_major']}:{back['multipath'].get('path_minor', 0)}", back["multipath"]["map_uuid"]) == (dev, "mpath-lab")
    # the path is what the host's limits count by, not the map
    assert guest.events("command.finished", wait=1)[-1]["command_state"]["target"] == "uuid:mpath-lab hctl=0:0:0:0"
    # a second time there is nothing to do
    assert guest.order("MULTIPATH_REINSTATE", MAP | {"transport_address": "hctl=0:0:0:0"})[0] == "SUCCEEDED"


def test_cmd_names_one_path_or_none(guest):
    wwid = guest.sh("cat /sys/block/sda/device/wwid").strip()
    assert guest.order("MULTIPATH_FAIL", MAP | {"path_wwid": wwid})[:2] == ("REJECTED", "ambiguous_target")
    assert guest.order("MULTIPATH_FAIL", MAP | {"name": "sdx"})[:2] == ("REJECTED", "target_absent")
    assert guest.order("MULTIPATH_FAIL", {"map_uuid": "mpath-none", "name": "sda"})[:2] == ("REJECTED", "target_absent")
    assert guest.order("MULTIPATH_FAIL", MAP)[:2] == ("REJECTED", "malformed")
    assert guest.order("MULTIPATH_FAIL", MAP | {"name": "sda", "path_wwid": "naa.0"})[:2] == ("REJECTED", "target_recycled")
    assert set(paths(guest).values()) == {"A"}


def test_cmd_last_path(guest):
    (first, dev), (second, _), (third, third_dev) = guest.disks
    assert guest.order("MULTIPATH_FAIL", MAP | {"name": second})[0] == "SUCCEEDED"
    assert guest.order("MULTIPATH_FAIL", MAP | {"name": third})[0] == "SUCCEEDED"
    life, refusal, detail, lives = guest.order("MULTIPATH_FAIL", MAP | {"name": first})
    assert (life, refusal) == ("REJECTED", "last_path") and "last usable path of map mp (I/O would queue" in detail, detail
    assert sorted(paths(guest).items(), key=lambda p: p[0] != dev)[0] == (dev, "A") and list(paths(guest).values()).count("F") == 2
    # an operator who says so gets it
    assert guest.order("MULTIPATH_FAIL", MAP | {"name": first}, override_last_path=True)[0] == "SUCCEEDED"
    assert set(paths(guest).values()) == {"F"}
    assert guest.events("storage.device.all_paths_down", wait=1)
    for name in (first, second):
        assert guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})[0] == "SUCCEEDED"
    guest.sh(f"dmsetup message mp 0 reinstate_path {third_dev}")


def test_cmd_switch_group(guest):
    """ALUA: group 2 is active/non-optimized and ready as it is; group 3 is in standby, which only the array changes."""
    life, _, detail, _ = guest.order("MULTIPATH_SWITCH_GROUP", MAP | {"group": 2})
    assert life == "SUCCEEDED" and re.search(r"handler alua by sd.: target port group \d+ is active/non-optimized", detail), detail
    assert [e["multipath"]["group"] for e in guest.events("multipath.group.switched", wait=1)][-1] == 2
    life, refusal, detail, _ = guest.order("MULTIPATH_SWITCH_GROUP", MAP | {"group": 3})
    assert (life, refusal) == ("REJECTED", "precondition") and "standby" in detail, detail
    assert guest.order("MULTIPATH_SWITCH_GROUP", MAP | {"group": 9})[:2] == ("REJECTED", "target_absent")
    life, _, detail, _ = guest.order("MULTIPATH_SWITCH_GROUP", MAP | {"group": 1})
    assert life == "SUCCEEDED" and "active/optimized" in detail, detail


def test_cmd_ineffective(guest):
    """Somebody else fails the path as soon as it is active: the command says that it had no effect."""
    _, (name, dev), _ = guest.disks
    guest.sh(f"dmsetup message mp 0 fail_path {dev}; {{ until [ -e /run/enough ]; do case $(dmsetup status mp) in *'{dev} A'*) dmsetup message mp 0 fail_path {dev};; esac; done; }} & undo=$!")
    life, _, detail, _ = guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})
    assert life == "INEFFECTIVE" and detail.startswith(f"{name} failed again at once"), (life, detail)
    guest.sh(f"touch /run/enough; wait $undo; dmsetup message mp 0 reinstate_path {dev}")


def test_cmd_a_path_that_cannot_be_read_is_not_reinstated(guest):
    _, (name, dev), _ = guest.disks
    guest.sh(f"dmsetup message mp 0 fail_path {dev}; echo offline > /sys/block/{name}/device/state")
    life, refusal, detail, _ = guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})
    assert (life, refusal) == ("REJECTED", "precondition") and "offline" in detail, detail
    guest.sh(f"echo running > /sys/block/{name}/device/state")
    assert guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})[0] == "SUCCEEDED"


def test_cmd_device_recycled(guest):
    """The disk that the operator saw is gone, and another one has its name."""
    (_, first), (_, second), (name, _) = guest.disks
    seq = int(guest.sh(f"cat /sys/block/{name}/diskseq"))
    guest.sh(f"dmsetup suspend mp && dmsetup reload mp --table '0 32768 multipath 1 queue_if_no_path 1 alua 2 1 service-time 0 1 1 {first} 1 service-time 0 1 1 {second} 1' && dmsetup resume mp")
    assert guest.order("SCSI_RESCAN", {"name": name, "generation": seq})[1] == "unspecified"
    guest.sh(f"echo 1 > /sys/block/{name}/device/delete; until_true 20 test ! -e /sys/block/{name}; echo 1 > /sys/bus/pseudo/drivers/scsi_debug/add_host; until_true 20 test -e /sys/block/{name}/diskseq")
    assert int(guest.sh(f"cat /sys/block/{name}/diskseq")) != seq
    life, refusal, detail, _ = guest.order("SCSI_RESCAN", {"name": name, "generation": seq})
    assert (life, refusal) == ("REJECTED", "target_recycled"), detail
    life, refusal, detail, _ = guest.order("MULTIPATH_FAIL", MAP | {"name": name})
    assert (life, refusal) == ("REJECTED", "target_recycled") and "belongs to another device now" in detail, detail


def test_cmd_scsi_rescan(guest):
    life, _, detail, _ = guest.order("SCSI_RESCAN", {"name": "sda"})
    assert life == "SUCCEEDED" and detail.startswith("sda was rescanned: 32768 sectors as before"), detail
    types = guest.fleet_client.messages("command")
    life, _, detail, _ = guest.order("SCSI_RESCAN", scsi_rescan=types.ScsiRescanArgs(host=1))
    assert life == "SUCCEEDED" and detail == "host 0 was scanned: 1 devices before, 1 now", detail


def test_cmd_diag(guest):
    """A bundle from a host with real maps: their status lines, as dmsetup has them."""
    types = guest.fleet_client.messages("command")
    life, _, detail, _ = guest.order("DIAG", diag=types.DiagArgs(sections=["multipath", "scsi"]))
    assert life == "SUCCEEDED" and detail.endswith("bytes"), detail
    said = [e["command_state"] for e in guest.events("command.output", wait=1)]
    text = b"".join(bytes.fromhex(c["output"]) for c in said).decode()
    assert said[-1].get("output_last") and len(text) == int(detail.split()[0])
    assert text.startswith("== scsi\n") and "\n== multipath\n" in text and "== block" not in text, text
    assert "mpath-lab" in text and all(dev in text for _, dev in guest.disks[:2]), text
    assert guest.order("DIAG", diag=types.DiagArgs(sections=["passwords"]))[:2] == ("REJECTED", "malformed")


def test_cmd_halt(guest):
    """Nothing executes on a halted host, also after its agent started anew, until resume."""
    (name, dev), _, _ = guest.disks
    assert guest.order("HALT")[0] == "SUCCEEDED"
    for _ in range(2):
        life, refusal, detail, lives = guest.order("MULTIPATH_FAIL", MAP | {"name": name})
        assert (life, refusal) == ("REJECTED", "halted") and "STARTED" not in lives, (life, refusal, detail)
        assert paths(guest)[dev] == "A"
        assert guest.order("PROBE", {"name": name})[0] == "SUCCEEDED"
        guest.sh("kill -9 $agent; wait $agent; start_agent")
    assert guest.order("RESUME")[0] == "SUCCEEDED"
    assert guest.order("MULTIPATH_FAIL", MAP | {"name": name})[0] == "SUCCEEDED"
    assert guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})[0] == "SUCCEEDED"


def test_cmd_crash_after_start(guest):
    """kill -9 between STARTED and the result. The message was sent once; somebody fails the path again; the next agent may look
    (INDETERMINATE, then resolved) but must not act: the path stays failed."""
    (name, dev), _, _ = guest.disks
    guest.sh(f"dmsetup message mp 0 fail_path {dev}; {{ until dmsetup status mp | grep -q '{dev} A'; do :; done; kill -9 $agent; touch /run/killed; }} & killer=$!")
    command = guest.submit("MULTIPATH_REINSTATE", MAP | {"name": name})
    guest.sh(f"until_true 60 test -e /run/killed; wait $agent; dmsetup message mp 0 fail_path {dev}")
    assert paths(guest)[dev] == "F"
    guest.sh("start_agent")
    life, _, detail, lives = guest.finished(command)
    assert "INDETERMINATE" in lives and life == "INEFFECTIVE" and detail.startswith(f"{name} is failed now"), (life, detail, lives)
    assert lives.count("STARTED") == 1
    assert paths(guest)[dev] == "F", "it was run again"
    resolved, = guest.events("command.resolved", wait=1)
    assert resolved["command_state"]["verb"] == "multipath.reinstate"
    # a new command is executed as ever
    assert guest.order("MULTIPATH_REINSTATE", MAP | {"name": name})[0] == "SUCCEEDED"


def test_cmd_crash_and_the_map_is_gone(guest):
    """What became of it can't be seen any more: it has failed, for that reason; it was not refused, for it had started."""
    (name, dev), _, _ = guest.disks
    guest.sh(f"rm /run/killed; dmsetup message mp 0 fail_path {dev}; {{ until dmsetup status mp | grep -q '{dev} A'; do :; done; kill -9 $agent; touch /run/killed; }} & killer=$!")
    command = guest.submit("MULTIPATH_REINSTATE", MAP | {"name": name})
    guest.sh("until_true 60 test -e /run/killed; wait $agent; dmsetup remove mp; start_agent")
    life, refusal, detail, lives = guest.finished(command)
    assert (life, refusal, detail) == ("FAILED", "target_absent", "no multipath map is mpath-lab"), (life, refusal, detail)
    assert "INDETERMINATE" in lives and "REJECTED" not in lives, lives
