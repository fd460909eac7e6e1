# SPDX-License-Identifier: Apache-2.0
"""A scripted hostile aggregator (python3-grpcio with the real aggregator's certificate): what it forges, repeats and
alters is never executed, and every attempt is an event."""
import queue
import time
from concurrent import futures
from pathlib import Path

import fleet_client
import grpc
import pytest
from conftest import wait_until
from test_commands import make, seal


class Hostile:
    def __init__(self, files):
        self.ingest = fleet_client.messages("ingest")
        self.event = fleet_client.messages("event")
        self.commands = queue.Queue()
        self.receipts, self.events, self.seen = [], [], set()
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = {
            "Events": grpc.stream_stream_rpc_method_handler(self.run_events, self.ingest.EventsUp.FromString, self.ingest.EventsDown.SerializeToString),
            "Control": grpc.stream_stream_rpc_method_handler(self.run_control, self.ingest.ControlUp.FromString, self.ingest.ControlDown.SerializeToString),
        }
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("pathbell.v1.Ingest", handlers)])
        pair = [(Path(files["key_file"]).read_bytes(), Path(files["certificate_file"]).read_bytes())]
        credentials = grpc.ssl_server_credentials(pair, Path(files["ca_file"]).read_bytes(), True)
        self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    def run_events(self, requests, context):
        for up in requests:
            if up.WhichOneof("message") == "hello":
                resume = [self.ingest.ResumePoint(epoch=epoch.epoch, seq=0) for epoch in up.hello.epochs]
                yield self.ingest.EventsDown(welcome=self.ingest.Welcome(
                    protocol=1, session_id=b"s" * 16, resume=resume, credit=self.ingest.Credit(bytes=1 << 40, records=1 << 40),
                    max_message_bytes=1 << 20, max_batch_records=8192, heartbeat_interval_ms=60000, aggregator="hostile",
                    unix_ns=time.time_ns()))
            elif up.WhichOneof("message") == "batch":
                # it claims to have stored nothing, so a reconnect brings everything again
                for number, blob in enumerate(up.batch.events):
                    if (up.batch.epoch, up.batch.first_seq + number) not in self.seen:
                        self.seen.add((up.batch.epoch, up.batch.first_seq + number))
                        self.events.append(self.event.Event.FromString(blob))
                yield self.ingest.EventsDown(ack=self.ingest.Ack(
                    epoch=up.batch.epoch, seq=up.batch.first_seq + up.batch.count - 1, level=self.ingest.ACK_LEVEL_LOCAL))

    def run_control(self, requests, context):
        def listen():
            for up in requests:
                if up.WhichOneof("message") == "receipt":
                    self.receipts.append(up.receipt.command_id)

        pool = futures.ThreadPoolExecutor(1)
        pool.submit(listen)
        yield self.ingest.ControlDown(welcome=self.ingest.ControlWelcome(protocol=1, unix_ns=time.time_ns()))
        while context.is_active():
            try:
                yield self.ingest.ControlDown(command=self.ingest.CommandDelivery(envelope=self.commands.get(timeout=0.1)))
            except queue.Empty:
                continue

    def states(self, kind):
        return [event.command_state for event in list(self.events) if event.kind == kind]

    def stop(self):
        self.server.stop(0).wait()


@pytest.fixture
def hostile(site):
    server = Hostile(site.aggregator_files)
    site.grpc = f"127.0.0.1:{server.port}"
    site.start_agent("alpha")
    wait_until(lambda: server.events, "the agent's first events")
    yield server
    server.stop()


def refused_as(hostile, command):
    event = hostile.event

    def look():
        for state in hostile.states(event.EVENT_KIND_COMMAND_REFUSED):
            if state.command_id in (command.id, b""):
                return event.CommandRefusal.Name(state.refusal).removeprefix("COMMAND_REFUSAL_").lower()
        return None

    return wait_until(look, "a command.refused event")


def finished(hostile, command, count=1):
    states = [state for state in hostile.states(hostile.event.EVENT_KIND_COMMAND_FINISHED) if state.command_id == command.id]
    return states if len(states) >= count else None


def test_expired(site, hostile):
    now = int(time.time() * 1000)
    command = make(site, not_before_unix_ms=now - 120000, expires_unix_ms=now - 60000)
    hostile.commands.put(seal(site, command))
    assert refused_as(hostile, command) == "expired"


def test_not_for_this_host(site, hostile):
    command = make(site, host_ids=["beta"])
    hostile.commands.put(seal(site, command))
    assert refused_as(hostile, command) == "not_for_this_host"


def test_not_yet_valid(site, hostile):
    now = int(time.time() * 1000)
    command = make(site, not_before_unix_ms=now + 3600000, expires_unix_ms=now + 3660000)
    hostile.commands.put(seal(site, command))
    assert refused_as(hostile, command) == "not_yet_valid"


def test_replayed_with_other_content(site, hostile):
    command = make(site)
    hostile.commands.put(seal(site, command))
    wait_until(lambda: finished(hostile, command), "the first execution")
    other = make(site, id=command.id, reason="the same id again")
    hostile.commands.put(seal(site, other))
    assert refused_as(hostile, command) == "replayed"
    started = [state for state in hostile.states(hostile.event.EVENT_KIND_COMMAND_STARTED) if state.command_id == command.id]
    assert len(started) == 1


def test_the_same_envelope_many_times_runs_once(site, hostile):
    command = make(site)
    envelope = seal(site, command)
    for _ in range(20):
        hostile.commands.put(envelope)
    wait_until(lambda: finished(hostile, command), "the execution")
    last = make(site)
    hostile.commands.put(seal(site, last))

    def after():
        return finished(hostile, last) or any(s.command_id == last.id for s in hostile.states(hostile.event.EVENT_KIND_COMMAND_REFUSED))

    wait_until(after, "an answer to the command behind the copies")
    started = [state for state in hostile.states(hostile.event.EVENT_KIND_COMMAND_STARTED) if state.command_id == command.id]
    assert len(started) == 1


def test_garbage_is_refused_and_the_agent_lives(site, hostile):
    for garbage in (b"", b"\xff" * 100, b"\x0a\x05abc", b"\x0a\x80\x80\x80\x80\x10", b"\x00" * 1000):
        hostile.commands.put(garbage)
    command = make(site)
    envelope = seal(site, command)

    def carried_out():
        # the handler of a stream that the garbage ended may still take an envelope from the queue
        if hostile.commands.empty():
            hostile.commands.put(envelope)
        return finished(hostile, command)

    wait_until(carried_out, "a good command behind the garbage")

    def refused():
        # a dying stream's handler may have eaten the garbage as well
        if hostile.commands.empty():
            hostile.commands.put(b"\x0a\x05abc")
        return site.local("alpha", "status").get("commands_refused", 0) >= 1

    wait_until(refused, "the garbage to be counted")
