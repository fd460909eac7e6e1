# SPDX-License-Identifier: Apache-2.0
"""One real block I/O error: a loop device whose backing file is cut short, read with O_DIRECT."""
import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, wait_until


@pytest.fixture
def tracefs(site):
    if os.geteuid() != 0:
        pytest.skip("needs root to read trace events and set up a loop device")
    path = Path("/sys/kernel/tracing")
    mounted = None
    if not (path / "events").is_dir():
        path = site.dir / "tracing"
        path.mkdir()
        if subprocess.run(["mount", "-t", "tracefs", "none", str(path)], capture_output=True).returncode != 0:
            pytest.skip("tracefs cannot be mounted")
        mounted = path
    if not (path / "events/block/block_rq_error").is_dir():
        if mounted:
            subprocess.run(["umount", str(mounted)], check=True)
        pytest.skip("this kernel has no block_rq_error (5.18 and later have)")
    yield path
    # after the agent has ended its instance must be gone
    for process in site.processes:
        with contextlib.suppress(AssertionError):
            process.stop()
    left = list((path / "instances").glob("pathbell-*"))
    if mounted:
        subprocess.run(["umount", str(mounted)], check=True)
    assert not left


@pytest.fixture
def loop(site):
    image = site.dir / "disk.img"
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    done = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    os.truncate(image, 4 << 20)
    yield device
    subprocess.run(["losetup", "-d", device], check=True)


def fail_read(device, block):
    done = subprocess.run(["dd", f"if={device}", "of=/dev/null", "bs=4096", f"skip={block}", "count=1", "iflag=direct", "status=none"], capture_output=True)
    assert done.returncode != 0, "the read beyond the backing file succeeded"


def test_the_error_is_stored_with_device_sector_and_class(site, tracefs, loop):
    site.start_aggregator()
    site.start_agent("alpha", tracefs=str(tracefs), collectors={"block": {"enabled": True}, "replay": {"enabled": False}})
    wait_until(lambda: any(c["name"] == "block" and c["state"] == "up" for c in site.local("alpha", "collectors").get("collectors", [])), "the block collector")
    fail_read(loop, 1536)
    name = os.path.basename(loop)

    def find():
        return [r for r in site.json("events", "--kind", "storage.block.error") if r["event"]["subject"].get("name") == name]

    record = wait_until(find, "the event")[0]
    error = record["event"]["block_error"]
    assert error["sector"] == 1536 * 8
    assert error["error_number"] == -5
    assert error["error_class"] == "io"
    assert error["error_type"] == "EIO"
    assert error["operation"] == "read"
    assert not record["event"].get("replayed")
    minor = os.minor(os.stat(loop).st_rdev)
    assert record["event"]["subject"]["major"] == 7 and record["event"]["subject"].get("minor", 0) == minor
    assert any("disk.img" in parent for parent in record["event"]["subject"]["parents"])

    before = len(site.json("events", "--kind", "storage.device.state", "--limit", "1000"))
    assert "SUCCEEDED" in site.cli("command", "resync", "alpha", "--reason", "test").stdout
    wait_until(lambda: len(site.json("events", "--kind", "storage.device.state", "--limit", "1000")) > before, "the snapshot's events")


def test_demo_once(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("the demo needs root")
    out = tmp_path / "out.json"
    before = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True).stdout
    done = subprocess.run([str(ROOT / "run"), "demo", "--once", "--json", str(out)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())
    assert result["event"]["event"]["kind"] == "storage.block.error"
    assert [host["life"] for host in result["command"]["hosts"]] == ["SUCCEEDED"]
    assert result["capture_to_stored_ms"] > 0
    after = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True).stdout
    assert before == after
    if result["source"] == "kernel":
        assert result["event"]["event"]["block_error"]["error_class"] == "io"
        assert "pathbell-demo" not in Path("/proc/mounts").read_text()
