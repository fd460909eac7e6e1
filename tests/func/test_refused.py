# SPDX-License-Identifier: Apache-2.0
"""Agents that must not get in, with a clear line on both sides, data held, and no busy loop; and recovery when the cause is mended."""
import shutil

import pytest
from conftest import Pki, wait_until


def copy_key(files, owner="nobody"):
    shutil.chown(files["key_file"], owner)
    return files


def expect_held(site, host, agent, ours, theirs):
    """The agent says why, holds its data, and tries at the pace of its backoff only."""
    wait_until(lambda: any(word in agent.text() for word in ours), f"one of {ours} in the agent's log: {agent.text()}")
    if theirs:
        wait_until(lambda: any(word in site.aggregator.text() for word in theirs), f"one of {theirs} in the aggregator's log")
    status = wait_until(lambda: site.local(host, "status"), "the agent's status")
    assert status["spool"].get("acked", 0) == 0
    assert status["spool"]["captured"] >= 1
    assert status["spool"]["captured"] == status["spool"]["unacked"]
    assert not site.connected(host)


def lines_with(text, words):
    return [line for line in text.splitlines() if any(word in line for word in words)]


def test_certificate_of_another_ca(site):
    site.start_aggregator()
    foreign = Pki(site.dir / "foreign")
    files = foreign.make("host", "stranger")
    files["ca_file"] = site.operator_files["ca_file"]
    agent = site.start_agent("stranger", files=files)
    expect_held(site, "stranger", agent, ["certificate", "tls", "handshake"], ["handshake", "certificate"])
    # a rate-limited log: no flood on either side
    assert len(lines_with(agent.text(), ["forwarder"])) < 50
    assert len(site.aggregator.text().splitlines()) < 200


def test_aggregator_of_another_ca_is_not_trusted(site):
    site.start_aggregator()
    foreign = Pki(site.dir / "foreign")
    files = site.pki.make("host", "careful")
    files["ca_file"] = str(foreign.dir / "ca.pem")
    agent = site.start_agent("careful", files=files)
    expect_held(site, "careful", agent, ["certificate verify failed", "certificate", "tls"], [])


def test_expired_certificate_holds_data_and_recovers(site):
    site.start_aggregator()
    files = site.pki.make("host", "late", "--not-after", "2020-01-01T00:00:00Z")
    agent = site.start_agent("late", files=files)
    expect_held(site, "late", agent, ["expired"], [])
    before = site.local("late", "status")["spool"]["captured"]
    site.pki.make("host", "late", "--force")
    site.wait_connected("late")
    wait_until(lambda: site.local("late", "status")["spool"]["acked"] >= before, "the held data to be stored")


@pytest.mark.parametrize("claimed", ["someone-else"])
def test_host_id_that_is_not_its_own(site, claimed):
    site.start_aggregator()
    files = site.pki.make("host", "me")
    agent = site.start_agent(claimed, files=files)
    expect_held(site, claimed, agent, ["host id", "host_id", "mismatch"], [])
    assert not site.json("hosts")


def test_second_aggregator_on_the_port_is_refused(site):
    site.start_aggregator()
    config = (site.dir / "aggregator.yaml").read_text().replace("127.0.0.1:0", site.grpc, 1).replace("store.db", "other.db")
    (site.dir / "second.yaml").write_text(config)
    second = site.spawn("pathbell-aggregator", ["--config", str(site.dir / "second.yaml")], site.dir / "second.log")
    assert second.popen.wait(60) == 1
    assert site.grpc in second.text() or "address" in second.text().lower()


def test_second_aggregator_on_the_store_is_refused(site):
    site.start_aggregator()
    config = (site.dir / "aggregator.yaml").read_text()
    (site.dir / "second.yaml").write_text(config.replace(site.grpc, "127.0.0.1:0").replace("/ports", "/ports2"))
    second = site.spawn("pathbell-aggregator", ["--config", str(site.dir / "second.yaml")], site.dir / "second.log")
    assert second.popen.wait(60) == 1
    assert "store.db" in second.text()


def test_second_agent_on_the_spool_is_refused(site):
    site.start_aggregator()
    site.start_agent("once")
    site.wait_connected("once")
    second = site.spawn("pathbelld", ["--config", str(site.dir / "once" / "pathbelld.yaml")], site.dir / "second.log")
    assert second.popen.wait(60) != 0
    assert "spool" in second.text()
