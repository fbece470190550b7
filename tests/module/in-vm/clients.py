# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU's users do with a guest that works: restarts, savevm and loadvm, live migration
between two QEMU processes, a load on four processors with a clock that stays right.
Runs in the build root inside the emulated machine (in-vm/clients); prints TAP.

Guests: Debian's kernel with in-vm/work-init and guest-work."""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

KERNEL = sorted(glob.glob("/boot/vmlinuz-*"))[-1]
count = 0


def ok(good, text):
    global count
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {text}", flush=True)
    return good


def note(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


class Guest:
    """A QEMU with a guest in it; its console is a file, its monitor QMP."""
    number = 0

    def __init__(self, work, *options, accel="kvm", smp=2, memory=192, machine="q35",
                 cpu="host", reboots=False):
        Guest.number += 1
        self.name = f"/tmp/guest{Guest.number}"
        self.log = self.name + ".log"
        qmp = self.name + ".qmp"
        self.errors = open(self.name + ".err", "w+")
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", accel, "-cpu", cpu, "-machine", machine,
             "-smp", str(smp), "-m", str(memory), "-nodefaults", "-no-user-config",
             "-display", "none", "-kernel", KERNEL, "-initrd", "/tmp/work.cpio",
             "-append", f"console=ttyS0 quiet panic=-1 work={work}",
             "-chardev", f"socket,id=console,path={self.name}.console,server=on,wait=off,logfile={self.log}",
             "-serial", "chardev:console",
             "-qmp", f"unix:{qmp},server=on,wait=off",
             *([] if reboots else ["-no-reboot"]), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        self.monitor = self.connect(qmp)
        if self.monitor:
            self.monitor = self.monitor.makefile("rw")
            self.monitor.readline()
            self.command("qmp_capabilities")

    def connect(self, path):
        for _ in range(300):
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                return s
            except OSError:
                s.close()
            if self.qemu.poll() is not None:
                return None
            time.sleep(0.1)
        return None

    def command(self, name, **arguments):
        self.monitor.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline())
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def human(self, line):
        text = self.command("human-monitor-command", **{"command-line": line})
        if text.strip():
            raise RuntimeError(f"{line}: {text.strip()}")

    def text(self, start=0):
        try:
            with open(self.log, "rb") as f:
                f.seek(start)
                return f.read().replace(b"\r", b"").decode(errors="replace")
        except OSError:
            return ""

    def size(self):
        return os.path.getsize(self.log)

    def wait_for(self, pattern, limit, start=0):
        """The match of the console's text, or None."""
        end = time.time() + limit
        while True:
            found = re.search(pattern, self.text(start))
            if found or time.time() > end or self.qemu.poll() is not None:
                return found
            time.sleep(0.2)

    def works(self, times, limit=120, start=0):
        """The guest's memory was found good so many times since; the writes by then."""
        found = self.wait_for(r"(chain (\d+) good\n(.*\n)*?){%d}|BROKEN" % times, limit, start)
        if not found or "BROKEN" in self.text(start):
            note(self.text(start)[-2000:])
            return None
        return int(re.findall(r"chain (\d+) good", self.text(start))[-1])

    def end(self):
        if self.qemu.poll() is None:
            self.qemu.send_signal(signal.SIGTERM)
            try:
                self.qemu.wait(20)
            except subprocess.TimeoutExpired:
                self.qemu.kill()
        self.errors.seek(0)
        note(self.errors.read())
        for suffix in ("log", "qmp", "err", "console"):
            try:
                os.unlink(f"{self.name}.{suffix}")
            except OSError:
                pass


def savevm():
    """Three times: save, go on, go back; the guest's memory is right after each."""
    for machine in "pc", "q35":
        disk = "/tmp/save.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
        guest = Guest("chain", "-drive", f"file={disk},if=none,id=disk", "-device",
                      "virtio-blk-pci,drive=disk", machine=machine)
        before = guest.works(2, 200)
        ok(before, f"savevm on {machine}: the guest works")
        for i in range(3 if before else 0):
            try:
                start = time.time()
                guest.human("savevm one")
                saved = time.time() - start
                size = guest.size()
                later = guest.works(6, start=size)
                start = time.time()
                guest.human("loadvm one")
                loaded = time.time() - start
                size = guest.size()
                again = guest.works(1, start=size)
            except RuntimeError as e:
                ok(False, f"savevm on {machine}: {e}")
                break
            # It must be the same guest: back where it was, and nothing lost.
            ok(later and again and again < later,
               f"savevm on {machine}: saved in {saved:.1f} s, loaded in {loaded:.1f} s, "
               f"{later} writes before, {again} after, memory good")
        guest.end()
        os.unlink(disk)


def migrate():
    """A guest that writes memory goes from one QEMU to the next, four times."""
    guest = Guest("chain", "-device", "virtio-rng-pci")
    before = guest.works(2, 200)
    ok(before, "migration: the guest works")
    for i in range(4 if before else 0):
        sock = f"/tmp/migration{i}"
        target = Guest("chain", "-device", "virtio-rng-pci", "-incoming", f"unix:{sock}")
        guest.command("migrate-set-parameters", **{
            "max-bandwidth": 1 << 30, "downtime-limit": 1000})
        guest.command("migrate-set-capabilities", capabilities=[
            {"capability": "auto-converge", "state": True}])
        guest.command("migrate", uri=f"unix:{sock}")
        end = time.time() + 300
        while True:
            state = guest.command("query-migrate")
            if state["status"] in ("completed", "failed", "cancelled") or time.time() > end:
                break
            time.sleep(0.3)
        after = target.works(3)
        ram = state.get("ram", {})
        ok(state["status"] == "completed" and after and after > before,
           f"migration {i + 1}: {state['status']} in {state.get('total-time')} ms, downtime "
           f"{state.get('downtime')} ms, {ram.get('transferred', 0) >> 20} MiB in "
           f"{ram.get('dirty-sync-count')} rounds; {before} writes before, {after} after, no write lost")
        guest.end()
        guest = target
        if not after:
            break
        before = after
    guest.end()


def restart():
    """A guest that restarts the machine as soon as it is up, again and again."""
    for machine in "pc", "q35":
        guest = Guest("restart", machine=machine, reboots=True)
        times, start, limit = 0, 0, 200
        while times < 30:
            if not guest.wait_for("work ready", limit, start):
                break
            times += 1
            start = guest.size()
            limit = 90
        ok(times == 30, f"restart on {machine}: up {times} times of 30")
        if times < 30:
            note(guest.text()[-1500:])
            for what in "info status", "info registers -a", "info pic", "info lapic":
                note(guest.command("human-monitor-command", **{"command-line": what}))
        guest.end()


class Clock:
    """The guest's clock against ours, over its second serial port: of many questions
    the one that was answered fastest tells best."""

    def __init__(self, guest, path):
        self.port = guest.connect(path)
        self.port.settimeout(20)
        self.got = b""
        self.asked = 0

    def answer(self, mark):
        """What stands behind the mark in a line; None: no such line came."""
        while True:
            line, newline, rest = self.got.partition(b"\n")
            if newline:
                self.got = rest
                words = line.split()
                if len(words) == 2 and words[0] == mark:
                    return int(words[1])
                continue
            try:
                more = self.port.recv(4096)
            except TimeoutError:
                return None
            if not more:
                return None
            self.got += more

    def offset(self, questions=40):
        best = None
        for _ in range(questions):
            self.asked += 1
            mark = b"q%d" % self.asked
            t0 = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            try:
                self.port.sendall(mark + b"\n")
                told = self.answer(mark)
            except OSError:	# QEMU has ended
                return best
            t1 = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            if told is not None and (best is None or t1 - t0 < best[2]):
                best = ((t0 + t1) // 2, told - (t0 + t1) // 2, t1 - t0)
            time.sleep(0.02)
        return best


def stress():
    """stress-ng on four processors; the clock keeps within 50 ppm of ours."""
    # QEMU has no APIC of its own for KVM: with kernel-irqchip=off there is one processor.
    for irqchip, smp, cpu in ("on", 4, "host"), ("split", 4, "host"), \
            ("off", 1, "host,-apic,-kvm-asyncpf-int"):
        port = "/tmp/clock"
        guest = Guest("stress", "-chardev", f"socket,id=clock,path={port},server=on,wait=off",
                      "-serial", "chardev:clock", accel=f"kvm,kernel-irqchip={irqchip}",
                      smp=smp, cpu=cpu, memory=768)
        started = guest.wait_for(r"work stress on (\d+) processors, clock (\S+)\n", 300)
        ready = started and guest.wait_for("work ready\n", 100)
        name = f"kernel-irqchip={irqchip}"
        if ok(ready and int(started[1]) == smp, f"{name}: the guest has {smp} processors"):
            note(started[0])
            console = guest.connect(guest.name + ".console")
            clock = Clock(guest, port)
            first = clock.offset()
            console.sendall(b"go\n")
            done = guest.wait_for(r"work done (\d+)", 400)
            last = clock.offset()
            if done:
                console.sendall(b"stop\n")
            ok(done and done[1] == "0", f"{name}: stress-ng --cpu 4 --vm 2 --timeout 60 ends well")
            if not (done and first and last):
                note(guest.text()[-3000:])
                ok(False, f"{name}: the guest did not last (QEMU: {guest.qemu.poll()})")
                guest.end()
                continue
            seconds = (last[0] - first[0]) / 1e9
            ppm = (last[1] - first[1]) / seconds / 1e3
            doubt = (first[2] + last[2]) / 2 / seconds / 1e3
            ok(abs(ppm) <= 50, f"{name}: over {seconds:.0f} s the guest's clock went {ppm:+.1f} ppm "
               f"from the host's (known to {doubt:.1f})")
            guest.wait_for("work end", 60)
            text = guest.text()
            note(text[-3000:])
            ok("work end" in text and "dmesg: " not in text, f"{name}: the guest's kernel complains of nothing")
        else:
            note(guest.text()[-2000:])
        guest.end()


for what in sys.argv[1:]:
    {"savevm": savevm, "migrate": migrate, "restart": restart, "stress": stress}[what]()
print(f"1..{count}")
