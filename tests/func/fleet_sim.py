# SPDX-License-Identifier: Apache-2.0
"""Simulated hosts for one real aggregator: each has its own host certificate and speaks the real Ingest streams over
mutual TLS (docs/formats/wire.md), as an agent and its uplink would. It takes envelopes, tells their receipt and their life by
events with growing seq, executes an id at most once, and keeps what it did with times, which is the tests' oracle."""
import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path

import fleet_client
import grpc

CRC_TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    CRC_TABLE.append(number)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class SimHost:
    """One host. `plan(command)` -> (seconds, life, detail) or None to vanish after STARTED."""

    def __init__(self, sim, host_id, files, target="", usable=2, total=2):
        self.sim, self.id, self.files = sim, host_id, files
        self.target, self.usable, self.total = target, usable, total
        self.epoch, self.seq, self.generation = os.urandom(16), 0, 0
        self.unacked = []  # (seq, bytes)
        self.executed = {}  # command id -> [start, end or None, life]
        self.deliveries = 0
        self.plan = lambda command: (0.02, "SUCCEEDED", "done")
        self.gone = False
        self.wake = None
        self.is_up = False

    # -- events

    def publish(self, event):
        self.seq += 1
        self.unacked.append((self.seq, event.SerializeToString()))
        if self.wake:
            self.wake.set()

    def tell_life(self, command, life, kind, detail="", refusal=0):
        now = time.time_ns()
        event, types = self.sim.event, self.sim.event
        state = types.CommandState(command_id=command.id, life=getattr(types, "COMMAND_LIFE_" + life), verb="probe", detail=detail,
                                   issuer=command.issuer, refusal=refusal)
        if command.HasField("campaign"):
            state.campaign_id = command.campaign.id.hex()
        self.publish(event.Event(kind=getattr(event, "EVENT_KIND_COMMAND_" + kind), severity=event.SEVERITY_INFO, time_unix_ns=now, observed_unix_ns=now,
                                 subject=event.Subject(type=event.SUBJECT_TYPE_COMMAND, id="command:" + command.id.hex()), command_state=state))

    def tell_topology(self):
        """A multipath map on the storage target, and a controller of it."""
        now, event = time.time_ns(), self.sim.event
        self.publish(event.Event(
            kind=event.EVENT_KIND_NVME_CONTROLLER_STATE, severity=event.SEVERITY_INFO, time_unix_ns=now, observed_unix_ns=now,
            subject=event.Subject(type=event.SUBJECT_TYPE_NVME_CONTROLLER, id="nqn:" + self.target, name="nvme0", nqn=self.target,
                                  transport_address="transport=tcp traddr=10.0.0.1 trsvcid=4420", vendor="Lab", model="Simulated", serial="S" + self.target[-1:]),
            nvme=event.NvmeEvent(controller="nvme0", transport="tcp", traddr="10.0.0.1", trsvcid="4420", subsystem_nqn=self.target,
                                 state="live" if self.usable else "connecting")))
        self.publish(event.Event(
            kind=event.EVENT_KIND_MULTIPATH_MAP_STATE, severity=event.SEVERITY_INFO, time_unix_ns=now, observed_unix_ns=now,
            subject=event.Subject(type=event.SUBJECT_TYPE_MULTIPATH_MAP, id="uuid:mpath-" + self.target, name="dm-0", uuid="mpath-" + self.target,
                                  wwid="naa." + self.target, vendor="Lab", model="Simulated"),
            multipath=event.MultipathEvent(map_name="mp", map_uuid="mpath-" + self.target, valid_paths=self.usable, total_paths=self.total)))

    # -- the streams

    def batch(self, first, blobs):
        body = b"".join(b"\x42" + varint(len(blob)) + blob for blob in blobs)
        return self.sim.ingest.EventsUp(batch=self.sim.ingest.Batch(epoch=self.epoch, first_seq=first, count=len(blobs), crc32c=crc32c(body),
                                                                    sent_unix_ns=time.time_ns(), events=blobs))

    async def run_events(self, channel):
        ingest = self.sim.ingest
        call = channel.stream_stream("/pathbell.v1.Ingest/Events", ingest.EventsUp.SerializeToString, ingest.EventsDown.FromString)()
        hello = ingest.Hello(protocol_min=1, protocol_max=1, host_id=self.id, hostname=self.id, agent_version="sim", kernel_release="sim",
                             boot_id=self.epoch, session_generation=self.generation, unix_ns=time.time_ns(), clock_synchronised=True)
        hello.epochs.append(ingest.EpochState(epoch=self.epoch, oldest_seq=1 if self.seq else 0,
                                              first_unacked_seq=self.unacked[0][0] if self.unacked else self.seq + 1, tail_seq=self.seq))
        await call.write(ingest.EventsUp(hello=hello))
        down = await call.read()
        if down is grpc.aio.EOF or down.WhichOneof("message") != "welcome":
            return
        sent = down.welcome.resume[-1].seq
        self.unacked = [entry for entry in self.unacked if entry[0] > sent]
        self.is_up = True

        async def write():
            nonlocal sent
            while True:
                waiting = [entry for entry in self.unacked if entry[0] > sent][:256]
                if waiting:
                    await call.write(self.batch(waiting[0][0], [blob for _, blob in waiting]))
                    sent = waiting[-1][0]
                    continue
                self.wake.clear()
                await self.wake.wait()

        writer = asyncio.ensure_future(write())
        try:
            while True:
                down = await call.read()
                if down is grpc.aio.EOF:
                    return
                if down.WhichOneof("message") == "ack":
                    self.unacked = [entry for entry in self.unacked if entry[0] > down.ack.seq]
        finally:
            self.is_up = False
            writer.cancel()

    async def run_control(self, channel):
        ingest = self.sim.ingest
        call = channel.stream_stream("/pathbell.v1.Ingest/Control", ingest.ControlUp.SerializeToString, ingest.ControlDown.FromString)()
        await call.write(ingest.ControlUp(hello=ingest.ControlHello(protocol_min=1, protocol_max=1, host_id=self.id, session_generation=self.generation)))
        while True:
            down = await call.read()
            if down is grpc.aio.EOF:
                return
            if down.WhichOneof("message") == "command":
                command = self.sim.command.Command.FromString(self.sim.command.SignedCommand.FromString(down.command.envelope).command)
                self.deliveries += 1
                is_new = command.id not in self.executed
                if is_new:
                    self.executed[command.id] = [time.monotonic(), None, None]
                    self.tell_life(command, "RECEIVED", "RECEIVED")
                    self.tell_life(command, "ACCEPTED", "ACCEPTED")
                    self.tell_life(command, "STARTED", "STARTED")
                await call.write(ingest.ControlUp(receipt=ingest.CommandReceipt(command_id=command.id)))
                if is_new:
                    task = asyncio.ensure_future(self.execute(command))
                    self.sim.tasks.add(task)
                    task.add_done_callback(self.sim.tasks.discard)

    async def execute(self, command):
        what = self.plan(command)
        if what is None:
            self.gone = True
            self.sim.drop(self)
            return
        seconds, life, detail = what
        await asyncio.sleep(seconds)
        self.executed[command.id][1:] = [time.monotonic(), life]
        self.tell_life(command, life, "FINISHED", detail)

    async def run(self):
        self.wake = asyncio.Event()
        self.tell_topology()
        while not self.gone:
            self.generation += 1
            channel = self.sim.channel(self)
            parts = [asyncio.ensure_future(self.run_events(channel)), asyncio.ensure_future(self.run_control(channel))]
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                try:
                    done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                    for part in done:
                        part.exception()
                finally:
                    for part in parts:
                        part.cancel()
                    await channel.close()
            if not self.gone:
                await asyncio.sleep(0.2)


class FleetSim:
    """Hosts in a thread of their own with their own loop."""

    def __init__(self, site, count, targets, prefix="sim"):
        self.event, self.ingest, self.command = (fleet_client.messages(name) for name in ("event", "ingest", "command"))
        self.address = site.grpc
        self.tasks, self.runs = set(), {}
        self.hosts = []
        if count > 20:
            site.pki.preset = "release"  # many certificates
        for number in range(count):
            host_id = f"{prefix}{number:03}"
            files = site.pki.make("host", host_id)
            credentials = {key: Path(path).read_bytes() for key, path in files.items()}
            self.hosts.append(SimHost(self, host_id, credentials, targets[number % len(targets)]))
        self.by_id = {host.id: host for host in self.hosts}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._main, daemon=True)

    def channel(self, host):
        credentials = grpc.ssl_channel_credentials(host.files["ca_file"], host.files["key_file"], host.files["certificate_file"])
        return grpc.aio.secure_channel(self.address, credentials, options=[
            ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.min_reconnect_backoff_ms", 20000), ("grpc.max_reconnect_backoff_ms", 20000)])

    def _main(self):
        asyncio.set_event_loop(self.loop)
        for host in self.hosts:
            self.runs[host.id] = self.loop.create_task(host.run())
        self.loop.run_forever()

    def start(self):
        self.thread.start()
        return self

    def drop(self, host):
        """The host vanishes: its streams end and it never comes back."""
        host.gone = True
        self.loop.call_soon_threadsafe(self.runs[host.id].cancel)

    def n_up(self):
        return sum(host.is_up for host in self.hosts)

    def executions(self):
        """[(start, end or None, life, host, command id)] in order of start."""
        return sorted(((start, end, life, host, command) for host in self.hosts for command, (start, end, life) in list(host.executed.items())),
                      key=lambda row: row[0])

    def most_at_once(self, key):
        """The largest number of executions that overlapped, for each value of key(host)."""
        most, running = {}, {}
        steps = []
        for start, end, _, host, _ in self.executions():
            steps += [(start, 1, key(host)), (end if end is not None else float("inf"), -1, key(host))]
        for _, step, name in sorted(steps):
            running[name] = running.get(name, 0) + step
            most[name] = max(most.get(name, 0), running[name])
        return most

    def stop(self):
        async def end():
            for host in self.hosts:
                host.gone = True
            for task in [*self.runs.values(), *self.tasks]:
                task.cancel()
            await asyncio.gather(*self.runs.values(), return_exceptions=True)
            self.loop.stop()

        if self.thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self.loop)
            self.thread.join(30)
