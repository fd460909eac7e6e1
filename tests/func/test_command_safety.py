# SPDX-License-Identifier: Apache-2.0
"""What keeps a host safe from its own operators, with the real agent and the CLI as a person uses it: second signatures, keys that
come and go without a restart, roles, halt and resume, cancellation, expiry, the bundle of state, and the host's audit chain."""
import json
import re
import subprocess
import time

import fleet_client
import pytest
import signing
from conftest import program, wait_until


class Operator:
    """A person with a key of his own."""

    def __init__(self, site, name):
        self.site, self.key = site, str(site.dir / f"{name}.key")
        subprocess.run([program("pathbell"), "key", "new", self.key], check=True, stdout=subprocess.DEVNULL)
        shown = json.loads(subprocess.run([program("pathbell"), "-o", "json", "key", "show", self.key], check=True, capture_output=True, text=True).stdout)
        self.public, self.id = shown["public_key"], shown["key_id"]

    def command(self, *arguments, check=False):
        return self.site.cli("command", *arguments, "--signing-key", self.key, "--reason", "test", check=check)


@pytest.fixture
def keys_dir(site):
    folder = site.dir / "keys.d"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def alpha(site, keys_dir):
    """An agent that executes resyncs; the limits are out of the way."""
    def start(**commands):
        site.start_aggregator()
        agent = site.start_agent("alpha", commands={"trusted_keys": [{"name": "tester", "key": site.public_key}], "keys_dir": str(keys_dir), "host_per_hour": 0,
                                                    "object_per_hour": 0, "object_cooldown": "0s", "max_per_minute": 6000} | commands)
        site.wait_connected("alpha")
        return agent

    return start


def refusals(site, host="alpha"):
    return [r["event"]["command_state"]["refusal"] for r in site.json("events", "--kind", "command.refused", "--host", host)]


def executed(done):
    return "STARTED" in done.stdout


def test_a_second_signature_where_a_policy_wants_one(site, alpha):
    alice, bob = Operator(site, "alice"), Operator(site, "bob")
    alpha(trusted_keys=[{"name": "alice", "key": alice.public}, {"name": "bob", "key": bob.public}], policies=[{"verbs": ["resync"], "hosts_above": 0, "require": 2}])
    assert not executed(alice.command("resync", "alpha")) and "signatures_missing" in refusals(site)
    file = str(site.dir / "order")
    # the same key twice is one signature
    alice.command("resync", "alpha", "--envelope-out", file, check=True)
    site.cli("command", "sign", file, "--signing-key", alice.key, "--yes", check=False)
    assert not executed(site.cli("command", "submit", file, check=False))
    alice.command("resync", "alpha", "--envelope-out", file, check=True)
    shown = site.cli("command", "sign", file, "--signing-key", bob.key, "--yes")
    assert "resync" in shown.stdout and "alpha" in shown.stdout, "what is signed must be shown"
    assert executed(site.cli("command", "submit", file, check=False))
    # another verb needs but one
    assert executed(alice.command("diag", "alpha", "--bundle-out", str(site.dir / "bundle")))


def test_keys_come_and_go_without_a_restart(site, alpha, keys_dir):
    carol = Operator(site, "carol")
    agent = alpha()
    pid = agent.pid
    assert not executed(carol.command("resync", "alpha")) and "unknown_key" in refusals(site)
    site.cli("key", "authorize", carol.key + ".pub", "--name", "carol", "--role", "operator", "--dir", str(keys_dir))
    wait_until(lambda: site.json("events", "--kind", "command.keys_changed", "--host", "alpha"), "the new key to be read")
    assert executed(carol.command("resync", "alpha"))
    listed = site.cli("key", "list", "--socket", str(site.dir / "alpha" / "run" / "agent.sock"))
    assert carol.id in listed.stdout and "operator" in listed.stdout
    # a role is a limit
    assert not executed(carol.command("resume", "alpha")) and "policy" in refusals(site)
    site.cli("key", "revoke", carol.id, "--dir", str(keys_dir))
    wait_until(lambda: len(site.json("events", "--kind", "command.keys_changed", "--host", "alpha")) >= 2, "the revocation to be read")
    assert not executed(carol.command("resync", "alpha")) and "key_revoked" in refusals(site)
    assert agent.alive() and agent.pid == pid


def test_halt_holds_over_a_restart_until_resume(site, alpha):
    agent = alpha()
    assert "SUCCEEDED" in site.cli("command", "halt", "alpha", "--reason", "test").stdout
    assert not executed(site.cli("command", "resync", "alpha", "--reason", "test", check=False)) and "halted" in refusals(site)
    agent.kill()
    site.start_agent("alpha", config=site.dir / "alpha" / "pathbelld.yaml")
    wait_until(lambda: site.connected("alpha") and site.local("alpha", "status"), "the next agent")
    assert not executed(site.cli("command", "resync", "alpha", "--reason", "test", check=False)), "the restart forgot the halt"
    assert "SUCCEEDED" in site.cli("command", "resume", "alpha", "--reason", "test").stdout
    assert executed(site.cli("command", "resync", "alpha", "--reason", "test", check=False))
    kinds = [r["event"]["kind"] for r in site.json("events", "--kind", "command.*", "--host", "alpha")]
    assert "command.halted" in kinds and "command.resumed" in kinds


def test_cancelled_before_and_too_late_after(site, alpha):
    alpha()
    # beta was there once: its command waits in the aggregator
    site.start_agent("beta")
    site.wait_connected("beta")
    site.processes.pop().stop()
    wait_until(lambda: not site.connected("beta"), "beta to be gone")
    waiting = signing.make(host_ids=["beta"])
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    client.submit(signing.seal(site, waiting))
    done = site.json("command", "cancel", waiting.id.hex(), "--reason", "test")
    assert done, done
    event = fleet_client.messages("event")
    assert client.command(waiting.id).hosts[0].life == event.COMMAND_LIFE_CANCELLED
    ran = json.loads(site.cli("-o", "json", "command", "resync", "alpha", "--reason", "test", check=False).stdout.splitlines()[0])
    late = site.cli("-o", "json", "command", "cancel", ran["command_id"], "--reason", "test", check=False)
    assert '"too_late"' in late.stdout or "too late" in (late.stdout + late.stderr).lower()
    # it never comes to the host when it is back
    site.start_agent("beta", config=site.dir / "beta" / "pathbelld.yaml")
    site.wait_connected("beta")
    assert not site.json("events", "--kind", "command.*", "--host", "beta")
    client.close()


def test_expired_while_the_host_was_away(site, alpha):
    alpha()
    site.start_agent("beta")
    site.wait_connected("beta")
    site.processes.pop().stop()
    wait_until(lambda: not site.connected("beta"), "beta to be gone")
    now = int(time.time() * 1000)
    command = signing.make(host_ids=["beta"], expires_unix_ms=now + 1500)
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    client.submit(signing.seal(site, command))
    event = fleet_client.messages("event")
    wait_until(lambda: client.command(command.id).hosts[0].life == event.COMMAND_LIFE_EXPIRED, "the command to expire")
    client.close()


def test_the_bundle_of_state(site, alpha):
    alpha()
    file = site.dir / "bundle"
    site.cli("command", "diag", "alpha", "--reason", "test", "--bundle-out", str(file))
    text = file.read_text()
    for section in ("agent", "spool", "collectors"):
        assert re.search(rf"(?m)^\W*{section}", text), text[:2000]
    assert site.signing_key not in text and "PRIVATE KEY" not in text
    small = site.dir / "small"
    site.cli("command", "diag", "alpha", "--reason", "test", "--max-bytes", "2000", "--bundle-out", str(small), check=False)
    assert small.stat().st_size < 4000


def test_the_hosts_own_audit_chain(site, alpha):
    alpha()
    site.cli("command", "resync", "alpha", "--reason", "test", check=False)
    stranger = Operator(site, "stranger")
    stranger.command("resync", "alpha")
    socket = ["--socket", str(site.dir / "alpha" / "run" / "agent.sock")]
    wait_until(lambda: "unknown_key" in site.cli("local", "audit", *socket).stdout, "the refused attempt in the host's chain")
    assert site.cli("local", "audit", "--verify", *socket).returncode == 0
    file = site.dir / "alpha" / "state" / "audit.log"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) >= 3
    broken = site.dir / "broken.log"
    broken.write_bytes(b"".join(line.replace(b"tester", b"nobody") if number == 1 else line for number, line in enumerate(lines)) if b"tester" in lines[1]
                       else b"".join(lines[:1] + lines[2:]))
    assert site.cli("local", "audit", "--verify", "--file", str(file)).returncode == 0
    assert site.cli("local", "audit", "--verify", "--file", str(broken), check=False).returncode != 0
