#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The live ISO from power-on to an installed guest, by keystrokes on the serial
line alone: by BIOS and by UEFI from the CD on an emulated AMD processor with SVM,
and from a USB stick on a processor without. Proves that the guest ran on our
module, and measures the footprint.

The host's processor is emulated (QEMU's TCG), and on that emulated processor the
guest runs with hardware virtualization: patience is part of the design.

  live-image.t [bios|uefi|no-svm|footprint]...    (default: all)
"""

import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vm import TOP, Failure, Tap, Vm

ISO = os.environ.get("ISO", os.path.join(TOP, "build/iso/kvm-live.iso"))
REPORT = os.path.join(TOP, "build/reports/footprint.tsv")
MAIN = "What do you want to do"
BOOT = 600		# seconds from the boot menu to ours at most, on a busy machine
SLOW = 600		# for whatever starts libvirt or QEMU, and for the guest
tap = Tap()
figures = {}


CD = ["-drive", "if=ide,index=2,media=cdrom,format=raw,file=" + ISO]
STICK = ["-device", "qemu-xhci", "-device", "usb-storage,drive=stick",
         "-drive", "if=none,id=stick,format=raw,readonly=on,file=" + ISO]


class Host(Vm):
    """A machine with the live ISO in its CD drive, or on a stick."""

    def __init__(self, name, cpu, uefi=False, medium=None):
        super().__init__(["-cpu", cpu, "-smp", "2", "-nic", "user,model=virtio-net-pci"] +
                         (medium or CD), name, uefi, memory=4096)

    def boot(self):
        """The boot menu's default, chosen by Enter, and our menu."""
        self.see("kvm-live, copied to memory", 90)
        self.send("\r")
        start = time.time()
        self.see(MAIN, BOOT)
        return time.time() - start

    def key(self, keys, pattern, timeout=60):
        self.send(keys)
        return self.see(pattern, timeout)

    def field(self, key, title, value, pattern):
        """Opens an input field by its letter, replaces what is in it."""
        self.key(key, title)
        self.key("\x15" + value + "\r", pattern)

    def main(self):
        """Back to the main menu from wherever."""
        for _ in range(6):
            if re.search(MAIN, self.refresh(1)):
                return
            self.send("\x1b")
        self.see(MAIN)

    def shell(self):
        self.main()
        self.key("s", r"# *\n")
        self.child.send("stty -echo; PS1=; PS2=; export PAGER=cat; printf '\\033[?2004l'; clear\r")
        self.refresh(1)

    def run(self, command, timeout=SLOW):
        """A command in the shell: what it printed."""
        self.child.send("echo BEG''IN; { %s\n} 2>&1; echo EN''D\r" % command)
        try:
            self.child.expect(r"BEGIN\r*\n(.*?)END\r*\n", timeout)
        except Exception:
            raise Failure("no end of: %s\n%s" % (command, self.tail())) from None
        return self.child.match.group(1).decode("ascii", "replace").replace("\r", "").strip()

    def all_started(self):
        """Waits in the shell until all that starts after the menu has started."""
        self.run("until [ -e /run/kvm-live-started ]; do sleep 1; done")

    def leave_shell(self):
        self.child.send("exit\r")
        self.see(MAIN)

    def power_off(self):
        self.main()
        self.key("p", "Power off")
        self.send("p")
        time.sleep(1)
        if re.search(r"running|[Pp]ower off this host\?|<Power off>", self.refresh(1)):
            self.send("y")
        self.wait_end(SLOW)


def create_disk(host, name, size, fmt):
    host.main()
    host.key("d", "Create a disk", SLOW)
    host.key("c", "Allocate")
    host.field("n", "Name of the disk", name, r"Name +" + name)
    host.field("s", "Size of the disk", size, r"Size +" + size)
    host.key("f", "Disk format")
    host.key("1" if fmt == "qcow" else "2", r"Format +%s\b" % fmt)
    host.key("c", "The disk was created", SLOW)
    host.send("b")
    host.see(r"%s\.%s " % (name, fmt))
    host.main()


def install_guest(host, name, disk, token):
    """The installation's steps, in their order, and its last one with all of them."""
    host.key("i", "Choose an ISO", SLOW)
    row = host.see(r"(\d) +(?:\S*/)?mini-guest\.iso")
    host.key(row.group(1), "Name of the guest", SLOW)       # libosinfo looks for it first
    host.key("\x15" + name + "\r", "Disk of the guest")
    row = host.see(r"(\d) +%s " % re.escape(disk))
    host.key(row.group(1), "Machine of the guest")
    host.key("g", "Network of the guest")
    host.key("n", r"Start the installation[\s\S]*Name +%s\b" % name)
    host.see(r"ISO +\S*mini-guest\.iso")
    host.see(r"Disk +existing, " + re.escape(disk))
    host.field("m", "Memory of the guest", "256", r"Memory +256")
    host.field("c", "Number of processors", "1", r"CPUs +1\b")
    host.send("s")
    # What follows is the guest's console: a stream, not a screen.
    host.expect("Console of guest " + name, SLOW)
    host.expect("Token: ", SLOW)
    host.send(token + "\r")
    host.expect("Installing, token=" + token, SLOW)
    host.expect("Installed", SLOW)


def read_token(host, token):
    host.expect("mini-guest: token=" + token, SLOW)
    host.expect("login: ", SLOW)


def main_job(firmware, fmt):
    """Power-on, disk, guest, token, proof."""
    token = "tok-%s-%s" % (firmware, fmt)
    disk = "disk-%s.%s" % (firmware, fmt)
    with Host("live-" + firmware, "EPYC,+svm,+npt", firmware == "uefi") as host:
        at = firmware + ": "

        def boot():
            seconds = host.boot()
            if firmware == "bios":
                figures["boot_to_menu_s"] = "%.1f" % seconds
            tap.note("%s from the boot menu's choice to our menu: %.1f s" % (firmware, seconds))
            host.see("KVM: ready")

        def memory():
            host.shell()
            host.all_started()
            broken = host.run("systemctl --failed --no-legend --plain")
            if broken:
                raise Failure("failed units:\n" + broken)
            free = host.run("free -m")
            used = re.search(r"^Mem: +\d+ +(\d+)", free, re.M)
            if not used:
                raise Failure(free)
            tap.note("%s: memory in use at the menu: %s MB" % (firmware, used.group(1)))
            if firmware == "bios":
                figures["menu_memory_mb"] = used.group(1)
            ports = host.run("ss -Hlntu | grep -v -e ':68 ' -e ':546 '")
            host.leave_shell()
            if ports:
                raise Failure("something listens:\n" + ports)

        def guest_on_kvm():
            host.send("\x1d")
            host.see(MAIN + "|Guest|Start the installation", SLOW)
            host.shell()
            before = host.run("cat /sys/kernel/debug/kvm/exits")
            answer = host.run("virsh -c qemu:///system qemu-monitor-command guest --hmp 'info kvm'")
            if "enabled" not in answer:
                raise Failure("QEMU says: " + answer)
            return before

        def identity():
            version = host.run("cat /sys/module/kvm/version")
            said = host.run("modinfo -F description kvm")
            if not said.startswith("kvm-live") or "No such file" in version:
                raise Failure("version: %s\ndescription: %s" % (version, said))
            tap.note("module: %s, version %s" % (said, version))

        def counters():
            def total():
                text = host.run("cat /sys/kernel/debug/kvm/exits")
                numbers = re.findall(r"^\S+\s+(\d+)$", text, re.M)
                if not numbers:
                    raise Failure("no counters in /sys/kernel/debug/kvm/exits: " + text)
                return sum(map(int, numbers))
            first = total()
            host.run("virsh -c qemu:///system send-key guest KEY_ENTER >/dev/null; sleep 3")
            second = total()
            if not first or second <= first:
                raise Failure("%d exits before, %d after" % (first, second))
            tap.note("exits: %d, a little later %d" % (first, second))

        def quiet():
            bad = host.run("dmesg | grep -E 'WARNING: CPU|BUG:|Oops|Call Trace|cut here' | head -5")
            if bad:
                raise Failure(bad)

        def end():
            host.leave_shell()
            host.power_off()

        ok = tap.step(at + "the ISO boots to the menu, whose verdict is ready", boot)
        ok = ok and tap.step(at + "all units start, nothing listens on the network", memory)
        ok = ok and tap.step(at + "a %s disk is created" % fmt,
                             lambda: create_disk(host, "disk-" + firmware, "512M", fmt))
        ok = ok and tap.step(at + "the mini guest installs itself from its ISO",
                             lambda: install_guest(host, "guest", disk, token))
        ok = ok and tap.step(at + "it restarts from its disk and prints its token",
                             lambda: read_token(host, token))
        ok = ok and tap.step(at + "KVM is enabled according to its QEMU", guest_on_kvm)
        if ok:
            tap.step(at + "the module is ours", identity)
            tap.step(at + "the exit counters grow", counters)
            tap.step(at + "the host's log has no warning", quiet)
            tap.step(at + "the menu powers the host off", end)


def no_svm():
    """The same ISO on a stick, where there is no virtualization extension."""
    with Host("live-no-svm", "qemu64,-svm", medium=STICK) as host:
        def verdict():
            tap.note("stick: from the boot menu's choice to our menu: %.1f s" % host.boot())
            host.see("KVM: no-vt")
            host.key("h", "KVM verdict: no-vt")
            host.see("is emulated by QEMU")
            host.see(r"Fix:[\s\S]*EPYC,\+svm")
            tap.note(host.text().strip())
            host.main()

        def works():
            create_disk(host, "plain", "100M", "qcow2")
            host.key("i", "which is not usable", SLOW)
            host.main()
            host.power_off()

        if tap.step("without svm: the menu comes up from a USB stick, and Host says why "
                    "and what to do", verdict):
            tap.step("without svm: the menu works: disk, installation, power off", works)


def footprint():
    figures["iso_mb"] = "%.0f" % (os.path.getsize(ISO) / 1e6)
    os.makedirs(os.path.dirname(REPORT), exist_ok=True)
    with open(REPORT, "w") as report:
        report.write("name\tvalue\n")
        for name in ("iso_mb", "boot_to_menu_s", "menu_memory_mb"):
            if name in figures:
                report.write("%s\t%s\n" % (name, figures[name]))
    tap.ok(float(figures["iso_mb"]) <= 300, "the ISO has at most 300 MB",
           figures["iso_mb"] + " MB")
    missing = [name for name in ("boot_to_menu_s", "menu_memory_mb") if name not in figures]
    tap.ok(not missing, "footprint.tsv has all its rows", "missing: " + " ".join(missing))
    for name, target in (("boot_to_menu_s", 15), ("menu_memory_mb", 150)):
        if name in figures:
            tap.note("%s: %s (target: at most %d)" % (name, figures[name], target))


if not os.path.exists(ISO):
    print("1..0 # SKIP %s is missing: make iso" % ISO)
    sys.exit(0)
wanted = sys.argv[1:] or ["bios", "uefi", "no-svm", "footprint"]
if "bios" in wanted:
    main_job("bios", "qcow2")
if "uefi" in wanted:
    main_job("uefi", "qcow")
if "no-svm" in wanted:
    no_svm()
if "footprint" in wanted:
    footprint()
tap.finish()
