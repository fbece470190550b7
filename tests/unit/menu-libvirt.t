#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-menu on a real libvirt and QEMU, by keystrokes: guests are installed.

The installer is menu-boot.S, two sectors that do what a real one does: boot from
the CD, make the disk bootable, restart. Guests are emulated slowly, which the
menu offers as an explicit choice. with-libvirt keeps it all to itself.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("WITH_LIBVIRT") != "1":
    if os.geteuid():
        print("1..0 # SKIP needs root for namespaces and libvirtd")
        sys.exit(0)
    os.environ["WITH_LIBVIRT"] = "1"
    os.execv(HERE + "/with-libvirt", ["with-libvirt", sys.executable, __file__, *sys.argv[1:]])

sys.path.insert(0, HERE)
from menudriver import CTRL_RBRACKET, ENTER, Menu

PROGRAM = os.path.dirname(os.path.dirname(HERE)) + "/build/userland/kvm-menu"
MAIN = "What do you want to do?"
ISO = "/var/lib/kvm-live/iso/boot.iso"
IMAGES = "/var/lib/libvirt/images"
DIR = tempfile.mkdtemp(dir="/var/lib/kvm-live")
tests = failures = 0


def check(what):
    def run(function):
        global tests, failures
        tests += 1
        if len(sys.argv) > 1 and str(tests) not in sys.argv[1:]:
            return
        start = time.monotonic()
        try:
            function()
            print(f"ok {tests} - {what} ({time.monotonic() - start:.0f} s)", flush=True)
        except (AssertionError, OSError, subprocess.CalledProcessError) as e:
            failures += 1
            print(f"not ok {tests} - {what}", flush=True)
            print("# " + str(e).replace("\n", "\n# "), flush=True)
    return run


def sh(command):
    return subprocess.run(command, shell=True, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def build_iso():
    sh(f"""cd {DIR} && mkdir iso && as --32 -o boot.o {HERE}/menu-boot.S &&
        ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o iso/boot.img boot.o &&
        xorriso -as mkisofs -quiet -V TESTBOOT -b boot.img -no-emul-boot -boot-load-size 4 \
            -o {ISO} iso 2>/dev/null""")


def detect(verdict):
    path = f"{DIR}/{verdict}"
    with open(path, "w") as f:
        f.write('#!/bin/sh\necho \'{"verdict": "%s", "explanation": "A test says so.", '
                '"fix": "No fix.", "evidence": []}\'\n' % verdict)
    os.chmod(path, 0o755)
    return path


def menu(verdict="no-vt"):
    m = Menu([PROGRAM, "--detect", detect(verdict)], term="vt220", timeout=60)
    m.see(MAIN)
    return m


def sheet(m, name, emulate=True):
    """The install sheet with a name, the ISO, 64 MiB and no network."""
    m.key("i", "Start the installation")
    m.key("n", "Name of the guest")
    m.key(name + ENTER, "Name             " + name)
    m.key("i", "1  boot.iso", "TESTBOOT")
    m.key("1", "ISO              " + ISO)
    m.key("m", "Memory of the guest")
    m.key("64" + ENTER, "Memory           64 MiB")
    m.key("t", "Network          none")
    if emulate:
        m.key("a", "Slow emulation")
        m.key("y", "SLOW EMULATION")


def choose_guest(m, name):
    m.key("g", "Choose a guest", name)
    m.settle()
    number = re.search(r"(\d)  " + name + " ", m.text()).group(1)
    m.key(number, f"Guest {name}:")


def delete_guest(m, name, how, then):
    choose_guest(m, name)
    m.key("d", f"Delete the guest {name}?")
    m.key(how, then)


build_iso()


@check("a guest boots the CD, is installed, restarts from its disk; its console works")
def _():
    before = os.stat(ISO)
    m = menu()
    sheet(m, "one", emulate=False)
    m.key("s", "KVM is not usable", "KVM verdict: no-vt")
    m.key("b", "Start the installation")
    m.key("a", "Slow emulation")
    m.key("y", "SLOW EMULATION")
    m.key("s", "may outgrow its place")
    m.key("n", "Start the installation")
    m.key("s", "may outgrow its place")
    m.key("y", "Console of guest one", "Ctrl-] returns", "CD-BOOT", "WRITTEN", "DISK-BOOT")
    m.key("k", "[k]")
    m.key(CTRL_RBRACKET, MAIN)
    choose_guest(m, "one")
    m.see("running")
    m.key("e", "slow emulation", "VNC: 127.0.0.1:59", IMAGES + "/one.qcow2")
    m.key("b", "Force off")
    m.key("c", "Console of guest one")
    m.key("z", "[z]")
    m.key("o", "The guest's console has closed")
    m.key(ENTER, "Guest one: shut off")
    after = os.stat(ISO)
    assert (before.st_uid, before.st_mode) == (after.st_uid, after.st_mode), "the ISO's owner changed"
    info = sh(f"qemu-img info {IMAGES}/one.qcow2")
    assert "file format: qcow2" in info, info


@check("a guest starts from its disk after its ISO has been removed")
def _():
    os.rename(ISO, ISO + ".away")
    try:
        m = menu()
        choose_guest(m, "one")
        m.key("s", "was started")
        m.key("b", "Guest one: running")
        m.key("c", "Console of guest one")
        m.key("q", "[q]")
        m.key(CTRL_RBRACKET, "Guest one: running")
        m.key("f", "Cut the power")
        m.key("y", "Guest one: shut off")
    finally:
        os.rename(ISO + ".away", ISO)


@check("an ISO that is removed while its guest runs disturbs nobody; one removed before is missed")
def _():
    m = menu()
    choose_guest(m, "one")
    m.key("s", "was started")
    os.rename(ISO, ISO + ".away")
    try:
        m.key("b", "Guest one: running")
        m.key("c", "Console of guest one")
        m.key("i", "[i]")
        m.key(CTRL_RBRACKET, "Guest one: running")
        m.key("f", "Cut the power")
        m.key("y", "Guest one: shut off")
        m.key("b", "Choose a guest")
        m.key("b", MAIN)
    finally:
        os.rename(ISO + ".away", ISO)
    sheet(m, "late")
    os.rename(ISO, ISO + ".away")
    try:
        m.key("s", "There is no file " + ISO)
        m.key("b", "Start the installation", "Name             late")
    finally:
        os.rename(ISO + ".away", ISO)
    assert not os.path.exists(f"{IMAGES}/late.qcow2"), "a disk was made"


@check("a guest whose disk is missing does not start, and the reason and a way out are shown")
def _():
    os.rename(f"{IMAGES}/one.qcow2", f"{IMAGES}/away")
    try:
        m = menu()
        choose_guest(m, "one")
        m.key("s", "did not start", "What to do: A file that the guest needs is missing")
        m.key("b", "Guest one: shut off")
    finally:
        os.rename(f"{IMAGES}/away", f"{IMAGES}/one.qcow2")


@check("a guest pauses when the file system is full, says so, and goes on when there is room")
def _():
    m = menu()
    choose_guest(m, "one")
    m.key("s", "was started")
    m.key("b", "Guest one: running")
    m.key("c", "Console of guest one")
    m.key("r", "[r]")           # it is past its firmware, which eats keys
    with open(f"{IMAGES}/filler", "wb") as f:
        try:
            while True:
                f.write(b"x" * 65536)
        except OSError:
            pass
    m.key("d")
    m.pump(4)
    m.key(CTRL_RBRACKET, "paused: disk error or no space")
    m.key("b", "Choose a guest", "paused: disk")
    m.key("b", MAIN)
    m.key("d", "Storage pool")
    m.key("c", "Allocate")
    m.key("n", "Name of the disk")
    m.key("nospace" + ENTER, "Name             nospace")
    m.key("c", "may outgrow")
    m.key("y", "was not created", "What to do: The file system that holds the disks is full")
    m.key("b", "Name             nospace")
    m.key("b", "Storage pool")
    assert "nospace" not in m.text(), m.text()
    m.key("b", MAIN)
    os.unlink(f"{IMAGES}/filler")
    sh(f"mount -o remount,size=512M {IMAGES}")
    choose_guest(m, "one")
    m.key("s", "Guest one: running")
    m.key("f", "Cut the power")
    m.key("y", "Guest one: shut off")


@check("a used disk is asked about; the CD boots first once, then the disk")
def _():
    m = menu()
    delete_guest(m, "one", "k", "There is no guest yet")
    m.key("b", MAIN)
    sheet(m, "two")
    m.key("d", "1  one.qcow2")
    m.key("1", "existing, one.qcow2")
    m.key("s", "The disk is not empty")
    m.key("n", "Start the installation")
    m.key("s", "The disk is not empty")
    m.key("y", "Console of guest two", "CD-BOOT", "has closed")
    assert "DISK-BOOT" not in m.text(), m.text()
    m.key(ENTER, "The guest two has stopped")
    m.key("y", "Console of guest two", "DISK-BOOT")
    m.key("o", "has closed")
    m.key(ENTER, MAIN)
    delete_guest(m, "two", "d", "There is no guest yet")
    assert not os.path.exists(f"{IMAGES}/one.qcow2"), "the disk is still there"


@check("a qcow disk and old devices")
def _():
    m = menu()
    sheet(m, "old")
    m.key("d", "New disk: size")
    m.key("f", "Disk format")
    m.key("1", "qcow")
    m.key("v", "network card")
    m.key("i", "IDE and rtl8139")
    m.key("d", "New disk: size")
    m.key("n", "Size of the new disk")
    m.key("20M" + ENTER, "new, 20M, qcow")
    m.key("s", "Console of guest old", "CD-BOOT", "WRITTEN", "DISK-BOOT")
    m.key(CTRL_RBRACKET, MAIN)
    info = sh(f"qemu-img info -U {IMAGES}/old.qcow")
    assert "file format: qcow\n" in info, info
    m.key("p", "Restart this host")
    m.key("p", "1 guest is running: old")
    m.key("n", "Restart this host")
    m.key("b", MAIN)
    choose_guest(m, "old")
    m.key("d", "is running")
    m.key("b", "Force off")
    m.key("f", "Cut the power")
    m.key("y", "shut off")
    m.key("d", "Delete the guest old?")
    m.key("d")
    m.gone("Delete the guest old?")
    assert "old" not in sh("virsh list --all"), "the guest is still there"


@check("when the start fails, what was made is named and removed on request")
def _():
    m = menu("ready")	# it is not: /dev/kvm is hidden
    sheet(m, "bad", emulate=False)
    m.key("d", "New disk: size")
    m.key("n", "Size of the new disk")
    m.key("20M" + ENTER, "new, 20M, qcow2")
    m.key("s", "Install a guest", "What to do: KVM", timeout=90)
    m.key("b", "Clean up", IMAGES + "/bad.qcow2")
    m.key("y", "Start the installation", "Name             bad")
    assert not os.path.exists(f"{IMAGES}/bad.qcow2"), "the disk is still there"
    assert "bad" not in sh("virsh list --all"), "the guest is still there"


def kill_libvirt():
    with open("/run/libvirtd.pid") as f:
        pid = int(f.read())
    os.kill(pid, signal.SIGKILL)


@check("libvirt that stops is explained, and the menu goes on when it is back")
def _():
    m = menu()
    kill_libvirt()
    m.key("g", "libvirt does not answer", "start the service here")
    m.key("r", "libvirt does not answer")
    sh("rm -f /run/libvirtd.pid; libvirtd -d")
    m.key("r", "Guests")
    m.gone("does not answer")
    m.key("b", MAIN)


@check("libvirt that stops while a sheet or a list is open takes nothing away")
def _():
    m = menu()
    sheet(m, "kept")
    kill_libvirt()
    m.key("s", "libvirt does not answer")
    m.key("b", "Name             kept", ISO, "Memory           64 MiB")
    sh("rm -f /run/libvirtd.pid; libvirtd -d")
    m.key("d", "New disk: size")
    m.key("n", "Size of the new disk")
    m.key("20M" + ENTER, "new, 20M")
    m.key("s", "Console of guest kept", "CD-BOOT")
    m.key(CTRL_RBRACKET, MAIN)
    m.key("d", "1  kept.qcow2")
    kill_libvirt()
    m.key("1", "libvirt does not answer")
    sh("rm -f /run/libvirtd.pid; libvirtd -d")
    m.key("r", "1  kept.qcow2")
    m.key("1", "belongs to the guest kept")
    m.key("b", "1  kept.qcow2")
    m.key("c", "Allocate")
    m.key("n", "Name of the disk")
    m.key("dead" + ENTER, "Name             dead")
    kill_libvirt()
    m.key("c", "libvirt ended in the meantime")
    m.key("b", "Name             dead")
    sh("rm -f /run/libvirtd.pid; libvirtd -d")
    m.key("b", "1  kept.qcow2")
    m.key("b", MAIN)
    choose_guest(m, "kept")
    m.key("f", "Cut the power")
    m.key("y", "shut off")


print(f"1..{tests}")
sys.exit(1 if failures else 0)
