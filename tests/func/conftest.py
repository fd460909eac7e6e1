# SPDX-License-Identifier: Apache-2.0
"""Real programs, real TLS, real kernel where there is one. Nothing here sleeps for luck: every wait is for a
condition, with a bound that only a broken machine reaches."""
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRESET = os.environ.get("PATHBELL_TEST_PRESET", "dev")
TRUST_DOMAIN = "test.pathbell"
BOUND = float(os.environ.get("PATHBELL_TEST_BOUND", "60"))


def program(name, preset=PRESET):
    # pathbell-verify bounds its address space, which ThreadSanitizer does not fit; the agent's own threads
    # have their C tests under it. The uplink and the aggregator are what ./run tsan is for.
    if preset == "tsan" and name in ("pathbelld", "pathbell-verify"):
        preset = "dev"
    return str(ROOT / "build" / preset / "bin" / name)


def wait_until(condition, what, bound=BOUND):
    """Polls until the condition holds and returns its value; fails loudly at the bound."""
    deadline = time.monotonic() + bound
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {bound:.0f} s for {what}"
        time.sleep(0.02)


class Process:
    """A program of ours with its log in a file; ended by pid."""

    def __init__(self, name, arguments, log, env=None):
        self.name, self.log = name, Path(log)
        environment = dict(os.environ, **(env or {}))
        with open(log, "ab") as out:
            self.popen = subprocess.Popen([name, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.alive():
            self.popen.send_signal(number)
        return self.popen.wait(BOUND)

    def stop(self):
        if self.alive():
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
                raise AssertionError(f"{self.name} did not stop within 20 s of SIGTERM")
        return self.popen.returncode

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Pki:
    def __init__(self, folder, trust_domain=TRUST_DOMAIN):
        self.dir, self.preset = Path(folder), PRESET
        self.run("init", "--dir", str(self.dir), "--trust-domain", trust_domain)
        os.chmod(self.dir, 0o755)

    def run(self, *arguments):
        subprocess.run([program("pathbell", self.preset), "pki", *arguments], check=True, stdout=subprocess.DEVNULL)

    def make(self, kind, name, *extra):
        self.run(kind, name, "--dir", str(self.dir), *extra)
        key = self.dir / f"{kind}-{name}.key"
        if os.geteuid() == 0 and kind == "host":
            shutil.chown(key, "nobody")
        return {
            "ca_file": str(self.dir / "ca.pem"),
            "certificate_file": str(self.dir / f"{kind}-{name}.pem"),
            "key_file": str(key),
        }


def yaml(value, indent=0):
    """Enough YAML for our configurations."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{key}:\n{yaml(item, indent + 1)}")
            else:
                lines.append(f"{pad}{key}: {scalar(item)}")
        return "\n".join(lines)
    lines = []
    for item in value:
        if isinstance(item, dict):
            body = yaml(item, indent + 1).lstrip()
            lines.append(f"{pad}- {body}")
        else:
            lines.append(f"{pad}- {scalar(item)}")
    return "\n".join(lines)


def scalar(item):
    if item is True or item is False:
        return str(item).lower()
    if item in ([], {}):
        return "[]" if item == [] else "{}"
    return json.dumps(item) if isinstance(item, str) else str(item)


def no_collectors(**chosen):
    """Every collector the agent knows, switched off, but for the chosen ones."""
    sample = subprocess.run([program("pathbelld"), "--sample"], check=True, capture_output=True, text=True).stdout
    section = re.split(r"^\S", sample.split("\ncollectors:\n", 1)[1], maxsplit=1, flags=re.M)[0]
    names = re.findall(r"^  (\w+):$", section, flags=re.M)
    assert "block" in names and "replay" in names, sample
    return {name: {"enabled": False} for name in names} | chosen


class Site:
    """One temporary fleet: PKI, aggregator, agents, CLI."""

    def __init__(self, folder, preset=PRESET):
        self.dir, self.preset = Path(folder), preset
        os.chmod(self.dir, 0o755)
        self.processes = []
        self.pki = Pki(self.dir / "pki")
        self.aggregator_files = self.pki.make("aggregator", "agg", "--san", "127.0.0.1", "--san", "localhost")
        self.operator_files = self.pki.make("operator", "tester")
        self.signing_key = str(self.dir / "signing.key")
        subprocess.run([program("pathbell"), "key", "new", self.signing_key], check=True, stdout=subprocess.DEVNULL)
        shown = subprocess.run([program("pathbell"), "-o", "json", "key", "show", self.signing_key], check=True, capture_output=True, text=True)
        self.public_key = json.loads(shown.stdout)["public_key"]
        self.grpc = self.http = None
        self.aggregator = None
        self.extra_aggregator = {}

    # -- programs

    def spawn(self, name, arguments, log, env=None):
        process = Process(program(name, self.preset), arguments, log, env)
        self.processes.append(process)
        return process

    def start_aggregator(self, **changes):
        self.extra_aggregator.update(changes)
        ports = self.dir / "ports"
        with contextlib.suppress(FileNotFoundError):
            ports.unlink()
        config = {
            "listen": self.grpc or "127.0.0.1:0",
            "port_file": str(ports),
            "trust_domain": TRUST_DOMAIN,
            "credentials": self.aggregator_files,
            "store": {"path": str(self.dir / "store.db")},
            "http": {"listen": self.http or "127.0.0.1:0"},
            "roles": [{"name": "tester", "role": "admin"}],
        }
        config.update(self.extra_aggregator)
        path = self.dir / "aggregator.yaml"
        path.write_text(yaml(config) + "\n")
        self.aggregator = self.spawn("pathbell-aggregator", ["--config", str(path)], self.dir / "aggregator.log")
        wait_until(lambda: ports.exists() and ports.stat().st_size or not self.aggregator.alive(), "the aggregator's ports")
        assert self.aggregator.alive(), self.aggregator.text()
        lines = dict(line.split(" ", 1) for line in ports.read_text().splitlines())
        self.grpc, self.http = lines["grpc"], lines["http"]
        (self.dir / "pathbell.yaml").write_text(yaml({"server": self.grpc, **self.operator_files, "signing_key": self.signing_key}) + "\n")
        return self.aggregator

    def agent_config(self, host, files=None, **changes):
        folder = self.dir / host
        folder.mkdir(exist_ok=True)
        config = {
            "host_id": host,
            "state_dir": str(folder / "state"),
            "runtime_dir": str(folder / "run"),
            "collectors": no_collectors(),
            "uplink": {
                "enabled": True,
                "addresses": [self.grpc],
                **(files or self.pki.make("host", host)),
                "user": "nobody",
                "program": program("pathbell-uplink", self.preset),
                "backoff_base": "100ms",
                "backoff_cap": "1s",
            },
            "commands": {"trusted_keys": [{"name": "tester", "key": self.public_key}]},
        }
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(config.get(key), dict):
                config[key] = {**config[key], **value}
            else:
                config[key] = value
        path = folder / "pathbelld.yaml"
        path.write_text(yaml(config) + "\n")
        return path

    def start_agent(self, host, env=None, config=None, **changes):
        path = config or self.agent_config(host, **changes)
        return self.spawn("pathbelld", ["--config", str(path)], self.dir / f"{host}.log", env)

    def uplink_pid(self, agent):
        """pid of the agent's pathbell-uplink child, or 0."""
        with contextlib.suppress(OSError):
            for pid in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split():
                if "pathbell-uplink" in os.readlink(f"/proc/{pid}/exe"):
                    return int(pid)
        return 0

    # -- looking

    def cli(self, *arguments, check=True, timeout=BOUND):
        done = subprocess.run([program("pathbell", self.preset), "--config", str(self.dir / "pathbell.yaml"), *arguments],
                              capture_output=True, text=True, timeout=timeout)
        if check:
            assert done.returncode == 0, f"pathbell {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments):
        return [json.loads(line) for line in self.cli("-o", "json", *arguments).stdout.splitlines()]

    def local(self, host, what):
        done = subprocess.run([program("pathbell", self.preset), "-o", "json", "local", "--socket", str(self.dir / host / "run" / "agent.sock"), what],
                              capture_output=True, text=True, timeout=BOUND)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}

    def connected(self, host):
        return any(entry["host_id"] == host and entry.get("connected") for entry in self.json("hosts"))

    def wait_connected(self, host):
        wait_until(lambda: self.connected(host), f"{host} to be connected")

    def database(self):
        return sqlite3.connect(f"file:{self.dir / 'store.db'}?mode=ro", uri=True)

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name):
        """Sum of all samples of a metric."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines()
                   if re.match(rf"{re.escape(name)}(\{{[^}}]*\}})? ", line))

    def close(self):
        problems = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except AssertionError as error:
                problems.append(str(error))
        for process in self.processes:
            text = process.text()
            for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
                if mark in text:
                    problems.append(f"{process.name}: {mark}\n{text[text.index(mark):][:4000]}")
        assert not problems, "\n".join(problems)


@pytest.fixture
def site(request):
    folder = tempfile.mkdtemp(prefix="pathbell-test.")
    try:
        made = Site(folder)
        try:
            yield made
        finally:
            made.close()
    finally:
        if os.environ.get("PATHBELL_TEST_KEEP"):
            print("kept:", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def recording(path, count, seed=1):
    subprocess.run([program("pathbell-recording"), "generate", "--count", str(count), "--seed", str(seed), str(path)],
                   check=True, stdout=subprocess.DEVNULL)
    return str(path)
