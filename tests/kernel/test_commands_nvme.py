# SPDX-License-Identifier: Apache-2.0
"""cmd-nvme-connect, cmd-nvme-discover, cmd-nvme-reset, cmd-nvme-rescan, cmd-nvme-disconnect and what they refuse: commands of an
operator outside, through an aggregator with real TLS, to an agent in a guest with the kernel's own NVMe target over TCP. One
boot; the scenarios run in the order of this file, and the oracle is sysfs as the guest's shell reads it."""
import re

import pytest
from guest_site import FUNC, GuestSite
from test_nvme import PRELUDE

NQN = "nqn.2026-01.lab.vm:s"
VERBS = ["nvme.connect", "nvme.discover", "nvme.reset", "nvme.rescan", "nvme.disconnect"]
# Subsystem 1 is behind both ports, subsystem 2 behind the first one only.
GUEST = PRELUDE + r"""
modprobe configfs; mount -t configfs none /sys/kernel/config 2>/dev/null
modprobe null_blk nr_devices=3 gb=1 memory_backed=1; modprobe nvmet; modprobe nvmet-tcp
mkdir -p /etc/nvme /run/nvme; rm -f /etc/nvme/*.conf /etc/nvme/config.json
echo nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555 > /etc/nvme/hostnqn
echo 11111111-2222-3333-4444-555555555555 > /etc/nvme/hostid
target 1 && target 2 && port 1 tcp ipv4 127.0.0.1 4420 && port 2 tcp ipv4 127.0.0.1 4421 || exit 14
link 1 1 && link 1 2 && link 2 1 || exit 15
live() { for c in /sys/class/nvme/nvme*; do [ -e $c ] && echo "$(cat $c/subsysnqn) $(cat $c/address | sed 's/,src.*//') $(cat $c/state) ${c##*/}"; done | sort; }
start_agent || exit 12
"""


def address(port, **more):
    return " ".join([f"transport=tcp traddr=127.0.0.1 trsvcid={port}", *(f"{k}={v}" for k, v in more.items())])


def path(subsystem, port):
    return {"nqn": f"{NQN}{subsystem}", "transport_address": address(port)}


@pytest.fixture(scope="module", params=["debian-6.12"])
def guest(folder, request):
    site = GuestSite(request.param, folder / f"cmd-nvme-{request.param}", GUEST, verbs=VERBS, timeout=420)
    try:
        site.wait_connected()
        site.types = site.fleet_client.messages("command")
        yield site
        site.finish()
    finally:
        site.close()


def controllers(guest):
    """{(subsystem, port): (state, name)} of what sysfs has."""
    found = {}
    for line in guest.sh("live").splitlines():
        nqn, where, state, name = line.split()
        found[nqn.removeprefix(NQN), re.search(r"trsvcid=(\d+)", where)[1]] = (state, name)
    return found


def registry(guest, name):
    return guest.sh(f"cat /run/nvme/registry/{name}/owner", check=False).strip()


def test_cmd_nvme_connect_needs_the_module(guest):
    life, refusal, detail, _ = guest.order("NVME_CONNECT", path(1, 4420))
    assert (life, refusal) == ("REJECTED", "precondition") and "is the module nvme_fabrics loaded?" in detail, detail
    guest.sh("modprobe nvme-tcp")


def test_cmd_nvme_connect(guest):
    life, _, detail, _ = guest.order("NVME_CONNECT", path(1, 4420), dry_run=True)
    assert (life, detail) == ("SUCCEEDED", f"dry run: would connect {address(4420)} nqn={NQN}1")
    assert controllers(guest) == {}
    arguments = guest.types.NvmeConnectArgs(ctrl_loss_tmo_seconds=-1, reconnect_delay_seconds=1)
    life, _, detail, lives = guest.order("NVME_CONNECT", path(1, 4420), nvme_connect=arguments)
    assert life == "SUCCEEDED" and detail.startswith(f"the new controller is live: nvme0 ({NQN}1 at {address(4420)}), owner pathbell"), detail
    assert lives.index("STARTED") < lives.index("SUCCEEDED")
    assert controllers(guest) == {("1", "4420"): ("live", "nvme0")}
    said = guest.sh("cat /sys/class/nvme/nvme0/ctrl_loss_tmo /sys/class/nvme/nvme0/reconnect_delay /sys/class/nvme/nvme0/hostnqn")
    assert said.split() == ["off", "1", "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"]
    assert registry(guest, "nvme0") == "pathbell"
    connected, = guest.events("nvme.controller.connected", wait=1)
    assert connected["nvme"]["subsystem_nqn"] == NQN + "1"
    life, _, detail, _ = guest.order("NVME_CONNECT", path(1, 4420))
    assert life == "SUCCEEDED" and detail.startswith("was connected already: nvme0"), detail


def test_cmd_nvme_by_the_cli(guest):
    where = ["--nqn", NQN + "2", "--transport", "tcp", "--traddr", "127.0.0.1", "--reason", "test", "--yes"]
    said = guest.site.cli("command", "nvme-connect", "guest", *where, "--ctrl-loss-tmo", "60", timeout=90).stdout
    assert "STARTED" in said and "SUCCEEDED" in said and "the new controller is live" in said, said
    assert controllers(guest)["2", "4420"][0] == "live"
    assert "dry run: would reset" in guest.site.cli("command", "nvme-reset", "guest", *where, "--dry-run", timeout=90).stdout
    assert "is disconnected" in guest.site.cli("command", "nvme-disconnect", "guest", *where, timeout=90).stdout
    done = guest.site.cli("command", "nvme-rescan", "guest", *where, check=False, timeout=90)
    assert done.returncode == 6 and "target_absent" in done.stdout.lower(), done.stdout


def test_cmd_nvme_connect_to_nothing(guest):
    life, _, detail, _ = guest.order("NVME_CONNECT", path(1, 4999))
    assert life == "FAILED" and "the target does not answer: Connection refused" in detail, (life, detail)
    life, _, detail, _ = guest.order("NVME_CONNECT", {"nqn": NQN + "9", "transport_address": address(4420)})
    assert life == "FAILED", (life, detail)
    assert guest.order("NVME_CONNECT", {"nqn": NQN + "1", "transport_address": "transport=tcp"})[:2] == ("REJECTED", "malformed")
    assert len(controllers(guest)) == 1


def test_cmd_nvme_connect_to_a_mute_target(guest):
    """It takes the connection and says nothing: the kernel would keep every other connect waiting."""
    guest.sh("""python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 4444)); open("/run/mute", "w"); time.sleep(1000)' & mute=$!; until_true 20 test -e /run/mute""")
    command = guest.submit("NVME_CONNECT", path(1, 4444))
    FUNC.wait_until(lambda: "STARTED" in guest.state(command)[3], "the command to start")
    assert guest.order("NVME_CONNECT", path(2, 4420))[0] == "SUCCEEDED"
    life, _, detail, _ = guest.finished(command)
    assert (life, detail) == ("FAILED", "the target does not answer: Connection timed out")
    guest.sh("kill $mute")
    assert guest.order("NVME_DISCONNECT", path(2, 4420))[0] == "SUCCEEDED"


def test_cmd_nvme_excluded(guest):
    guest.sh(f"echo 'exclusion = transport=tcp;nqn={NQN}2' > /etc/nvme/exclusions.conf")
    life, refusal, detail, _ = guest.order("NVME_CONNECT", path(2, 4420))
    assert (life, refusal) == ("REJECTED", "excluded") and "exclusions.conf, line 1" in detail, detail
    guest.order("NVME_DISCOVER", {"transport_address": address(4420)}, nvme_discover=guest.types.NvmeDiscoverArgs(connect=True))
    assert ("2", "4420") not in controllers(guest)


def test_cmd_nvme_discover(guest):
    guest.sh("rm /etc/nvme/exclusions.conf")
    before = controllers(guest)
    life, _, detail, _ = guest.order("NVME_DISCOVER", {"transport_address": address(4420)})
    assert life == "SUCCEEDED" and re.search(r"generation \d+ of the log page: 2 ports of subsystems, 0 referrals", detail), detail
    assert f"{NQN}1 at {address(4420)}" in detail and f"{NQN}2 at {address(4420)}" in detail, detail
    assert controllers(guest) == before, "the discovery controller was to go"
    life, _, detail, _ = guest.order("NVME_DISCOVER", {"transport_address": address(4420)},
                                     nvme_discover=guest.types.NvmeDiscoverArgs(connect=True, persistent=True))
    assert life == "SUCCEEDED" and "; 1 connected, 1 were, 0 excluded, 0 failed, 2 are live" in detail, detail
    now = controllers(guest)
    assert now["2", "4420"][0] == "live" and now["nqn.2014-08.org.nvmexpress.discovery", "4420"][0] == "live", now
    assert {registry(guest, name) for _, name in now.values()} == {"pathbell"}
    # the one that stays is used the next time
    life, _, detail, _ = guest.order("NVME_DISCOVER", {"transport_address": address(4420)}, dry_run=True)
    assert f"by {now['nqn.2014-08.org.nvmexpress.discovery', '4420'][1]}" in detail, detail
    assert guest.order("NVME_DISCOVER", {"transport_address": address(4420)})[0] == "SUCCEEDED"
    assert controllers(guest) == now


def test_cmd_nvme_names_one_or_none(guest):
    assert guest.order("NVME_CONNECT", path(1, 4421))[0] == "SUCCEEDED"
    assert guest.order("NVME_RESET", {"nqn": NQN + "1"})[:2] == ("REJECTED", "ambiguous_target")
    assert guest.order("NVME_RESET", {"nqn": NQN + "7"})[:2] == ("REJECTED", "target_absent")
    assert guest.order("NVME_DISCONNECT", {"nqn": NQN + "2", "name": "nvme0"})[:2] == ("REJECTED", "target_recycled")
    seen = guest.events("nvme.controller.connected", wait=1)[0]["subject"]
    life, _, detail, _ = guest.order("NVME_RESET", {"name": "nvme0", "generation": int(seen["generation"])}, dry_run=True)
    assert life == "SUCCEEDED" and "would reset nvme0" in detail, detail
    assert guest.order("NVME_RESET", {"name": "nvme0", "generation": int(seen["generation"]) + 1})[:2] == ("REJECTED", "target_recycled")


def test_cmd_nvme_reset(guest):
    """While the namespace is used: the other path carries it."""
    name = controllers(guest)["1", "4420"][1]
    guest.sh("until_true 20 test -b /dev/nvme0n1 && mkswap /dev/nvme0n1 && swapon /dev/nvme0n1")
    port = guest.sh(f"sed 's/.*src_addr/src_addr/' /sys/class/nvme/{name}/address; dmesg | grep -c 'mapped.*queues' || true")
    life, _, detail, _ = guest.order("NVME_RESET", path(1, 4420))
    assert life == "SUCCEEDED" and re.search(r"was reset and is live again after \d+ ms", detail), detail
    after = guest.sh(f"sed 's/.*src_addr/src_addr/' /sys/class/nvme/{name}/address; dmesg | grep -c 'mapped.*queues' || true")
    assert int(after.split()[-1]) > int(port.split()[-1]), "the kernel set up no queues anew"
    assert controllers(guest)["1", "4420"] == ("live", name)
    guest.sh("dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 iflag=direct status=none && grep nvme0n1 /proc/swaps")


def test_cmd_nvme_rescan(guest):
    life, _, detail, _ = guest.order("NVME_RESCAN", path(1, 4420))
    assert life == "SUCCEEDED" and "1 namespaces before, 1 now, as the controller says" in detail, detail
    life, refusal, detail, _ = guest.order("NVME_RESCAN", {"nqn": "nqn.2014-08.org.nvmexpress.discovery"})
    assert (life, refusal) == ("REJECTED", "precondition") and "has no namespaces" in detail, detail


def test_cmd_nvme_last_path(guest):
    life, _, detail, _ = guest.order("NVME_DISCONNECT", path(1, 4421))
    assert life == "SUCCEEDED" and detail.endswith("is disconnected"), detail
    assert ("1", "4421") not in controllers(guest)
    for verb in ("NVME_DISCONNECT", "NVME_RESET"):
        life, refusal, detail, lives = guest.order(verb, path(1, 4420))
        assert (life, refusal) == ("REJECTED", "last_path") and detail == "nvme0: it is the last live path to nvme0n1, which is swap space", detail
    life, _, detail, _ = guest.order("NVME_RESET", path(1, 4420), override_last_path=True)
    assert life == "SUCCEEDED", detail
    guest.sh("swapoff /dev/nvme0n1; exec 9</dev/nvme0n1")
    life, refusal, detail, _ = guest.order("NVME_DISCONNECT", path(1, 4420))
    assert (life, refusal) == ("REJECTED", "last_path") and "which is open in process" in detail, detail
    guest.sh("exec 9<&-; dmsetup create held --table '0 8 linear /dev/nvme0n1 0'")
    life, refusal, detail, _ = guest.order("NVME_DISCONNECT", path(1, 4420))
    assert (life, refusal) == ("REJECTED", "last_path") and re.search("which is held by dm-", detail), detail
    guest.sh("dmsetup remove held")
    # subsystem 2 has one path too, but nobody uses it
    life, _, detail, _ = guest.order("NVME_DISCONNECT", path(2, 4420), dry_run=True)
    assert life == "SUCCEEDED" and "would disconnect" in detail and "last live path" not in detail, detail


def test_cmd_nvme_other_owner(guest):
    name = controllers(guest)["2", "4420"][1]
    guest.sh(f"echo stas > /run/nvme/registry/{name}/owner")
    for verb in ("NVME_DISCONNECT", "NVME_RESET"):
        life, refusal, detail, _ = guest.order(verb, path(2, 4420))
        assert (life, refusal) == ("REJECTED", "owned_by_other") and f"{name} belongs to stas" in detail, detail
    assert controllers(guest)["2", "4420"] == ("live", name)
    guest.sh(f"echo pathbell > /run/nvme/registry/{name}/owner")


def test_cmd_nvme_disconnect(guest):
    name = controllers(guest)["2", "4420"][1]
    life, _, detail, _ = guest.order("NVME_DISCONNECT", path(2, 4420))
    assert life == "SUCCEEDED" and detail.endswith("is disconnected"), detail
    assert ("2", "4420") not in controllers(guest) and registry(guest, name) != "pathbell"
    assert guest.order("NVME_DISCONNECT", path(2, 4420))[:2] == ("REJECTED", "target_absent")
    assert any(e["nvme"]["controller"] == name for e in guest.events("nvme.controller.removed", wait=1))


def test_cmd_nvme_disconnect_is_undone(guest):
    """Something else wants it and connects it at once: the command had no effect, and says so."""
    assert guest.order("NVME_CONNECT", path(2, 4420))[0] == "SUCCEEDED"
    name = controllers(guest)["2", "4420"][1]
    guest.sh(f"{{ while [ -e /sys/class/nvme/{name} ]; do :; done; connect $TCP,nqn=${{NQ}}2; }} & other=$!")
    life, _, detail, _ = guest.order("NVME_DISCONNECT", path(2, 4420))
    assert life == "INEFFECTIVE" and "something connected it again at once" in detail, (life, detail)
    guest.sh("wait $other")


def test_cmd_nvme_connect_waits_for_the_kernel(guest):
    """The port is gone, so the controller is reconnecting: the kernel takes no second one, nor a reset."""
    for subsystem in (1, 2):
        assert guest.order("NVME_DISCONNECT", path(subsystem, 4420))[0] == "SUCCEEDED"
    arguments = guest.types.NvmeConnectArgs(reconnect_delay_seconds=1)
    assert guest.order("NVME_CONNECT", path(2, 4420), nvme_connect=arguments)[0] == "SUCCEEDED"
    name = controllers(guest)["2", "4420"][1]
    guest.sh(f"rm $S/ports/1/subsystems/*; until_true 20 is {name} connecting")
    life, refusal, detail, _ = guest.order("NVME_RESET", path(2, 4420))
    assert (life, refusal) == ("REJECTED", "precondition") and "the kernel resets live controllers only" in detail, detail
    life, _, detail, _ = guest.order("NVME_CONNECT", path(2, 4420), timeout_ms=4000)
    assert life == "INEFFECTIVE" and detail.endswith("is connecting, not live"), (life, detail)
    command = guest.submit("NVME_CONNECT", path(2, 4420))
    FUNC.wait_until(lambda: "STARTED" in guest.state(command)[3], "the command to start")
    guest.sh("link 2 1")
    life, _, detail, _ = guest.finished(command)
    assert life == "SUCCEEDED" and detail.startswith("the kernel reconnected it, it is live"), (life, detail)


def test_cmd_nvme_connect_desired(guest):
    """The host's monitor goes on wanting it, until a command disconnects it."""
    wanted = lambda: guest.sh('"$bin/pathbell" -o json local --socket /run/pathbell/agent.sock nvme list', check=False)
    life, _, detail, _ = guest.order("NVME_CONNECT", path(1, 4421), nvme_connect=guest.types.NvmeConnectArgs(desired=True))
    assert life == "SUCCEEDED", detail
    assert re.search(r'"desired_by": *"command"', wanted()), wanted()
    assert guest.order("NVME_DISCONNECT", path(1, 4421))[0] == "SUCCEEDED"
    assert not re.search(r'"desired_by": *"command"', wanted()), wanted()
