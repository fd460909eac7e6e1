#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./run bench: everything in one run, so that ratios hold on a shared machine. Rounds of each measurement are taken
in turn; medians are printed, with minimum and maximum, and the machine's state beside them.

  throughput  events/s from a replayed recording to durable in SQLite over mutual TLS, CPU per event of each program
  floor       the same bytes through plain OpenSSL over loopback into a file with the same rhythm of fdatasync
  latency     capture to ack at 1,000 events/s
  commands    from the CLI to STARTED on the host: idle, under a storm, behind a backlog
  idle        60 s of quiet with the block collector on: wake-ups and memory
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "func"))
os.environ["PATHBELL_TEST_PRESET"] = "release"
import conftest  # noqa: E402
from conftest import Site, recording, wait_until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def schedstat(pid):
    """CPU seconds of all threads by the scheduler's nanoseconds (finer than ticks)."""
    return sum(int(Path(task, "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def switches(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def memory(pid):
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value = line.split(":")
        found[key] = int(value.split()[0])
    return {"rss_kb": found["Rss"], "pss_kb": found["Pss"], "private_dirty_kb": found["Private_Dirty"]}


def stored(site):
    return int(site.metric("pathbell_aggregator_events_stored_total"))


class Folder:
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="pathbell-bench.")
        return Path(self.path)

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)


def throughput(count):
    """One round: a whole recording, as fast as it goes."""
    with Folder() as folder:
        site = Site(folder, "release")
        try:
            file = recording(folder / "bench.rec", count)
            size = os.path.getsize(file)
            site.start_aggregator()
            # the agent starts with nothing to read and is connected before the clock runs
            agent = site.start_agent("bench", spool={"max_bytes": "2GiB", "memory_bytes": "16MiB"})
            site.wait_connected("bench")
            uplink = site.uplink_pid(agent)
            base = stored(site)
            path = folder / "bench" / "pathbelld.yaml"
            path.write_text(path.read_text().replace("replay:\n    enabled: false", f"replay:\n    enabled: true\n    file: {json.dumps(file)}"))
            before = [schedstat(pid) for pid in (agent.pid, uplink, site.aggregator.pid)]
            commits = site.metric("pathbell_aggregator_commits_total")
            start = time.monotonic()
            agent.popen.send_signal(__import__("signal").SIGHUP)
            wait_until(lambda: stored(site) >= base + count, "the recording to be stored", 600)
            seconds = time.monotonic() - start
            after = [schedstat(pid) for pid in (agent.pid, uplink, site.aggregator.pid)]
            commits = site.metric("pathbell_aggregator_commits_total") - commits
            per = [(b - a) * 1e6 / count for a, b in zip(before, after)]
            bound = max(zip(per, ("pathbelld", "pathbell-uplink", "pathbell-aggregator")))[1]
            return {"events_per_second": count / seconds, "pathbelld_us": per[0], "uplink_us": per[1], "aggregator_us": per[2],
                    "event_bytes": size / count, "commits": commits, "sync_bytes": size / max(commits, 1), "binds": bound}
        finally:
            site.close()


def floor(count, event_bytes, sync_bytes):
    with Folder() as folder:
        pki = conftest.Pki(folder / "pki")
        files = pki.make("aggregator", "floor", "--san", "127.0.0.1")
        done = subprocess.run([conftest.program("bench-floor", "release"), files["ca_file"], files["certificate_file"], files["key_file"],
                               str(folder / "out"), str(count), str(int(event_bytes)), "65536", str(int(sync_bytes)), "8"],
                              check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


def histogram(site, host):
    """Cumulative buckets of pathbell_capture_to_ack_seconds, as the agent counts them."""
    counters = site.local(host, "stats")["counters"]
    found = {}
    for counter in counters:
        if counter["name"].startswith("pathbell_capture_to_ack_seconds_bucket"):
            edge = counter["name"].split('le="')[1].split('"')[0]
            found[float("inf") if edge == "+Inf" else float(edge)] = counter.get("value", 0)
    return found


def quantile(buckets, q):
    """Upper edge of the bucket that holds the quantile."""
    edges = sorted(buckets)
    total = buckets[edges[-1]]
    return next((edge for edge in edges if buckets[edge] >= q * total), float("inf")) if total else float("nan")


def latency(seconds, rate=1000):
    with Folder() as folder:
        site = Site(folder, "release")
        try:
            count = rate * seconds
            file = recording(folder / "bench.rec", count)
            site.start_aggregator()
            site.start_agent("bench", collectors={"block": {"enabled": False}, "replay": {"enabled": True, "file": file, "rate": rate}})
            wait_until(lambda: stored(site) >= count, "the recording to be stored", seconds + 120)
            wait_until(lambda: site.local("bench", "status")["spool"].get("unacked", 0) == 0, "all acks")
            buckets = histogram(site, "bench")
            rows = []
            import fleet_client
            event = fleet_client.messages("event").Event
            with site.database() as database:
                for stored_ns, blob in database.execute("SELECT stored, event FROM events ORDER BY id"):
                    decoded = event.FromString(blob)
                    if decoded.replayed:
                        rows.append((stored_ns - decoded.observed_unix_ns) / 1e6)
            rows = sorted(rows[rate:])  # without the first second
            return {"ack_p50_ms_below": quantile(buckets, 0.5) * 1e3, "ack_p99_ms_below": quantile(buckets, 0.99) * 1e3,
                    "stored_p50_ms": rows[len(rows) // 2], "stored_p99_ms": rows[int(len(rows) * 0.99)], "samples": len(rows)}
        finally:
            site.close()


def idle(seconds):
    with Folder() as folder:
        site = Site(folder, "release")
        mounted = None
        try:
            tracefs = Path("/sys/kernel/tracing")
            if not (tracefs / "events").is_dir() and os.geteuid() == 0:
                tracefs = folder / "tracing"
                tracefs.mkdir()
                subprocess.run(["mount", "-t", "tracefs", "none", str(tracefs)], check=True)
                mounted = tracefs
            site.start_aggregator()
            agent = site.start_agent("bench", tracefs=str(tracefs), collectors={"block": {"enabled": True}, "replay": {"enabled": False}})
            site.wait_connected("bench")
            wait_until(lambda: site.local("bench", "status")["spool"].get("unacked", 0) == 0, "all acks")
            uplink = site.uplink_pid(agent)
            time.sleep(5)  # let the start settle; this is a measurement, not a test
            first = {pid: (switches(pid), schedstat(pid)) for pid in (agent.pid, uplink)}
            time.sleep(seconds)
            result = {}
            for name, pid in (("pathbelld", agent.pid), ("uplink", uplink)):
                result[name] = {"voluntary_switches": switches(pid) - first[pid][0], "seconds": seconds,
                                "cpu_us_per_s": (schedstat(pid) - first[pid][1]) * 1e6 / seconds, **memory(pid)}
            return result
        finally:
            site.close()
            if mounted:
                subprocess.run(["umount", str(mounted)], check=True)


def spread(rows, key):
    values = [row[key] for row in rows]
    return f"{statistics.median(values):12.2f}  [{min(values):.2f} .. {max(values):.2f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=500000)
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--json")
    options = parser.parse_args()
    names = options.names or ["throughput", "latency", "commands", "idle"]
    report = {"nproc": os.cpu_count(), "load": os.getloadavg(), "kernel": os.uname().release}
    print(f"{report['nproc']} CPUs, load {report['load'][0]:.2f}, kernel {report['kernel']}")
    if "throughput" in names:
        ours, floors, ratios = [], [], []
        for _ in range(options.rounds):
            ours.append(throughput(options.events))
            floors.append(floor(options.events, ours[-1]["event_bytes"], ours[-1]["sync_bytes"]))
            ratios.append({"ratio": ours[-1]["events_per_second"] / floors[-1]["events_per_second"]})
        report["throughput"], report["floor"] = ours, floors
        print(f"throughput, {options.events} events of {ours[0]['event_bytes']:.0f} bytes, {options.rounds} rounds, median [min .. max]")
        for key in ("events_per_second", "pathbelld_us", "uplink_us", "aggregator_us", "commits", "sync_bytes"):
            print(f"  {key:28s}{spread(ours, key)}")
        print(f"  what binds (most CPU)       {statistics.mode(row['binds'] for row in ours)}")
        for key in ("events_per_second", "client_us_per_event", "server_us_per_event"):
            print(f"  floor {key:22s}{spread(floors, key)}")
        print(f"  ratio to the floor          {spread(ratios, 'ratio')}")
    if "latency" in names:
        rows = [latency(10) for _ in range(max(1, options.rounds // 2))]
        report["latency"] = rows
        print("latency at 1,000 events/s, median [min .. max] of rounds")
        for key in ("ack_p50_ms_below", "ack_p99_ms_below", "stored_p50_ms", "stored_p99_ms"):
            print(f"  {key:28s}{spread(rows, key)}")
    if "commands" in names:
        import bench_commands

        report["commands"] = bench_commands.commands(Site, Folder, max(1, options.rounds // 2))
    if "idle" in names:
        report["idle"] = idle(options.idle_seconds)
        print(f"idle for {options.idle_seconds} s")
        for name, row in report["idle"].items():
            print(f"  {name:12s}" + "  ".join(f"{key}={value:.0f}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
