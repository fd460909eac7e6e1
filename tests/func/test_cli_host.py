# SPDX-License-Identifier: Apache-2.0
"""Keys, audit and diag by the command line on a real agent: what `pathbell key` writes is what the agent reads, and the two audit chains
are tied."""
import re
import subprocess

import pytest
from conftest import program, wait_until


@pytest.fixture
def alpha(site):
    site.keys = site.dir / "keys.d"
    site.keys.mkdir()
    site.start_aggregator()
    site.start_agent("alpha", commands={"trusted_keys": [{"name": "tester", "key": site.public_key}], "keys_dir": str(site.keys)})
    site.wait_connected("alpha")
    return site


def on_host(site, *arguments, check=True):
    return site.cli(*arguments, "--socket", str(site.dir / "alpha" / "run" / "agent.sock"), check=check)


def trusted(site):
    return on_host(site, "key", "list").stdout


def test_a_key_is_authorized_and_revoked_while_the_agent_runs(alpha):
    second = str(alpha.dir / "second.key")
    subprocess.run([program("pathbell"), "key", "new", second], check=True, stdout=subprocess.DEVNULL)
    refused = alpha.cli("command", "resync", "alpha", "--signing-key", second, "--reason", "test", check=False)
    assert "unknown_key" in refused.stdout
    alpha.cli("key", "authorize", second + ".pub", "--role", "viewer", "--name", "second", "--verbs", "resync", "--dir", str(alpha.keys))
    wait_until(lambda: "second" in trusted(alpha), "the agent to trust the key")
    assert "REJECTED" not in alpha.cli("command", "resync", "alpha", "--signing-key", second, "--reason", "test", check=False).stdout
    other = alpha.cli("command", "probe", "alpha", "--device", "loop0", "--signing-key", second, "--reason", "test", check=False)
    assert "policy" in other.stdout
    alpha.cli("key", "revoke", str(alpha.keys / "second.yaml"), "--reason", "lost", "--dir", str(alpha.keys))
    wait_until(lambda: "REVOKED" in trusted(alpha), "the agent to know of the revocation")
    revoked = alpha.cli("command", "resync", "alpha", "--signing-key", second, "--reason", "test", check=False)
    assert "key_revoked" in revoked.stdout and revoked.returncode == 6


def test_both_chains_and_their_tie(alpha):
    for number in range(3):
        alpha.cli("command", "resync", "alpha", "--reason", f"number {number}", check=False)
    log = alpha.dir / "alpha" / "state" / "audit.log"
    assert "whole:" in on_host(alpha, "local", "audit", "--verify").stdout
    shown = alpha.cli("local", "audit", "--file", str(log)).stdout
    assert shown.count("0 collectors took a snapshot") == 3
    head = re.search(r"--expect-head (\S+)", alpha.cli("local", "audit", "--verify", "--file", str(log)).stdout).group(1)
    alpha.cli("local", "audit", "--verify", "--expect-head", head, "--file", str(log))
    tied = alpha.cli("audit", "--verify", "--host", "alpha", "--host-audit", str(log)).stdout
    assert "tied to the audits of 1 host; that host's file fits" in tied
    forged = alpha.dir / "forged.log"
    forged.write_text(log.read_text().replace("0 collectors", "9 collectors", 1))
    broken = alpha.cli("local", "audit", "--verify", "--file", str(forged), check=False)
    assert broken.returncode == 1 and "BROKEN" in broken.stderr


def test_diag_brings_a_bundle(alpha):
    done = alpha.cli("command", "diag", "alpha", "--reason", "test")
    assert len(done.stdout) > 100 and "SUCCEEDED" not in done.stdout
    path = alpha.dir / "bundle"
    said = alpha.cli("command", "diag", "alpha", "--reason", "test", "--max-bytes", "2048", "--bundle-out", str(path))
    assert "SUCCEEDED" in said.stdout and 0 < path.stat().st_size < 2048 + 100
    assert "the bundle was cut" in said.stderr


def test_halt_and_resume(alpha):
    alpha.cli("command", "halt", "alpha", "--reason", "test")
    refused = alpha.cli("command", "uplink-reconnect", "alpha", "--reason", "test", check=False)
    assert "halted" in refused.stdout and refused.returncode == 6
    alpha.cli("command", "resume", "alpha", "--reason", "test")
    assert "halted" not in alpha.cli("command", "uplink-reconnect", "alpha", "--reason", "test", check=False).stdout
