# SPDX-License-Identifier: Apache-2.0
"""idle: every collector is on and nothing happens. What wakes the agent up, counted for 60 s by the scheduler's own trace
event (sched_waking of each of its threads), first without NVMe over Fabrics, then with a controller, whose state the kernel
never announces (docs/collectors.md)."""
from conftest import boot

SECONDS = 60
INTERVAL = 5  # of the nvme collector's looks, the default

SCRIPT = r"""
modprobe sd_mod; modprobe scsi_debug dev_size_mb=16 delay=0 add_host=2 vpd_use_hostno=0 max_luns=1
until_true 20 test -b /dev/sda -a -b /dev/sdb || exit 10
modprobe dm-multipath; modprobe dm-round-robin
export DM_DISABLE_UDEV=1
dmsetup create mp --uuid mpath-idle --table "0 32768 multipath 0 0 1 1 round-robin 0 2 1 8:0 1000 8:16 1000" || exit 11
modprobe configfs; mount -t configfs none /sys/kernel/config 2>/dev/null
modprobe null_blk nr_devices=1 gb=1; modprobe nvmet; modprobe nvmet-tcp; modprobe nvme-tcp
S=/sys/kernel/config/nvmet; Q=nqn.2026-01.lab.vm:idle
mkdir $S/subsystems/$Q && echo 1 > $S/subsystems/$Q/attr_allow_any_host && mkdir $S/subsystems/$Q/namespaces/1 &&
	echo -n /dev/nullb0 > $S/subsystems/$Q/namespaces/1/device_path && echo 1 > $S/subsystems/$Q/namespaces/1/enable &&
	mkdir $S/ports/1 && echo tcp > $S/ports/1/addr_trtype && echo ipv4 > $S/ports/1/addr_adrfam && echo 127.0.0.1 > $S/ports/1/addr_traddr &&
	echo 4420 > $S/ports/1/addr_trsvcid && ln -s $S/subsystems/$Q $S/ports/1/subsystems/ || exit 12
start_agent || exit 13
until_true 30 block_is_armed || exit 14
"$bin/pathbell" local --socket /run/pathbell/agent.sock collectors > /out/collectors
I=$T/instances/idle; mkdir $I
wakes() { # NAME: the wake-ups of 60 s
	echo > $I/trace
	for t in /proc/$agent/task/*; do printf '%spid == %s' "${f:+ || }" ${t##*/}; f=1; done > /run/filter; f=
	cat /run/filter > $I/events/sched/sched_waking/filter && echo 1 > $I/events/sched/sched_waking/enable || exit 15
	sleep @SECONDS@
	echo 0 > $I/events/sched/sched_waking/enable
	grep sched_waking $I/trace > /out/$1
	awk '/^Private_Dirty/ {s += $2} /^Rss/ {r += $2} END {print r, s}' /proc/$agent/smaps > /out/$1.memory
}
sleep 12 # what a start looks at once more is over: parked collectors look again after a second, the first snapshot pauses 10 s
wakes quiet
exec 7<>/dev/nvme-fabrics; echo -n "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$Q,hostnqn=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555,hostid=11111111-2222-3333-4444-555555555555" >&7 || exit 16
head -1 <&7 > /out/connected; exec 7<&-
sleep 12
wakes fabrics
stop_agent
""".replace("@SECONDS@", str(SECONDS))


def test_idle(folder):
    run = boot("debian-6.12", SCRIPT, folder / "idle", timeout=300)
    states = {line.split()[0]: line.split()[1] for line in run.file("collectors").splitlines() if line and not line.startswith("COLLECTOR")}
    print(run.file("collectors"))
    for name in ("block", "multipath", "nvme", "scsi"):
        assert states[name] == "up", states
    wakes = {name: run.file(name).splitlines() for name in ("quiet", "fabrics")}
    print({name: len(lines) for name, lines in wakes.items()}, {name: run.file(name + ".memory").split() for name in wakes})
    assert wakes["quiet"] == [], "without NVMe over Fabrics nothing may wake the agent"
    # the looks: one each 5 s; the keep-alive of the kernel is not ours
    assert len(wakes["fabrics"]) <= SECONDS // INTERVAL + 1, "\n".join(wakes["fabrics"])
    assert len(wakes["fabrics"]) >= SECONDS // INTERVAL - 2, "the collector looks no more"
