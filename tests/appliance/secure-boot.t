#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What Windows 11 asks for, with Debian's signed boot loaders and kernel: on the live
appliance the menu installs a guest that has UEFI with Secure Boot and a TPM; its kernel
sees both, on our hypervisor. A CD with a loader that nobody signed is refused. Firmware
with Secure Boot keeps its variables in system management mode, so this is its test too.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import ISO, MAIN, SLOW, Host, choose_guest, download_iso, sh
from vm import TOP, Failure, Tap

SIGNED = os.path.join(TOP, "build/images/real-guests")
INIT = r"""#!/bin/busybox sh
for a in mount dmesg grep cat poweroff; do /bin/busybox ln -s busybox /bin/$a; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
echo "guest: $(dmesg | grep -o 'Secure boot enabled')"
echo "guest: TPM $(cat /sys/class/tpm/tpm0/tpm_version_major)"
mount -t securityfs securityfs /sys/kernel/security
echo "guest: $(cat /sys/kernel/security/lockdown)"
poweroff -f
"""
tap = Tap()
work = tempfile.TemporaryDirectory(prefix="secure-boot-", dir=os.path.join(TOP, "build/tests"))


def make_isos():
    """As Debian's CDs are laid out; and one of GRUB as it was built here."""
    os.makedirs(os.path.join(work.name, "root/bin"))
    with open(os.path.join(work.name, "root/init"), "w") as file:
        file.write(INIT)
    sh(f"""chmod 755 root/init; cp /bin/busybox root/bin/
        mkdir -p root/proc root/sys iso/.disk iso/boot/grub unsigned/boot/grub
        (cd root && find . | cpio -o -H newc --quiet | gzip) >iso/initrd
        cp /boot/vmlinuz-* iso/linux
        echo signed >iso/.disk/info
        printf '%s\\n' 'linux /linux console=ttyS0 quiet panic=-1' 'initrd /initrd' boot >iso/boot/grub/grub.cfg
        truncate -s 8M iso/efi.img; mformat -i iso/efi.img ::
        mmd -i iso/efi.img ::/EFI ::/EFI/BOOT
        mcopy -i iso/efi.img {SIGNED}/shim.efi ::/EFI/BOOT/BOOTX64.EFI
        mcopy -i iso/efi.img {SIGNED}/grub-cd.efi ::/EFI/BOOT/grubx64.efi
        xorriso -as mkisofs -quiet -R -V signed -e efi.img -no-emul-boot -o signed.iso iso
        echo 'echo UNSIGNED RUNS' >unsigned/boot/grub/grub.cfg
        grub-mkrescue -o unsigned.iso unsigned 2>/dev/null""", work.name)


def install(host, name):
    """To the guest's console."""
    host.main()
    host.key("i", "Choose an ISO", SLOW)
    row = host.see(r"(\d) +(?:\S*/)?%s\.iso" % name)
    host.key(row.group(1), "Name of the guest", SLOW)
    host.key("\x15" + name + "\r", "Disk of the guest")
    host.field("n", "Size of the disk", "1G", "Go on with: new, 1G")
    host.key("g", "Machine of the guest")
    host.key("f", "What starts the guest")
    host.key("s", r"Firmware +UEFI with Secure Boot")
    host.key("p", r"TPM +2\.0, emulated")
    host.field("m", "Memory of the guest", "512", r"Memory +512")
    host.key("g", "Network of the guest")
    host.key("n", "Start the installation")
    host.send("s")
    host.expect("Console of guest " + name, SLOW)


def boot(host):
    tap.note("menu after %.1f s" % host.boot())
    host.see(r"10\.0\.2\.15", SLOW)          # the network is up


def signed(host):
    install(host, "signed")
    host.expect("guest: Secure boot enabled", SLOW)
    host.expect("guest: TPM 2", SLOW)
    host.expect(r"guest: none \[integrity\]", SLOW)
    host.expect("has closed", SLOW)
    host.send("\r")
    host.see(MAIN, SLOW)


def unsigned(host):
    install(host, "unsigned")
    host.expect("Access Denied", SLOW)
    host.send("\x1d")
    host.see(MAIN, SLOW)
    choose_guest(host, "unsigned", "running")
    host.key("f", "Cut the power")
    host.key("y", "Guest unsigned: shut off", SLOW)


def on_ours(host):
    host.shell()
    xml = host.run("virsh -c qemu:///system dumpxml signed; cat /sys/module/kvm/version")
    for part in ("type='kvm'", "secure='yes'", "<smm state='on'/>", "<backend type='emulator' version='2.0'"):
        if part not in xml:
            raise Failure("the guest's XML has no %s:\n%s" % (part, xml))
    tap.note("kvm-live " + xml.splitlines()[-1])
    host.leave_shell()


def is_deleted(host):
    choose_guest(host, "signed", "shut off")
    host.key("d", "its TPM, with the keys in it")
    host.see(r"signed_VARS\S* \(UEFI variables\)")
    host.key("d", MAIN + "|Choose a guest|There is no guest", SLOW)
    host.shell()
    left = host.run("ls -d /var/lib/libvirt/qemu/nvram/signed* /var/lib/libvirt/swtpm/*/tpm2")
    host.leave_shell()
    if "signed_VARS" in left.replace("unsigned_VARS", "") or left.count("tpm2") != 1:
        raise Failure("left behind:\n" + left)


if not os.path.exists(ISO):
    print("1..0 # SKIP %s is missing: make iso" % ISO)
    sys.exit(0)
make_isos()
with Host("secure-boot", "EPYC,+svm,+npt", smp=1) as machine:
    ok = tap.step("it boots", lambda: boot(machine))
    for name in ("signed", "unsigned"):
        ok = ok and tap.step(name + ".iso is downloaded into the library",
                             lambda: download_iso(machine, os.path.join(work.name, name + ".iso")))
    ok = ok and tap.step("a signed kernel sees Secure Boot, a TPM and its lockdown", lambda: signed(machine))
    ok = ok and tap.step("on our hypervisor, with system management mode", lambda: on_ours(machine))
    ok = ok and tap.step("a loader without a signature is refused", lambda: unsigned(machine))
    ok = ok and tap.step("a guest goes with its variables and its TPM", lambda: is_deleted(machine))
    if ok:
        tap.step("the menu powers the machine off", machine.power_off)
tap.finish()
