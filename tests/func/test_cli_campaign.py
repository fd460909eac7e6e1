# SPDX-License-Identifier: Apache-2.0
"""Campaigns and the audit as an operator sees them: the real command line against a real aggregator and simulated hosts."""
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import time

import pytest
from conftest import BOUND, program, wait_until
from fleet_sim import FleetSim

HOSTS = 16
TARGETS = ["nqn.2026-01.lab.array:a", "nqn.2026-01.lab.array:b"]
FAST = ("--canary", "2", "--max-parallel-percent", "100", "--max-per-target", "8", "--reason", "test")


@pytest.fixture
def sim(site):
    site.start_aggregator()
    fleet = FleetSim(site, HOSTS, TARGETS)
    fleet.hosts[6].usable = 0
    fleet.start()
    wait_until(lambda: fleet.n_up() == HOSTS, f"{HOSTS} simulated hosts to connect")
    yield fleet
    fleet.stop()


def planned(site, *where):
    return site.json("reconnect", *(word for term in where for word in ("--where", term)), "--plan")


def wait_planned(site, count, *where):
    """The plan knows what the hosts have told; that may be on its way."""
    def look():
        done = site.cli("-o", "json", "reconnect", *(word for term in where for word in ("--where", term)), "--plan", check=False)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return rows if len(rows) == count else None

    return wait_until(look, f"{count} hosts in the plan of {where}")


def executed(sim):
    return sum(len(host.executed) for host in sim.hosts)


class Terminal:
    """The command line on a pseudo-terminal."""

    def __init__(self, site, *arguments):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", COLUMNS="100")
            os.environ.pop("NO_COLOR", None)
            os.execv(program("pathbell", site.preset), ["pathbell", "--config", str(site.dir / "pathbell.yaml"), *arguments])

    def read(self):
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:  # EIO: the other end is closed
                return False
        return True

    def wait_for(self, words):
        def look():
            self.read()
            return words in self.text

        wait_until(look, f"'{words}' on the terminal, which shows {self.text!r}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        deadline = time.monotonic() + BOUND
        while self.read():
            assert time.monotonic() < deadline, self.text
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_a_selector_becomes_hosts(site, sim):
    rows = wait_planned(site, HOSTS // 2, f"target={TARGETS[0]}")
    assert rows[0]["host_id"] == "sim006", "the host without a usable path comes first"
    assert {row["host_id"] for row in rows} == {host.id for host in sim.hosts if host.target == TARGETS[0]}
    assert all(row["target"]["nqn"] == TARGETS[0] for row in rows)
    wait_planned(site, 1, f"target={TARGETS[0]},degraded")
    assert len(planned(site, "host=sim00?")) == 10
    text = site.cli("reconnect", "--where", f"target={TARGETS[0]}", "--plan").stdout
    assert "8 hosts, 1 without a usable path, 0 not connected; 1 storage target" in text
    none = site.cli("reconnect", "--where", "target=nqn.nothing", "--plan", check=False)
    assert none.returncode == 3 and "no host fits" in none.stderr
    assert executed(sim) == 0


def test_nothing_goes_without_a_yes(site, sim):
    wait_planned(site, HOSTS, "host=*")
    done = site.cli("reconnect", "resync", "--where", "host=*", check=False)
    assert done.returncode == 2 and "--yes" in done.stderr
    terminal = Terminal(site, "reconnect", "resync", "--where", "host=*")
    terminal.wait_for("Type 16 to go on:")
    terminal.type("yes\n")
    assert terminal.end() == 1
    assert site.json("campaign", "list") == [] and executed(sim) == 0


def test_a_campaign_on_a_terminal(site, sim):
    wait_planned(site, HOSTS, "host=*")
    terminal = Terminal(site, "reconnect", "resync", "--where", "host=*", *FAST, "--name", "night")
    terminal.wait_for("Type 16 to go on:")
    terminal.type("16\n")
    assert terminal.end() == 0, terminal.text
    assert "FINISHED" in terminal.text and "16 of 16, 100 %" in terminal.text
    assert re.search(r"\x1b\[\d+A\r\x1b\[J", terminal.text), "the block is drawn over itself"
    assert all(len(host.executed) == 1 for host in sim.hosts)
    (row,) = site.json("campaign", "list")
    assert (row["name"], row["state"], row["succeeded"]) == ("night", "finished", 16)
    assert row["policy"]["canary"] == 2


def test_progress_for_scripts(site, sim):
    """Each host gets the target that the plan found there: two targets, two commands, one campaign."""
    wait_planned(site, HOSTS, "array=Simulated")
    done = site.cli("-o", "json", "reconnect", "nvme-reset", "--where", "array=Simulated", "--yes", *FAST)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[-1]["state"] == "finished" and rows[-1]["succeeded"] == 16
    assert [row["version"] for row in rows] == sorted({row["version"] for row in rows})
    lines = site.cli("campaign", "watch", rows[-1]["campaign_id"]).stdout
    assert "FINISHED" in lines and "16 of 16 ended, 16 succeeded" in lines and "\x1b" not in lines


def test_the_first_failure_stops_it(site, sim):
    wait_planned(site, HOSTS, "host=*")
    sim.hosts[0].plan = sim.hosts[1].plan = lambda command: (0.01, "FAILED", "the switch is off")
    done = site.cli("reconnect", "resync", "--where", "host=sim00[01]", "--where", "host=sim01*", "--yes", *FAST, check=False)
    assert done.returncode == 6
    assert "the switch is off" in done.stdout and "STOPPED" in done.stdout
    (row,) = site.json("campaign", "list", "--unfinished")
    shown = site.cli("campaign", "show", row["campaign_id"]).stdout
    assert "STOPPED" in shown and re.search(r"sim00[01] FAILED: the switch is off", shown) and "at once" in shown
    assert executed(sim) < 8
    site.cli("campaign", "halt", row["campaign_id"], "--reason", "enough")
    (row,) = site.json("campaign", "list")
    assert row["state"] == "halted" and site.json("campaign", "list", "--unfinished") == []
    assert site.cli("campaign", "watch", row["campaign_id"], check=False).returncode == 6


def test_an_interrupt_detaches_and_it_goes_on(site, sim):
    wait_planned(site, HOSTS, "host=*")
    for host in sim.hosts:
        host.plan = lambda command: (0.3, "SUCCEEDED", "done")
    command = [program("pathbell", site.preset), "--config", str(site.dir / "pathbell.yaml"), "reconnect", "resync", "--where", "host=*", "--yes", *FAST]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: executed(sim) >= 1, "the canary")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=BOUND)
    assert process.returncode == 6, out + err
    campaign = re.search(r"pathbell campaign watch (\S+);", err).group(1)
    assert site.cli("campaign", "watch", campaign).returncode == 0
    assert all(len(host.executed) == 1 for host in sim.hosts)


def test_pause_and_resume(site, sim):
    wait_planned(site, HOSTS, "host=*")
    for host in sim.hosts:
        host.plan = lambda command: (0.2, "SUCCEEDED", "done")
    (row,) = site.json("reconnect", "resync", "--where", "host=*", "--yes", "--no-wait", "--growth", "1", *FAST)
    campaign = row["campaign_id"]
    assert site.json("campaign", "pause", campaign, "--reason", "lunch")[0]["state"] == "paused"
    wait_until(lambda: not site.json("campaign", "show", campaign)[0].get("under_way"), "what was under way to end")
    before = executed(sim)
    assert before < HOSTS
    site.cli("campaign", "resume", campaign)
    assert site.cli("campaign", "watch", campaign).returncode == 0
    assert executed(sim) == HOSTS


def test_a_second_signature(site, sim):
    wait_planned(site, HOSTS, "host=*")
    path, second = str(site.dir / "campaign.bin"), str(site.dir / "second.key")
    subprocess.run([program("pathbell"), "key", "new", second], check=True, stdout=subprocess.DEVNULL)
    written = site.cli("reconnect", "resync", "--where", "host=*", "--yes", *FAST, "--envelope-out", path).stdout
    assert "command sign" in written and executed(sim) == 0
    shown = site.cli("command", "sign", path, "--signing-key", second, "--yes").stdout
    assert all(host.id in shown for host in sim.hosts) and "test" in shown and "2 first, each wave" in shown
    assert len(site.json("command", "show", path)[0]["key_ids"]) == 2
    assert site.cli("campaign", "submit", path).returncode == 0
    assert executed(sim) == HOSTS
    again = site.cli("campaign", "submit", path, check=False)
    assert again.returncode != 0 and executed(sim) == HOSTS


def test_cancel_what_was_not_received(site, sim):
    sim.drop(sim.hosts[0])
    wait_until(lambda: not site.connected("sim000"), "a host to be gone")
    done = site.cli("command", "resync", "sim000", "--reason", "test", "--no-wait")
    command = re.search(r"command (\S+):", done.stdout).group(1)
    assert "cancelled on 1 host" in site.cli("command", "cancel", command, "--reason", "typo").stdout
    assert "CANCELLED" in site.cli("command", "show", command).stdout
    assert site.cli("command", "cancel", "00000000-0000-7000-8000-000000000000", check=False).returncode == 3


def test_the_audit_is_whole_and_a_change_shows(site, sim):
    wait_planned(site, HOSTS, "host=*")
    site.cli("reconnect", "resync", "--where", "host=sim00?", "--yes", *FAST)
    campaign = site.json("campaign", "list")[0]["campaign_id"]
    records = site.json("audit", "--campaign", campaign)
    assert {"campaign.submit"} <= {record["action"] for record in records}
    assert all(record["campaign_id"] == campaign for record in records)
    assert "campaign.submit" in site.cli("audit").stdout
    whole = site.cli("audit", "--verify").stdout
    head = re.search(r"--expect-head (\S+)", whole).group(1)
    assert "whole:" in whole
    site.cli("command", "resync", "sim000", "--reason", "one more")
    site.cli("audit", "--verify", "--expect-head", head)
    wrong = head[:-1] + ("0" if head[-1] != "0" else "1")
    assert site.cli("audit", "--verify", "--expect-head", wrong, check=False).returncode == 1
    site.aggregator.stop()
    with sqlite3.connect(site.dir / "store.db") as store:
        store.execute("UPDATE audit SET actor = 'spiffe://test.pathbell/operator/somebody' WHERE seq = 2")
    store.close()
    site.start_aggregator()
    broken = site.cli("audit", "--verify", check=False)
    assert broken.returncode == 1 and "BROKEN at record 2" in broken.stderr
