# SPDX-License-Identifier: Apache-2.0
"""The simulated fleet itself: 200 hosts connect, take one signed command, and the aggregator knows what became of it on each."""
import fleet_client
import pytest
import signing
from conftest import wait_until
from fleet_sim import FleetSim

HOSTS = 200


@pytest.fixture
def fleet(site):
    site.start_aggregator()
    sim = FleetSim(site, HOSTS, ["nqn.2026-01.lab.array:a", "nqn.2026-01.lab.array:b"]).start()
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    wait_until(lambda: sim.n_up() == HOSTS, f"{HOSTS} simulated hosts to connect")
    yield sim, client
    client.close()
    sim.stop()


def test_a_command_on_every_host(site, fleet):
    sim, client = fleet
    sim.by_id["sim007"].plan = lambda command: (0.01, "FAILED", "as planned")
    command = signing.make(host_ids=[host.id for host in sim.hosts])
    client.submit(signing.seal(site, command))
    record = wait_until(lambda: (lambda r: r.finished and r)(client.command(command.id)), "the command to finish on all hosts")
    event = fleet_client.messages("event")
    lives = {host.host_id: event.CommandLife.Name(host.life).removeprefix("COMMAND_LIFE_") for host in record.hosts}
    assert len(lives) == HOSTS and lives.pop("sim007") == "FAILED" and set(lives.values()) == {"SUCCEEDED"}
    assert all(list(host.executed) == [command.id] for host in sim.hosts)
