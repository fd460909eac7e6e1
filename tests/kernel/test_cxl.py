# SPDX-License-Identifier: Apache-2.0
"""cxl-test, cxl-drift, capi-cuse. cxl_test (tools/testing/cxl of the kernel tree) mocks devices behind the real drivers: its records
go the whole way from a device's log to the trace event. The oracle is the text that the kernel itself prints for the same
events in another trace instance. AER errors and layouts of other kernels are made with TRACE_EVENT_INJECT and user_events."""
import re

import pytest
from conftest import BIN, ROOT, boot

# The mock wants two NUMA nodes (cxl_test with one oopses).
NUMA = ["-object", "memory-backend-ram,id=m0,size=512M", "-object", "memory-backend-ram,id=m1,size=512M",
        "-numa", "node,nodeid=0,memdev=m0,cpus=0", "-numa", "node,nodeid=1,memdev=m1"]
QUIET = {name: {"enabled": False} for name in ("block", "watch_queue", "multipath")}
LOAD = r"""
for m in libnvdimm device_dax firmware_class einj; do modprobe $m; done
for m in cxl_core cxl_mock cxl_port cxl_acpi cxl_pmem cxl_mem cxl_test; do modprobe $m || echo "modprobe $m failed"; done
"""
ORACLE = r"""
mkdir $T/instances/oracle; echo 1 > $T/instances/oracle/events/cxl/enable
heard() { "$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep -c '"kind": *"cxl\.'; }
printed() { grep -c ': cxl_' $T/instances/oracle/trace; }
all_heard() { sync; [ "$(heard)" -ge "$(printed)" ]; }
cxl_is_armed() { grep -qs 1 $T/instances/pathbell-cxl-*/events/cxl/cxl_dram/enable; }
"""
CXL_TEST = LOAD + ORACLE + r"""
start_agent || exit 12
until_true 30 cxl_is_armed || exit 13
modprobe cxl_mock_mem || exit 14
D=/sys/kernel/debug/cxl/mem0
until_true 60 test -e $D/inject_poison || exit 15
until_true 60 test -e /sys/bus/cxl/devices/region0 || echo "no region"
echo 1 > /sys/bus/platform/devices/cxl_mem.0/event_trigger || exit 16
echo 0x1000 > $D/inject_poison && echo 1 > /sys/bus/cxl/devices/mem0/trigger_poison_list && echo 0x1000 > $D/clear_poison || exit 17
for i in $T/instances/*; do # a record is injected into one instance
	echo 'memdev="mem0" host="cxl_mem.1" serial=1 status=2' > $i/events/cxl/cxl_aer_correctable_error/inject || exit 18
	echo 'memdev="mem0" host="cxl_mem.1" serial=1 status=129 first_error=1' > $i/events/cxl/cxl_aer_uncorrectable_error/inject || exit 19
done
until_true 30 all_heard
grep -v '^#' $T/instances/oracle/trace > /out/oracle
cat /sys/bus/cxl/devices/mem*/serial > /out/serials
# opened anew it takes a snapshot, of all the devices that are there by now
sed -i 's/64KiB/128KiB/' /out/pathbelld.yaml; kill -HUP $agent
states() { "$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep -c '"kind": *"cxl\.memdev\.state"'; }
all_states() { [ "$(states)" -ge "$(ls -d /sys/bus/cxl/devices/mem* | wc -l)" ]; }
until_true 30 all_states || exit 20
stop_agent
"""


def of_kind(run, kind):
    return [e for e in run.events() if e["kind"] == kind]


@pytest.fixture(scope="module")
def cxl_test(folder):
    return boot("patched", CXL_TEST, folder / "cxl-test", extra=NUMA, collectors=QUIET | {"cxl": {"buffer_size": "64KiB"}})


KINDS = {"cxl_general_media": "cxl.general_media", "cxl_dram": "cxl.dram", "cxl_memory_module": "cxl.memory_module",
         "cxl_generic_event": "cxl.generic", "cxl_poison": "cxl.poison", "cxl_overflow": "cxl.overflow",
         "cxl_aer_correctable_error": "cxl.aer", "cxl_aer_uncorrectable_error": "cxl.aer"}
LOGS = {"Informational": 1, "Warning": 2, "Failure": 3, "Fatal": 4}


@pytest.mark.parametrize("record", KINDS)
def test_cxl_test(cxl_test, record):
    """Each record, in order and field by field, against the kernel's own text."""
    lines = [line.split(f": {record}: ", 1)[1] for line in cxl_test.file("oracle").splitlines() if f": {record}: " in line]
    events = [e for e in of_kind(cxl_test, KINDS[record]) if e["cxl_mem"]["record"] == record]
    assert lines and len(events) == len(lines), f"{len(events)} events, the kernel printed {len(lines)}"
    for line, event in zip(lines, events):
        mem = event["cxl_mem"]
        text = dict(re.findall(r"(\w+)=('[^']*'|\S*)", line))
        assert mem["memdev"] == text["memdev"] and mem["host_bridge"] == text["host"]
        assert event["subject"]["id"] == f"serial:{int(text['serial'].rstrip(':')):x}"
        if "log" in text:
            assert mem["log"] == LOGS[text["log"]]
        for key, name, base in (("handle", "handle", 16), ("related_handle", "related_handle", 16), ("dpa", "dpa", 16), ("channel", "channel", 10),
                                ("rank", "rank", 10), ("column", "column", 10), ("bank_group", "bank_group", 10), ("hpa", "hpa", 16),
                                ("device_temp", "temperature_celsius", 10), ("dirty_shutdown_cnt", "dirty_shutdown_count", 10),
                                ("dpa_length", "dpa_length", 16)):
            if key in text:
                assert int(mem.get(name, 0)) == int(text[key], base), f"{name} in {line}"
        if record == "cxl_generic_event":
            assert mem["data"].startswith("deadbeef") and len(mem["data"]) == 160
        if text.get("region"):
            assert mem["region"] == text["region"]


def test_cxl_poison_says_what_was_done(cxl_test):
    assert [e["cxl_mem"]["poison_trace_type"] for e in of_kind(cxl_test, "cxl.poison")] == ["inject", "list", "clear"]


def test_cxl_overflow_is_a_gap_too(cxl_test):
    gaps = [e["gap"] for e in of_kind(cxl_test, "collector.gap") if e["gap"]["cause"] == "device_overflow"]
    counts = [int(e["cxl_mem"].get("overflow_count", 0)) for e in of_kind(cxl_test, "cxl.overflow")]
    assert gaps and sum(int(g.get("count", 0)) for g in gaps) == sum(counts)


def test_cxl_severities_and_known_layouts(cxl_test):
    fatal = [e["severity"] for e in of_kind(cxl_test, "cxl.generic") if e["cxl_mem"]["log"] == 4]
    assert fatal and set(fatal) == {"critical"}
    assert [e["severity"] for e in of_kind(cxl_test, "cxl.aer")] == ["warning", "error"]
    assert of_kind(cxl_test, "collector.schema_changed") == []
    assert cxl_test.file("instances").split() == ["oracle"]


def test_cxl_snapshot_of_memory_devices(cxl_test):
    serials = {f"serial:{int(s, 16):x}" for s in cxl_test.file("serials").split()}
    assert {e["subject"]["id"] for e in of_kind(cxl_test, "cxl.memdev.state")} == serials


# Registers one user event with a layout that no kernel has, and writes a record when somebody listens.
DRIFT_PY = r"""
import ctypes, fcntl, os, struct, time
fields = ("__data_loc char[] memdev;__data_loc char[] host;s32 tilt;s32 log;u64 serial;u32 hdr_flags;u16 hdr_handle;u16 pad0;u64 hdr_timestamp;"
          "u64 physical;u8 descriptor;u8 channel;u16 pad1;u32 lane;__data_loc char[] region;__data_loc char[] vendor")
name = ctypes.create_string_buffer(("vm_media " + fields).encode())
enabled = (ctypes.c_uint32 * 2)()
fd = os.open("/sys/kernel/tracing/user_events_data", os.O_RDWR)
# struct user_reg and DIAG_IOCSREG, include/uapi/linux/user_events.h 6.12
reg = bytearray(struct.pack("<IBBHQQI", 28, 0, 4, 0, ctypes.addressof(enabled), ctypes.addressof(name), 0))
fcntl.ioctl(fd, 0xC0082A00, reg)
index = reg[24:28]
print("registered", flush=True)
fixed = 8 + 64
texts = [b"mem4\0", b"0000:0d:00.0\0", b"region9\0", b"acme\0"]
offset, locs = fixed, []
for text in texts:
    locs.append(len(text) << 16 | offset)
    offset += len(text)
record = struct.pack("<IIiiQIHHQQBBHIII", locs[0], locs[1], -5, 2, 0xabc, 4, 7, 0, 123456789, 4096, 1, 3, 0, 12, locs[2], locs[3])
assert len(record) == fixed - 8, len(record)
deadline = time.monotonic() + 60
while not enabled[0] and time.monotonic() < deadline:
    time.sleep(0.05)
os.write(fd, bytes(index) + record + b"".join(texts))
print("written", flush=True)
while not os.path.exists("/run/end"):
    time.sleep(0.05)
"""
CXL_DRIFT = r"""
cat > /run/drift.py <<'X'
""" + DRIFT_PY + r"""
X
modprobe cxl_core || exit 10
python3 /run/drift.py >/out/drift.log 2>&1 & drift=$!
until_true 60 grep -q registered /out/drift.log || exit 11
start_agent || exit 12
until_true 60 grep -q written /out/drift.log || exit 13
E=$(echo $T/instances/pathbell-cxl-*)/events/cxl
echo 'memdev="mem9" host="0000:aa:bb.0" serial=4660 log=2 hdr_handle=7 dpa=0x1000 rank=2' > $E/cxl_general_media/inject || exit 14
heard() { [ "$("$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep -c '"kind": *"cxl\.general_media')" -ge 2 ]; }
until_true 30 heard || exit 15
# the collector opens anew: the layout is no news any more
ups() { [ "$(grep -c 'collector up collector=cxl' /out/agent.log)" -ge 2 ]; }
sed -i 's/64KiB/128KiB/' /out/pathbelld.yaml; kill -HUP $agent
until_true 30 ups || exit 16
stop_agent
touch /run/end; wait $drift
"""


def test_cxl_drift(folder):
    run = boot("patched", CXL_DRIFT, folder / "cxl-drift",
               collectors=QUIET | {"cxl": {"buffer_size": "64KiB", "events": ["user_events:vm_media=cxl_general_media"]}})
    drifted, injected = of_kind(run, "cxl.general_media")
    extra = {a["key"]: a["value"] for a in drifted["extra"]}
    assert drifted["source"]["interface"] == "tracefs:vm_media"
    assert (drifted["subject"]["id"], drifted["subject"]["name"], drifted["subject"]["bus_address"]) == ("serial:abc", "mem4", "0000:0d:00.0")
    mem = drifted["cxl_mem"]
    assert (mem["log"], mem["handle"], mem["region"], mem["channel"], mem["descriptor"]) == (3, 7, "region9", 3, 1)
    assert (extra["tilt"], extra["physical"], extra["lane"], extra["vendor"]) == ("-5", "4096", "12", "acme")
    assert "raw" not in drifted
    assert (injected["subject"]["id"], injected["cxl_mem"]["dpa"], injected["cxl_mem"]["rank"]) == ("serial:1234", 0x1000, 2)
    notices = [e["collector_state"]["reason"] for e in of_kind(run, "collector.schema_changed")]
    assert len(notices) == 1, notices
    assert "new tilt" in notices[0] and "missing" in notices[0]


CAPI_CUSE = r"""
modprobe cuse || exit 10
start_agent || exit 12
until_true 30 grep -q 'collector parked collector=capi' /out/agent.log || exit 13
ups() { [ "$(grep -c 'collector up collector=capi' /out/agent.log)" -ge $1 ]; }
count() { [ "$("$bin/pathbell" -o json local spool dump /run/state/spool 2>/dev/null | grep -c "\"kind\": *\"$1\"")" -ge $2 ]; }
mkfifo /run/a /run/b
"$bin/afu_device" cuse cxl/afu0.0m </run/a >/out/afu0.log 2>&1 & exec 8>/run/a
until_true 30 ups 1 || exit 14
"$bin/afu_device" cuse cxl/afu1.0m </run/b >/out/afu1.log 2>&1 & exec 9>/run/b
until_true 30 grep -q open /out/afu1.log || exit 15
echo '0 irq 3 5' >&8; echo '0 dsi 3 7fff12345678 42000000' >&8; echo '0 error 3 dead' >&8
echo '0 driver 7 stripe 5 degraded' >&9
until_true 30 count capi.afu.error 1 && until_true 30 count capi.afu.driver 1 || exit 16
s1=$(awk '/voluntary_ctxt/ {s+=$2} END {print s}' /proc/$agent/task/*/status); sleep 5
s2=$(awk '/voluntary_ctxt/ {s+=$2} END {print s}' /proc/$agent/task/*/status); echo $((s2 - s1)) > /out/switches
echo '0 close' >&8
until_true 30 count capi.afu.link_down 1 || exit 17
echo '0 error 4 beef' >&9
until_true 30 count capi.afu.error 2 || exit 18
echo '0 close' >&9
until_true 30 grep -q 'collector blind collector=capi' /out/agent.log || exit 19
echo '0 up' >&8; echo '0 up' >&9
until_true 60 count capi.afu.link_down 4 || exit 20
echo '0 irq 3 6' >&8
until_true 30 count capi.afu.irq 2 || exit 21
exec 8>&- 9>&-
until_true 30 test ! -e /dev/cxl/afu0.0m || exit 22
until_true 60 count capi.afu.link_down 6 || exit 23
stop_agent
"""


def test_capi_cuse(folder):
    """AFUs as character devices by CUSE, on Debian's own kernel: parked, hot-plugged, every type, link down, unplugged."""
    run = boot("debian-6.12", CAPI_CUSE, folder / "capi-cuse", collectors=QUIET | {"capi": {"decoder": "text"}})
    events = run.events()
    afu = [(e["kind"], e["subject"]["name"], {k: v for k, v in e["capi_afu"].items() if k != "type"}) for e in events
           if e["kind"].startswith("capi.") and e["kind"] != "capi.afu.link_down"]
    assert sorted(afu, key=str) == sorted([
        ("capi.afu.irq", "afu0.0m", {"process_element": 3, "irq": 5}),
        ("capi.afu.data_storage", "afu0.0m", {"process_element": 3, "address": 0x7FFF12345678, "dsisr": 0x42000000}),
        ("capi.afu.error", "afu0.0m", {"process_element": 3, "error": 0xDEAD}),
        ("capi.afu.driver", "afu1.0m", {"process_element": 7, "driver_data": b"stripe 5 degraded".hex(), "decoder": "text"}),
        ("capi.afu.error", "afu1.0m", {"process_element": 4, "error": 0xBEEF}),
        ("capi.afu.irq", "afu0.0m", {"process_element": 3, "irq": 6}),
    ], key=str)
    assert [a["value"] for e in events if e["kind"] == "capi.afu.driver" for a in e["extra"]] == ["stripe 5 degraded"]
    phases = {name: [e["fault_phase"] for e in events if e["kind"] == "capi.afu.link_down" and e["subject"]["name"] == name]
              for name in ("afu0.0m", "afu1.0m")}
    assert all(len(p) == 3 and p[0] == p[2] != p[1] for p in phases.values()), phases
    assert [e["collector_state"]["collector"] for e in events if e["kind"] == "collector.parked"][0] in ("capi", "cxl")
    assert any(e["kind"] == "collector.blind" and e["collector_state"]["collector"] == "capi" for e in events)
    assert int(run.file("switches")) <= 1, "idle with two open AFUs"
