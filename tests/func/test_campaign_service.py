# SPDX-License-Identifier: Apache-2.0
"""The Fleet service's campaigns, cancellation and audit, with real agents and a foreign client."""
import hashlib
import sqlite3
import struct
import time
import uuid

import fleet_client
import grpc
import pytest
from conftest import wait_until
from test_commands import make, seal

HOSTS = ["alpha", "beta", "gamma"]


@pytest.fixture
def fleet(site):
    site.start_aggregator()
    for host in HOSTS:
        site.start_agent(host)
    for host in HOSTS:
        site.wait_connected(host)
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    yield client
    client.close()


def campaign(site, hosts=HOSTS, **policy):
    """One signed envelope for each host, all of one campaign. Its id and the envelopes."""
    types = fleet_client.messages("command")
    policy = types.CommandCampaign(id=uuid.uuid4().bytes, name="test", max_parallel_percent=100, **policy)
    commands = [make(site, host_ids=[host], campaign=policy) for host in hosts]
    return policy.id, [seal(site, command) for command in commands]


def submit(fleet, envelopes):
    return fleet.unary("SubmitCampaign", fleet.types.SubmitCampaignRequest(envelopes=envelopes), fleet.types.Campaign)


def get(fleet, campaign_id):
    return fleet.unary("GetCampaign", fleet.types.GetCampaignRequest(campaign_id=campaign_id), fleet.types.Campaign)


def control(fleet, campaign_id, action):
    return fleet.unary("ControlCampaign", fleet.types.ControlCampaignRequest(campaign_id=campaign_id, action=action, reason="test"), fleet.types.Campaign)


def audit(fleet, **query):
    return fleet.unary("QueryAudit", fleet.types.QueryAuditRequest(**query), fleet.types.QueryAuditResponse)


def chain_hash(record):
    """As docs/formats/audit.md says."""
    data = b"pathbell-audit-v1\0" + record.previous_hash + struct.pack(">QQ", record.seq, record.unix_ns)
    for field in (record.actor, record.certificate, record.key_ids, record.action, record.command_id, record.campaign_id, record.host_id, record.detail):
        field = field.encode() if isinstance(field, str) else field
        data += struct.pack(">I", len(field)) + field
    return hashlib.sha256(data).digest()


def verify(fleet):
    answer = audit(fleet, page_size=5000)
    previous = bytes(32)
    for number, record in enumerate(answer.records, 1):
        assert record.seq == number and record.previous_hash == previous
        assert record.hash == chain_hash(record), record
        previous = record.hash
    assert answer.head_hash == previous and answer.head_seq == len(answer.records)
    return list(answer.records)


def test_a_campaign_stops_with_the_failure_that_exceeds_its_budget(site, fleet):
    # resync without a collector is INEFFECTIVE on every host: the canary is the failure
    campaign_id, envelopes = campaign(site)
    answer = submit(fleet, envelopes)
    assert answer.total == 3 and answer.verb == "resync" and answer.submitted_by == "tester"
    stopped = wait_until(lambda: (c := get(fleet, campaign_id)).state == fleet.types.CAMPAIGN_STATE_STOPPED and c, "the campaign to stop")
    assert (stopped.failed, stopped.waiting, stopped.under_way) == (1, 2, 0)
    assert "INEFFECTIVE on alpha" in stopped.state_reason
    assert [failure.host_id for failure in stopped.failures] == ["alpha"]
    # resumed, the budget counts anew: the second wave of two goes, and exceeds it
    control(fleet, campaign_id, fleet.types.CAMPAIGN_ACTION_RESUME)
    ended = wait_until(lambda: (c := get(fleet, campaign_id)).failed == 3 and c, "the rest")
    wait_until(lambda: get(fleet, campaign_id).state == fleet.types.CAMPAIGN_STATE_FINISHED, "the end")
    assert ended.wave == 2
    with pytest.raises(grpc.RpcError) as error:
        control(fleet, campaign_id, fleet.types.CAMPAIGN_ACTION_HALT)
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert site.metric("pathbell_aggregator_campaign_dispatches_total") == 3
    actions = [record.action for record in verify(fleet)]
    assert actions.count("command.submit") == 3 and actions.count("campaign.submit") == 1
    assert actions.count("campaign.control") == 1 and "campaign.state" in actions


def test_watching_until_the_end(site, fleet):
    campaign_id, envelopes = campaign(site, error_budget=3)
    submit(fleet, envelopes)
    seen = list(fleet.stream("WatchCampaign", fleet.types.WatchCampaignRequest(campaign_id=campaign_id), fleet.types.Campaign, timeout=60))
    assert seen[-1].state == fleet.types.CAMPAIGN_STATE_FINISHED and seen[-1].failed == 3
    assert [c.version for c in seen] == sorted({c.version for c in seen})


def test_halt_and_cancel(site, fleet):
    site.processes[-1].stop()  # gamma is away: it waits in its place
    wait_until(lambda: not site.connected("gamma"), "gamma to be away")
    campaign_id, envelopes = campaign(site, hosts=["gamma", "alpha"], error_budget=5)
    submit(fleet, envelopes)
    wait_until(lambda: get(fleet, campaign_id).failed == 1, "alpha's end")
    assert get(fleet, campaign_id).waiting == 1
    halted = control(fleet, campaign_id, fleet.types.CAMPAIGN_ACTION_HALT)
    assert halted.state == fleet.types.CAMPAIGN_STATE_HALTED
    assert halted.cancelled == 1 and halted.waiting == 0

    single = make(site, host_ids=["gamma", "alpha"])
    fleet.submit(seal(site, single))
    wait_until(lambda: any(h.life == 8 for h in fleet.command(single.id).hosts), "alpha's end")
    answer = fleet.unary("CancelCommand", fleet.types.CancelCommandRequest(command_id=single.id, reason="changed my mind"), fleet.types.CancelCommandResponse)
    assert (answer.cancelled, answer.too_late) == (1, 1)
    assert answer.command.finished
    site.start_agent("gamma", config=site.dir / "gamma" / "pathbelld.yaml")
    site.wait_connected("gamma")
    later = make(site, host_ids=["gamma"])
    fleet.submit(seal(site, later))
    wait_until(lambda: fleet.command(later.id).finished, "a later command")
    lives = {h.host_id: h.life for h in fleet.command(single.id).hosts}
    assert lives["gamma"] == 13  # CANCELLED, and it never went out
    assert any(r.action == "command.cancel" and "changed my mind" in r.detail for r in verify(fleet))


def test_a_kill_repeats_nothing(site, fleet):
    campaign_id, envelopes = campaign(site, error_budget=0)
    submit(fleet, envelopes)
    wait_until(lambda: get(fleet, campaign_id).state == fleet.types.CAMPAIGN_STATE_STOPPED, "the campaign to stop")
    site.aggregator.kill()
    site.start_aggregator()
    for host in HOSTS:
        site.wait_connected(host)
    again = fleet_client.Fleet(site.grpc, site.operator_files)
    stopped = get(again, campaign_id)
    assert (stopped.state, stopped.failed, stopped.waiting) == (fleet.types.CAMPAIGN_STATE_STOPPED, 1, 2)
    control(again, campaign_id, fleet.types.CAMPAIGN_ACTION_RESUME)
    wait_until(lambda: get(again, campaign_id).state == fleet.types.CAMPAIGN_STATE_FINISHED, "the end")
    events = again.events(kind_glob="command.received")
    hosts = [e.host_id for e in events]
    assert sorted(hosts) == HOSTS
    verify(again)
    again.close()


@pytest.mark.parametrize("spoil,code", [
    ("issuer", grpc.StatusCode.INVALID_ARGUMENT),
    ("policy", grpc.StatusCode.INVALID_ARGUMENT),
    ("twice", grpc.StatusCode.INVALID_ARGUMENT),
    ("host", grpc.StatusCode.NOT_FOUND),
    ("none", grpc.StatusCode.INVALID_ARGUMENT),
    ("single", grpc.StatusCode.INVALID_ARGUMENT),
])
def test_what_is_refused_is_audited(site, fleet, spoil, code):
    types = fleet_client.messages("command")
    policy = types.CommandCampaign(id=uuid.uuid4().bytes)
    commands = [make(site, host_ids=[host], campaign=policy) for host in ("alpha", "beta")]
    if spoil == "issuer":
        commands = [make(site, host_ids=["alpha"], campaign=policy, issuer="somebody")]
    if spoil == "policy":
        commands[1].campaign.error_budget = 7
    if spoil == "twice":
        commands[1].host_ids[:] = ["alpha"]
    if spoil == "host":
        commands[1].host_ids[:] = ["nobody"]
    if spoil == "none":
        commands[1].ClearField("campaign")
    with pytest.raises(grpc.RpcError) as error:
        if spoil == "single":
            fleet.submit(seal(site, commands[0]))
        else:
            submit(fleet, [seal(site, command) for command in commands])
    assert error.value.code() == code, error.value.details()
    refused = wait_until(lambda: [r for r in audit(fleet).records if r.action == "refused"], "the audit record")
    assert refused[0].actor == "spiffe://test.pathbell/operator/tester" and len(refused[0].certificate) == 64
    assert not fleet.unary("ListCampaigns", fleet.types.ListCampaignsRequest(), fleet.types.ListCampaignsResponse).campaigns


def test_roles(site, fleet):
    viewer = fleet_client.Fleet(site.grpc, site.pki.make("operator", "looker"))
    host = fleet_client.Fleet(site.grpc, site.pki.make("host", "delta"))
    campaign_id, envelopes = campaign(site)
    for client, word in ((viewer, "viewer"), (host, "host certificate")):
        with pytest.raises(grpc.RpcError) as error:
            submit(client, envelopes)
        assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED and word in error.value.details()
    with pytest.raises(grpc.RpcError):
        audit(viewer)
    records = wait_until(lambda: len(r := [x for x in audit(fleet).records if x.action == "refused"]) >= 3 and r, "three records")
    assert {r.actor for r in records} == {"spiffe://test.pathbell/operator/looker", "spiffe://test.pathbell/host/delta"}
    viewer.close()
    host.close()


def test_without_audit_nothing_changes_but_data_flows(site, fleet):
    before = len(fleet.events(kind_glob="agent.*"))
    # a full or broken audit: the insert fails, nothing else does
    database = sqlite3.connect(site.dir / "store.db", timeout=20)
    database.execute("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    database.commit()
    command = make(site)
    with pytest.raises(grpc.RpcError) as error:
        fleet.submit(seal(site, command))
    assert error.value.code() == grpc.StatusCode.INTERNAL
    campaign_id, envelopes = campaign(site)
    with pytest.raises(grpc.RpcError) as error:
        submit(fleet, envelopes)
    assert error.value.code() == grpc.StatusCode.INTERNAL
    with pytest.raises(grpc.RpcError) as error:
        fleet.command(command.id)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    site.start_agent("delta")
    site.wait_connected("delta")
    wait_until(lambda: len(fleet.events(kind_glob="agent.*")) > before, "events of the new host")
    database.execute("DROP TRIGGER broken")
    database.commit()
    database.close()
    fleet.submit(seal(site, command))
    wait_until(lambda: fleet.command(command.id).finished, "the command")
    lives = [r for r in verify(fleet) if r.action == "command.life" and r.command_id == command.id]
    assert lives[-1].actor == "spiffe://test.pathbell/host/alpha"


def test_time_of_a_pause(site, fleet):
    site.processes[-1].stop()
    wait_until(lambda: not site.connected("gamma"), "gamma to be away")
    campaign_id, envelopes = campaign(site, hosts=["gamma"])
    submit(fleet, envelopes)
    begin = time.monotonic()
    assert control(fleet, campaign_id, fleet.types.CAMPAIGN_ACTION_PAUSE).state == fleet.types.CAMPAIGN_STATE_PAUSED
    print(f"paused after {time.monotonic() - begin:.3f} s")
    site.start_agent("gamma", config=site.dir / "gamma" / "pathbelld.yaml")
    site.wait_connected("gamma")
    other = make(site, host_ids=["gamma"])
    fleet.submit(seal(site, other))
    wait_until(lambda: fleet.command(other.id).finished, "another command")
    assert get(fleet, campaign_id).waiting == 1
    control(fleet, campaign_id, fleet.types.CAMPAIGN_ACTION_RESUME)
    wait_until(lambda: get(fleet, campaign_id).failed == 1, "gamma's turn")
