# SPDX-License-Identifier: Apache-2.0
"""Campaigns over a fleet of 200 simulated hosts (fleet_sim.py), a real aggregator and real TLS. The oracle is what the hosts
themselves executed, with their own times."""
import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
import tempfile
import time
import uuid

import fleet_client
import grpc
import pytest
import signing
from conftest import Site, wait_until
from fleet_sim import FleetSim

HOSTS = 200
TARGETS = [f"nqn.2026-01.lab.array:{letter}" for letter in "abcd"]
QUICK = (0.02, "SUCCEEDED", "done")


class Arena:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pathbell-test.")
        self.site = Site(self.dir)
        self.site.start_aggregator(commands={"silent_after": "30s"}, roles=[{"name": "tester", "role": "admin"}, {"name": "looker", "role": "viewer"}])
        self.sim = FleetSim(self.site, HOSTS, TARGETS)
        for host in self.sim.hosts[100:110]:
            host.usable = 0
        self.sim.start()
        self.client = fleet_client.Fleet(self.site.grpc, self.site.operator_files)
        self.types, self.command, self.event = (fleet_client.messages(name) for name in ("fleet", "command", "event"))
        wait_until(lambda: self.sim.n_up() == HOSTS, f"{HOSTS} hosts to connect", 120)
        wait_until(lambda: len(self.plan(host_globs=["sim*"], target=TARGETS[0]).hosts) == HOSTS // 4, "the hosts' topology to be stored")

    def reset(self):
        for host in self.sim.hosts:
            host.plan = lambda command: QUICK
        wait_until(lambda: self.sim.n_up() >= HOSTS - len([h for h in self.sim.hosts if h.gone]), "all hosts to be connected", 60)

    def call(self, method, request, answer):
        return self.client.unary(method, request, answer)

    def plan(self, **selector):
        return self.call("PlanCampaign", self.types.PlanCampaignRequest(selector=self.types.CampaignSelector(**selector), verb=self.command.COMMAND_VERB_PROBE),
                         self.types.PlanCampaignResponse)

    def seal(self, hosts, policy, target=TARGETS[0], expires_s=300):
        now = int(time.time() * 1000)
        command = signing.make(verb=self.command.COMMAND_VERB_PROBE, host_ids=hosts, expires_unix_ms=now + expires_s * 1000,
                               campaign=self.command.CommandCampaign(id=uuid.uuid4().bytes, name="test", **policy),
                               **({"target": self.command.CommandTarget(nqn=target)} if target else {}))
        return command, self.types.SubmitCampaignRequest(envelopes=[signing.seal(self.site, command)])

    def start(self, hosts, target=None, **policy):
        command, request = self.seal(hosts, policy, target)
        campaign = self.call("SubmitCampaign", request, self.types.Campaign)
        assert campaign.campaign_id == command.campaign.id and campaign.total == len(hosts)
        return command

    def get(self, command):
        return self.call("GetCampaign", self.types.GetCampaignRequest(campaign_id=command.campaign.id), self.types.Campaign)

    def state(self, campaign):
        return self.types.CampaignState.Name(campaign.state).removeprefix("CAMPAIGN_STATE_")

    def wait_state(self, command, *states, bound=120):
        def look():
            # an aggregator that is being restarted answers later
            with contextlib.suppress(grpc.RpcError):
                campaign = self.get(command)
                return campaign if self.state(campaign) in states else None

        return wait_until(look, f"the campaign to be {' or '.join(states)}", bound)

    def control(self, command, action, reason="test"):
        return self.call("ControlCampaign", self.types.ControlCampaignRequest(campaign_id=command.campaign.id, action=getattr(self.types, "CAMPAIGN_ACTION_" + action), reason=reason),
                         self.types.Campaign)

    def runs(self, command):
        """Executions of this command in order of their start."""
        return [row for row in self.sim.executions() if row[4] == command.id]

    def quiet(self, command):
        """Waits until nothing of it is under way any more."""
        return wait_until(lambda: (lambda c: c.under_way == 0 and c)(self.get(command)), "what is under way to end")

    def close(self):
        self.client.close()
        self.sim.stop()
        self.site.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="module")
def made():
    arena = Arena()
    try:
        yield arena
    finally:
        arena.close()


@pytest.fixture
def arena(made):
    made.reset()
    return made


def ids(hosts):
    return [host.host_id for host in hosts]


def test_plan_resolves_to_exact_hosts_and_takes_those_without_a_path_first(arena):
    plan = arena.plan(target=TARGETS[0])
    expected = [host for host in arena.sim.hosts if host.target == TARGETS[0]]
    assert sorted(ids(plan.hosts)) == sorted(host.id for host in expected)
    without = [host.id for host in expected if host.usable == 0]
    assert without and sorted(ids(plan.hosts)[:len(without)]) == sorted(without)
    assert {host.storage_target for host in plan.hosts} == {TARGETS[0]} and all(host.connected for host in plan.hosts)
    nothing = arena.plan(target="nqn.2026-01.lab.array:none")
    assert not nothing.hosts and nothing.reason
    assert len(arena.plan(host_globs=["sim00*"]).hosts) == 10
    assert sorted(ids(arena.plan(host_globs=["*"], degraded_only=True).hosts)) == sorted(host.id for host in arena.sim.hosts if host.usable == 0)


def test_one_percent_fails_and_the_budget_is_exact(arena):
    """200 hosts, two of them fail, one is allowed: the second failure stops it, and nothing is dispatched once it is known."""
    hosts = [host.id for host in arena.sim.hosts]
    for number in (60, 90):
        arena.sim.hosts[number].plan = lambda command: (0.02, "FAILED", "as planned")
    command = arena.start(hosts, canary=1, growth=2, max_parallel=16, max_parallel_percent=100, max_per_target=200, error_budget=1)
    stopped = arena.wait_state(command, "STOPPED")
    assert stopped.failed == 2 and "2" in stopped.state_reason, stopped.state_reason
    ended = arena.quiet(command)
    runs = arena.runs(command)
    second = sorted(run[1] for run in runs if run[2] == "FAILED")[1]
    assert len(runs) == ended.succeeded + ended.failed < HOSTS and ended.failed == 2
    # between the host's failure and the campaign's knowledge of it at most the cap can start; once it is known, nobody
    assert len([run for run in runs if run[0] > second]) <= 16
    assert ended.waiting == stopped.waiting and stopped.waiting + len(runs) == HOSTS, "dispatched after the campaign knew"
    assert sorted(failure.host_id for failure in ended.failures) == ["sim060", "sim090"] and ended.failures[0].detail


def test_one_at_a_time_the_prefix_is_exact(arena):
    hosts = [host.id for host in arena.sim.hosts[:40]]
    for number in (5, 9):
        arena.sim.hosts[number].plan = lambda command: (0.01, "TIMED_OUT", "as planned")
    command = arena.start(hosts, canary=1, growth=8, max_parallel=1, max_parallel_percent=100, max_per_target=200, error_budget=1)
    arena.wait_state(command, "STOPPED")
    arena.quiet(command)
    assert [run[3].id for run in arena.runs(command)] == hosts[:10]
    # an operator who has looked at it goes on: the budget counts anew
    arena.control(command, "RESUME")
    arena.wait_state(command, "FINISHED")
    assert sorted(run[3].id for run in arena.runs(command)) == hosts


def test_canary_then_doubling(arena):
    hosts = [host.id for host in arena.sim.hosts[:31]]
    for host in arena.sim.hosts[:31]:
        host.plan = lambda command: (0.15, "SUCCEEDED", "done")
    command = arena.start(hosts, canary=1, growth=2, max_parallel=100, max_parallel_percent=100, max_per_target=200)
    done = arena.wait_state(command, "FINISHED")
    runs = arena.runs(command)
    assert done.succeeded == 31 and done.wave == 5
    assert sorted(run[3].id for run in runs) == hosts and runs[0][3].id == hosts[0]
    at = 0
    for size in (1, 2, 4, 8, 16):
        wave, rest = runs[at:at + size], runs[at + size:]
        assert max(run[1] for run in wave) <= min([run[0] for run in rest] or [float("inf")]), f"the wave after {size} began too early"
        at += size


def test_caps_are_never_exceeded(arena):
    """One campaign over four arrays, an envelope for each: its cap counts for each of them."""
    for host in arena.sim.hosts:
        host.plan = lambda command: (0.1, "SUCCEEDED", "done")
    by_target = {target: [host.id for host in arena.sim.hosts if host.target == target] for target in TARGETS}
    policy = {"canary": 8, "growth": 4, "max_parallel": 50, "max_parallel_percent": 100, "max_per_target": 6}
    campaign, envelopes, commands = uuid.uuid4().bytes, [], []
    for target, members in by_target.items():
        command, _ = arena.seal(members, policy, target)
        command.campaign.id = campaign
        envelopes.append(signing.seal(arena.site, command))
        commands.append(command)
    answer = arena.call("SubmitCampaign", arena.types.SubmitCampaignRequest(envelopes=envelopes), arena.types.Campaign)
    assert answer.total == HOSTS
    done = arena.wait_state(commands[0], "FINISHED")
    assert done.succeeded == HOSTS
    most, together, level = {}, 0, {}
    runs = [(run, target) for command, target in zip(commands, TARGETS) for run in arena.runs(command)]
    assert all(run[3].target == target for run, target in runs) and len(runs) == HOSTS
    for _, step, target in sorted([(run[0], 1, target) for run, target in runs] + [(run[1], -1, target) for run, target in runs]):
        level[target] = level.get(target, 0) + step
        most[target] = max(most.get(target, 0), level[target])
        together = max(together, sum(level.values()))
    assert max(most.values()) <= 6 and together <= 24, most
    assert max(most.values()) >= 5, "the cap was never near: the test shows nothing"


def test_kill_of_the_aggregator_repeats_and_skips_no_host(arena):
    hosts = [host.id for host in arena.sim.hosts]
    for host in arena.sim.hosts:
        host.plan = lambda command: (0.2, "SUCCEEDED", "done")
    command = arena.start(hosts, canary=4, growth=2, max_parallel=20, max_parallel_percent=100, max_per_target=200)
    before = sum(host.deliveries for host in arena.sim.hosts)
    moments = sorted(random.sample(range(5, HOSTS - 20), 4))
    print("killed behind", moments)
    for moment in moments:
        wait_until(lambda: len(arena.runs(command)) >= moment, f"{moment} hosts")
        arena.site.aggregator.kill()
        arena.site.start_aggregator()
    done = arena.wait_state(command, "FINISHED", bound=180)
    assert done.succeeded == HOSTS and done.failed == 0
    assert sorted(run[3].id for run in arena.runs(command)) == hosts, "a host was left out"
    # A host that has confirmed is never sent it again; those under way at a kill (at most the cap) may be.
    assert HOSTS <= sum(host.deliveries for host in arena.sim.hosts) - before <= HOSTS + 4 * 20
    lives = arena.client.command(command.id)
    event = arena.event
    for host in lives.hosts:
        told = [step.life for step in host.transitions]
        assert told.count(event.COMMAND_LIFE_STARTED) == 1 and told.count(event.COMMAND_LIFE_SUCCEEDED) == 1, (host.host_id, told)


def test_pause_resume_halt(arena):
    hosts = [host.id for host in arena.sim.hosts[:60]]
    for host in arena.sim.hosts[:60]:
        host.plan = lambda command: (0.1, "SUCCEEDED", "done")
    command = arena.start(hosts, canary=2, growth=2, max_parallel=4, max_parallel_percent=100, max_per_target=200)
    wait_until(lambda: len(arena.runs(command)) >= 6, "a few hosts")
    assert arena.state(arena.control(command, "PAUSE")) == "PAUSED"
    arena.quiet(command)
    paused = len(arena.runs(command))
    assert arena.state(arena.get(command)) == "PAUSED" and len(arena.runs(command)) == paused < 60
    arena.control(command, "RESUME")
    wait_until(lambda: len(arena.runs(command)) >= paused + 6, "more hosts")
    assert arena.state(arena.control(command, "HALT")) == "HALTED"
    ended = arena.quiet(command)
    runs = len(arena.runs(command))
    assert ended.cancelled == 60 - runs and runs < 60
    with pytest.raises(grpc.RpcError) as refused:
        arena.control(command, "RESUME")
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_storm_stops_it(arena):
    event = arena.event
    hosts = [host.id for host in arena.sim.hosts[:40]]
    for host in arena.sim.hosts[:40]:
        host.plan = lambda command: (0.3, "SUCCEEDED", "done")
    command = arena.start(hosts, canary=1, growth=2, max_parallel=2, max_parallel_percent=100, max_per_target=200, storm_events=50)
    wait_until(lambda: arena.runs(command), "the canary")
    noisy = arena.sim.hosts[199]

    def storm():
        for number in range(200):
            now = time.time_ns()
            noisy.publish(event.Event(kind=event.EVENT_KIND_STORAGE_PATH_FAILED, severity=event.SEVERITY_ERROR, time_unix_ns=now, observed_unix_ns=now,
                                      fault_phase=event.FAULT_PHASE_RAISED, fault_id=f"path:{number}",
                                      subject=event.Subject(type=event.SUBJECT_TYPE_PATH, id=f"wwid:naa.{number}", name="sda")))

    arena.sim.loop.call_soon_threadsafe(storm)
    stopped = arena.wait_state(command, "STOPPED")
    assert stopped.state_reason.startswith("storm:"), stopped.state_reason
    arena.control(command, "HALT")
    wait_until(lambda: arena.state(arena.get(command)) == "HALTED", "the halt")


def test_hosts_that_vanish_count_as_failed(arena):
    """Two take the command and are never heard of again."""
    vanishing = [arena.sim.hosts[195], arena.sim.hosts[196]]
    for host in vanishing:
        host.plan = lambda command: None
    command = arena.start([host.id for host in arena.sim.hosts[190:199]], canary=9, growth=1, max_parallel=9, max_parallel_percent=100, max_per_target=200, error_budget=2)
    done = arena.wait_state(command, "FINISHED", "STOPPED", bound=150)
    assert arena.state(done) == "FINISHED" and (done.succeeded, done.failed) == (7, 2), done
    assert sorted(failure.host_id for failure in done.failures) == [host.id for host in vanishing]


def test_who_may(arena):
    looker = fleet_client.Fleet(arena.site.grpc, arena.site.pki.make("operator", "looker"))
    host = fleet_client.Fleet(arena.site.grpc, arena.site.pki.make("host", "stranger"))
    _, request = arena.seal(["sim000"], {})
    for client, code in ((looker, grpc.StatusCode.PERMISSION_DENIED), (host, grpc.StatusCode.PERMISSION_DENIED)):
        with pytest.raises(grpc.RpcError) as refused:
            client.unary("SubmitCampaign", request, arena.types.Campaign)
        assert refused.value.code() == code
    assert looker.unary("ListCampaigns", arena.types.ListCampaignsRequest(), arena.types.ListCampaignsResponse).campaigns
    with pytest.raises(grpc.RpcError):
        looker.unary("QueryAudit", arena.types.QueryAuditRequest(), arena.types.QueryAuditResponse)
    looker.close()
    host.close()


def test_a_campaign_that_contradicts_itself_is_refused(arena):
    """Two envelopes of one campaign with the same host, or another policy."""
    first, one = arena.seal(["sim000", "sim001"], {"canary": 1})
    for change in ({"hosts": ["sim001"], "canary": 1}, {"hosts": ["sim002"], "canary": 2}):
        second = arena.command.Command.FromString(first.SerializeToString())
        second.id = uuid.uuid4().bytes
        second.host_ids[:] = change["hosts"]
        second.campaign.canary = change["canary"]
        request = arena.types.SubmitCampaignRequest(envelopes=[*one.envelopes, signing.seal(arena.site, second)])
        with pytest.raises(grpc.RpcError) as refused:
            arena.call("SubmitCampaign", request, arena.types.Campaign)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, refused.value
    assert first.id not in {command for host in arena.sim.hosts for command in host.executed}


def audit(arena):
    records, after = [], 0
    while True:
        page = arena.call("QueryAudit", arena.types.QueryAuditRequest(after_seq=after, page_size=1000), arena.types.QueryAuditResponse)
        records += page.records
        if not page.next_after_seq:
            return records, page
        after = page.next_after_seq


def chain_hash(record, previous):
    """docs/formats/audit.md, by another implementation."""
    out = hashlib.sha256(b"pathbell-audit-v1\0" + previous + record.seq.to_bytes(8, "big") + record.unix_ns.to_bytes(8, "big"))
    for value in (record.actor, record.certificate, record.key_ids, record.action, record.command_id, record.campaign_id, record.host_id, record.detail):
        raw = value if isinstance(value, bytes) else value.encode()
        out.update(len(raw).to_bytes(4, "big") + raw)
    return out.digest()


def test_audit_chain(arena):
    command = arena.start(["sim010", "sim011"], canary=2)
    arena.wait_state(command, "FINISHED")
    records, page = audit(arena)
    previous = b"\0" * 32
    for number, record in enumerate(records, 1):
        assert record.seq == number and record.previous_hash == previous
        previous = record.hash
        assert chain_hash(record, record.previous_hash) == record.hash, record
    assert (page.head_seq, page.head_hash) == (len(records), previous)
    ours = [record for record in records if record.campaign_id == command.campaign.id]
    actions = [record.action for record in ours]
    assert "campaign.submit" in actions and "command.submit" in actions and "campaign.state" in actions
    submit = next(record for record in ours if record.action == "campaign.submit")
    assert submit.actor == "spiffe://test.pathbell/operator/tester" and len(submit.certificate) == 64
    lives = [record for record in records if record.action == "command.life" and record.command_id == command.id]
    assert {record.host_id for record in lives} == {"sim010", "sim011"}
    assert any(record.action == "refused" for record in records), "the viewer's attempt is not there"
    # the CLI comes to the same answer
    assert arena.site.cli("audit", "--verify").returncode == 0


def test_tampering_with_the_audit_shows(arena):
    """Last: the store is changed behind the aggregator's back."""
    records, _ = audit(arena)
    arena.site.aggregator.stop()
    with sqlite3.connect(os.path.join(arena.dir, "store.db")) as store:
        table, = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%audit%' AND sql LIKE '%detail%'")]
        changed_seq = records[len(records) // 2].seq
        changed = store.execute(f"UPDATE {table} SET detail = 'nothing happened' WHERE seq = ?", (changed_seq,)).rowcount
    assert changed == 1
    arena.site.start_aggregator()
    wait_until(lambda: arena.sim.n_up() > 100, "hosts to come back")
    records, _ = audit(arena)
    assert [record.seq for record in records if chain_hash(record, record.previous_hash) != record.hash] == [changed_seq]
    done = arena.site.cli("audit", "--verify", check=False)
    assert done.returncode != 0 and "nothing happened" not in done.stderr
