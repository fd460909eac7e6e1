# SPDX-License-Identifier: Apache-2.0
"""A compromised aggregator at work: it forges, replays, reorders, floods and alters commands. The agent is the real one. Nothing
without a valid signature is executed, and every attempt is an event, or counted in one."""
import random
import re
import signal
import subprocess
import time

import fleet_client
import pytest
import signing
from conftest import program, wait_until
from signing import seal
from test_hostile import Hostile, finished


@pytest.fixture
def hostile(site):
    server = Hostile(site.aggregator_files)
    site.grpc = f"127.0.0.1:{server.port}"
    agent = site.start_agent("alpha", commands={"trusted_keys": [{"name": "tester", "key": site.public_key}], "max_per_minute": 6000})
    wait_until(lambda: server.events, "the agent's first events")
    server.agent = agent
    yield server
    server.stop()


def make(**changes):
    command = signing.make(**changes)
    if "id" not in changes:
        command.id = int(time.time() * 1000).to_bytes(6, "big") + bytes([0x70 | command.id[6] & 15]) + command.id[7:]
    return command


def refusals(hostile):
    event = hostile.event
    return [event.CommandRefusal.Name(s.refusal).removeprefix("COMMAND_REFUSAL_").lower() for s in hostile.states(event.EVENT_KIND_COMMAND_REFUSED)]


def started(hostile):
    return [s.command_id for s in hostile.states(hostile.event.EVENT_KIND_COMMAND_STARTED)]


def good_one(site, hostile, what):
    """A valid command behind the bad ones: when it is done, the bad ones have been looked at."""
    command = make()
    envelope = seal(site, command)

    def look():
        # the handler of a stream that was cut may have eaten an envelope
        if hostile.commands.empty():
            hostile.commands.put(envelope)
        return finished(hostile, command)

    wait_until(look, f"a good command behind {what}")
    return command


def attempts(site):
    """Envelopes that the agent looked at and refused, by its own counters."""
    return site.local("alpha", "status").get("commands_refused", 0)


def test_forged(site, hostile):
    """No signature, an unknown key, another command's signature, the trusted key's id on a stranger's signature."""
    types = fleet_client.messages("command")
    other = str(site.dir / "other.key")
    subprocess.run([program("pathbell"), "key", "new", other], check=True, stdout=subprocess.DEVNULL)
    command, second = make(), make()
    body = command.SerializeToString()
    signed = types.SignedCommand.FromString(seal(site, second)).signatures[0]
    stranger = types.SignedCommand.FromString(seal(site, command, key=other)).signatures[0]
    stranger.key_id = signed.key_id
    for signatures in ([], [signed], [stranger], [types.Signature(key_id=signed.key_id, signature=b"\0" * 64)],
                       [types.Signature(key_id="ed25519:0000000000000000", signature=signed.signature)], [types.Signature(key_id="", signature=b"")]):
        hostile.commands.put(types.SignedCommand(command=body, signatures=signatures).SerializeToString())
    hostile.commands.put(seal(site, command, key=other))
    good = good_one(site, hostile, "forged commands")
    assert set(started(hostile)) == {good.id}
    assert attempts(site) >= 6
    assert {"bad_signature", "unknown_key"} <= set(refusals(hostile))


def test_altered(site, hostile):
    """Any bit of the signed bytes, the target set, the expiry, the verb."""
    types = fleet_client.messages("command")
    command = make()
    envelope = types.SignedCommand.FromString(seal(site, command))
    choice = random.Random(7)
    bad = []
    for _ in range(40):
        body = bytearray(envelope.command)
        body[choice.randrange(len(body))] ^= 1 << choice.randrange(8)
        bad.append(bytes(body))
    for change in ({"host_ids": ["alpha", "beta"]}, {"expires_unix_ms": command.expires_unix_ms + 1}, {"verb": types.COMMAND_VERB_UPLINK_RECONNECT}, {"dry_run": True}):
        altered = types.Command.FromString(envelope.command)
        for name, value in change.items():
            if name == "host_ids":
                altered.host_ids[:] = value
            else:
                setattr(altered, name, value)
        bad.append(altered.SerializeToString())
    for body in bad:
        hostile.commands.put(types.SignedCommand(command=body, signatures=envelope.signatures).SerializeToString())
    good = good_one(site, hostile, "altered commands")
    assert set(started(hostile)) == {good.id}
    assert attempts(site) >= len(bad) - 4, "an attempt left no trace"  # one that breaks the envelope itself may end the stream
    assert "bad_signature" in refusals(hostile)


def test_replayed_a_thousand_times_and_after_a_restart(site, hostile):
    command = make()
    envelope = seal(site, command)
    hostile.commands.put(envelope)
    wait_until(lambda: finished(hostile, command), "the execution")
    for _ in range(1000):
        hostile.commands.put(envelope)
    good_one(site, hostile, "a thousand copies")
    assert started(hostile).count(command.id) == 1
    # the agent's next life knows it as well
    hostile.agent.kill()
    hostile.agent = site.start_agent("alpha", config=site.dir / "alpha" / "pathbelld.yaml")
    for _ in range(20):
        hostile.commands.put(envelope)
    good_one(site, hostile, "copies after a restart")
    assert started(hostile).count(command.id) == 1


def test_reordered(site, hostile):
    """In any order each is executed once, and a command that expired on the way is not."""
    types = hostile.event
    now = int(time.time() * 1000)
    stale = make(not_before_unix_ms=now - 20000, expires_unix_ms=now - 10000)
    commands = [make() for _ in range(6)]
    envelopes = [seal(site, c) for c in commands] * 2 + [seal(site, stale)]
    random.Random(3).shuffle(envelopes)
    for envelope in envelopes:
        hostile.commands.put(envelope)
    # more than run side by side are refused as busy; the aggregator's copies come again
    def all_answered():
        answered = {s.command_id for kind in ("FINISHED", "REFUSED") for s in hostile.states(getattr(types, "EVENT_KIND_COMMAND_" + kind))}
        return {c.id for c in commands} <= answered

    wait_until(all_answered, "an answer to each")
    assert all(started(hostile).count(c.id) <= 1 for c in commands)
    assert stale.id not in started(hostile) and "expired" in refusals(hostile)


def test_flood(site, hostile):
    """Far above the rate: the agent stays small and alive, a few events say how many were not looked at, and its own reading of the
    kernel goes on."""
    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{hostile.agent.pid}/status").read()).group(1))

    config = site.dir / "alpha" / "pathbelld.yaml"
    config.write_text(config.read_text().replace("max_per_minute: 6000", "max_per_minute: 60"))
    hostile.agent.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: any(e.kind == hostile.event.EVENT_KIND_AGENT_CONFIG_CHANGED for e in list(hostile.events)), "the new rate")
    before = resident()
    junk = bytes(random.Random(1).randbytes(2000))
    for number in range(3000):
        hostile.commands.put(b"\x0a\xd0\x0f" + junk[:2000 - number % 7])
    wait_until(lambda: "rate" in refusals(hostile) or hostile.commands.empty(), "the flood to be limited")
    wait_until(lambda: hostile.commands.empty(), "the flood to be over", 120)
    wait_until(lambda: "rate" in refusals(hostile), "an event about it")
    assert len(refusals(hostile)) < 300, "a flood of commands became a flood of events"
    assert started(hostile) == []
    assert resident() < before + 20000, "kB"
    assert hostile.agent.alive()


def test_lies_about_time(site, hostile):
    """What an aggregator says of the time does not stretch a command's life: the host's clock counts."""
    now = int(time.time() * 1000)
    late = make(not_before_unix_ms=now - 90000, expires_unix_ms=now - 30000)
    early = make(not_before_unix_ms=now + 7200000, expires_unix_ms=now + 7260000)
    long = make(not_before_unix_ms=now, expires_unix_ms=now + 48 * 3600 * 1000)
    elsewhere = make(host_ids=["beta", "gamma"])
    for command in (late, early, long, elsewhere):
        hostile.commands.put(seal(site, command))
    good = good_one(site, hostile, "untimely commands")
    assert set(started(hostile)) == {good.id}
    assert {"expired", "not_yet_valid", "malformed", "not_for_this_host"} <= set(refusals(hostile))
