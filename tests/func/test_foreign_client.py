# SPDX-License-Identifier: Apache-2.0
"""Clients that are not ours: python3-grpcio over the public services, health and reflection; openssl s_client; promtool; curl-like SSE."""
import json
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

import fleet_client
import grpc
import pytest
from conftest import recording, wait_until


@pytest.fixture
def running(site):
    site.start_aggregator()
    file = recording(site.dir / "few.rec", 50)
    site.start_agent("alpha", collectors={"block": {"enabled": False}, "replay": {"enabled": True, "file": file}})
    site.wait_connected("alpha")
    return site


def test_operator_lists_hosts_and_tails_events(running):
    fleet = fleet_client.Fleet(running.grpc, running.operator_files)
    assert [host.host_id for host in fleet.hosts()] == ["alpha"]
    request = fleet.types.WatchEventsRequest(filter=fleet.types.EventFilter(host_ids=["alpha"], kind_glob="storage.*"), backlog=10)
    stream = fleet.stream("WatchEvents", request, fleet.types.StoredEvent, timeout=60)
    seen = [next(stream) for _ in range(5)]
    assert all(record.host_id == "alpha" and record.event.replayed for record in seen)
    assert [record.id for record in seen] == sorted(record.id for record in seen)
    stream.cancel()
    fleet.close()


def test_tail_hears_what_comes_later(running):
    fleet = fleet_client.Fleet(running.grpc, running.operator_files)
    stream = fleet.stream("WatchEvents", fleet.types.WatchEventsRequest(filter=fleet.types.EventFilter(host_ids=["beta"])), fleet.types.StoredEvent, timeout=60)
    first = []
    reader = threading.Thread(target=lambda: first.append(next(stream)))
    reader.start()
    running.start_agent("beta")
    reader.join(60)
    assert first and first[0].host_id == "beta"
    stream.cancel()
    fleet.close()


def test_host_certificate_is_refused_on_fleet(running):
    fleet = fleet_client.Fleet(running.grpc, running.pki.make("host", "gamma"))
    with pytest.raises(grpc.RpcError) as refused:
        fleet.hosts()
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "host" in refused.value.details()
    fleet.close()


def test_operator_certificate_is_refused_on_ingest(running):
    ingest = fleet_client.messages("ingest")
    channel = fleet_client.channel(running.grpc, running.operator_files)
    call = channel.stream_stream("/pathbell.v1.Ingest/Events", ingest.EventsUp.SerializeToString, ingest.EventsDown.FromString)
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([ingest.EventsUp(hello=ingest.Hello(protocol_min=1, protocol_max=1, host_id="alpha"))]), timeout=20))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    channel.close()


def test_unknown_method_is_answered(running):
    channel = fleet_client.channel(running.grpc, running.operator_files)
    call = channel.unary_unary("/pathbell.v1.Fleet/NoSuchMethod", lambda x: x, lambda x: x)
    with pytest.raises(grpc.RpcError) as refused:
        call(b"", timeout=20)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    channel.close()


def test_gzip_is_refused_before_it_grows(running):
    fleet = fleet_client.Fleet(running.grpc, running.operator_files)
    call = fleet.channel.unary_unary("/pathbell.v1.Fleet/ListHosts", fleet.types.ListHostsRequest.SerializeToString,
                                     fleet.types.ListHostsResponse.FromString)
    with pytest.raises(grpc.RpcError) as refused:
        call(fleet.types.ListHostsRequest(host_glob="a" * 200000), timeout=20, compression=grpc.Compression.Gzip)
    assert refused.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)
    fleet.hosts()
    fleet.close()


def test_health_and_reflection(running):
    health = fleet_client.messages("grpc_health_v1")
    channel = fleet_client.channel(running.grpc, running.operator_files)
    check = channel.unary_unary("/grpc.health.v1.Health/Check", health.HealthCheckRequest.SerializeToString, health.HealthCheckResponse.FromString)
    assert check(health.HealthCheckRequest(), timeout=20).status == health.HealthCheckResponse.SERVING
    assert check(health.HealthCheckRequest(service="pathbell.v1.Ingest"), timeout=20).status == health.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as unknown:
        check(health.HealthCheckRequest(service="no.such"), timeout=20)
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND

    reflection = fleet_client.messages("grpc_reflection_v1alpha")
    talk = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                 reflection.ServerReflectionRequest.SerializeToString, reflection.ServerReflectionResponse.FromString)
    answers = list(talk(iter([reflection.ServerReflectionRequest(list_services="*"),
                              reflection.ServerReflectionRequest(file_containing_symbol="pathbell.v1.Fleet")]), timeout=20))
    services = {service.name for service in answers[0].list_services_response.service}
    assert {"pathbell.v1.Ingest", "pathbell.v1.Fleet", "grpc.health.v1.Health"} <= services
    assert answers[1].file_descriptor_response.file_descriptor_proto
    channel.close()


def test_tls_1_2_is_refused(running):
    files = running.operator_files
    done = subprocess.run(["openssl", "s_client", "-connect", running.grpc, "-tls1_2", "-CAfile", files["ca_file"], "-cert", files["certificate_file"],
                           "-key", files["key_file"], "-alpn", "h2"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=30)
    assert "Cipher is (NONE)" in done.stdout
    done = subprocess.run(["openssl", "s_client", "-connect", running.grpc, "-CAfile", files["ca_file"], "-cert", files["certificate_file"],
                           "-key", files["key_file"], "-alpn", "h2"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=30)
    assert "TLSv1.3" in done.stdout


def test_metrics_satisfy_promtool(running):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    done = subprocess.run(["promtool", "check", "metrics"], input=running.metrics(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stdout.strip() and not done.stderr.strip(), done.stdout + done.stderr


def get(site, path, **headers):
    request = urllib.request.Request(f"http://{site.http}{path}", headers=headers)
    return urllib.request.urlopen(request, timeout=20)


def test_http(running):
    assert get(running, "/healthz").status == 200
    assert get(running, "/readyz").status == 200
    hosts = json.load(get(running, "/api/v1/hosts"))
    assert [host["host_id"] for host in hosts["hosts"]] == ["alpha"]
    wait_until(lambda: len(running.json("events", "--kind", "storage.*", "--limit", "100")) > 10, "replayed events")
    events = json.load(get(running, "/api/v1/events?kind=storage.*&limit=7"))
    assert len(events["events"]) == 7
    for bad in ("/api/v1/events?limit=x", "/api/v1/events?nonsense=1", "/api/v1/events?since=yesterday"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(running, bad)
        assert refused.value.code == 400 and "error" in json.load(refused.value)
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(running, "/nothing/here")
    assert refused.value.code == 404


def test_sse_resumes_behind_last_event_id(running):
    wait_until(lambda: len(running.json("events", "--kind", "storage.*", "--limit", "100")) > 10, "replayed events")

    def read(count, **headers):
        found = []
        with get(running, "/api/v1/events?kind=storage.*", Accept="text/event-stream", **headers) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            for line in answer:
                if line.startswith(b"id:"):
                    found.append(int(line[3:]))
                if len(found) == count:
                    return found

    ids = [record["id"] for record in running.json("events", "--kind", "storage.*", "--limit", "100")]
    ids.sort()
    assert read(4, **{"Last-Event-ID": str(ids[2])}) == ids[3:7]
