# SPDX-License-Identifier: Apache-2.0
"""Signed commands: what runs, and every refusal with its reason, seen as events in the store."""
import os
import subprocess
import time

import fleet_client
import grpc
import pytest
import signing
from conftest import program, wait_until
from signing import seal


# resync on an agent without a collector that has a state to tell: carried out, to no effect
EXECUTED = ["INEFFECTIVE"]


@pytest.fixture
def fleet(site):
    site.start_aggregator()
    site.start_agent("alpha")
    site.wait_connected("alpha")
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    yield client
    client.close()


def make(site, **changes):
    return signing.make(**changes)


def refusal(site, fleet, command):
    """Name of the refusal that the host reported for the command."""
    event = fleet_client.messages("event")

    def look():
        for record in fleet.events(kind_glob="command.refused"):
            state = record.event.command_state
            if state.command_id in (command.id, b""):
                return event.CommandRefusal.Name(state.refusal).removeprefix("COMMAND_REFUSAL_").lower()
        return None

    return wait_until(look, "a command.refused event")


def final(fleet, command):
    event = fleet_client.messages("event")

    def look():
        record = fleet.command(command.id)
        return record.finished and [event.CommandLife.Name(host.life).removeprefix("COMMAND_LIFE_") for host in record.hosts]

    return wait_until(look, "the command to finish")


def test_probe_of_a_real_device(site, fleet):
    disks = sorted(os.listdir("/sys/block")) if os.path.isdir("/sys/block") else []
    disks = [disk for disk in disks if not disk.startswith(("ram", "zram"))]
    if not disks:
        pytest.skip("no block device under /sys/block")
    done = site.cli("command", "probe", "alpha", "--device", disks[0], "--reason", "test")
    for state in ("RECEIVED", "ACCEPTED", "STARTED", "SUCCEEDED"):
        assert state in done.stdout
    states = site.json("events", "--kind", "storage.device.state", "--host", "alpha")
    assert any(record["event"]["subject"]["name"] == disks[0] for record in states)


def test_probe_of_a_device_that_is_not_there(site, fleet):
    done = site.cli("command", "probe", "alpha", "--device", "nosuchdisk", "--reason", "test", check=False)
    assert done.returncode == 6
    assert "FAILED" in done.stdout


def test_resync_without_a_collector_says_so(site, fleet):
    done = site.cli("command", "resync", "alpha", "--reason", "test", check=False)
    assert done.returncode == 6 and "INEFFECTIVE" in done.stdout


def test_uplink_reconnect(site, fleet):
    assert "SUCCEEDED" in site.cli("command", "uplink-reconnect", "alpha", "--reason", "test").stdout
    assert site.local("alpha", "status")["forwarders"][0]["reconnects"] >= 1


def test_a_foreign_signature_is_accepted(site, fleet):
    command = make(site)
    fleet.submit(seal(site, command))
    assert final(fleet, command) == EXECUTED


@pytest.mark.parametrize("spoil", ["signature", "body"])
def test_bad_signature(site, fleet, spoil):
    command = make(site)
    fleet.submit(seal(site, command, spoil=spoil))
    assert refusal(site, fleet, command) == "bad_signature"


def test_unknown_key(site, fleet):
    other = str(site.dir / "other.key")
    subprocess.run([program("pathbell"), "key", "new", other], check=True, stdout=subprocess.DEVNULL)
    command = make(site)
    fleet.submit(seal(site, command, key=other))
    assert refusal(site, fleet, command) == "unknown_key"


def test_unknown_verb(site, fleet):
    command = make(site, verb=0)
    types = fleet_client.messages("command")
    body = command.SerializeToString() + b"\x10\xe7\x07"  # verb = 999
    command = types.Command.FromString(body)
    fleet.submit(seal(site, body))
    assert refusal(site, fleet, command) == "unknown_verb"


# The aggregator would not deliver these itself: a scripted hostile aggregator is the right sender (tests/func/test_hostile.py).
def test_expired_is_not_taken_by_the_aggregator(site, fleet):
    now = int(time.time() * 1000)
    command = make(site, not_before_unix_ms=now - 120000, expires_unix_ms=now - 60000)
    with pytest.raises(grpc.RpcError) as refused:
        fleet.submit(seal(site, command))
    assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)


def test_same_bytes_again_is_not_a_second_execution(site, fleet):
    command = make(site)
    envelope = seal(site, command)
    fleet.submit(envelope)
    assert final(fleet, command) == EXECUTED
    fleet.submit(envelope)
    assert final(fleet, command) == EXECUTED
    started = [record for record in fleet.events(kind_glob="command.started") if record.event.command_state.command_id == command.id]
    assert len(started) == 1


def test_a_viewer_may_not_command(site):
    site.start_aggregator(roles=[{"name": "tester", "role": "viewer"}])
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    with pytest.raises(grpc.RpcError) as refused:
        client.submit(seal(site, make(site)))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    client.close()


def test_a_command_for_a_host_that_is_away_waits_and_survives_a_restart(site, fleet):
    site.start_agent("beta")
    site.wait_connected("beta")
    beta = site.processes[-1]
    beta.stop()
    command = make(site, host_ids=["beta"])
    fleet.submit(seal(site, command))
    site.aggregator.kill()
    site.start_aggregator()
    site.start_agent("beta", config=site.dir / "beta" / "pathbelld.yaml")

    def life():
        try:
            return final(fleet, command)
        except grpc.RpcError:
            return None

    assert wait_until(life, "the command to be carried out after all") == EXECUTED
