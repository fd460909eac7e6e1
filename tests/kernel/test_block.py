# SPDX-License-Identifier: Apache-2.0
"""block-matrix, block-burst: errors injected into scsi_debug (debugfs, Linux 6.12 drivers/scsi/scsi_debug.c), heard through
block_rq_error. The oracle is independent: the errno that dd's O_DIRECT read or write got in the guest."""
import errno
import os

import pytest
from conftest import boot

READ, WRITE = "0x28", "0x2a"
# name, opcode, host byte, status, sense key, ASC, ASCQ -> errno, class
MATRIX = [
    ("medium unrecovered read", READ, 0, 2, 0x3, 0x11, 0x00, errno.ENODATA, "critical_medium"),
    ("medium address mark", READ, 0, 2, 0x3, 0x13, 0x00, errno.ENODATA, "critical_medium"),
    ("medium record not found", READ, 0, 2, 0x3, 0x14, 0x00, errno.ENODATA, "critical_medium"),
    ("medium write error", WRITE, 0, 2, 0x3, 0x0C, 0x00, errno.EIO, "io"),
    ("hardware internal target failure", READ, 0, 2, 0x4, 0x44, 0x00, errno.EREMOTEIO, "critical_target"),
    ("hardware on write", WRITE, 0, 2, 0x4, 0x44, 0x00, errno.EREMOTEIO, "critical_target"),
    ("hardware component failure", READ, 0, 2, 0x4, 0x40, 0x80, errno.EREMOTEIO, "critical_target"),
    ("illegal: LBA out of range", READ, 0, 2, 0x5, 0x21, 0x00, errno.EREMOTEIO, "critical_target"),
    ("illegal: invalid field in CDB", READ, 0, 2, 0x5, 0x24, 0x00, errno.EREMOTEIO, "critical_target"),
    ("illegal: invalid field in parameters", WRITE, 0, 2, 0x5, 0x26, 0x00, errno.EREMOTEIO, "critical_target"),
    ("data protect: write protected", WRITE, 0, 2, 0x7, 0x27, 0x00, errno.EREMOTEIO, "critical_target"),
    ("data protect: space allocation", WRITE, 0, 2, 0x7, 0x27, 0x07, errno.ENOSPC, "no_space"),
    ("blank check", READ, 0, 2, 0x8, 0x00, 0x00, errno.EREMOTEIO, "critical_target"),
    ("copy aborted", READ, 0, 2, 0xA, 0x00, 0x00, errno.EREMOTEIO, "critical_target"),
    ("volume overflow", WRITE, 0, 2, 0xD, 0x00, 0x00, errno.EREMOTEIO, "critical_target"),
    ("miscompare", READ, 0, 2, 0xE, 0x1D, 0x00, errno.EREMOTEIO, "critical_target"),
    ("DIF guard", READ, 0, 2, 0xB, 0x10, 0x01, errno.EILSEQ, "protection"),
    ("DIF application tag", READ, 0, 2, 0xB, 0x10, 0x02, errno.EILSEQ, "protection"),
    ("DIF reference tag", READ, 0, 2, 0xB, 0x10, 0x03, errno.EILSEQ, "protection"),
    ("DIX guard", READ, 0, 2, 0x5, 0x10, 0x01, errno.EILSEQ, "protection"),
    ("reservation conflict", READ, 0, 0x18, 0, 0, 0, errno.EBADE, "critical_nexus"),
    ("reservation conflict on write", WRITE, 0, 0x18, 0, 0, 0, errno.EBADE, "critical_nexus"),
    ("DID_TRANSPORT_FAILFAST", READ, 0x0F, 0, 0, 0, 0, errno.ENOLINK, "recoverable_transport"),
    ("DID_TRANSPORT_MARGINAL", READ, 0x14, 0, 0, 0, 0, errno.ENOLINK, "recoverable_transport"),
    ("DID_NO_CONNECT", READ, 0x01, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_BAD_TARGET", READ, 0x04, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_ABORT", READ, 0x05, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_TRANSPORT_DISRUPTED", READ, 0x0E, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_ERROR", READ, 0x07, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_SOFT_ERROR", READ, 0x0B, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_PARITY", READ, 0x06, 0, 0, 0, 0, errno.EIO, "io"),
    ("DID_BUS_BUSY", READ, 0x02, 0, 0, 0, 0, errno.EIO, "io"),
    ("not ready: manual intervention", READ, 0, 2, 0x2, 0x04, 0x03, errno.EIO, "io"),
    ("not ready: medium not present", READ, 0, 2, 0x2, 0x3A, 0x00, errno.EIO, "io"),
    ("aborted command", READ, 0, 2, 0xB, 0x00, 0x00, errno.EIO, "io"),
]


def matrix_script():
    lines = [
        "modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 max_luns=1",
        "until_true 20 test -b /dev/sda || exit 10",
        "H=$(basename $(readlink -f /sys/block/sda/device)); E=/sys/kernel/debug/scsi_debug/$H/error",
        "test -e $E || exit 11",
        "start_agent || exit 12",
        "until_true 30 block_is_armed || exit 13",
    ]
    for index, (_, opcode, host, status, key, asc, ascq, _, _) in enumerate(MATRIX):
        block = 16 + index * 8  # one 4 KiB block of its own for each row
        how = f"if=/dev/sda of=/dev/null skip={block} iflag=direct" if opcode == READ else f"if=/dev/zero of=/dev/sda seek={block} oflag=direct"
        lines += [
            f'echo "2 1 {opcode} {host:#x} 0 {status:#x} {key:#x} {asc:#x} {ascq:#x}" > $E',
            f'dd {how} bs=4096 count=1 status=none 2>/out/dd; echo "{index} $(cat /out/dd)" >> /out/oracle',
            f'echo "- 2 {opcode}" > $E',
        ]
    lines += ["stop_agent"]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def matrix(folder):
    return boot("debian-6.12", matrix_script(), folder / "block-matrix")


@pytest.mark.parametrize("index", range(len(MATRIX)), ids=[row[0] for row in MATRIX])
def test_block_matrix(matrix, index):
    name, opcode, *_, number, error_class = MATRIX[index]
    oracle = dict(line.split(" ", 1) for line in matrix.file("oracle").splitlines())
    assert os.strerror(number) in oracle[str(index)], f"{name}: dd in the guest says {oracle[str(index)]}"
    sector = (16 + index * 8) * 8
    found = [e for e in matrix.events() if e["kind"] == "storage.block.error" and sector <= int(e["block_error"].get("sector", 0)) < sector + 8]
    assert len(found) == 1, f"{name}: {len(found)} events for sector {sector}"
    error = found[0]["block_error"]
    assert (error["error_number"], error["error_class"], error["error_type"]) == (-number, error_class, errno.errorcode[number])
    assert error["operation"] == ("read" if opcode == READ else "write")
    assert found[0]["subject"]["name"] == "sda"


def test_nothing_is_left_behind(matrix):
    assert matrix.file("instances").strip() == ""


BURST = 10000
BURST_SCRIPT = rf"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=64 delay=0 max_luns=1
until_true 20 test -b /dev/sda || exit 10
H=$(basename $(readlink -f /sys/block/sda/device)); E=/sys/kernel/debug/scsi_debug/$H/error
start_agent || exit 12
until_true 30 block_is_armed || exit 13
echo "2 1 0x28 0 0 0x2 0x3 0x11 0x0" > $E
/usr/bin/python3 /out/burst.py > /out/failed || exit 14
# what is still in the ring when the agent ends is lost: wait until it was read
until_true 120 sh -c '! grep -hq "^entries: [1-9]" /sys/kernel/tracing/instances/pathbell-block-*/per_cpu/cpu*/stats' || exit 15
echo "- 2 0x28" > $E
stop_agent
"""


# One request after the other; each fails. Prints how many did.
BURST_PROGRAM = f"""
import errno, mmap, os
fd, page, failed = os.open("/dev/sda", os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096), 0
for block in range({BURST}):
    try:
        os.preadv(fd, [page], block * 4096)
    except OSError as error:
        failed += error.errno == errno.ENODATA
print(failed)
"""


def test_block_burst(folder):
    (folder / "block-burst").mkdir()
    (folder / "block-burst" / "burst.py").write_text(BURST_PROGRAM)
    run = boot("debian-6.12", BURST_SCRIPT, folder / "block-burst", timeout=400)
    failed = int(run.file("failed"))
    events = run.events()
    heard = sum(1 for e in events if e["kind"] == "storage.block.error")
    lost = sum(int(e["gap"].get("count", 0)) for e in events if e["kind"] == "collector.gap" and e["gap"]["collector"] == "block")
    print(f"failed {failed}, heard {heard}, counted lost {lost}")
    assert failed == BURST
    assert heard + lost == failed


OLD_SCRIPT = r"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 opts=2 medium_error_start=2048 medium_error_count=4 max_luns=1
until_true 20 test -b /dev/sda || exit 10
start_agent || exit 12
until_true 30 block_is_armed || exit 13
dd if=/dev/sda of=/dev/null bs=4096 skip=256 count=1 iflag=direct status=none 2>/out/dd
cat /out/dd
stop_agent
"""


def test_block_error_on_6_1(folder):
    """The layout before 6.11: rwbs stands two bytes earlier and there is no ioprio."""
    run = boot("debian-6.1", OLD_SCRIPT, folder / "block-6.1")
    errors = [e["block_error"] for e in run.events() if e["kind"] == "storage.block.error"]
    assert [(e["sector"], e["error_class"], e["operation"]) for e in errors] == [(2048, "critical_medium", "read")]


ABSENT_SCRIPT = r"""
umount /sys/kernel/tracing
start_agent || exit 12
until_true 30 grep -q 'parked collector=capi' /out/agent.log || exit 13
switches() { awk '/voluntary_ctxt/ {s+=$2} END {print s}' /proc/$agent/task/*/status; }
# each looks once more a second after it began to watch its path
settled() { local before=$(switches); sleep 1.5; [ "$before" = "$(switches)" ]; }
until_true 30 settled || exit 14
s1=$(switches)
sleep 5
s2=$(switches)
echo $((s2 - s1)) > /out/switches
kill -TERM $agent; wait $agent
cp -a /run/state/spool /out/spool
"""


def test_absent(folder):
    """No tracefs at all: the collector parks, says so, and does not spin."""
    run = boot("debian-6.12", ABSENT_SCRIPT, folder / "absent")
    parked = [e for e in run.events() if e["kind"] == "collector.parked"]
    assert {"block", "cxl", "capi"} <= {e["collector_state"]["collector"] for e in parked}
    assert all(e["collector_state"]["reason"] for e in parked)
    assert int(run.file("switches")) <= 1
