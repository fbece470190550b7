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

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import ISO, MAIN, SLOW, STICK, Host, create_disk, install_guest, read_token
from vm import TOP, Failure, Tap

REPORT = os.path.join(TOP, "build/reports/footprint.tsv")
tap = Tap()
figures = {}


def main_job(firmware, fmt):
    """Power-on, disk, guest, token, proof."""
    token = "tok-%s-%s" % (firmware, fmt)
    disk = "disk-%s.%s" % (firmware, fmt)
    with Host("live-" + firmware, "EPYC,+svm,+npt", firmware == "uefi") as host:
        at = firmware + ": "

        def boot():
            seconds = host.boot()
            figures["boot_to_menu_s" if firmware == "bios" else "boot_to_menu_uefi_s"] = "%.1f" % seconds
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
            if "enabled" not in answer or "module: kvm-live" not in answer:
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
        ok = ok and tap.step(at + "its QEMU, which is ours, runs it on our module", guest_on_kvm)
        if ok:
            tap.step(at + "the module is ours", identity)
            tap.step(at + "the exit counters grow", counters)
            tap.step(at + "the host's log has no warning", quiet)
            tap.step(at + "the menu powers the host off", end)


def no_svm():
    """The same ISO on a stick, where there is no virtualization extension."""
    with Host("live-no-svm", "qemu64,-svm", medium=STICK) as host:
        def verdict():
            figures["boot_to_menu_stick_s"] = "%.1f" % host.boot()
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
        for name in sorted(figures):
            report.write("%s\t%s\n" % (name, figures[name]))
    tap.ok(float(figures["iso_mb"]) <= 300, "the ISO has at most 300 MB",
           figures["iso_mb"] + " MB")
    targets = {"boot_to_menu_s": 15, "boot_to_menu_uefi_s": 15, "boot_to_menu_stick_s": 15,
               "menu_memory_mb": 150}
    missing = [name for name in targets if name not in figures]
    tap.ok(not missing, "footprint.tsv has all its rows", "missing: " + " ".join(missing))
    for name in sorted(set(targets) & set(figures)):
        tap.note("%s: %s (target: at most %d)" % (name, figures[name], targets[name]))


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
