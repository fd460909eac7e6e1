# SPDX-License-Identifier: Apache-2.0
"""One boot for a group of scenarios; the scenarios then look at what the guest left. A machine that cannot run a
kernel skips and says why. Seconds of each boot are printed at the end."""
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import lab
import pytest

ROOT = lab.ROOT
BIN = Path(os.environ.get("PATHBELL_BIN") or ROOT / "build/release/bin")
SECONDS = []

# Shell that every guest script starts with. Waits are for conditions; the bound is for a broken guest only.
GUEST = r"""
set -u
bin=@BIN@
T=/sys/kernel/tracing
export LC_ALL=C
until_true() { # BOUND COMMAND...
	local n=$(($1 * 20)); shift
	until "$@" >/dev/null 2>&1; do n=$((n - 1)); [ $n -gt 0 ] || { echo "guest: gave up waiting for: $*"; return 1; }; sleep 0.05; done
}
start_agent() {
	"$bin/pathbelld" --config /out/pathbelld.yaml >/out/agent.log 2>&1 & agent=$!
	until_true 60 grep -q 'started version=' /out/agent.log
}
block_is_armed() { grep -qs 1 $T/instances/pathbell-block-*/events/block/block_rq_error/enable; }
stop_agent() {
	kill -TERM $agent; wait $agent; echo "guest: agent exit $?"
	cp -a /run/state/spool /out/spool
	ls $T/instances > /out/instances
}
"""


def agent_config(out, **changes):
    config = {"host_id": "guest", "state_dir": "/run/state", "runtime_dir": "/run/pathbell", "uplink": {"enabled": False}}
    config.update(changes)
    Path(out, "pathbelld.yaml").write_text(json.dumps(config, indent=1) + "\n")


class Run:
    """What one boot left behind."""

    def __init__(self, result):
        self.result, self.out = result, result.out

    def events(self):
        """Events of the guest's spool, decoded by the CLI."""
        done = subprocess.run([str(BIN / "pathbell"), "-o", "json", "local", "spool", "dump", str(self.out / "spool")], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["event"] for line in done.stdout.splitlines()]

    def file(self, name):
        return (self.out / name).read_text(errors="replace")


class Running:
    """A guest that runs; finish() waits for its end and looks at what it left."""

    def __init__(self, kernel, folder, guest):
        self.kernel, self.folder, self.guest = kernel, folder, guest
        self.out = guest.out

    def finish(self):
        result = self.guest.wait()
        SECONDS.append((self.kernel.name, self.folder.name, result.seconds))
        assert result.status == "0", f"guest ended with {result.status}\n{result.log}"
        return Run(result)


def available(prepare):
    """What a machine cannot do is a skip that says why."""
    try:
        lab.needed_programs()
        return prepare()
    except lab.Unavailable as reason:
        pytest.skip(str(reason))


def tools(*packages):
    return available(lambda: lab.tools(*packages))


def start(kernel_name, script, folder, guestfwd=(), timeout=240, extra=(), **config):
    """Boots in the background, so that the test can act on the guest from outside meanwhile."""
    kernel = available(lambda: lab.kernel(kernel_name).prepare())
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    agent_config(folder, **config)
    guest = lab.start(kernel, GUEST.replace("@BIN@", str(BIN)) + script, folder, timeout, guestfwd=guestfwd, extra=extra)
    return Running(kernel, folder, guest)


def boot(kernel_name, script, folder, **options):
    return start(kernel_name, script, folder, **options).finish()


@pytest.fixture(scope="module")
def folder(request):
    path = tempfile.mkdtemp(prefix="pathbell-vm.")
    yield Path(path)
    if not os.environ.get("PATHBELL_TEST_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    for kernel, name, seconds in SECONDS:
        terminalreporter.write_line(f"vm: {name} on {kernel}: {seconds:.1f} s")
