# SPDX-License-Identifier: Apache-2.0
"""scsi_ua, scsi_sense: errors and unit attentions injected into scsi_debug (debugfs, Linux 6.12 drivers/scsi/scsi_debug.c), whose
modules are loaded behind the agent's back. The oracle is independent: the kernel's own log line for each sense key, and dd."""
import pytest
from conftest import ROOT, boot

READ = "0x28"
# name, sense key, ASC, ASCQ -> flags of the verdict, kernel's words in the log
SENSE = [
    ("medium error", 3, 0x11, 0x00, {"error_io"}),
    ("hardware error", 4, 0x44, 0x00, {"fail_path"}),
    ("illegal request", 5, 0x21, 0x00, {"error_io"}),
    ("data protect", 7, 0x27, 0x00, {"error_io"}),
    ("not ready", 2, 0x04, 0x03, {"fail_path"}),
    ("aborted command", 0xB, 0x00, 0x00, {"fail_path"}),
    ("miscompare", 0xE, 0x1D, 0x00, {"error_io"}),
]
# kernel's spelling, ASC, ASCQ: what scsi_report_sense turns into a uevent
ATTENTIONS = [
    ("INQUIRY_DATA_HAS_CHANGED", 0x3F, 0x03),
    ("REPORTED_LUNS_DATA_HAS_CHANGED", 0x3F, 0x0E),
    ("CAPACITY_DATA_HAS_CHANGED", 0x2A, 0x09),
    ("MODE_PARAMETERS_CHANGED", 0x2A, 0x01),
    ("ASYMMETRIC_ACCESS_STATE_CHANGED", 0x2A, 0x06),
    ("THIN_PROVISIONING_SOFT_THRESHOLD_REACHED", 0x38, 0x07),
    ("POWER_ON_RESET_OCCURRED", 0x29, 0x00),
]


PRELUDE = r"""
told() { "$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep "\"$1\"" | grep -c -- "$2"; }
has() { [ "$(told "$2" "$3")" -ge "$1" ]; }
wait_told() { until_true 30 has "$@" || { echo "guest: gave up: $*"; cat /out/agent.log; exit 20; }; }
armed() { grep -qs 1 $T/instances/pathbell-scsi-*/events/scsi/scsi_dispatch_cmd_done/enable; }
"""

# A process of root multicasts a real FPIN frame to the group of FC events (4: the kernel takes its mask for a number); it hears it itself.
SPOOF = f"""
import socket
data = open("{ROOT}/tests/data/scsi/fpin-all.bin", "rb").read()
ear = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 18)
ear.bind((0, 0))
ear.setsockopt(270, 1, 4)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP
ear.settimeout(20)
socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 18).sendto(data, (0, 1 << 3))
print("heard" if ear.recv(65536) == data else "other")
"""


def script():
    lines = [
        PRELUDE,
        "start_agent || exit 12",
        # nothing of SCSI is loaded yet: the uevent of the module is what opens the trace events
        "armed && exit 14",
        "modprobe sd_mod; until_true 20 armed || { cat /out/agent.log; exit 15; }",
        "modprobe scsi_debug dev_size_mb=16 delay=0 max_luns=1",
        "until_true 20 test -b /dev/sda || exit 10",
        "H=$(basename $(readlink -f /sys/block/sda/device)); E=/sys/kernel/debug/scsi_debug/$H/error; echo $H > /out/address",
        "test -e $E || exit 11",
        "cat $T/instances/pathbell-scsi-*/events/scsi/scsi_dispatch_cmd_done/filter > /out/filter",
    ]
    for index, (_, key, asc, ascq, _) in enumerate(SENSE):
        lines += [
            f'echo "2 1 {READ} 0 0 0x2 {key:#x} {asc:#x} {ascq:#x}" > $E',
            f"dd if=/dev/sda of=/dev/null skip={16 + index * 8} iflag=direct bs=4096 count=1 status=none 2>/dev/null",
            f'echo "- 2 {READ}" > $E',
        ]
    for index, (name, asc, ascq) in enumerate(ATTENTIONS):
        lines += [
            f'echo "2 -1 {READ} 0 0 0x2 0x6 {asc:#x} {ascq:#x}" > $E',
            f"dd if=/dev/sda of=/dev/null skip={128 + index * 8} iflag=direct bs=4096 count=1 status=none 2>>/out/dd",
            f"wait_told 1 scsi.unit_attention {name}",
        ]
    lines += [
        # busy, and good commands: not told
        f'echo "2 -3 {READ} 0 0 0x8 0 0 0" > $E',
        "dd if=/dev/sda of=/dev/null skip=512 iflag=direct bs=4096 count=1 status=none 2>>/out/dd",
        f'echo "- 2 {READ}" > $E',
        # the transport is gone
        f'echo "2 -1 {READ} 0x1 0 0 0 0 0" > $E',
        "dd if=/dev/sda of=/dev/null skip=640 iflag=direct bs=4096 count=1 status=none 2>/dev/null",
        # one command never answers; it is aborted and repeated
        "echo 1 > /sys/block/sda/device/timeout",
        f'echo "0 -1 {READ}" > $E',
        "dd if=/dev/sda of=/dev/null skip=768 iflag=direct bs=4096 count=1 status=none 2>>/out/dd",
        "wait_told 1 scsi.command.timeout sda",
        f"/usr/bin/python3 - > /out/spoofed <<'END'\n{SPOOF}\nEND",
        "dmesg > /out/dmesg",
        "stop_agent",
    ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def run(folder):
    return boot("debian-6.12", script(), folder / "scsi-ua")


def errors(run, kind, block):
    return [e for e in run.events() if e["kind"] == kind and int(e["scsi_command_error"].get("lba", 0)) == block * 8]


def test_fpin_of_a_process_is_not_believed(run):
    """Only the kernel is heard (nl_pid 0): what scsi_netlink multicasts for lpfc, qla2xxx and ibmvfc can't be said by a process, so that an
    FPIN needs one of these drivers; the decoder has unit tests over recorded frames."""
    assert run.file("spoofed").strip() == "heard"
    assert [e["kind"] for e in run.events() if "fpin" in e["kind"]] == []


def flags(verdict):
    return {name for name in ("fail_path", "bypass_group", "error_io") if verdict.get(name)}


@pytest.mark.parametrize("index", range(len(SENSE)), ids=[row[0] for row in SENSE])
def test_sense(run, index):
    name, key, asc, ascq, wanted = SENSE[index]
    found = errors(run, "scsi.command.error", 16 + index * 8)
    assert found, name
    error = found[0]["scsi_command_error"]
    assert (error["sense_key"], error.get("asc", 0), error.get("ascq", 0)) == (key, asc, ascq)
    assert error["sense_valid"] and error["status"] == 2 and error["opcode"] == 0x28 and error["transfer_length"] == 8
    assert error["address"] == run.file("address").strip()
    assert flags(error["verdict"]) == wanted and error["verdict"]["reason"]
    assert error["verdict"]["handler"] in ("scsi", "alua")
    assert found[0]["subject"]["name"] == "sda"
    block = [e for e in run.events() if e["kind"] == "storage.block.error" and int(e["block_error"].get("sector", 0)) == (16 + index * 8) * 8]
    assert len(block) == 1 and block[0]["block_error"]["verdict"]["reason"]
    assert block[0]["block_error"]["verdict"]["handler"] == error["verdict"]["handler"]


def test_the_kernel_log_agrees(run):
    log = run.file("dmesg").lower()
    for name, *_ in SENSE:
        assert f"sense key : {name}" in log


@pytest.mark.parametrize("index", range(len(ATTENTIONS)), ids=[row[0] for row in ATTENTIONS])
def test_scsi_ua(run, index):
    name, asc, ascq = ATTENTIONS[index]
    found = [e for e in run.events() if e["kind"] == "scsi.unit_attention" and e["scsi_unit_attention"]["attention"] == name]
    assert found
    attention = found[-1]["scsi_unit_attention"]
    assert (attention["asc"], attention.get("ascq", 0), attention["address"]) == (asc, ascq, run.file("address").strip())
    assert found[-1]["subject"]["name"] == "sda" and found[-1]["source"]["seq"]
    # the same happening as a command: the read was repeated and succeeded
    command = errors(run, "scsi.command.error", 128 + index * 8)
    assert [(e["scsi_command_error"]["sense_key"], e["severity"]) for e in command] == [(6, "notice")]


def test_what_is_repeated_by_the_hundred_is_not_told(run):
    assert errors(run, "scsi.command.error", 512) == []
    assert run.file("filter").startswith("result != 0")


def test_host_byte(run):
    found = errors(run, "scsi.command.error", 640)
    assert [e["scsi_command_error"]["host_byte"] for e in found] == [1]
    assert flags(found[0]["scsi_command_error"]["verdict"]) == {"fail_path"}
    assert "DID_NO_CONNECT" in found[0]["scsi_command_error"]["verdict"]["reason"]


def test_timeout(run):
    found = errors(run, "scsi.command.timeout", 768)
    assert len(found) == 1 and found[0]["scsi_command_error"]["timed_out"]
    assert flags(found[0]["scsi_command_error"]["verdict"]) == {"fail_path"}
    assert found[0]["severity"] == "error"


def test_every_dd_that_should_succeed_did(run):
    assert run.file("dd") == ""


def test_nothing_is_left_behind(run):
    assert run.file("instances").strip() == ""


OLD_SCRIPT = PRELUDE + r"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 opts=2 medium_error_start=2048 medium_error_count=4 max_luns=1
until_true 20 test -b /dev/sda || exit 10
start_agent || exit 12
until_true 20 armed || exit 13
dd if=/dev/sda of=/dev/null bs=4096 skip=256 count=1 iflag=direct status=none 2>/out/dd
wait_told 1 scsi.command.error '"lba": *"*2048'
stop_agent
"""


def test_without_sense_on_6_1(folder):
    """6.1 does not tell the sense: the command is told, and nothing is invented about it."""
    run = boot("debian-6.1", OLD_SCRIPT, folder / "scsi-6.1")
    found = errors(run, "scsi.command.error", 256)
    assert found
    error = found[0]["scsi_command_error"]
    assert error["status"] == 2 and not error.get("sense_valid") and not error.get("verdict")
