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
             "-append", f"console=ttyS0 quiet panic=-1 nokaslr work={work}",
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

    def type(self, line):
        """On the console. Its socket is closed at once: who has it open and does not
        read stops the guest, whose every character takes a buffer of its own."""
        console = self.connect(self.name + ".console")
        console.sendall(line.encode() + b"\n")
        time.sleep(1)
        console.close()

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

    def tell(self):
        """What the guest's processors and controllers are at."""
        cpus = self.command("query-cpus-fast") if self.qemu.poll() is None else []
        for line in ["info status", "info registers -a", "info pic", "info irq"] + [
                f"info lapic {cpu['cpu-index']}" for cpu in cpus]:
            if cpus:
                note(line + "\n" + self.command("human-monitor-command", **{"command-line": line}))

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
            guest.tell()
        guest.end()


class Clock:
    """The guest's clock against ours, over its second serial port: of many questions
    the one that was answered fastest tells best."""

    def __init__(self, guest, path):
        self.port = guest.connect(path)
        self.port.settimeout(20)
        self.got = b""
        self.since = None	# when the first byte of got came
        self.asked = 0

    def answer(self, mark):
        """When the line with the mark began to come, and what stands behind the mark;
        None: no such line came."""
        while True:
            line, newline, rest = self.got.partition(b"\n")
            if newline:
                self.got, came, self.since = rest, self.since, None
                words = line.split()
                if len(words) == 2 and words[0] == mark:
                    return came, int(words[1])
                continue
            try:
                more = self.port.recv(4096)
            except TimeoutError:
                return None
            if not more:
                return None
            self.since = self.since or time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            self.got += more

    def offset(self, questions=300):
        """(ours in ns, the guest's minus ours, how long the answer took)"""
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
            if told and told[0] and (best is None or told[0] - t0 < best[2]):
                t1, told = told
                best = ((t0 + t1) // 2, told - (t0 + t1) // 2, t1 - t0)
            time.sleep(0.02)
        return best


# An answer takes 10 to 20 ms, which must be far less than 50 millionths of this.
CLOCK_SECONDS = 500


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
            clock = Clock(guest, port)
            first = clock.offset()
            guest.type("go")
            done = guest.wait_for(r"work done (\d+)", 400)
            while first and guest.qemu.poll() is None and \
                    time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) < first[0] + CLOCK_SECONDS * 10**9:
                time.sleep(1)
            last = clock.offset()
            if done:
                guest.type("stop")
            ok(done and done[1] == "0", f"{name}: stress-ng --cpu 4 --vm 2 --timeout 60 ends well")
            if not (done and first and last):
                note(guest.text()[-3000:])
                guest.tell()
                ok(False, f"{name}: the guest did not last (QEMU: {guest.qemu.poll()})")
                guest.end()
                continue
            seconds = (last[0] - first[0]) / 1e9
            ppm = (last[1] - first[1]) / seconds / 1e3
            doubt = (first[2] + last[2]) / 2 / seconds / 1e3
            ok(abs(ppm) + doubt <= 50, f"{name}: over {seconds:.0f} s the guest's clock went {ppm:+.1f} ppm "
               f"from the host's (known to {doubt:.1f})")
            guest.wait_for("work end", 60)
            text = guest.text()
            note(text[-3000:])
            # Without an APIC a kernel has much to say on timers and tables, but no trace.
            bad = "dmesg: " if smp > 1 else "Call Trace|BUG:|WARNING:|unchecked"
            ok("work end" in text and not re.search(bad, text),
               f"{name}: the guest's kernel complains of nothing")
        else:
            note(guest.text()[-2000:])
        guest.end()


DOMAIN = """<domain type='kvm'>
<name>guest</name><memory unit='MiB'>256</memory>
<vcpu current='1'>2</vcpu>
<os><type machine='q35'>hvm</type><kernel>%s</kernel><initrd>/tmp/work.cpio</initrd>
<cmdline>console=ttyS0 quiet panic=-1 work=libvirt</cmdline></os>
<features><acpi/><apic/></features><cpu mode='host-passthrough'/>
<on_reboot>destroy</on_reboot>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file'><driver name='qemu' type='qcow2'/><source file='/tmp/guest.qcow2'/>
<target dev='vda' bus='virtio'/></disk>
<memballoon model='virtio'/>
<serial type='file'><source path='/tmp/guest.log' append='on'/></serial></devices></domain>
""" % KERNEL


class Libvirt:
    """A libvirtd of its own (in-vm/libvirtd), and the guest of DOMAIN in it."""

    def __init__(self, name):
        self.uri = f"qemu+unix:///system?socket=/tmp/{name}/libvirt-sock"
        self.errors = open(f"/tmp/{name}.err", "w+")
        self.daemon = subprocess.Popen(["/src/tests/module/in-vm/libvirtd", name],
                                       stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        end = time.time() + 180
        while time.time() < end and self.daemon.poll() is None:
            if self.virsh("-q version")[0] == 0:
                return
            time.sleep(1)
        self.errors.seek(0)
        raise RuntimeError(f"libvirtd does not answer: {self.errors.read()}\n{self.virsh('version')[1]}")

    def virsh(self, command, limit=300):
        done = subprocess.run(["virsh", "-c", self.uri, *command.split()], timeout=limit,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def do(self, command, name):
        """Result of one command of virsh."""
        start = time.time()
        status, text = self.virsh(command)
        ok(status == 0, f"libvirt: {name} ({time.time() - start:.1f} s)")
        if status:
            note(text)
        return status == 0

    def state(self):
        return self.virsh("domstate guest")[1].strip()

    def end(self):
        self.virsh("destroy guest")
        self.daemon.terminate()
        self.daemon.wait()


class Console:
    """What the guest of DOMAIN writes, to whichever QEMU it is in."""
    path = "/tmp/guest.log"

    def size(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def wait_for(self, pattern, limit=120, start=0):
        end = time.time() + limit
        while True:
            text = ""
            if os.path.exists(self.path):
                with open(self.path, "rb") as f:
                    f.seek(start)
                    text = f.read().replace(b"\r", b"").decode(errors="replace")
            found = re.search(pattern, text)
            if found or time.time() > end or "BROKEN" in text:
                if not found:
                    note(text[-1500:])
                return found

    def writes(self, start=None):
        """How often its memory was written when it was next found good."""
        found = self.wait_for(r"chain (\d+) good", start=self.size() if start is None else start)
        return int(found[1]) if found else None


def libvirt():
    """A guest's life as libvirt leads it, and its move to another libvirtd."""
    valid = subprocess.run(["virt-host-validate", "qemu"], stdout=subprocess.PIPE, text=True).stdout
    note(valid)
    for what in "hardware virtualization", "'/dev/kvm' exists", "'/dev/kvm' is accessible":
        ok(re.search(rf"Checking (?:if device |for ){what} +: PASS", valid), f"virt-host-validate: {what}")
    here, console = Libvirt("here"), Console()
    caps = here.virsh("domcapabilities --virttype kvm")[1]
    ok("<domain>kvm</domain>" in caps and "<mode name='host-passthrough' supported='yes'>" in caps,
       "libvirt: domain capabilities tell of KVM")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "/tmp/guest.qcow2", "1G"], check=True)
    with open("/tmp/guest.xml", "w") as f:
        f.write(DOMAIN)
    works = here.do("define /tmp/guest.xml", "define") and here.do("start guest", "start")
    before = works and console.writes(0)
    if not ok(before, "libvirt: the guest works"):
        here.end()
        return
    if here.do("managedsave guest", "managed save"):
        ok(here.state() == "shut off", "libvirt: the guest is off")
        size = console.size()
        here.do("start guest", "start from the managed save")
        after = console.writes(size)
        ok(after and after > before, f"libvirt: it goes on where it was ({before} writes, {after})")
    if here.do("snapshot-create-as guest one", "snapshot with memory"):
        then = console.writes()
        later = console.writes()
        here.do("snapshot-revert guest one", "revert")
        back = console.writes()
        ok(then and later and back and back < later and here.state() == "running",
           f"libvirt: it is back where it was ({later} writes, then {back})")
        here.do("snapshot-delete guest one", "the snapshot is deleted")
    full = console.wait_for(r"memory (\d+) kB", start=console.size())
    if here.do("setmem guest 160M --live", "balloon: 160 of 256 MiB"):
        small = console.wait_for(r"memory (?:1[0-4]|[0-9])\d{4} kB", start=console.size())
        ok(full and small, "libvirt: the guest has less memory (%s kB before)" % (full and full[1]))
        here.do("setmem guest 256M --live", "balloon: all of it")
        ok(full and console.wait_for(r"memory %s kB" % full[1], start=console.size()),
           "libvirt: the guest has it again")
    if here.do("setvcpus guest 2 --live", "a second vCPU is plugged in"):
        ok(console.wait_for("cpus 2,", start=console.size()), "libvirt: the guest uses two processors")
    there = Libvirt("there")
    before = console.writes()
    # Both are on one kernel, whose page cache is one: safe, which libvirt cannot know.
    if here.do("migrate guest --live --p2p --unsafe --persistent --undefinesource --desturi "
               f"{there.uri} --migrateuri unix:///tmp/migration", "peer-to-peer migration"):
        after = console.writes()
        ok(after and after > before and there.state() == "running",
           f"libvirt: the guest runs on there ({before} writes, {after})")
        ok(console.wait_for("cpus 2,", start=console.size()), "libvirt: with two processors")
    there.end()
    here.end()


for what in sys.argv[1:]:
    {"savevm": savevm, "migrate": migrate, "restart": restart, "stress": stress,
     "libvirt": libvirt}[what]()
print(f"1..{count}")
