# SPDX-License-Identifier: Apache-2.0
"""A guest with an agent and its uplink, and an aggregator on the host, over the guest's network with real TLS; the test works in
the guest through a small shell and orders signed commands from outside."""
import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path

from conftest import ROOT, start

sys.path.insert(0, str(ROOT / "tests/func"))


def func_conftest():
    """tests/func/conftest.py under its own name for the modules beside it."""
    spec = importlib.util.spec_from_file_location("func_conftest", ROOT / "tests/func/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUNC = func_conftest()

# Runs each /out/do.N in this shell and tells its end by /out/ended.N; "end" ends it.
SHELL = r"""
turn=1
while :; do
	until [ -e /out/do.$turn ]; do sleep 0.05; done
	[ "$(cat /out/do.$turn)" = end ] && break
	{ . /out/do.$turn; } >/out/said.$turn 2>&1; echo $? >/out/ended.new; mv /out/ended.new /out/ended.$turn
	turn=$((turn + 1))
done
"""


class GuestSite:
    def __init__(self, kernel, folder, prelude, timeout=300, **config):
        self.dir = tempfile.mkdtemp(prefix="pathbell-guest.", dir="/var/tmp")  # the guest has a /tmp of its own
        self.site = FUNC.Site(self.dir, "release")
        self.fleet = None
        self.turn = 0
        self.ahead = 0  # ms of the guest's clock before ours
        try:
            self.site.start_aggregator()
            files = self.site.pki.make("host", "guest")
            commands = {"verbs": config.pop("verbs"), "trusted_keys": [{"name": "tester", "key": self.site.public_key}],
                        # scenarios act on one object again and again
                        "host_per_hour": 0, "object_per_hour": 0, "object_cooldown": "0s", "object_attempts": 0}
            self.running = start(kernel, prelude + SHELL, folder, timeout=timeout, guestfwd=[(7441, self.site.grpc.rsplit(":", 1)[1])],
                                 uplink={"enabled": True, "addresses": ["10.0.2.100:7441"], "server_name": "localhost", "user": "nobody",
                                         "backoff_base": "200ms", "backoff_cap": "1s", **files},
                                 commands=commands | config.pop("commands", {}), **config)
        except BaseException:
            self.close()
            raise
        import fleet_client

        self.fleet_client = fleet_client
        self.fleet = fleet_client.Fleet(self.site.grpc, self.site.operator_files)
        self.out = self.running.out

    # -- in the guest

    def sh(self, text, check=True, bound=120):
        """Runs `text` in the guest's shell; what it printed."""
        self.turn += 1
        new = self.out / "do.new"
        new.write_text(text + "\n")
        new.rename(self.out / f"do.{self.turn}")
        ended = self.out / f"ended.{self.turn}"
        FUNC.wait_until(lambda: ended.exists() or not self.running.guest.is_running(), f"the guest to run {text!r}", bound)
        said = (self.out / f"said.{self.turn}").read_text(errors="replace") if ended.exists() else self.log()
        assert ended.exists() and (not check or ended.read_text().strip() == "0"), f"{text}\n{said}"
        return said

    def log(self):
        return "\n".join(p.read_text(errors="replace")[-6000:] for p in (self.out / "log", self.out / "agent.log") if p.exists())

    def wait_connected(self):
        FUNC.wait_until(lambda: self.site.connected("guest") or not self.running.guest.is_running(), "the guest's uplink", 120)
        assert self.running.guest.is_running(), self.log()
        now = int(time.time() * 1000)
        # Emulated on a busy machine the guest's clock may be seconds ahead: what is issued by ours would be older than its journal.
        self.ahead = max(0, int(self.sh("date +%s%3N")) - now)

    # -- from outside

    def submit(self, verb, target=None, **changes):
        import signing

        types = self.fleet_client.messages("command")
        command = signing.make(verb=getattr(types, "COMMAND_VERB_" + verb), host_ids=["guest"], **changes,
                               **({"target": types.CommandTarget(**target)} if target else {}))
        # ordered by time, as the CLI makes them: the host asks when it was issued
        now = int(time.time() * 1000) + self.ahead
        command.id = now.to_bytes(6, "big") + bytes([0x70 | command.id[6] & 15]) + command.id[7:]
        self.fleet.submit(signing.seal(self.site, command))
        return command

    def state(self, command):
        """(life, refusal, detail, lives) of the command on the guest, in short names."""
        event = self.fleet_client.messages("event")
        host = self.fleet.command(command.id).hosts[0]
        name = lambda number: event.CommandLife.Name(number).removeprefix("COMMAND_LIFE_")
        return (name(host.life), event.CommandRefusal.Name(host.refusal).removeprefix("COMMAND_REFUSAL_").lower(), host.detail,
                [name(t.life) for t in host.transitions])

    def finished(self, command, bound=90):
        FUNC.wait_until(lambda: self.fleet.command(command.id).finished or not self.running.guest.is_running(), "the command's end", bound)
        assert self.running.guest.is_running(), self.log()
        return self.state(command)

    def order(self, verb, target=None, **changes):
        return self.finished(self.submit(verb, target, **changes))

    def events(self, kind, wait=0):
        """Events of a kind in the aggregator's store, as JSON; waits for at least so many."""
        def look():
            found = [r["event"] for r in self.site.json("events", "--kind", kind, "--host", "guest")]
            return found if len(found) >= wait else None

        return FUNC.wait_until(lambda: look() is not None, f"{wait} events {kind}", 60) and look()

    # -- end

    def finish(self):
        """Ends the shell; the guest goes on behind it and powers off."""
        self.turn += 1
        (self.out / f"do.{self.turn}").write_text("end")
        return self.running.finish()

    def close(self):
        if getattr(self, "running", None) and self.running.guest.is_running():
            self.running.guest.kill()
        if self.fleet:
            self.fleet.close()
        self.site.close()
        shutil.rmtree(self.dir, ignore_errors=True)
