# SPDX-License-Identifier: Apache-2.0
"""The NVMe monitor against the kernel's own target (nvmet) in the guest: autoconnect over tcp, loop and FC, events while a
discovery runs, adoption, referrals, exclusions, clean-up, the distribution's udev rules, stuck connects, 64 subsystems beside
nvme-cli. The oracle is sysfs, as the guest's shell reads it."""
import json

import pytest
from conftest import boot, tools

PRELUDE = r"""
S=/sys/kernel/config/nvmet; NQ=nqn.2026-01.lab.vm:s
DISCOVERY=nqn.2014-08.org.nvmexpress.discovery
HOSTNQN=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555
HOST=hostnqn=$HOSTNQN,hostid=11111111-2222-3333-4444-555555555555
REGISTRY=/run/nvme/registry
has() { [ "$(told "$2" "${3-}")" -ge "$1" ]; }
told() { # KIND TEXT: events of that kind with that text so far
	"$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep "\"$1\"" | grep -ci -- "${2-}"
}
die() { echo "guest: $*"; cat /out/agent.log; dmesg | grep -i nvme | tail -20; "$bin/pathbell" local nvme list; cp -a /run/state/spool /out/spool; exit 20; }
wait_told() { until_true 6 has "$@" || die "only $(told "$2" "${3-}") of $*"; }
subsystem() { # NAME: without a namespace
	mkdir $S/subsystems/$NQ$1 && echo 1 > $S/subsystems/$NQ$1/attr_allow_any_host
}
port() { # NUMBER TRANSPORT FAMILY TRADDR TRSVCID
	mkdir $S/ports/$1 && echo $2 > $S/ports/$1/addr_trtype
	[ -z "${3-}" ] || { echo $3 > $S/ports/$1/addr_adrfam; echo $4 > $S/ports/$1/addr_traddr; }
	[ -z "${5-}" ] || echo $5 > $S/ports/$1/addr_trsvcid
}
refer() { # PORT TO-SERVICE
	mkdir $S/ports/$1/referrals/r$2; echo tcp > $S/ports/$1/referrals/r$2/addr_trtype; echo ipv4 > $S/ports/$1/referrals/r$2/addr_adrfam
	echo 127.0.0.1 > $S/ports/$1/referrals/r$2/addr_traddr; echo $2 > $S/ports/$1/referrals/r$2/addr_trsvcid; echo 1 > $S/ports/$1/referrals/r$2/enable
}
link() { ln -s $S/subsystems/$NQ$1 $S/ports/$2/subsystems/; }
unlink() { rm $S/ports/$2/subsystems/$NQ$1; }
connect() { # OPTIONS; prints instance=N,cntlid=M
	exec 7<>/dev/nvme-fabrics; echo -n "$1,$HOST" >&7 || { echo "guest: connect $1 failed"; exit 21; }; head -1 <&7; exec 7<&-
}
count() { # NQN: live controllers of it
	local c nqn state n=0
	for c in /sys/class/nvme/nvme*; do
		nqn= state=; read -r nqn 2>/dev/null < $c/subsysnqn; read -r state 2>/dev/null < $c/state
		[ "$nqn" != "$1" ] || [ "$state" != live ] || n=$((n + 1))
	done
	echo $n
}
live() { [ "$(count "$1")" -ge "${2:-1}" ]; }
absent() { ! grep -qsx "$1" /sys/class/nvme/*/subsysnqn; }
none() { [ -z "$(ls /sys/class/nvme 2>/dev/null)" ]; }
controllers() { # names with their cntlid and NQN, in order
	local c; for c in $(ls /sys/class/nvme); do echo "$c $(cat /sys/class/nvme/$c/cntlid) $(cat /sys/class/nvme/$c/subsysnqn)"; done
}
setup() {
	modprobe configfs; mount -t configfs none /sys/kernel/config 2>/dev/null
	modprobe nvmet; modprobe nvme-fabrics
	mkdir -p /etc/nvme; echo $HOSTNQN > /etc/nvme/hostnqn; echo 11111111-2222-3333-4444-555555555555 > /etc/nvme/hostid
}
tcp() { modprobe nvmet-tcp; modprobe nvme-tcp; }
# another configuration for the next life of the agent
configure() { sed -i "$1" /out/pathbelld.yaml; }
"""

# A proxy between host and discovery controller that holds back what the host sends while /run/hold exists.
PROXY = r"""
import os, selectors, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open("/run/proxy-listens", "w").close()
poll, peers, held = selectors.DefaultSelector(), {}, {}
poll.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in poll.select(0.02):
        if key.fileobj is listener:
            host, _ = listener.accept()
            target = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
            peers[host], peers[target], held[host] = target, host, b""
            poll.register(host, selectors.EVENT_READ); poll.register(target, selectors.EVENT_READ)
            continue
        try:
            data = key.fileobj.recv(65536) if key.fileobj in peers else b""
        except OSError:
            data = b""
        if not data and key.fileobj in peers:
            for end in (key.fileobj, peers.pop(key.fileobj)):
                peers.pop(end, None); held.pop(end, None); poll.unregister(end); end.close()
        elif key.fileobj in held:
            held[key.fileobj] += data
        elif data:
            peers[key.fileobj].sendall(data)
    if not os.path.exists("/run/hold"):
        for host in held:
            if held[host]:
                peers[host].sendall(held[host]); held[host] = b""
"""

BASIC_SCRIPT = PRELUDE + r"""
setup; tcp
for i in 1 2 3 4 5; do subsystem $i || exit 14; done
port 1 tcp ipv4 127.0.0.1 4420 && link 1 1 || exit 14
cat > /run/proxy.py <<'X'
@PROXY@
X
python3 /run/proxy.py 4421 4420 & until_true 20 test -e /run/proxy-listens || exit 15

# nvme_autoconnect_tcp
start_agent || exit 12
until_true 30 live ${NQ}1 || die "s1 is not connected"
link 2 1; until_true 30 live ${NQ}2 || die "s2 is not connected"
wait_told 2 nvme.connect.succeeded
unlink 2 1; wait_told 1 nvme.connect.forgotten ${NQ}2
"$bin/pathbell" local nvme list > /out/list; "$bin/pathbell" -o json local nvme list > /out/list.json
"$bin/pathbell" local nvme log > /out/decisions

# nvme_event_during_discovery
dc=$(for c in /sys/class/nvme/nvme*; do [ "$(cat $c/cntrltype)" != discovery ] || basename $c; done)
touch /run/hold; link 3 1
child() { grep -qx pathbelld-disc /proc/[0-9]*/comm; }
until_true 30 child || die "no discovery runs"
printf "change@/devices/virtual/nvme-fabrics/ctl/$dc\nACTION=change\nDEVPATH=/devices/virtual/nvme-fabrics/ctl/$dc\nSUBSYSTEM=nvme\nNVME_AEN=0x70f002\nNVME_TRTYPE=tcp\nNVME_TRADDR=127.0.0.1\nNVME_TRSVCID=4421\nNVME_HOST_TRADDR=none\nNVME_HOST_IFACE=none\nMAJOR=241\nMINOR=0\nDEVNAME=$dc\n" | "$bin/uevent_inject" > /out/sent
wait_told 1 nvme.discovery.queued
before=$(told nvme.discovery.finished); rm /run/hold
until_true 30 live ${NQ}3 || die "s3 is not connected"
wait_told $((before + 2)) nvme.discovery.finished
echo $before > /out/before-hold

# nvme_exclusion
echo "exclusion = transport=tcp;nqn=${NQ}4" > /etc/nvme/exclusions.conf
link 4 1; wait_told 1 nvme.connect.skipped ${NQ}4
[ $(count ${NQ}4) = 0 ] || die "s4 is connected"

# nvme_adopt: killed and started again; s5 has come meanwhile, one by hand that stas holds, and one that a command has made
until_true 40 absent ${NQ}2 || die "s2 stays" # the kernel gives up what its target has dropped
controllers > /out/before-kill
kill -KILL $agent; wait $agent 2>/dev/null
controllers | cmp - /out/before-kill || die "controllers changed"
mkdir -p /etc/nvme; port 9 tcp ipv4 127.0.0.1 4429; link 1 9
connect transport=tcp,traddr=127.0.0.1,trsvcid=4429,nqn=${NQ}1 > /out/by-hand
stas=$(sed 's/instance=\([0-9]*\).*/nvme\1/' /out/by-hand); mkdir -p $REGISTRY/$stas; echo stas > $REGISTRY/$stas/owner
port 8 tcp ipv4 127.0.0.1 4428; link 1 8; connect transport=tcp,traddr=127.0.0.1,trsvcid=4428,nqn=${NQ}1 > /out/by-command
made=$(sed 's/instance=\([0-9]*\).*/nvme\1/' /out/by-command); mkdir -p $REGISTRY/$made; echo pathbell > $REGISTRY/$made/owner
link 5 1
mv /out/agent.log /out/agent-1.log; start_agent || exit 12
until_true 30 live ${NQ}5 || die "s5 is not connected"
wait_told 1 nvme.controller.adopted "stas"
controllers > /out/after-restart; "$bin/pathbell" -o json local nvme list > /out/adopted.json

# nvme_keep
kill -TERM $agent; wait $agent; controllers | cmp - /out/after-restart || die "keep does not keep"
grep -H . $REGISTRY/*/owner > /out/registry

# nvme_cleanup: one that is in use stays, so does what stas holds, and what a command has made
configure 's/"keep": true/"keep": false/'
mv /out/agent.log /out/agent-2.log; start_agent || exit 12
wait_told 2 nvme.controller.adopted stas
modprobe null_blk nr_devices=1 gb=1
mkdir $S/subsystems/${NQ}5/namespaces/1; echo -n /dev/nullb0 > $S/subsystems/${NQ}5/namespaces/1/device_path; echo 1 > $S/subsystems/${NQ}5/namespaces/1/enable
disk() { ls /dev/nvme*n1 >/dev/null 2>&1; }; until_true 30 disk || die "no namespace"
d=$(ls /dev/nvme*n1); echo "0 2048 linear $d 0" | dmsetup create holder || die "no map"
kill -TERM $agent; wait $agent
only_three() { [ "$(ls /sys/class/nvme | wc -l)" = 3 ]; }; until_true 60 only_three || die "not cleaned up: $(controllers)"
gone() { ! grep -qx pathbelld-clean /proc/[0-9]*/comm; }; until_true 60 gone
controllers > /out/after-cleanup; ls $REGISTRY > /out/registry-after
cp -a /run/state/spool /out/spool
"""

REFERRAL_SCRIPT = PRELUDE + r"""
setup; tcp
for i in 1 2; do subsystem $i || exit 14; done
# two levels and a circle: 4420 -> 4421 -> 4422 -> 4420
for p in 1 2 3; do port $p tcp ipv4 127.0.0.1 $((4419 + p)) || exit 14; done
link 1 1; link 2 3; link 1 2; refer 1 4421; refer 2 4422; refer 3 4420
start_agent || exit 12
until_true 40 live ${NQ}2 || die "s2 is not connected"
until_true 40 live $DISCOVERY 3 || die "not three discovery controllers"
until_true 40 live ${NQ}1 2 || die "s1 has not two paths"
wait_told 3 nvme.discovery.finished
count $DISCOVERY > /out/discovery-controllers; "$bin/pathbell" -o json local nvme list > /out/list.json; "$bin/pathbell" local nvme list > /out/list
"$bin/pathbell" local stats --prometheus | grep pathbell_nvme > /out/stats
stop_agent; until_true 40 none || die "not cleaned up"

# nvme_stuck_connect: accepts and never answers
cat > /run/mute.py <<'X'
import socket, time
s = socket.create_server(("127.0.0.1", 4499)); open("/run/mute-listens", "w").close(); held = []
while True: held.append(s.accept())
X
python3 /run/mute.py & until_true 20 test -e /run/mute-listens || exit 15
rm -r /out/spool; mv /out/agent.log /out/agent-1.log
configure 's/"trsvcid": "4420"/"trsvcid": "4499"}, {"traddr": "127.0.0.1", "trsvcid": "4499", "nqn": "nqn.mute"}, {"traddr": "127.0.0.1", "trsvcid": "4420"/'
start_agent || exit 12
until_true 40 live ${NQ}2 || die "others are held up"
wait_told 1 nvme.discovery.stuck 4499; wait_told 1 nvme.connect.stuck nqn.mute
wait_told 1 nvme.discovery.failed 4499; wait_told 1 nvme.connect.failed nqn.mute
wait_told 2 nvme.connect.started nqn.mute
"$bin/pathbell" local nvme list > /out/list-stuck
stop_agent
"""

LOOP_FC_SCRIPT = PRELUDE + r"""
setup; modprobe nvme-loop; modprobe nvme-fc; modprobe nvmet-fc; modprobe nvme-fcloop
W=/sys/class/fcloop/ctl; test -e $W/add_local_port || exit 11
for i in 1 2 3; do subsystem $i || exit 14; done
port 2 loop && link 1 2 || exit 14
TARGET=nn-0x10001100ab000001:pn-0x20001100ab000001; INITIATOR=nn-0x10001100aa000001:pn-0x20001100aa000001
echo "wwnn=0x10001100aa000001,wwpn=0x20001100aa000001" > $W/add_local_port
echo "wwnn=0x10001100ab000001,wwpn=0x20001100ab000001" > $W/add_target_port
port 5 fc fc $TARGET && link 2 5 || exit 15
echo "wwnn=0x10001100ab000001,wwpn=0x20001100ab000001,lpwwnn=0x10001100aa000001,lpwwpn=0x20001100aa000001,roles=0x60" > $W/add_remote_port
# loop from the file; fc by the kick at the start
echo "--transport=loop" > /etc/nvme/discovery.conf
start_agent || exit 12
until_true 40 live ${NQ}1 || die "s1 is not connected (loop)"
until_true 40 live ${NQ}2 || die "s2 is not connected (fc)"
link 3 5; until_true 40 live ${NQ}3 || die "s3 is not connected (fc)"
unlink 3 5; wait_told 1 nvme.connect.forgotten ${NQ}3
link 3 2; until_true 40 live ${NQ}3 || die "s3 is not connected (loop)"
"$bin/pathbell" -o json local nvme list > /out/list.json
# the file changes while the agent runs
echo "# nothing" > /etc/nvme/discovery.conf; wait_told 1 nvme.connect.forgotten "no file lists it"
stop_agent
"""

IDLE_SCRIPT = PRELUDE + r"""
setup; tcp
for p in 1 2 3 4 5 6 7 8; do port $p tcp ipv4 127.0.0.1 $((4419 + p)) || exit 14; done
# a port listens once something is linked to it
subsystem base; for p in 1 2 3 4 5 6 7 8; do link base $p; done
start_agent || exit 12
until_true 60 live $DISCOVERY 8 || die "not eight discovery controllers"
until_true 60 live ${NQ}base 8 || die "not eight paths"
# nvme_idle
rss() { grep -E '^(Rss|Private_Clean|Private_Dirty|Shared_Clean|Shared_Dirty)' /proc/$agent/smaps_rollup; }
waits() { awk '/^voluntary_ctxt/ {s+=$2} END {print s}' /proc/$agent/task/*/status; }
cpu() { awk '{print $14 + $15}' /proc/$agent/stat; }
quiet() { local w=$(waits); sleep 3; [ "$(waits)" = "$w" ]; }
until_true 5 quiet || die "never quiet"
w=$(waits); c=$(cpu); sleep 60; { echo "waits $(($(waits) - w))"; echo "ticks $(($(cpu) - c))"; rss; } > /out/idle
stop_agent
"""

AEN_SCRIPT = PRELUDE + r"""
setup; tcp
for i in $(seq 100); do subsystem $i || exit 14; done
port 1 tcp ipv4 127.0.0.1 4420; subsystem base; link base 1
start_agent || exit 12; until_true 60 live ${NQ}base || die "base is not connected"
# each change is seen before the next one is made
# (its controller is there; a look that costs no process, because the guest has one slow processor)
there() { local n=$1; set -- /sys/class/nvme/nvme*; [ $# -ge $n ]; }
for i in $(seq 100); do link $i 1; until_true 60 there $((i + 2)) || die "change $i was missed"; done
until_true 60 live ${NQ}100 || die "the last one is not live"
"$bin/pathbell" local stats --prometheus | grep pathbell_nvme > /out/stats
stop_agent
"""

UDEV_SCRIPT = PRELUDE + r"""
tar -C @TOOLS@ -c . | tar -C / -x --keep-directory-symlink 2>/out/tar || exit 15
# what the rules start is only noted
printf '#!/bin/sh\necho "$*" >> /out/systemctl\n' > /usr/bin/systemctl; chmod 755 /usr/bin/systemctl; : > /out/systemctl
RULES=70-nvmf-autoconnect.rules; ls -l /usr/lib/udev/rules.d/$RULES /lib/udev/rules.d/$RULES > /out/rules 2>&1
setup; tcp
for i in 1 2 3 4 5 6; do subsystem $i || exit 14; done
port 1 tcp ipv4 127.0.0.1 4420 && link 1 1 || exit 14
mkdir -p /run/udev
/lib/systemd/systemd-udevd --daemon || exit 16
# one that the monitor has not made stays whatever the monitor does
connect transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$DISCOVERY,keep_alive_tmo=30 > /out/connects
udevadm settle -t 60
log_page() { nvme get-log /dev/nvme0 --log-id=0x70 --log-len=1024 -b > /dev/null || die "no log page"; }
started() { udevadm settle -t 60; grep -c connect /out/systemctl; }
is_started() { [ "$(started)" = $1 ]; }
masked() { [ -e /run/udev/rules.d/$RULES ]; }
unmasked() { [ ! -e /run/udev/rules.d/$RULES ]; }
reloaded() { udevadm control --ping; sleep 3; } # udevd looks at its folders every three seconds
log_page; link 2 1; until_true 20 is_started 1 || die "the rule does nothing: $(started)"
log_page
start_agent || exit 12; until_true 30 live ${NQ}2 || die "s2 is not connected"
masked || die "not masked"; head -1 /run/udev/rules.d/$RULES > /out/mask
wait_told 1 nvme.discovery.rules_masked; reloaded
link 3 1; until_true 30 live ${NQ}3 || die "s3 is not connected"; echo "masked $(started)" >> /out/counts
# by SIGKILL the rules stay masked; an agent that observes takes that back
kill -KILL $agent; wait $agent 2>/dev/null; masked || die "unmasked by SIGKILL"
echo '# of another' > /run/udev/rules.d/71-foreign.rules
configure 's/"mode": "autoconnect"/"mode": "observe"/'; mv /out/agent.log /out/agent-1.log
start_agent || exit 12; until_true 30 unmasked || die "left behind"
wait_told 1 nvme.discovery.rules_unmasked killed; reloaded
log_page; link 4 1; until_true 20 is_started 2 || die "not in force again: $(started)"; echo "audited $(started)" >> /out/counts
# at run time, and at the end
"$bin/pathbell" local nvme mode autoconnect; until_true 30 masked || die "not masked by mode"
"$bin/pathbell" local nvme mode observe; until_true 30 unmasked || die "not unmasked by mode"
"$bin/pathbell" local nvme mode autoconnect; until_true 30 masked || die "not masked again"
until_true 30 live ${NQ}4 || die "s4 is not connected"; reloaded
stop_agent; until_true 30 unmasked || die "masked at the end"; reloaded
[ -e /run/udev/rules.d/71-foreign.rules ] || die "a foreign file is gone"
log_page; link 5 1; until_true 20 is_started 3 || die "not in force after the end: $(started)"; echo "ended $(started)" >> /out/counts
"""

MANY_SCRIPT = PRELUDE + r"""
tar -C @TOOLS@ -c . | tar -C / -x --keep-directory-symlink 2>/out/tar || exit 15
setup; tcp
port 1 tcp ipv4 127.0.0.1 4420
for i in $(seq 64); do subsystem $i && link $i 1 || exit 14; done
connected() { # how many of ours live
	local c nqn state n=0
	for c in /sys/class/nvme/nvme*; do
		nqn= state=; read -r nqn 2>/dev/null < $c/subsysnqn; read -r state 2>/dev/null < $c/state
		case $nqn in $NQ*) [ "$state" != live ] || n=$((n + 1)) ;; esac
	done
	[ $n = 64 ]
}
now() { read -r up _ < /proc/uptime; echo $up; }
a=$(now); nvme connect-all -t tcp -a 127.0.0.1 -s 4420 > /out/nvme-cli 2>&1 || die "nvme-cli: $(cat /out/nvme-cli)"
until_true 120 connected || die "nvme-cli has not connected all"; b=$(now); echo "nvme-cli $a $b" >> /out/times
nvme disconnect-all; until_true 60 none || die "not disconnected"
start_agent || exit 12
a=$(now); "$bin/pathbell" local nvme mode autoconnect
until_true 120 connected || die "the monitor has not connected all"; b=$(now); echo "monitor $a $b" >> /out/times
stop_agent
"""

TOOLS = ["udev", "libudev1", "libkmod2", "libacl1", "libblkid1", "libcap2", "libselinux1", "libpcre2-8-0", "nvme-cli", "libnvme1", "libjson-c5", "libkeyutils1", "uuid-runtime", "libuuid1"]


def monitor(**changes):
    settings = {"mode": "autoconnect", "backoff_base": "200ms", "deadline": "30s", "connections": [{"traddr": "127.0.0.1", "trsvcid": "4420"}]}
    settings.update(changes)
    return {"nvme_monitor": settings, "nvme": {"interval": "1s"}}


def of(run, *kinds):
    return [event for event in run.events() if event["kind"] in kinds]


def nqns(events):
    return [event["nvme"].get("subsystem_nqn", "").removeprefix("nqn.2026-01.lab.vm:") for event in events]



@pytest.fixture(scope="module")
def basic(folder):
    settings = monitor(keep=True, connections=[{"traddr": "127.0.0.1", "trsvcid": "4421"}])
    return boot("debian-6.12", BASIC_SCRIPT.replace("@PROXY@", PROXY), folder / "nvme-basic", timeout=600, collectors=settings)


def test_nvme_autoconnect_tcp(basic):
    """What the log page names is connected, a subsystem added too; one removed is reported, and nothing is disconnected."""
    started = of(basic, "nvme.discovery.started")[0]["nvme"]
    assert started["desired_by"] == "yaml" and started["trsvcid"] == "4421" and started["attempt"] == 1
    assert started["connection_state"] == "discovering" and started["reason"] == "wanted by yaml"
    first, second = of(basic, "nvme.connect.succeeded")[:2]
    assert nqns([first, second]) == ["s1", "s2"]
    assert first["nvme"]["desired_by"] == "discovery" and first["nvme"]["owner"] == "pathbell" and first["nvme"]["connection_state"] == "online"
    assert first["nvme"]["discovered_from"] == "transport=tcp traddr=127.0.0.1 trsvcid=4421"
    finished = of(basic, "nvme.discovery.finished")[0]["nvme"]
    assert finished["persistent"] and finished["discovery_controller"] and finished["records"] == 1 and finished["genctr"]
    gone = of(basic, "nvme.connect.forgotten")[0]
    assert nqns([gone]) == ["s2"] and "lists it any more" in gone["nvme"]["reason"]
    assert [e for e in of(basic, "nvme.disconnected") if e["nvme"]["subsystem_nqn"].endswith("s2") and int(e["time_unix_ns"]) < int(gone["time_unix_ns"])] == []
    rows = json.loads(basic.file("list.json"))["connections"]
    assert [row["state"] for row in rows if row.get("discovery_controller")] == ["online"]
    assert "nvme.discovery.finished" in basic.file("decisions")
    lines = basic.file("list").splitlines()
    assert lines[0].startswith("mode autoconnect, persistent, keep") and lines[1].startswith("online") and lines[2].startswith("  "), lines
    assert of(basic, "collector.gap", "collector.failed") == []


def test_nvme_event_during_discovery(basic):
    """The event that came while the child ran is queued, and a second discovery follows the first one."""
    events = of(basic, "nvme.discovery.started", "nvme.discovery.queued", "nvme.discovery.finished")
    kinds = [e["kind"].removeprefix("nvme.discovery.") for e in events]
    at = kinds.index("queued")
    assert kinds[at - 1:at + 4] == ["started", "queued", "finished", "started", "finished"]
    assert events[at + 2]["nvme"]["reason"] == "an event came during the discovery"


def test_nvme_exclusion(basic):
    skipped = of(basic, "nvme.connect.skipped")
    assert nqns(skipped)[:1] == ["s4"] and "exclusions.conf" in skipped[0]["nvme"]["reason"]
    assert "s4" not in nqns(of(basic, "nvme.connect.succeeded"))


def test_nvme_adopt(basic):
    """Killed and started again, the agent has the same controllers: none is made twice."""
    before, after = basic.file("before-kill").splitlines(), basic.file("after-restart").splitlines()
    assert [line for line in before if line in after] == before
    assert len([line for line in after if "discovery" in line]) == 1
    adopted = of(basic, "nvme.controller.adopted")
    ours = [e for e in adopted if e["nvme"].get("owner") == "pathbell" and e["nvme"]["trsvcid"] != "4428"]
    assert {"s1", "s3"} <= set(nqns(ours)) and all("made by this agent" in e["nvme"]["reason"] for e in ours)
    assert "stas" in [e["nvme"].get("owner") for e in adopted]
    assert "s5" in nqns(of(basic, "nvme.connect.succeeded")), "what came while it was dead"
    rows = {row["controller"]: row for row in json.loads(basic.file("adopted.json"))["connections"] if row.get("controller")}
    assert {line.split()[0] for line in after} == set(rows)


def test_nvme_keep(basic):
    owners = [line.split(":")[1] for line in basic.file("registry").splitlines()]
    assert owners.count("stas") == 1 and owners.count("pathbell") == len(basic.file("after-restart").splitlines()) - 1


def test_nvme_cleanup(basic):
    """What the monitor has made goes, but not one whose namespace is held; what another owner or a command has made stays."""
    left = basic.file("after-cleanup").splitlines()
    assert sorted(line.rsplit(":", 1)[1] for line in left) == ["s1", "s1", "s5"]
    assert len(basic.file("registry-after").split()) == 3
    told = of(basic, "nvme.disconnected")
    assert len(told) >= 4 and all(e["nvme"]["owner"] == "pathbell" and "the agent ends" in e["nvme"]["reason"] for e in told)


@pytest.fixture(scope="module")
def referral(folder):
    settings = monitor(deadline="3s")
    return boot("debian-6.12", REFERRAL_SCRIPT, folder / "nvme-referral", timeout=600, collectors=settings)


def test_nvme_referral(referral):
    rows = json.loads(referral.file("list.json"))["connections"]
    found = {row["transport_address"].rsplit("=", 1)[1]: row for row in rows if row.get("discovery_controller")}
    assert sorted(found) == ["4420", "4421", "4422"] and referral.file("discovery-controllers").strip() == "3"
    assert found["4422"]["discovered_from"].endswith("4421") and found["4421"]["desired_by"] == "referral"
    stats = referral.file("stats")
    assert "pathbell_nvme_referral_loops_total 0" not in stats and "pathbell_nvme_discoveries_failed_total 0" in stats


def test_nvme_stuck_connect(referral):
    """A target that accepts and never answers holds up nobody; its deadline is told; it is tried again."""
    stuck = of(referral, "nvme.discovery.stuck", "nvme.connect.stuck")
    assert {e["nvme"]["trsvcid"] for e in stuck} == {"4499"} and all(e["nvme"]["duration_ms"] >= 3000 for e in stuck)
    first = min(int(e["time_unix_ns"]) for e in stuck)
    good = [e for e in of(referral, "nvme.connect.succeeded") if e["nvme"]["subsystem_nqn"].endswith("s2")]
    assert int(good[0]["time_unix_ns"]) < first
    failed = of(referral, "nvme.connect.failed")[0]
    assert failed["nvme"]["error_number"] == -110 and failed["fault_phase"] == "raised"
    # between two attempts or in one, the list says why it is not there
    lines = [line for line in referral.file("list-stuck").splitlines() if "trsvcid=4499" in line]
    assert lines and all("Connection timed out" in line for line in lines), lines


@pytest.fixture(scope="module")
def loop_fc(folder):
    return boot("debian-6.12", LOOP_FC_SCRIPT, folder / "nvme-loop-fc", collectors=monitor(connections=[]))


def test_nvme_autoconnect_loop(loop_fc):
    done = [e for e in of(loop_fc, "nvme.connect.succeeded") if e["nvme"]["transport"] == "loop"]
    assert nqns(done) == ["s1", "s3"]
    first = next(e for e in of(loop_fc, "nvme.discovery.finished") if e["nvme"]["transport"] == "loop")
    assert first["nvme"]["desired_by"] == "discovery.conf"


def test_nvme_autoconnect_fc(loop_fc):
    done = [e for e in of(loop_fc, "nvme.connect.succeeded") if e["nvme"]["transport"] == "fc"]
    assert nqns(done)[:2] == ["s2", "s3"]
    assert done[0]["nvme"]["host_traddr"] == "nn-0x10001100aa000001:pn-0x20001100aa000001"
    first = next(e for e in of(loop_fc, "nvme.discovery.started") if e["nvme"]["transport"] == "fc")
    assert first["nvme"]["desired_by"] == "fc-kickstart"
    gone = next(e for e in of(loop_fc, "nvme.connect.forgotten") if e["nvme"]["transport"] == "fc")
    assert nqns([gone]) == ["s3"]


def test_nvme_aen_rearm(folder):
    """A hundred changes behind each other, each of them seen before the next one is made."""
    aen = boot("debian-6.12", AEN_SCRIPT, folder / "nvme-aen", timeout=900, collectors=monitor())
    assert len({n for n in nqns(of(aen, "nvme.connect.succeeded")) if n != "sbase"}) == 100
    assert of(aen, "collector.gap") == []


def test_nvme_idle(folder):
    """Eight persistent discovery controllers cost no wake-up (the collector nvme looks at states: its cost is its own)."""
    settings = monitor(connections=[{"traddr": "127.0.0.1", "trsvcid": str(4420 + n)} for n in range(8)])
    settings["nvme"] = {"enabled": False}
    run = boot("debian-6.12", IDLE_SCRIPT, folder / "nvme-idle", timeout=900, collectors=settings)
    print(run.file("idle"))
    idle = dict(line.split()[:2] for line in run.file("idle").splitlines())
    assert int(idle["waits"]) <= 1 and int(idle["ticks"]) <= 1


def test_nvme_udev_mask(folder):
    """The distribution's rules act, are masked while we connect, are not touched by SIGKILL, come back."""
    run = boot("debian-6.12", UDEV_SCRIPT.replace("@TOOLS@", str(tools(*TOOLS))), folder / "nvme-udev", timeout=600, collectors=monitor())
    assert "pathbelld" in run.file("mask")
    assert run.file("counts").split() == ["masked", "1", "audited", "2", "ended", "3"]
    assert len(of(run, "nvme.discovery.rules_masked")) == 3 and len(of(run, "nvme.discovery.rules_unmasked")) == 3


def test_nvme_64(folder):
    run = boot("debian-6.12", MANY_SCRIPT.replace("@TOOLS@", str(tools(*TOOLS))), folder / "nvme-64", timeout=900, collectors=monitor(mode="observe"))
    spans = {line.split()[0]: float(line.split()[2]) - float(line.split()[1]) for line in run.file("times").splitlines()}
    print(f"64 subsystems: nvme-cli {spans['nvme-cli']:.1f} s, monitor {spans['monitor']:.1f} s, ratio {spans['monitor'] / spans['nvme-cli']:.2f}")
    assert len(set(nqns(of(run, "nvme.connect.succeeded")))) == 64
