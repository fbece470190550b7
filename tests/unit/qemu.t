#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm, our QEMU, on a machine without KVM: its own options and behaviour, what
it says to mistakes, and that the filter of system calls is on and lets guests
live, be snapshot and migrate. The packages of build/qemu are only unpacked."""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEBS = sorted(glob.glob(TOP + "/build/qemu/*.deb"))
DETECT = TOP + "/build/userland"
LIMIT = 60
count = failed = 0


def ok(good, name, *why):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    if not good:
        for w in why:
            print("#", str(w).replace("\n", "\n# "), flush=True)
    return good


if not DEBS:
    print("1..0 # SKIP build/qemu has no packages: make qemu")
    sys.exit(0)
if "--without-kvm" not in sys.argv:
    os.execv(TOP + "/tests/without-kvm",
             ["without-kvm", sys.executable, os.path.abspath(__file__), "--without-kvm"])

work = tempfile.mkdtemp(prefix="kvm-qemu-")
root = work + "/root"
for deb in DEBS:
    subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
BIN = root + "/usr/bin"
os.environ["QEMU_MODULE_DIR"] = glob.glob(root + "/usr/lib/*/qemu")[0]
os.environ["PATH"] = f"{BIN}:{DETECT}:/usr/sbin:/usr/bin:/sbin:/bin"
os.chdir(work)


def run(*command, path=None, stdin=""):
    env = dict(os.environ, **({"PATH": path} if path else {}))
    program = shutil.which(command[0], path=os.environ["PATH"])
    return subprocess.run(command, executable=program, env=env, input=stdin, text=True,
                          capture_output=True, timeout=LIMIT)


class Guest:
    """A running kvm, or the program of another name, and its QMP."""
    number = 0

    def __init__(self, *options, name="kvm", accel=("-accel", "tcg")):
        Guest.number += 1
        self.path = f"{work}/qmp{Guest.number}"
        self.errors = open(f"{work}/stderr{Guest.number}", "w+")
        self.process = subprocess.Popen(
            [name, *accel, "-display", "none", "-nodefaults", "-m", "64",
             "-qmp", f"unix:{self.path},server=on,wait=off", *options],
            executable=f"{BIN}/{name}", stdin=subprocess.DEVNULL, stdout=self.errors,
            stderr=self.errors)
        self.pid = self.process.pid
        self.socket = None

    def connect(self):
        end = time.time() + LIMIT
        while not self.socket:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(LIMIT)
            try:
                s.connect(self.path)
                self.socket = s
            except OSError:
                s.close()
                if time.time() > end or self.process.poll() not in (None, 0):
                    raise RuntimeError("no QMP: " + self.stderr())
                time.sleep(0.05)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.qmp("qmp_capabilities")

    def qmp(self, command, **arguments):
        """Its answer; an object with "error" where it fails."""
        if not self.socket:
            self.connect()
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise RuntimeError("QMP ended: " + self.stderr())
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                return answer

    def hmp(self, line):
        return self.qmp("human-monitor-command", **{"command-line": line})

    def filters(self):
        """What /proc says of the filter, for each thread: (mode, filters)."""
        found = set()
        for status in glob.glob(f"/proc/{self.pid}/task/*/status"):
            with open(status) as f:
                text = f.read()
            found.add((int(re.search(r"^Seccomp:\s*(\d)", text, re.M)[1]),
                       int(re.search(r"^Seccomp_filters:\s*(\d+)", text, re.M)[1])))
        return found

    def stderr(self):
        with open(self.errors.name) as f:
            return f.read()

    def wait_status(self, wanted, seconds=LIMIT):
        end = time.time() + seconds
        while time.time() < end:
            status = self.qmp("query-status")["status"]
            if status == wanted:
                return True
            time.sleep(0.1)
        return False

    def end(self):
        if self.process.poll() is None:
            try:
                self.qmp("quit")
            except (OSError, RuntimeError, ValueError):
                self.process.kill()
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.socket:
            self.file.close()
            self.socket.close()
        self.errors.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def case(name, action):
    """What goes wrong on the way is a failure of this case alone."""
    try:
        action()
    except (RuntimeError, OSError, KeyError, ValueError, TypeError,
            IndexError, subprocess.TimeoutExpired) as error:
        ok(False, name, f"{type(error).__name__}: {error}")


with open("/proc/self/status") as f:
    OUTSIDE = int(re.search(r"^Seccomp_filters:\s*(\d+)", f.read(), re.M)[1])
ON, OFF = {(2, OUTSIDE + 1)}, {(2 if OUTSIDE else 0, OUTSIDE)}


# ---- the article's first line

def first_line():
    p = run("sh", "-c", "qemu-img create -f qcow vm-disk.img 4G")
    start = os.stat("vm-disk.img")
    ok(p.returncode == 0 and start.st_size < 1 << 20,
       "qemu-img create -f qcow vm-disk.img 4G: a small file", p.stdout, p.stderr)
    info = json.loads(run("qemu-img", "info", "--output=json", "vm-disk.img").stdout)
    ok(info["format"] == "qcow" and info["virtual-size"] == 4 << 30, "of 4 GiB in qcow", info)
    p = run("qemu-io", "-f", "qcow", "-c", "write -P 0x5a 2G 1M", "-c", "read -P 0x5a 2G 1M",
            "-c", "read -P 0 3G 1M", "vm-disk.img")
    grown = os.stat("vm-disk.img").st_size - start.st_size
    ok(p.returncode == 0 and "failed" not in p.stdout and 1 << 20 <= grown < 2 << 20,
       "that grows with what is written", p.stdout, p.stderr, grown)


# ---- -no-acpi

def acpi(*options):
    with Guest(*options, name="qemu-system-x86_64") as g:
        return g.qmp("qom-get", path="/machine", property="acpi"), g.stderr()


def no_acpi():
    old, note = acpi("-no-acpi")
    new, silence = acpi("-machine", "acpi=off")
    default, _ = acpi()
    ok(old == new == "off" and default != "off", "-no-acpi does what -machine acpi=off does",
       old, new, default)
    ok(note.count("\n") == 1 and "-machine acpi=off" in note and not silence,
       "and says so in one line", note, silence)
    # SeaBIOS puts the root pointer of ACPI's tables below 1 MiB when there are any.
    def tables(*options):
        with Guest(*options) as g:
            time.sleep(3)
            g.qmp("pmemsave", val=0xe0000, size=0x20000, filename=work + "/rom")
            with open(work + "/rom", "rb") as f:
                return b"RSD PTR " in f.read()
    ok(tables() and not tables("-no-acpi"), "a guest finds ACPI's tables without it and none with it")


# ---- without KVM

def words(text):
    return " ".join(text.split())


def no_kvm():
    detect = run("kvm-detect")
    p = run("kvm", "-display", "none")
    verdict, rest = detect.stdout.split("\n", 1)
    why = rest.split("\nEvidence:")[0]
    ok(detect.returncode not in (0, 1) and p.returncode == detect.returncode,
       f"kvm without /dev/kvm ends with kvm-detect's status ({detect.returncode})", p.returncode, p.stderr)
    ok(f"kvm-detect: {verdict}\n" in p.stderr and why.strip() in p.stderr and "Fix: " in p.stderr
       and "Evidence" not in p.stderr, "shows its verdict, the reason and the fix", p.stderr)
    ok("-accel tcg" in p.stderr and "falling back" not in p.stderr,
       "and how to ask for emulation, but does not start it", p.stderr)

    os.mkdir("fake")
    def fake(status, text):
        with open("fake/kvm-detect", "w") as f:
            f.write(f"#!/bin/sh\nprintf '{text}'\nexit {status}\n")
        os.chmod("fake/kvm-detect", 0o755)
        return run("kvm", "-display", "none", path=f"{work}/fake:/usr/bin:/bin")
    p = fake(3, "firmware-off\\n\\nWhy:  W.\\nFix:  F.\\n\\nEvidence:\\n  E\\n")
    ok(p.returncode == 3 and "kvm-detect: firmware-off\n\nWhy:  W.\nFix:  F.\n" in p.stderr and
       "E\n" not in p.stderr.split("F.\n")[1].replace("Evidence", ""), "another verdict, another status",
       p.returncode, p.stderr)
    p = fake(0, "ready\\n\\nWhy:  all good\\n")
    ok(p.returncode == 1 and "Could not access KVM" in p.stderr and "ready" not in p.stderr,
       "when kvm-detect finds nothing wrong, QEMU's own error and status 1", p.returncode, p.stderr)
    p = run("kvm", "-display", "none", path=work + "/none")
    ok(p.returncode == 1 and "Could not access KVM" in p.stderr and "kvm-detect" not in p.stderr,
       "when kvm-detect is not installed, too", p.returncode, p.stderr)
    p = run("kvm", "-display", "none", "-accel", "kvm")
    ok(p.returncode == detect.returncode and verdict in p.stderr,
       "-accel kvm by the name kvm: the same verdict", p.returncode, p.stderr)
    p = run("qemu-system-x86_64", "-display", "none", "-accel", "kvm")
    ok(p.returncode == 1 and "kvm-detect" not in p.stderr, "by its long name: as ever", p.stderr)


def emulation():
    for accel in (("-accel", "tcg"), ("-machine", "accel=tcg"), ("-machine", "accel=kvm:tcg")):
        with Guest(accel=accel) as g:
            status = g.qmp("query-status")["status"]
            ok(status == "running", "kvm " + " ".join(accel) + " runs in emulation", status)
    with Guest(name="qemu-system-x86_64", accel=()) as g:
        ok(g.qmp("query-status")["status"] == "running",
           "qemu-system-x86_64 without an option emulates", g.stderr())


def stale_code():
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["cc", "-m32", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none",
                    "-Wl,-Ttext=0x100000,-z,norelro,-z,max-page-size=4096,--no-warn-rwx-segments",
                    "-o", "stale-code", here + "/stale-code.S"], check=True)
    p = run("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "64", "-nodefaults",
            "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", "stale-code")
    ok(p.returncode == 3, "no stale code, when one processor patches what another executes",
       p.returncode, p.stderr)


def info_kvm():
    with Guest() as g:
        q = g.qmp("query-kvm")
        ok(q == {"enabled": False, "present": True}, "query-kvm tells of no module in emulation", q)
        text = g.hmp("info kvm").strip()
        ok(text == "kvm support: disabled", "and neither does info kvm", text)


# ---- the filter

def filter_on():
    for options, name, want, text in (
            ((), "kvm", ON, "on, in every thread"),
            (("-smp", "2", "-object", "iothread,id=io"), "kvm", ON, "on with two vCPUs and an I/O thread"),
            (("-sandbox", "off"), "kvm", OFF, "off with -sandbox off"),
            ((), "qemu-system-x86_64", OFF, "off by QEMU's long name")):
        with Guest(*options, name=name) as g:
            g.qmp("query-status")
            ok(g.filters() == want, f"the filter is {text}", g.filters(), g.stderr())
    with Guest("-S") as g:
        g.qmp("query-status")
        ok(g.filters() == ON, "the filter is on before the guest runs", g.filters())
    with Guest("-sandbox", "on,spawn=allow") as g:
        g.qmp("query-status")
        ok(g.filters() == ON, "the user's own -sandbox counts alone", g.filters())


def filter_denies():
    def spawned(*options):
        with Guest(*options) as g:
            answer = g.qmp("migrate", uri=f"exec:cat >{work}/spawned")
            end = time.time() + 20
            while time.time() < end:
                status = g.qmp("query-migrate").get("status")
                if "error" in answer or status in ("failed", "completed"):
                    break
                time.sleep(0.1)
            alive = g.qmp("query-status")["status"]
            there = os.path.exists("spawned")
            return "error" not in answer and status == "completed", there, alive, answer
    done, there, alive, answer = spawned()
    ok(not done and not there and alive == "running",
       "no program is started: migration to exec: fails and the guest goes on", done, there, alive, answer)
    done, there, alive, answer = spawned("-sandbox", "on")
    ok(done and there, "with -sandbox on it works", done, there, alive, answer)


def filter_lets():
    with Guest("-run-with", "user=nobody") as g:
        g.qmp("query-status")
        with open(f"/proc/{g.pid}/status") as f:
            uid = re.search(r"^Uid:\s*(\d+)", f.read(), re.M)[1]
        ok(uid != "0" and g.filters() == ON, "-run-with user= works", uid, g.filters(), g.stderr())
    pidfile = work + "/pid"
    with Guest("-daemonize", "-pidfile", pidfile) as g:
        g.process.wait(LIMIT)
        g.connect()
        with open(pidfile) as f:
            g.pid = int(f.read())
        ok(g.filters() == ON, "-daemonize works", g.filters())
        g.qmp("quit")
    with open("ifup", "w") as f:
        f.write(f"#!/bin/sh\necho $1 >{work}/ifup.ran\n")
    os.chmod("ifup", 0o755)
    if os.path.exists("/dev/net/tun"):
        with Guest("-netdev", f"tap,id=n,script={work}/ifup,downscript=no", "-device", "virtio-net,netdev=n") as g:
            g.qmp("query-status")
            ok(os.path.exists("ifup.ran") and g.filters() == ON, "a tap's script works", g.stderr())
    run("qemu-img", "create", "-f", "qcow2", "snap.img", "64M")
    with Guest("-drive", "file=snap.img,if=virtio,format=qcow2,node-name=d0", "-vga", "std") as g:
        g.hmp("o /b 0x80 0x41")
        said = g.hmp("savevm one") + g.hmp("loadvm one") + g.hmp("info snapshots")
        ok("one" in said and "Error" not in said and g.wait_status("running"),
           "snapshots are taken and loaded", said)
        p = g.qmp("blockdev-snapshot-sync", **{"node-name": "d0", "snapshot-file": work + "/over.img",
                                               "snapshot-node-name": "d1"})
        ok(p == {} and os.path.exists("over.img"), "and disk snapshots while it runs", p)
        p = g.qmp("block-commit", device="d1", **{"job-id": "j", "base-node": "d0", "top-node": "d1"})
        ok(p == {}, "and merged again", p)
        p = g.qmp("netdev_add", type="user", id="n1"), g.qmp("device_add", driver="e1000", netdev="n1"), \
            g.qmp("object-add", **{"qom-type": "iothread", "id": "late"})
        ok(p == ({}, {}, {}), "network cards and threads are added while it runs", p)
        ok(g.qmp("screendump", filename=work + "/s.png", format="png") == {}, "screens are saved")
        ok(g.filters() == ON, "with the filter on all the while", g.filters())
        ok(g.end() == 0, "and the guest ends well", g.process.returncode)
    run("qemu-img", "create", "-f", "qcow2", "m.img", "64M")
    disk = ("-drive", "file=m.img,if=virtio,format=qcow2", "-netdev", "user,id=n", "-device", "virtio-net,netdev=n",
            "-device", "qemu-xhci", "-vga", "std", "-smp", "2")
    with Guest(*disk) as a, Guest(*disk, "-incoming", f"unix:{work}/migration") as b:
        b.qmp("query-status")
        a.qmp("migrate", uri=f"unix:{work}/migration")
        moved = a.wait_status("postmigrate") and b.wait_status("running")
        ok(moved and a.filters() == b.filters() == ON, "a running guest migrates",
           a.qmp("query-migrate"), a.stderr(), b.stderr())


# ---- mistakes

def says(name, p, status, *texts, lines=1):
    said = p.stdout + p.stderr
    ok(p.returncode == status and all(t in said for t in texts) and said.count("\n") <= lines,
       f"{name}: status {status}, {'one line' if lines == 1 else f'{lines} lines'}, that name it", p.returncode, said)


def mistakes():
    e = ("-accel", "tcg", "-display", "none")
    says("missing image", run("kvm", *e, "-hda", "no-such.img"), 1, "no-such.img", "No such file")
    says("missing ISO", run("kvm", *e, "-cdrom", "no-such.iso"), 1, "no-such.iso", "No such file")
    says("unknown option", run("kvm", *e, "-nonsense"), 1, "-nonsense: invalid option")
    says("unknown accelerator", run("kvm", "-display", "none", "-accel", "warp"), 1, "warp")
    says("odd -sandbox", run("kvm", *e, "-sandbox", "on,spawn=perhaps"), 1, "spawn")
    with open("text.qcow", "w") as f:
        f.write("no image\n")
    says("not an image of that format", run("kvm", *e, "-drive", "file=text.qcow,format=qcow"), 1,
         "text.qcow", "not in qcow format")
    says("too much memory", run("kvm", *e, "-m", "900T"), 1, "memory")
    before = run("sha256sum", "vm-disk.img").stdout
    with Guest("-hda", "vm-disk.img") as g:
        g.qmp("query-status")
        says("image in use by another guest", run("kvm", *e, "-hda", "vm-disk.img"), 1,
             "vm-disk.img", "lock", "another process", lines=2)
    ok(run("sha256sum", "vm-disk.img").stdout == before, "and the image is as it was")
    says("qemu-img, unknown format", run("qemu-img", "create", "-f", "qbert", "x.img", "1G"), 1, "qbert")
    says("qemu-img, odd size", run("qemu-img", "create", "-f", "qcow", "x.img", "4Q"), 1, "4Q", lines=3)
    says("qemu-img, missing image", run("qemu-img", "info", "no-such.img"), 1, "no-such.img")
    ok(not os.path.exists("x.img"), "and no file is left behind")


# ---- what a server needs is there, and what it does not is not

def features():
    devices = run("kvm", "-device", "help").stdout
    for d in ("virtio-blk-pci", "virtio-scsi-pci", "virtio-net-pci", "virtio-gpu-pci", "virtio-vga",
              "virtio-balloon-pci", "virtio-rng-pci", "virtio-serial-pci", "virtio-9p-pci", "vhost-user-fs-pci",
              "vhost-vsock-pci", "nvme", "ich9-ahci", "ide-hd", "e1000", "e1000e", "qemu-xhci", "usb-tablet",
              "usb-host", "VGA", "tpm-crb", "tpm-tis", "isa-serial", "vfio-pci"):
        ok(f'name "{d}"' in devices, f"device {d}")
    formats = re.split("upported .*formats:", run("qemu-img", "--help").stdout)[-1].split()
    for f in ("qcow", "qcow2", "vmdk", "vhdx", "vdi", "vpc", "raw", "rbd", "iscsi", "nfs", "nbd", "luks"):
        ok(f in formats, f"disk format or protocol {f}", formats)
    for option, want, never in (("-netdev", ("user", "tap", "bridge", "vhost-user"), ()),
                                ("-display", ("curses", "none"), ("gtk", "sdl")),
                                ("-audiodev", ("none",), ("pa", "alsa", "pipewire")),
                                ("-tpmdev", ("emulator",), ()),
                                ("-object", ("tls-creds-x509", "memory-backend-memfd", "rng-random"), ()),
                                ("-chardev", ("pty", "socket"), ("spicevmc",))):
        said = (lambda p: p.stdout + p.stderr)(run("kvm", "-accel", "tcg", option, "help")).split()
        ok(all(w in said for w in want) and not any(n in said for n in never),
           f"{option}: {', '.join(want)}" + (f"; not {', '.join(never)}" if never else ""), said)
    for aio in ("io_uring", "native"):
        with Guest("-drive", f"file=m.img,format=qcow2,cache=none,aio={aio},if=virtio") as g:
            ok(g.wait_status("running"), f"disks by aio={aio}", g.stderr())
    with Guest("-object", "tls-creds-anon,id=t,endpoint=server", "-vnc", ":7,tls-creds=t", "-vga", "std",
               "-gdb", "tcp:127.0.0.1:0", "-S") as g:
        vnc = g.qmp("query-vnc-servers")
        ok(vnc and vnc[0]["server"][0]["vencrypt"] == "tls-none", "VNC with TLS, and gdb's stub", vnc)


try:
    for name, f in list(globals().items()):
        if f in (first_line, no_acpi, no_kvm, emulation, stale_code, info_kvm, filter_on,
                 filter_denies, filter_lets, mistakes, features):
            case(name, f)
finally:
    shutil.rmtree(work, ignore_errors=True)
print(f"1..{count}")
sys.exit(failed != 0)
