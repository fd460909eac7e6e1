# SPDX-License-Identifier: Apache-2.0
"""nvme_tcp, nvme_loop, nvme_aen, nvme_lost_connection, nvme_fc: the kernel's own NVMe target (nvmet) in the guest, connected by
writing to /dev/nvme-fabrics. The oracle is sysfs, as the guest's shell reads it."""
import pytest
from conftest import boot

PRELUDE = r"""
S=/sys/kernel/config/nvmet; NQ=nqn.2026-01.lab.vm:s
HOST=hostnqn=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555,hostid=11111111-2222-3333-4444-555555555555
DISCOVERY=nqn.2014-08.org.nvmexpress.discovery
has() { [ "$(told "$2" "${3-}")" -ge "$1" ]; }
told() { # KIND TEXT: events of that kind with that text so far
	"$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep "\"$1\"" | grep -ci -- "${2-}"
}
# each look starts a program, which takes half a second here: the bound is a count of looks
wait_told() { until_true 4 has "$@" || { echo "guest: only $(told "$2" "${3-}") of $*"; cat /out/agent.log; dmesg | grep -i nvme | tail -20; cp -a /run/state/spool /out/spool; exit 20; }; }
target() { # NAME
	mkdir $S/subsystems/$NQ$1 && echo 1 > $S/subsystems/$NQ$1/attr_allow_any_host && mkdir $S/subsystems/$NQ$1/namespaces/1 &&
	echo -n /dev/nullb$1 > $S/subsystems/$NQ$1/namespaces/1/device_path && echo 1 > $S/subsystems/$NQ$1/namespaces/1/enable
}
port() { # NUMBER TRANSPORT FAMILY TRADDR TRSVCID
	mkdir $S/ports/$1 && echo $2 > $S/ports/$1/addr_trtype
	[ -z "${3-}" ] || { echo $3 > $S/ports/$1/addr_adrfam; echo $4 > $S/ports/$1/addr_traddr; }
	[ -z "${5-}" ] || echo $5 > $S/ports/$1/addr_trsvcid
}
link() { ln -s $S/subsystems/$NQ$1 $S/ports/$2/subsystems/; }
connect() { # OPTIONS; prints instance=N,cntlid=M
	exec 7<>/dev/nvme-fabrics; echo -n "$1,$HOST" >&7 || { echo "guest: connect $1 failed"; exit 21; }; head -1 <&7; exec 7<&-
}
TCP=transport=tcp,traddr=127.0.0.1,trsvcid=4420
is() { [ "$(cat /sys/class/nvme/$1/state 2>/dev/null || echo gone)" = "$2" ]; }
waits() { awk '/^voluntary_ctxt/ {s+=$2} END {print s}' /proc/$agent/task/*/status; }
setup() {
	modprobe configfs; mount -t configfs none /sys/kernel/config 2>/dev/null
	modprobe null_blk nr_devices=3 gb=1; modprobe nvmet
}
"""

TCP_SCRIPT = PRELUDE + r"""
start_agent || exit 12
wait_told 1 collector.up '"nvme"'
[ ! -e /sys/class/nvme ] || exit 13
sleep 4; w=$(waits); sleep 5; echo "none $(($(waits) - w))" >> /out/waits
# the driver comes behind the agent's back
setup; modprobe nvmet-tcp; modprobe nvme-tcp
target 1 && target 2 && port 1 tcp ipv4 127.0.0.1 4420 && link 1 1 || exit 14
connect $TCP,nqn=${NQ}1,ctrl_loss_tmo=600,reconnect_delay=1 >> /out/connects
wait_told 1 nvme.controller.connected
until_true 20 test -e /sys/class/nvme/nvme0/nvme0c0n1/ana_state || exit 15

# namespace and ANA events never become uevents
echo 0 > $S/subsystems/${NQ}1/namespaces/1/enable; wait_told 1 nvme.aen namespace_attributes_changed
echo 1 > $S/subsystems/${NQ}1/namespaces/1/enable; wait_told 2 nvme.aen namespace_attributes_changed
until_true 20 test -e /sys/class/nvme/nvme0/nvme0c0n1/ana_state || exit 16
sleep 4
echo inaccessible > $S/ports/1/ana_groups/1/ana_state; wait_told 1 nvme.aen ana_changed
wait_told 1 nvme.ana.changed inaccessible
echo optimized > $S/ports/1/ana_groups/1/ana_state; wait_told 2 nvme.ana.changed

# a discovery controller that stays; its AEN is a uevent and a trace record
connect $TCP,nqn=$DISCOVERY,keep_alive_tmo=30,reconnect_delay=1 >> /out/connects
wait_told 2 nvme.controller.connected
link 2 1; wait_told 1 nvme.discovery.log_changed

sleep 4; w=$(waits); sleep 5; echo "looking $(($(waits) - w))" >> /out/waits

# both lose their connection when the port goes
rm $S/ports/1/subsystems/${NQ}1 $S/ports/1/subsystems/${NQ}2
until_true 20 is nvme0 connecting && until_true 20 is nvme1 connecting || exit 17
wait_told 2 nvme.controller.reconnecting 'RAISED"'
"$bin/pathbell" -o json local spool dump /run/state/spool > /out/while-lost
link 1 1; until_true 40 is nvme0 live && until_true 40 is nvme1 live || exit 18
wait_told 2 nvme.controller.connected 'CLEARED"'
for c in nvme1 nvme0; do echo 1 > /sys/class/nvme/$c/delete_controller; done
wait_told 2 nvme.controller.removed

# the kernel gives up
connect $TCP,nqn=${NQ}1,ctrl_loss_tmo=4,reconnect_delay=1 >> /out/connects
wait_told 5 nvme.controller.connected
rm $S/ports/1/subsystems/${NQ}1; date +%s > /out/lost-at
wait_told 3 nvme.controller.reconnecting 'RAISED"'
until_true 60 is nvme0 gone || exit 19; date +%s > /out/gone-at
wait_told 3 nvme.controller.removed

# loop, which Debian's 6.1 is built without
if modprobe nvme-loop; then
	port 2 loop && link 1 2; connect transport=loop,nqn=${NQ}1 >> /out/connects
	wait_told 6 nvme.controller.connected
	echo 1 > /sys/class/nvme/nvme0/delete_controller; wait_told 4 nvme.controller.removed
fi
stop_agent
"""

RESTART_SCRIPT = PRELUDE + r"""
setup; modprobe nvmet-tcp; modprobe nvme-tcp
# a port each: one that listens and does not know the subsystem refuses for good (DNR), and the kernel gives the controller up
for n in 1 2; do target $n && port $n tcp ipv4 127.0.0.1 442$n && link $n $n || exit 14; done
for n in 1 2; do connect transport=tcp,traddr=127.0.0.1,trsvcid=442$n,nqn=${NQ}$n,ctrl_loss_tmo=600,reconnect_delay=1 >> /out/connects; done
start_agent || exit 12
wait_told 2 nvme.controller.state '"live"'
rm $S/ports/1/subsystems/${NQ}1 $S/ports/2/subsystems/${NQ}2
wait_told 2 nvme.controller.reconnecting 'RAISED"'
kill -TERM $agent; wait $agent
# one comes back while nobody listens
link 1 1; until_true 60 is nvme0 live || exit 15
start_agent || exit 16
wait_told 1 nvme.controller.reconnecting 'nobody listened'
link 2 2; until_true 60 is nvme1 live || exit 17
wait_told 1 nvme.controller.connected 'CLEARED"'
stop_agent
"""

FC_SCRIPT = PRELUDE + r"""
setup; modprobe nvme-fc; modprobe nvmet-fc; modprobe nvme-fcloop; modprobe nvme-loop
W=/sys/class/fcloop/ctl; test -e $W/add_local_port || exit 11
target 1 || exit 14; port 2 loop && link 1 2; connect transport=loop,nqn=${NQ}1 >> /out/connects
start_agent || exit 12
wait_told 1 nvme.controller.state
echo "wwnn=0x10001100aa000001,wwpn=0x20001100aa000001" > $W/add_local_port
echo "wwnn=0x10001100ab000001,wwpn=0x20001100ab000001" > $W/add_target_port
TARGET=nn-0x10001100ab000001:pn-0x20001100ab000001; INITIATOR=nn-0x10001100aa000001:pn-0x20001100aa000001
port 5 fc fc $TARGET && link 1 5 || exit 15
echo "wwnn=0x10001100ab000001,wwpn=0x20001100ab000001,lpwwnn=0x10001100aa000001,lpwwpn=0x20001100aa000001,roles=0x60" > $W/add_remote_port
wait_told 1 nvme.discovery.log_changed
connect transport=fc,traddr=$TARGET,host_traddr=$INITIATOR,nqn=${NQ}1 >> /out/connects
wait_told 1 nvme.controller.connected
echo 1 > /sys/class/nvme/nvme1/delete_controller
wait_told 1 nvme.controller.removed
stop_agent
"""


def short(value):
    """The CLI spells some enumerators whole."""
    return (value or "")


def heard(run):
    """Events of the collector nvme; nvme_monitor tells what it makes of the same controllers."""
    return [event for event in run.events() if event["source"]["collector"] == "nvme"]


def of(run, *kinds):
    return [event for event in run.events() if event["kind"] in kinds]


@pytest.fixture(scope="module", params=["debian-6.12", "debian-6.1"])
def tcp(folder, request):
    return boot(request.param, TCP_SCRIPT, folder / f"nvme-tcp-{request.param}", timeout=300, collectors={"nvme": {"interval": "1s"}})


def test_nvme_tcp(tcp):
    assert [line.split(",")[0] for line in tcp.file("connects").splitlines()][:3] == ["instance=0", "instance=1", "instance=0"]
    life = [(e["kind"].removeprefix("nvme.controller."), e["nvme"]["controller"], e["nvme"]["transport"])
            for e in of(tcp, "nvme.controller.added", "nvme.controller.connected", "nvme.controller.removed")]
    assert life[:2] == [("added", "nvme0", "tcp"), ("connected", "nvme0", "tcp")]
    assert life.count(("added", "nvme0", "tcp")) == 2 and life.count(("added", "nvme1", "tcp")) == 1
    connected = of(tcp, "nvme.controller.connected")[0]
    assert short(connected["subject"]["type"]) == "nvme_controller" and connected["subject"]["id"] == "nqn:nqn.2026-01.lab.vm:s1"
    assert connected["subject"]["transport_address"] == "transport=tcp traddr=127.0.0.1 trsvcid=4420"
    assert (connected["nvme"]["ctrl_loss_tmo_seconds"], connected["nvme"]["reconnect_delay_seconds"]) == (600, 1)
    assert of(tcp, "collector.gap", "collector.failed", "collector.blind") == []


def test_nvme_aen(tcp):
    aens = [(e["nvme"]["aen"], e["nvme"]["aen_meaning"], e["source"]["interface"]) for e in of(tcp, "nvme.aen")]
    assert (0x040002, "namespace_attributes_changed", "tracefs:nvme_async_event") in aens
    assert (0x0C0302, "ana_changed", "tracefs:nvme_async_event") in aens
    ana = [(e["nvme"]["namespace"], e["nvme"]["previous_state"], e["nvme"]["ana_state"], e["nvme"]["ana_group"]) for e in of(tcp, "nvme.ana.changed")]
    assert ana == [("nvme0c0n1", "optimized", "inaccessible", 1), ("nvme0c0n1", "inaccessible", "optimized", 1)]


def test_nvme_discovery_aen_is_told_once(tcp):
    """It is a trace record and a uevent. A reconnected discovery controller says so too (rediscover)."""
    changed = of(tcp, "nvme.discovery.log_changed")
    aens = [e for e in changed if e["nvme"].get("aen")]
    assert [e["nvme"]["aen"] for e in aens] == [0x70F002] and aens[0]["nvme"]["discovery_controller"] and aens[0]["nvme"]["persistent"]
    assert aens[0]["subject"]["nqn"] == "nqn.2014-08.org.nvmexpress.discovery"
    assert any(e["nvme"].get("reason", "").startswith("rediscover") for e in changed)


def test_nvme_lost_connection(tcp):
    lost = of(tcp, "nvme.controller.reconnecting")
    assert sorted(e["nvme"]["controller"] for e in lost[:2]) == ["nvme0", "nvme1"]
    for event in lost:
        assert short(event["fault_phase"]) == "raised" and event["nvme"]["state"] == "connecting" and event["nvme"]["previous_state"] == "live"
        ahead = int(event["nvme"]["removal_unix_ns"]) - int(event["time_unix_ns"])
        assert ahead == event["nvme"]["ctrl_loss_tmo_seconds"] * 10**9
    assert "nvme.controller.reconnecting" in tcp.file("while-lost")
    last = lost[2]
    removed = [e for e in of(tcp, "nvme.controller.removed") if short(e.get("fault_phase")) == "cleared"]
    assert [e["fault_id"] for e in removed] == [last["fault_id"]] and last["nvme"]["ctrl_loss_tmo_seconds"] == 4
    assert "not reconnected" in removed[0]["nvme"]["reason"]
    phases = {}
    for event in tcp.events():
        if event.get("fault_id", "").startswith("nvme_connection:"):
            phases.setdefault(event["fault_id"], []).append(short(event["fault_phase"]))
    assert phases and all(p == ["raised", "cleared"] * (len(p) // 2) for p in phases.values()), phases


def test_nvme_loop(tcp):
    if "nvme-loop not found" in tcp.file("log"):
        pytest.skip("this kernel has no nvme-loop")
    kinds = [e["kind"] for e in heard(tcp) if e.get("nvme", {}).get("transport") == "loop"]
    assert kinds == ["nvme.controller.added", "nvme.controller.connected", "nvme.controller.removed"]


def test_nvme_looks_cost(tcp):
    """Without a controller the agent sleeps; with some it wakes up for the looks, here every second."""
    waits = dict(line.split() for line in tcp.file("waits").splitlines())
    print(waits)
    assert int(waits["none"]) <= 1
    assert int(waits["looking"]) <= 2 * 5 + 5


def test_nvme_restart(folder):
    """A lost connection that is back when the agent looks again is cleared once; one that is still lost is not raised twice."""
    run = boot("debian-6.12", RESTART_SCRIPT, folder / "nvme-restart", timeout=400, collectors={"nvme": {"interval": "1s"}})
    phases = {}
    for event in run.events():
        if event.get("fault_id", "").startswith("nvme_connection:"):
            phases.setdefault(event["nvme"]["controller"] if event.get("nvme") else event["subject"]["name"], []).append(event.get("fault_phase", "still"))
    assert phases == {"nvme0": ["raised", "cleared"], "nvme1": ["raised", "still", "cleared"]}


def test_nvme_fc(folder):
    run = boot("debian-6.12", FC_SCRIPT, folder / "nvme-fc", collectors={"nvme": {"interval": "1s"}})
    state = of(run, "nvme.controller.state")[0]
    assert (state["nvme"]["controller"], state["nvme"]["transport"], state["nvme"]["state"]) == ("nvme0", "loop", "live")
    found = of(run, "nvme.discovery.log_changed")[0]
    assert found["nvme"]["transport"] == "fc" and found["nvme"]["traddr"] == "nn-0x10001100ab000001:pn-0x20001100ab000001"
    assert found["nvme"]["host_traddr"] == "nn-0x10001100aa000001:pn-0x20001100aa000001" and short(found["subject"]["type"]) == "fc_port"
    kinds = [e["kind"] for e in heard(run) if e.get("nvme", {}).get("controller") == "nvme1"]
    assert kinds == ["nvme.controller.added", "nvme.controller.connected", "nvme.controller.removed"]
