# SPDX-License-Identifier: Apache-2.0
"""The host's command core through the real programs: halt and resume, the bundle of diag, the audit chain checked by another
implementation, keys that change without a restart."""
import hashlib
import json
import re

import fleet_client
import pytest
from conftest import wait_until


@pytest.fixture
def fleet(site):
    site.start_aggregator()
    site.start_agent("alpha")
    site.wait_connected("alpha")
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    yield client
    client.close()


def states(fleet, kind):
    return [record.event.command_state for record in fleet.events(kind_glob=kind)]


def test_halt_lasts_over_a_restart_until_resume(site, fleet):
    site.cli("command", "halt", "alpha", "--reason", "test", "--yes")
    assert "halted by" in site.local("alpha", "status")["command_hold"]
    refused = site.cli("command", "uplink-reconnect", "alpha", "--reason", "test", "--yes", check=False)
    assert refused.returncode == 6 and "halted" in refused.stdout
    site.processes[-1].kill()
    site.start_agent("alpha", config=site.dir / "alpha" / "pathbelld.yaml")
    site.wait_connected("alpha")
    refused = site.cli("command", "resync", "alpha", "--reason", "test", "--yes", check=False)
    assert refused.returncode == 6 and "halted" in refused.stdout
    assert "SUCCEEDED" in site.cli("command", "resume", "alpha", "--reason", "test", "--yes").stdout
    assert not site.local("alpha", "status").get("command_hold")
    assert "SUCCEEDED" in site.cli("command", "uplink-reconnect", "alpha", "--reason", "test", "--yes").stdout
    wait_until(lambda: states(fleet, "command.resumed"), "the end of the halt as an event")
    assert len(states(fleet, "command.halted")) >= 2


def test_diag_comes_back_in_order(site, fleet):
    site.cli("command", "diag", "alpha", "--reason", "test", "--yes")
    chunks = wait_until(lambda: states(fleet, "command.output"), "the bundle")
    chunks = sorted(chunks, key=lambda state: state.chunk)
    assert [state.chunk for state in chunks] == list(range(len(chunks))) and chunks[-1].output_last
    bundle = b"".join(state.output for state in chunks).decode()
    for section in ("agent", "collectors", "forwarder", "spool", "commands", "audit", "kernel", "block", "nvme", "mounts", "counters", "log"):
        assert f"== {section}\n" in bundle
    assert site.public_key not in bundle and "PRIVATE" not in bundle


def chain(lines):
    """The hash of the last line; every line must fit the one before (docs/formats/audit.md)."""
    previous = bytes(32)
    for number, line in enumerate(lines, 1):
        body, claimed = line.rsplit(" ", 1)
        assert int(body.split()[0]) == number
        previous = hashlib.sha256(b"pathbell-host-audit-v1\0" + previous + body.encode()).digest()
        assert previous.hex() == claimed, line
    return previous


def test_audit_chain_and_its_head_in_the_fleet(site, fleet):
    site.cli("command", "uplink-reconnect", "alpha", "--reason", "test", "--yes")
    lines = (site.dir / "alpha" / "state" / "audit.log").read_text().splitlines()
    chain(lines)
    lives = [match.group(1) for line in lines if (match := re.search(r" command id=\S+ life=(\S+) verb=uplink.reconnect", line))]
    assert lives == ["ACCEPTED", "STARTED", "SUCCEEDED"]
    told = [state for state in states(fleet, "command.*") if state.audit_seq]
    assert told
    for state in told:
        assert lines[state.audit_seq - 1].endswith(" " + state.audit_hash.hex())


def test_a_key_is_revoked_without_a_restart(site):
    keys = site.dir / "keys.d"
    keys.mkdir()
    site.start_aggregator()
    site.start_agent("alpha", commands={"keys_dir": str(keys)})
    site.wait_connected("alpha")
    assert "SUCCEEDED" in site.cli("command", "uplink-reconnect", "alpha", "--reason", "test", "--yes").stdout
    shown = json.loads(site.cli("-o", "json", "key", "show", site.signing_key).stdout)
    (keys / "lost.revoked").write_text(shown["key_id"] + " lost\n")
    wait_until(lambda: site.json("events", "--kind", "command.keys_changed", "--host", "alpha"), "the revocation as an event")
    refused = site.cli("command", "uplink-reconnect", "alpha", "--reason", "test", "--yes", check=False)
    assert refused.returncode == 6 and "key_revoked" in refused.stdout
