# SPDX-License-Identifier: Apache-2.0
"""Real kernels in QEMU, under software emulation (TCG): Debian's 6.12 and 6.1, and one built from Debian's source with
what those leave out (watch_queue, user_events, trace injection, fault injection, cxl_test). The guest's root is the host's, read-only
over 9p, with a layer of tools, a layer of kernel modules and a tmpfs on top, so that the build tree and all libraries
appear at their own paths. A guest script runs as the last step of init and writes into /out.

Everything is fetched once with apt-get download into a cache folder and unpacked there; nothing is installed.
"""
import fcntl
import hashlib
import os
import select
import shutil
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("PATHBELL_VM_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pathbell" / "vm")

# Debian's meta packages; the real name changes with each security update.
KERNELS = {"debian-6.12": "linux-image-6.12-amd64", "debian-6.1": "linux-image-amd64"}
# What the root over 9p needs before it can be mounted.
BOOT_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_net"]
MODULES = ["scsi_debug", "sd_mod", "loop", "crc32c_generic", "null_blk", "dm-mod", "dm-multipath", "dm-round-robin", "dm-service-time",
           "scsi_dh_alua", "nvme-tcp", "nvme-loop", "nvmet-tcp", "nvme-fc", "nvmet-fc", "nvme-fcloop", "cuse", "fuse"]


# ./run test fetches this one; the others it uses only where they are cached, or in CI.
FETCHED_BY_ALL = {"debian-6.12"}


def may_fetch():
    return os.environ.get("CI") == "true" or os.environ.get("PATHBELL_VM_FETCH") == "1"


def may_build():
    return os.environ.get("CI") == "true" or os.environ.get("PATHBELL_VM_BUILD") == "1"


class Unavailable(Exception):
    """This machine cannot run it, and why."""


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def needed_programs():
    for program in ("qemu-system-x86_64", "cpio", "depmod", "modprobe", "xz", "dpkg-deb"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed")


def kernel(name):
    return (PatchedKernel if name == "patched" else Kernel)(name)


class Kernel:
    """An unpacked Debian kernel package with the modules that the scenarios load, decompressed."""

    def __init__(self, name):
        self.name = name
        self.dir = CACHE / name
        self.version = self.image = self.initrd = None

    def prepare(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(CACHE / f"{self.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._resolve()
            stamp = self.dir / "complete"
            if not stamp.exists() or stamp.read_text() != self._key():
                shutil.rmtree(self.dir, ignore_errors=True)
                self._unpack()
                stamp.write_text(self._key())
        return self

    def _resolve(self):
        try:
            depends = run("apt-cache", "depends", KERNELS[self.name])
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise Unavailable(f"apt-cache cannot tell the package of {KERNELS[self.name]}: {error}") from error
        names = [line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line]
        if not names:
            raise Unavailable(f"{KERNELS[self.name]} is not in the package lists (apt-get update?)")
        self.package = names[0]
        self.version = self.package.removeprefix("linux-image-")
        self.image = self.dir / "vmlinuz"
        self.initrd = self.dir / "initrd.cpio"
        self.modules = self.dir / "modules"

    def _key(self):
        return "\n".join([self.package, *BOOT_MODULES, *MODULES, GUEST_INIT])

    def _download(self, package):
        try:
            run("apt-get", "download", "-q", package, cwd=self.dir)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"apt-get download {package}: {error.stderr.strip().splitlines()[-1:]}") from error
        return next(self.dir.glob(f"{package}_*.deb"))

    def _unpack(self):
        if self.name not in FETCHED_BY_ALL and not may_fetch():
            raise Unavailable(f"the kernel {self.name} is not in the cache (./run vm fetches it)")
        self.dir.mkdir(parents=True)
        tree = self.dir / "tree"
        deb = self._download(self.package)
        run("dpkg-deb", "-x", str(deb), str(tree))
        deb.unlink()
        shutil.move(tree / "boot" / f"vmlinuz-{self.version}", self.image)
        run("depmod", "-b", str(tree), self.version)
        self._copy_modules(tree, BOOT_MODULES + MODULES, self.modules / "usr/lib/modules" / self.version)
        (self.modules / "lib").symlink_to("usr/lib")
        run("depmod", "-b", str(self.modules), self.version)
        (self.modules / "lib").unlink()
        self._make_initrd(tree)
        shutil.rmtree(tree)

    def _closure(self, tree, names):
        files = []
        for name in names:
            done = subprocess.run(["modprobe", "-d", str(tree), "-S", self.version, "--show-depends", name], capture_output=True, text=True)
            files += [line.split()[1] for line in done.stdout.splitlines() if line.startswith("insmod")]
        return list(dict.fromkeys(files))

    def _copy_modules(self, tree, names, target):
        target.mkdir(parents=True)
        for file in self._closure(tree, names):
            relative = file.split(f"/lib/modules/{self.version}/", 1)[1]
            out = target / relative.removesuffix(".xz")
            out.parent.mkdir(parents=True, exist_ok=True)
            if file.endswith(".xz"):
                with open(out, "wb") as unpacked:
                    subprocess.run(["xz", "-dc", file], check=True, stdout=unpacked)
            else:
                shutil.copy(file, out)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(tree / "lib/modules" / self.version / name, target)

    def _make_initrd(self, tree):
        folder = self.dir / "initrd"
        for name in ("bin", "proc", "sys", "dev", "h", "t", "m", "up", "n", "mods"):
            (folder / name).mkdir(parents=True)
        busybox = self.dir / "busybox"
        run("dpkg-deb", "-x", str(self._download("busybox-static")), str(busybox))
        shutil.copy(next(busybox.glob("**/bin/busybox")), folder / "bin/busybox")
        for name in ("sh", "mount", "mkdir", "insmod", "switch_root", "cat", "cut", "umount", "ifconfig", "route"):
            (folder / "bin" / name).symlink_to("busybox")
        order = []
        for file in self._closure(tree, BOOT_MODULES):
            out = folder / "mods" / Path(file).name.removesuffix(".xz")
            with open(out, "wb") as unpacked:
                subprocess.run(["xz", "-dc", file] if file.endswith(".xz") else ["cat", file], check=True, stdout=unpacked)
            order.append(out.name)
        (folder / "mods/list").write_text("\n".join(order) + "\n")
        (folder / "init").write_text(GUEST_INIT)
        os.chmod(folder / "init", 0o755)
        with open(self.initrd, "wb") as out:
            names = subprocess.run(["find", "."], cwd=folder, check=True, capture_output=True).stdout
            subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=folder, input=names, stdout=out, check=True)
        shutil.rmtree(folder)
        shutil.rmtree(busybox)


class PatchedKernel(Kernel):
    """Built once from Debian's linux-source-6.12 with tests/kernel/patched/{config,*.patch}; cached by a hash of all three.
    About ten minutes on two cores; never built inside a test run (./run vm --build-kernel, or CI=true)."""

    SOURCE = "linux-source-6.12"
    FOLDER = ROOT / "tests/kernel/patched"

    def _resolve(self):
        policy = run("apt-cache", "policy", self.SOURCE)
        candidates = [line.split()[1] for line in policy.splitlines() if "Candidate:" in line]
        if not candidates or candidates[0] == "(none)":
            raise Unavailable(f"{self.SOURCE} is not in the package lists (apt-get update?)")
        self.package = f"{self.SOURCE} {candidates[0]}"
        digest = hashlib.sha256(self.package.encode())
        for file in sorted(self.FOLDER.iterdir()):
            digest.update(file.name.encode() + file.read_bytes())
        self.dir = CACHE / f"patched-{digest.hexdigest()[:16]}"
        built = sorted(self.dir.glob("modules/usr/lib/modules/*"))
        self.version = built[0].name if built else None
        self.image, self.initrd, self.modules = self.dir / "vmlinux", self.dir / "initrd.cpio", self.dir / "modules"

    def _key(self):
        return self.package + GUEST_INIT

    def _unpack(self):
        if not may_build():
            raise Unavailable("the patched kernel is not built (./run vm --build-kernel builds it, about ten minutes)")
        missing = [p for p in ("flex", "bison", "bc", "make", "gcc", "patch") if not shutil.which(p)]
        if missing:
            raise Unavailable(f"the patched kernel needs {', '.join(missing)} to be built")
        self.dir.mkdir(parents=True)
        work = self.dir / "work"
        deb = self._download(self.SOURCE)
        run("dpkg-deb", "-x", str(deb), str(work))
        deb.unlink()
        run("tar", "-C", str(work), "-xJf", str(next(work.glob("usr/src/*.tar.xz"))))
        source = next(path for path in work.iterdir() if path.name.startswith("linux-source"))
        for patch in sorted(self.FOLDER.glob("*.patch")):
            with open(patch, "rb") as text:
                subprocess.run(["patch", "-p1", "-s"], cwd=source, stdin=text, check=True)
        self._build(source, work / "out")
        shutil.rmtree(work)

    def _make(self, source, out, *targets):
        with open(self.dir / "build.log", "ab") as log:
            subprocess.run(["nice", "-n", "10", "make", "-C", str(source), f"O={out}", f"-j{os.cpu_count()}", *targets], check=True, stdout=log, stderr=log)

    def _build(self, source, out):
        out.mkdir()
        self._make(source, out, "tinyconfig")
        run("scripts/kconfig/merge_config.sh", "-m", "-O", str(out), str(out / ".config"), str(self.FOLDER / "config"), cwd=source)
        self._make(source, out, "olddefconfig")
        self._make(source, out, "vmlinux", "modules")
        self._make(source, out, f"M={source}/tools/testing/cxl", "modules")
        tree = self.dir / "tree"
        self._make(source, out, f"INSTALL_MOD_PATH={tree}", "modules_install")
        self._make(source, out, f"M={source}/tools/testing/cxl", f"INSTALL_MOD_PATH={tree}", "modules_install")
        shutil.copy(out / "vmlinux", self.image)
        run("strip", str(self.image))
        self.version = next((tree / "lib/modules").iterdir()).name
        target = self.modules / "usr/lib/modules"
        target.mkdir(parents=True)
        shutil.copytree(tree / "lib/modules" / self.version, target / self.version, ignore=shutil.ignore_patterns("build", "source"))
        (self.modules / "lib").symlink_to("usr/lib")
        run("depmod", "-b", str(self.modules), self.version)
        (self.modules / "lib").unlink()
        self._make_initrd(tree)
        shutil.rmtree(tree)


GUEST_INIT = r"""#!/bin/sh
# PID 1: root over 9p with layers on top, then the scenario's script. Must end in switch_root: the kernel finds modprobe only then.
PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for m in $(cat /mods/list); do insmod /mods/$m 2>/dev/null; done
opt=ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose
mount -t 9p -o $opt hostroot /h || echo "guest: no root over 9p"
mount -t 9p -o $opt mods /m
mount -t tmpfs up /up
mkdir /up/u /up/w
mount -t overlay -o lowerdir=/m:/h,upperdir=/up/u,workdir=/up/w none /n || echo "guest: no overlay"
mount -t proc proc /n/proc
mount -t sysfs sysfs /n/sys
mount --move /dev /n/dev
mkdir -p /n/dev/pts /n/dev/shm /n/out
mount -t devpts devpts /n/dev/pts
mount -t tmpfs shm /n/dev/shm
mount -t tmpfs run /n/run
mount -t tmpfs tmp /n/tmp
mount -t 9p -o rw,trans=virtio,version=9p2000.L,msize=512000,cache=none out /n/out || echo "guest: no /out"
mount -t debugfs debugfs /n/sys/kernel/debug
mount -t tracefs tracefs /n/sys/kernel/tracing
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up 2>/dev/null && route add default gw 10.0.2.2
cat > /n/run/last <<'X'
export HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
/bin/bash /out/script >/out/log 2>&1
echo $? >/out/status
sync
echo o >/proc/sysrq-trigger
sleep 5
X
umount /proc /sys 2>/dev/null
exec switch_root /n /bin/bash /run/last
"""


class Result:
    def __init__(self, out, seconds, status):
        self.out, self.seconds, self.status = Path(out), seconds, status

    @property
    def log(self):
        path = self.out / "log"
        return path.read_text(errors="replace") if path.exists() else (self.out / "console").read_text(errors="replace")[-4000:]


class Guest:
    """A virtual machine that runs. Its script and whoever waits here share the folder `out` (/out in the guest)."""

    def __init__(self, command, out, timeout):
        self.out, self.timeout = Path(out), timeout
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        with open(self.out / "console", "wb") as console:
            while True:
                left = self.timeout - (time.monotonic() - self.started)
                if left <= 0:
                    self.process.kill()
                    break
                if select.select([self.process.stdout], [], [], min(left, 1))[0]:
                    data = os.read(self.process.stdout.fileno(), 65536)
                    if not data:
                        break
                    console.write(data)
        self.process.wait()
        self.process.stdout.close()
        self.seconds = time.monotonic() - self.started

    def is_running(self):
        return self.thread.is_alive()

    def kill(self):
        self.process.kill()
        self.thread.join()

    def wait(self):
        self.thread.join()
        path = self.out / "status"
        status = path.read_text().strip() if path.exists() else f"no status after {self.seconds:.0f} s"
        return Result(self.out, self.seconds, status)


def start(kernel, script, out, timeout=240, memory=1024, guestfwd=(), extra=()):
    """Boots; `script` (text) runs as the last step and the guest powers off behind it. guestfwd: [(guest port on
    10.0.2.100, host port on loopback)]. extra: further arguments of QEMU."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "script").write_text(script)
    forwards = "".join(f",guestfwd=tcp:10.0.2.100:{inner}-cmd:/usr/bin/env python3 {ROOT}/tests/kernel/forward.py {outer}" for inner, outer in guestfwd)

    def share(number, path, tag, extra):
        return ["-fsdev", f"local,id=f{number},path={path},security_model=none{extra}", "-device", f"virtio-9p-pci,fsdev=f{number},mount_tag={tag}"]

    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-M", "q35",
               "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-smp", "1", "-m", str(memory), "-kernel", str(kernel.image), "-initrd", str(kernel.initrd),
               "-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off nokaslr",
               *share(0, "/", "hostroot", ",readonly=on,multidevs=remap"), *share(1, kernel.modules, "mods", ",readonly=on"), *share(2, out, "out", "")]
    if guestfwd:
        command += ["-netdev", f"user,id=n0,restrict=on{forwards}", "-device", "virtio-net-pci,netdev=n0,romfile="]
    return Guest([*command, *extra], out, timeout)


def tools(*packages):
    """A tree with the files of Debian packages that are not installed (their daemons would start), made once. In the guest:
    tar -C TREE -c . | tar -C / -x --keep-directory-symlink"""
    tree = CACHE / ("tools-" + hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:16])
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "tools.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (tree / ".complete").exists():
            return tree
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        done = subprocess.run(["apt-get", "download", "-q", *packages], cwd=tree, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"apt-get download {' '.join(packages)}: {done.stderr.strip().splitlines()[-1:]}")
        for deb in tree.glob("*.deb"):
            run("dpkg-deb", "-x", str(deb), str(tree))
            deb.unlink()
        for part in ("usr/share", "lib/udev/hwdb.d"):
            shutil.rmtree(tree / part, ignore_errors=True)
        (tree / ".complete").write_text(" ".join(packages))
    return tree
