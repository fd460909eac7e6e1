# SPDX-License-Identifier: Apache-2.0
"""A foreign gRPC client (python3-grpcio) for the public services, generated from the same .proto files."""
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
_generated = None


def messages(name):
    """The generated module of proto/pathbell/v1/NAME.proto."""
    global _generated
    if _generated is None:
        _generated = tempfile.TemporaryDirectory(prefix="pathbell-proto.")
        protos = [str(p) for p in sorted((ROOT / "proto/pathbell/v1").glob("*.proto"))]
        vendored = ROOT / "third_party/grpc-proto"
        protos += [str(p) for p in sorted(vendored.glob("grpc/*/*/*.proto"))]
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"-I{vendored}", f"--python_out={_generated.name}", *protos], check=True)
        sys.path.insert(0, _generated.name)
    module = name if name.startswith("grpc_") else f"pathbell.v1.{name}_pb2"
    if name.startswith("grpc_"):
        # grpc.health.v1 would collide with the grpc package: load by path
        parts = name.split("_")
        path = Path(_generated.name) / "grpc" / parts[1] / parts[2] / f"{parts[1]}_pb2.py"
        spec = importlib.util.spec_from_file_location(f"generated_{name}", path)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded
    return importlib.import_module(module)


def channel(address, files):
    def read(key):
        return Path(files[key]).read_bytes()

    credentials = grpc.ssl_channel_credentials(read("ca_file"), read("key_file"), read("certificate_file"))
    return grpc.secure_channel(address, credentials, options=[("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)])


class Fleet:
    def __init__(self, address, files):
        self.channel = channel(address, files)
        self.types = messages("fleet")

    def unary(self, method, request, answer, timeout=20):
        call = self.channel.unary_unary(f"/pathbell.v1.Fleet/{method}", type(request).SerializeToString, answer.FromString)
        return call(request, timeout=timeout)

    def stream(self, method, request, answer, timeout=None):
        call = self.channel.unary_stream(f"/pathbell.v1.Fleet/{method}", type(request).SerializeToString, answer.FromString)
        return call(request, timeout=timeout)

    def hosts(self):
        return self.unary("ListHosts", self.types.ListHostsRequest(), self.types.ListHostsResponse).hosts

    def submit(self, envelope):
        return self.unary("SubmitCommand", self.types.SubmitCommandRequest(envelope=envelope), self.types.SubmitCommandResponse).command

    def command(self, command_id):
        return self.unary("GetCommand", self.types.GetCommandRequest(command_id=command_id), self.types.CommandRecord)

    def events(self, limit=1000, **filters):
        answer = self.unary("QueryEvents", self.types.QueryEventsRequest(filter=self.types.EventFilter(**filters), page_size=limit),
                            self.types.QueryEventsResponse)
        return answer.events

    def close(self):
        self.channel.close()
