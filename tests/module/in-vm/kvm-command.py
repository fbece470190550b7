# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the emulated machine, in the shared build root (see kvm-command):
the article's two commands, word for word, install the mini guest, a second start
finds it on its disk, and the monitor tells which module it ran on.

Arguments: the version of our module, empty if it is the kernel's own; kvm-amd
or kvm-intel. What a test cannot do without is outside of the commands: QEMU's
configuration file gives it a QMP socket, by which it reads the guest's screen,
presses the keys of a user and at the end quits."""
import json
import os
import re
import socket
import subprocess
import sys
import time

VERSION, VENDOR = sys.argv[1], sys.argv[2].replace("-", "_")
ISO = "/src/build/images/mini-guest.iso"
TOKEN = "article6"
count = failed = 0


def ok(good, name, why=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    if not good:
        for line in str(why).splitlines():
            print("# " + line, flush=True)


class Kvm:
    def __init__(self, command):
        if os.path.exists("/tmp/qmp"):
            os.unlink("/tmp/qmp")
        self.since = time.time()
        self.errors = open("/tmp/kvm.err", "w+")
        self.process = subprocess.Popen(["sh", "-c", "exec " + command], stdin=subprocess.DEVNULL,
                                        stdout=self.errors, stderr=self.errors)
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect("/tmp/qmp")
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"Bail out! {command}: {self.said()}")
                time.sleep(0.2)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.qmp("qmp_capabilities")

    def said(self):
        with open("/tmp/kvm.err") as f:
            return f.read()

    def qmp(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer or "error" in answer:
                return answer.get("return", answer)

    def screen(self):
        self.qmp("pmemsave", val=0xb8000, size=4000, filename="/tmp/vga")
        with open("/tmp/vga", "rb") as f:
            cells = f.read()[::2].decode("cp437")
        return "\n".join(cells[i:i + 80].rstrip() for i in range(0, 2000, 80))

    def see(self, limit, *texts):
        """Seconds since the start until one of them is on the guest's screen, or None."""
        end = time.time() + limit
        while time.time() < end and self.process.poll() is None:
            screen = self.screen()
            if any(t in screen for t in texts):
                return time.time() - self.since
            time.sleep(0.5)
        return None

    def told(self):
        """What the screen and QEMU say, when something did not come."""
        monitor = [self.qmp("human-monitor-command", **{"command-line": line}) for line in (
            "info status", "info registers", "x /16i $pc", "info pic", "info lapic")]
        return "\n".join([self.screen(), self.said(), *monitor])

    def type(self, text):
        for c in text:
            self.qmp("send-key", keys=[{"type": "qcode", "data": "ret" if c == "\n" else c}])
            time.sleep(0.3)

    def quit(self):
        screen = self.screen()
        self.file.write('{"execute": "quit"}\n')
        self.file.flush()
        return self.process.wait(), screen


os.chdir("/tmp")
os.symlink(ISO, "guestos.iso")
subprocess.run("qemu-img create -f qcow vm-disk.img 4G", shell=True, check=True,
               stdout=subprocess.DEVNULL)

k = Kvm("kvm -no-acpi -m 384 -cdrom guestos.iso -hda vm-disk.img -boot d")
found = k.see(400, "Token:")
ok(found, f"the article's command boots the ISO ({found or 0:.0f} s)", found or k.told())
if found:
    k.type(TOKEN + "\n")
    # It restarts at once, from the CD again, which then sees what it did.
    found = k.see(400, "Installed.", "NOT EMPTY")
ok(found, f"and the guest installs ({found or 0:.0f} s)", found or k.told())
info = k.qmp("query-kvm")
ok(info.get("enabled") and info.get("module") == ("kvm-live" if VERSION else "linux") and
   info.get("vendor-module") == VENDOR and (not VERSION or info.get("module-version") == VERSION),
   f"query-kvm names the module: {info.get('module')} {info.get('module-version')}", info)
first = info.get("exits", 0)
reasons = {c["name"]: c["value"] for c in info.get("counters", [])}
ok(first > 10000 and any("io" in r and v > 1000 for r, v in reasons.items()),
   f"and counts its exits ({first}), port accesses among them", info)
ok(k.qmp("query-kvm")["exits"] >= first, "which grow")
text = k.qmp("human-monitor-command", **{"command-line": "info kvm"})
ok(info.get("module", "?") in text and f"({VENDOR})" in text and "exits: " in text and
   all(r in text for r in list(reasons)[:3]), "info kvm says the same", text)
for line in text.splitlines()[:14]:
    print("# " + line.rstrip())
with open(f"/proc/{k.process.pid}/status") as f:
    ok("Seccomp:\t2\n" in f.read(), "with the filter of system calls on")
notes = k.said()
ok(notes.count("-machine acpi=off") == 1 and re.search(r"VNC server running on (127\.0\.0\.1|::1):5900", notes) and notes.count("\n") == 2,
   "it printed a line on -no-acpi, a line on where the screen is, and no more", notes)
status, screen = k.quit()
ok(status == 0, "it quits", screen)
ok(1 << 20 < os.stat("vm-disk.img").st_size < 1 << 30, "the disk has grown with what was written",
   os.stat("vm-disk.img").st_size)

k = Kvm("kvm -no-acpi -m 384 -hda vm-disk.img")
found = k.see(400, "token=" + TOKEN)
ok(found, f"a second start, from the disk, finds the guest ({found or 0:.0f} s)", found or k.told())
status, _ = k.quit()
ok(status == 0, "and quits")
print(f"1..{count}")
sys.exit(failed != 0)
