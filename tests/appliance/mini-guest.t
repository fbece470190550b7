#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The mini guest's ISO installs itself on each kind of disk by BIOS and by UEFI,
boots from it with its token, and says clearly what it cannot do."""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vm import TOP, Failure, Tap, Vm

ISO = os.path.join(TOP, "build/images/mini-guest.iso")
LIMIT = 120
tap = Tap()
work = tempfile.TemporaryDirectory(prefix="mini-guest-")


def new_disk(name, mib):
    path = os.path.join(work.name, name)
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    return path


def disk_args(bus, path):
    if bus == "virtio":
        return ["-drive", "if=virtio,format=raw,file=" + path]
    machine = {"sata": "q35", "ide": "pc"}[bus]
    return ["-M", machine, "-drive", "if=ide,index=0,format=raw,file=" + path]


CD = ["-drive", "if=ide,index=2,media=cdrom,format=raw,file=" + ISO]


def log_in(vm, token):
    vm.expect(r"mini-guest: token=%s\r" % token, LIMIT)
    vm.expect("Welcome to the kvm-live mini guest", LIMIT)
    vm.expect("login: ", LIMIT)
    vm.send("root\r")
    vm.expect("# ", LIMIT)
    vm.send("grep -c ' / ext4 rw' /proc/mounts; cat /etc/mini-guest.token\r")
    vm.expect(r"1\r+\n%s\r" % token, LIMIT)


def by_question(name, uefi, bus, token, button):
    disk = new_disk(name, 256)

    def install():
        with Vm(disk_args(bus, disk) + CD + ["-no-reboot"], name + "-install", uefi) as vm:
            vm.expect("Token: ", LIMIT)
            vm.send(token + "\r")
            vm.expect("Installed", LIMIT)
            vm.wait_end()

    def boot():
        with Vm(disk_args(bus, disk), name + "-boot", uefi) as vm:
            log_in(vm, token)
            if button:
                vm.qmp("system_powerdown")
            else:
                vm.send("poweroff\r")
            vm.wait_end()

    tap.step(name + ": installs after one answer on the serial line", install)
    tap.step(name + ": boots without the ISO, prints its token, has a shell, " +
             ("obeys the power button" if button else "powers off"), boot)
    return disk


def by_argument():
    """Kernel and initramfs of the ISO, started with token= on the command line."""
    disk = new_disk("ide", 256)
    for file in ("vmlinuz", "initrd"):
        subprocess.run(["xorriso", "-osirrox", "on", "-indev", ISO, "-extract",
                        "/mini-guest/" + file, os.path.join(work.name, file)],
                       check=True, stderr=subprocess.DEVNULL)
    start = ["-kernel", os.path.join(work.name, "vmlinuz"),
             "-initrd", os.path.join(work.name, "initrd"), "-append",
             "quiet console=tty0 console=ttyS0 token=from.the_command-line"]
    with Vm(disk_args("ide", disk) + CD + start + ["-no-reboot"], "ide-install") as vm:
        vm.expect("Installing, token=from.the_command-line", LIMIT)
        vm.expect("Installed", LIMIT)
        vm.wait_end()
    with Vm(disk_args("ide", disk), "ide-boot") as vm:
        log_in(vm, "from.the_command-line")


def by_screen():
    """The question is also on the VGA screen; the keyboard answers it."""
    disk = new_disk("vga", 256)
    with Vm(disk_args("virtio", disk) + CD + ["-no-reboot"], "vga-install") as vm:
        vm.expect("Token: ", LIMIT)
        time.sleep(1)
        shown = vm.vga_text()
        if "Token:" not in shown:
            raise Failure("the VGA screen shows no question:\n" + shown)
        vm.type_keys(["v", "g", "a", "7", "ret"])
        vm.expect("Installing, token=vga7", LIMIT)
        vm.expect("Installed", LIMIT)
        vm.wait_end()


def occupied(disk):
    """A disk with something on it stays as it is without an explicit answer."""
    before = subprocess.check_output(["sha256sum", disk])
    with Vm(disk_args("virtio", disk) + CD + ["-boot", "d"], "occupied") as vm:
        vm.expect("NOT EMPTY", LIMIT)
        vm.expect("Token: ", LIMIT)
        vm.send("\r")
        vm.expect("Nothing was changed", LIMIT)
        vm.wait_end()
    if subprocess.check_output(["sha256sum", disk]) != before:
        raise Failure("the disk was changed")


def refused(args, *texts):
    with Vm(args + CD, "refused") as vm:
        for text in texts:
            vm.expect(text, LIMIT)
        vm.expect("Press Enter to power off", LIMIT)
        vm.send("\r")
        vm.wait_end()


def odd_token():
    disk = new_disk("odd", 256)
    with Vm(disk_args("virtio", disk) + CD, "odd-token") as vm:
        vm.expect("Token: ", LIMIT)
        vm.send("a b/c\r")
        vm.expect("use only letters", LIMIT)
        vm.expect("Token: ", LIMIT)


if not os.path.exists(ISO):
    print("1..0 # SKIP build/images/mini-guest.iso is missing: make images")
    sys.exit(0)

tap.ok(os.path.getsize(ISO) < 40 << 20, "the ISO is smaller than 40 MiB")
installed = by_question("bios-virtio", False, "virtio", "tok-1", False)
by_question("uefi-sata", True, "sata", "tok-2", True)
tap.step("IDE, by BIOS: installs without a question when the kernel's command line "
         "has the token", by_argument)
tap.step("the question is also on the screen and the keyboard answers it", by_screen)
tap.step("a disk that is not empty is left alone unless the user answers",
         lambda: occupied(installed))
tap.step("a disk that is too small is refused, with the size that is needed",
         lambda: refused(disk_args("virtio", new_disk("small", 32)),
                         "too small", r"32 MiB and the system needs \d+ MiB"))
tap.step("without a disk it says so", lambda: refused([], "no disk", "at least"))
tap.step("an odd token is refused and asked for again", odd_token)
tap.finish()
