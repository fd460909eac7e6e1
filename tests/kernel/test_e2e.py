# SPDX-License-Identifier: Apache-2.0
"""e2e-tls: the agent and its uplink in the guest, the aggregator on the host, real TLS over the guest's network."""
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT, boot

sys.path.insert(0, str(ROOT / "tests/func"))

SCRIPT = r"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 opts=2 medium_error_start=2048 medium_error_count=4 max_luns=1
until_true 20 test -b /dev/sda || exit 10
start_agent || exit 12
until_true 30 block_is_armed || exit 13
dd if=/dev/sda of=/dev/null bs=4096 skip=256 count=1 iflag=direct status=none
until_true 60 sh -c '"$0" -o json local --socket /run/pathbell/agent.sock status | grep -q "\"unacked\": *0\|\"acked\": *[1-9]"' "$bin/pathbell" || exit 14
stop_agent
"""


@pytest.fixture
def site():
    import importlib.util

    spec = importlib.util.spec_from_file_location("func_conftest", ROOT / "tests/func/conftest.py")
    func = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(func)
    folder = tempfile.mkdtemp(prefix="pathbell-e2e.", dir="/var/tmp")  # the guest has a /tmp of its own
    made = func.Site(folder, "release")
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_e2e_tls(site, folder):
    site.start_aggregator()
    files = site.pki.make("host", "guest")
    run = boot("debian-6.12", SCRIPT, folder / "e2e-tls", guestfwd=[(7441, site.grpc.rsplit(":", 1)[1])],
               uplink={"enabled": True, "addresses": ["10.0.2.100:7441"], "server_name": "localhost", "user": "nobody", **files})
    assert Path(run.out, "spool").is_dir()
    records = site.json("events", "--kind", "storage.block.error", "--host", "guest")
    assert [(r["event"]["block_error"]["sector"], r["event"]["block_error"]["error_class"]) for r in records] == [(2048, "critical_medium")]
    assert records[0]["event"]["subject"]["name"] == "sda"
