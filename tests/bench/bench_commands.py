# SPDX-License-Identifier: Apache-2.0
"""How long a command takes from the CLI to STARTED on the host: idle, while the same host forwards a storm, and while it works off a
backlog as fast as it can. Beside it, for the same commands: when the aggregator had the receipt (it comes up the Control stream) and
when it had the host's own RECEIVED event (which comes up the Events stream, behind the bulk data). The difference between the two
is what a stream of its own is worth."""
import json
import math
import statistics
import subprocess
import time

import fleet_client
from conftest import program, recording, wait_until

STORM_RATE = 10000


def quantiles(values):
    ordered = sorted(values)
    return {"p50_ms": statistics.median(ordered), "p99_ms": ordered[math.ceil(len(ordered) * 0.99) - 1], "max_ms": ordered[-1]}


def send(site, count, pause):
    """`count` signed resyncs by the CLI, one after the other; [(id, ns when the CLI was started)]."""
    out = []
    for _ in range(count):
        began = time.time_ns()
        done = subprocess.run([program("pathbell", "release"), "--config", str(site.dir / "pathbell.yaml"), "-o", "json", "command", "resync", "bench",
                               "--collector", "replay", "--no-wait", "--expires", "10m", "--reason", "bench"], check=True, capture_output=True, text=True)
        out.append((bytes.fromhex(json.loads(done.stdout.splitlines()[0])["command_id"].replace("-", "")), began))
        time.sleep(pause)
    return out


def measure(site, sent):
    """started: the host's own time of STARTED. receipt and event: when the store had either of RECEIVED."""
    event = fleet_client.messages("event")
    client = fleet_client.Fleet(site.grpc, site.operator_files)
    began = dict(sent)
    try:
        wait_until(lambda: all(client.command(command).finished for command, _ in sent), "the commands to finish", 300)
        started, stored_event = {}, {}
        with site.database() as database:
            for stored_ns, blob in database.execute("SELECT stored, event FROM events ORDER BY id"):
                if b"\x0a\x10" not in blob:
                    continue
                decoded = event.Event.FromString(blob)
                state = decoded.command_state
                if state.command_id in began and decoded.kind == event.EVENT_KIND_COMMAND_STARTED:
                    started[state.command_id] = decoded.time_unix_ns or decoded.observed_unix_ns
                if state.command_id in began and decoded.kind == event.EVENT_KIND_COMMAND_RECEIVED:
                    stored_event[state.command_id] = stored_ns
        receipts = {}
        for command, _ in sent:
            for step in client.command(command).hosts[0].transitions:
                if step.life == event.COMMAND_LIFE_RECEIVED and command not in receipts:
                    receipts[command] = step.unix_ns
        assert len(started) == len(receipts) == len(stored_event) == len(sent), "a command is missing: the figures would flatter"
        return {"to_started": quantiles([(started[c] - t) / 1e6 for c, t in sent if c in started]),
                "receipt_known": quantiles([(receipts[c] - t) / 1e6 for c, t in sent if c in receipts]),
                "event_stored": quantiles([(stored_event[c] - t) / 1e6 for c, t in sent if c in stored_event]), "n": len(started)}
    finally:
        client.close()


def site_config(site):
    return {"commands": {"trusted_keys": [{"name": "tester", "key": site.public_key}], "max_per_minute": 6000, "host_per_hour": 0, "object_per_hour": 0,
                         "object_cooldown": "0s", "object_attempts": 0}}


def one(site_class, folder, what, count):
    site = site_class(folder, "release")
    try:
        site.start_aggregator()
        rate = {"idle": 1, "storm": STORM_RATE, "backlog": 0}[what]
        events = {"idle": 1, "storm": STORM_RATE * 30, "backlog": 1500000}[what]
        file = recording(folder / "bench.rec", events)
        replay = {"enabled": True, "file": file} | ({"rate": rate} if rate else {})
        site.start_agent("bench", collectors={"block": {"enabled": False}, "replay": replay}, spool={"max_bytes": "2GiB", "memory_bytes": "16MiB"}, **site_config(site))
        site.wait_connected("bench")
        if what != "idle":
            wait_until(lambda: site.metric("pathbell_aggregator_events_stored_total") > 5000, "the storm to be on its way")
        sent = send(site, count, 0.05)
        busy = what == "idle" or site.metric("pathbell_aggregator_events_stored_total") < events
        result = measure(site, sent)
        return result | {"still_busy": busy}
    finally:
        site.close()


def commands(site_class, folder_class, rounds, count=200):
    report = {}
    for what in ("idle", "storm", "backlog"):
        rows = []
        for _ in range(rounds):
            with folder_class() as folder:
                rows.append(one(site_class, folder, what, count))
        report[what] = rows
        print(f"commands, {what}: CLI to ..., {count} commands, {rounds} rounds, median of rounds [min .. max], ms" + ("" if all(r["still_busy"] for r in rows) else " (the load ended before the commands)"))
        for key in ("to_started", "receipt_known", "event_stored"):
            for quantile in ("p50_ms", "p99_ms"):
                values = [row[key][quantile] for row in rows]
                print(f"  {key:16s}{quantile:8s}{statistics.median(values):10.1f}  [{min(values):.1f} .. {max(values):.1f}]")
    return report
