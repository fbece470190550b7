#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-menu on a real libvirt and QEMU, by keystrokes: guests are installed.

The installer is menu-boot.S, two sectors that do what a real one does: boot from
the CD, make the disk bootable, restart. Guests are emulated slowly, which the
menu offers as an explicit choice. with-libvirt keeps it all to itself.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("WITH_LIBVIRT") != "1":
    if os.geteuid():
        print("1..0 # SKIP needs root for namespaces and libvirtd")
        sys.exit(0)
    os.environ["WITH_LIBVIRT"] = "1"
    os.execv(HERE + "/with-libvirt", ["with-libvirt", sys.executable, __file__, *sys.argv[1:]])

sys.path.insert(0, HERE)
import menudriver
from menudriver import CTRL_C, CTRL_RBRACKET, ENTER, ESC, MAIN, SUMMARY, TOP, Menu, check

PROGRAM = TOP + "/build/userland/kvm-menu"
os.environ["PATH"] = TOP + "/build/userland:" + TOP + "/userland/menu:" + os.environ["PATH"]
ISO = "/var/lib/kvm-live/iso/boot.iso"
IMAGES = "/var/lib/libvirt/images"
NVRAM = "/var/lib/libvirt/qemu/nvram"
DIR = tempfile.mkdtemp(dir="/var/lib/kvm-live")


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


def sheet(m, name, emulate=True, **disk):
    """The installation's last step with a name, 64 MiB and no network."""
    m.to_summary(name, "1", network="0", **disk)
    m.see("ISO              " + ISO, "Network          none")
    m.set_memory(64)
    if emulate:
        m.emulate()


def install(m, name, *words):
    """Starts the installation and leaves its console; ends in the guest's menu."""
    m.key("s", f"Console of guest {name}", *words)
    m.key(CTRL_RBRACKET, MAIN)
    m.choose_guest(name)


def answers(m, name, key):
    """The guest's program echoes a key on its console; back to the guest's menu."""
    m.key("c", f"Console of guest {name}")
    m.key(key, f"[{key}]")
    m.key(CTRL_RBRACKET, f"Guest {name}: running")


def content(path):
    """A sum over what the disk holds."""
    return sh(f"qemu-img convert -U -O raw {path} {DIR}/raw && sha256sum <{DIR}/raw")


build_iso()


@check("a guest boots the CD, is installed, restarts from its disk; its console works")
def _():
    before = os.stat(ISO)
    m = menu()
    m.key("i", "KVM, which is not usable here", "1  boot.iso", "TESTBOOT")
    m.key("b", MAIN)
    sheet(m, "one", emulate=False)
    m.key("s", "KVM is not usable", "KVM verdict: no-vt")
    m.key("b", SUMMARY)
    m.emulate()
    m.key("s", "may outgrow its place")
    m.key("n", SUMMARY)
    m.key("s", "may outgrow its place")
    m.key("y", "Console of guest one", "Ctrl-] returns", "CD-BOOT", "WRITTEN", "DISK-BOOT")
    m.key("k", "[k]")
    m.key(CTRL_RBRACKET, MAIN)
    m.choose_guest("one")
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


def define(name, disks):
    with open(f"{DIR}/{name}.xml", "w") as f:
        f.write(f"<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type>hvm</type>"
                f"</os><devices>{disks}</devices></domain>")
    sh(f"virsh -q define {DIR}/{name}.xml")


@check("a disk below a guest's, or named by pool and volume, is not free; a guest's raw disk has nothing below")
def _():
    sh(f"""cd {IMAGES} && qemu-img create -q -f qcow2 base.qcow2 1M && truncate -s 1M named.raw &&
        qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 &&
        qemu-img create -q -f qcow2 -b one.qcow2 -F qcow2 posed.raw""")
    define("chain", f"""<disk type='file'><driver name='qemu' type='qcow2'/>
        <source file='{IMAGES}/top.qcow2'/><target dev='vda' bus='virtio'/></disk>
        <disk type='volume'><driver name='qemu' type='raw'/>
        <source pool='default' volume='named.raw'/><target dev='vdb' bus='virtio'/></disk>""")
    define("poser", f"""<disk type='file'><driver name='qemu' type='raw'/>
        <source file='{IMAGES}/posed.raw'/><target dev='vda' bus='virtio'/></disk>""")
    m = menu()
    m.key("d", "1  base.qcow2", "2  named.raw", "3  one.qcow2", "4  posed.raw", "5  top.qcow2")
    assert re.search(r"posed.raw +raw ", m.text()), m.text()
    m.key("1", "base.qcow2 belongs to the guest chain")
    m.key("b", "2  named.raw")
    m.key("2", "named.raw belongs to the guest chain")
    m.key("b", "2  named.raw")
    m.key("b", MAIN)
    m.choose_guest("poser")
    m.key("d", IMAGES + "/posed.raw")
    assert "one.qcow2" not in m.text(), m.text()
    sh(f"virsh -q undefine chain; virsh -q undefine poser; cd {IMAGES} && rm base.qcow2 named.raw top.qcow2 posed.raw")


@check("a guest starts from its disk after its ISO has been removed")
def _():
    os.rename(ISO, ISO + ".away")
    try:
        m = menu()
        m.choose_guest("one")
        m.start_guest("one")
        m.key("c", "Console of guest one")
        m.key("q", "[q]")
        m.key(CTRL_RBRACKET, "Guest one: running")
        m.force_off("one")
    finally:
        os.rename(ISO + ".away", ISO)


CLOUD = "/var/lib/kvm-live/iso/cloud.qcow2"


def to_login(m, name, image="2"):
    """From the main menu to the step about the login of a cloud image."""
    m.key("i", "2  cloud.qcow2", "disk of 8 MiB")
    m.key(image, "Name of the guest")
    m.key(name + ENTER, "Login of the new system")


def to_cloud_summary(m):
    """From the step about the login on, with 10 MiB and no network."""
    m.key("g", "Disk of the guest")
    m.field("n", "Size of the disk", "10M", "Go on with: new, 10M, qcow2, a copy")
    m.key("g", "Machine of the guest")
    m.set_memory(64)
    m.emulate()
    m.key("g", "Network of the guest")
    m.key("0", "Start the guest")


@check("a cloud image becomes a guest: the disk is a copy that is larger, the seed has the login")
def _():
    sh(f"""cd {DIR} && head -c 1024 iso/boot.img | tail -c 512 >raw && truncate -s 8M raw &&
        qemu-img convert -c -O qcow2 raw {CLOUD}""")
    before = sh(f"sha256sum {CLOUD}; stat -c '%u %a' {CLOUD}")
    m = menu()
    to_login(m, "cloud1")
    m.set_password("a-Good.one")
    m.field("k", "Public SSH key", "ssh-ed25519 " + "A" * 68 + " it's me", "SSH key          ssh-ed25519")
    to_cloud_summary(m)
    m.key("s", "Console of guest cloud1", "DISK-BOOT")
    m.key("k", "[k]")
    m.key(CTRL_RBRACKET, MAIN)
    seed = f"{IMAGES}/cloud1-seed.iso"
    assert os.stat(seed).st_mode & 0o077 == 0, "others may read the seed"
    assert sh(f"blkid -o value -s LABEL {seed}") == "cidata\n"
    sh(f"xorriso -osirrox on -indev {seed} -extract / {DIR}/seed 2>/dev/null")
    data = sh(f"cat {DIR}/seed/user-data")
    want = ("#cloud-config", "hostname: 'cloud1'", "user: 'admin'", "ssh_pwauth: true",
            "  - 'ssh-ed25519 " + "A" * 68 + " it''s me'")
    assert all(w in data.split("\n") for w in want), data
    salt, sum_ = re.search(r"^password: '\$6\$([^$]+)\$(.*)'$", data, re.M).groups()
    assert sh(f"openssl passwd -6 -salt '{salt}' a-Good.one").strip() == f"$6${salt}${sum_}"
    assert re.search("^instance-id: [0-9a-f-]{36}$", sh(f"cat {DIR}/seed/meta-data"), re.M)
    assert '"virtual-size": 10485760' in sh(f"qemu-img info -U --output=json {IMAGES}/cloud1.qcow2")
    assert "backing" not in sh(f"qemu-img info -U {IMAGES}/cloud1.qcow2")
    assert sh(f"sha256sum {CLOUD}; stat -c '%u %a' {CLOUD}") == before, "the image was changed"
    m.choose_guest("cloud1")
    m.force_off("cloud1")
    m.key("d", "Delete the guest cloud1?", seed, "cloud1.qcow2")
    m.key("d", "Guests")
    m.gone("cloud1")
    assert not os.path.exists(seed) and not os.path.exists(f"{IMAGES}/cloud1.qcow2")


@check("a guest from a cloud image that did not start keeps its login as long as it stays")
def _():
    made = [f"{IMAGES}/cloud3-seed.iso", f"{IMAGES}/cloud3.qcow2"]
    for answer in "by":
        m = menu()
        to_login(m, "cloud3")
        m.set_password("a-Good.one")
        to_cloud_summary(m)
        os.rename("/run/libvirt/virtlogd-sock", "/run/libvirt/away")	# no guest starts without
        try:
            m.key("s", "defined but did not start")
        finally:
            os.rename("/run/libvirt/away", "/run/libvirt/virtlogd-sock")
        m.key("b", "Clean up", "the guest cloud3", made[1])
        m.key(answer, "Start the guest")
        assert all(os.path.exists(path) == (answer == "b") for path in made), os.listdir(IMAGES)
        if answer == "b":
            m = menu()
            m.choose_guest("cloud3")
            m.key("d", "Delete the guest cloud3?", *made)
            m.key("d", "Guests")
            m.gone("cloud3")


@check("a cloud image that is cut, or whose copy cannot be made, leaves nothing behind")
def _():
    before = sorted(os.listdir(IMAGES))
    m = menu()
    to_login(m, "cloud2")
    m.key("g", "Nobody could log in")
    m.key("b", "Login of the new system")
    m.set_password("a-Good.one")
    to_cloud_summary(m)
    sh(f"""cd {DIR} && mv {CLOUD} whole && head -c 2M /dev/urandom >>raw && qemu-img convert -O qcow2 raw cut &&
        head -c 1M cut >{CLOUD}""")
    m.key("s", "is damaged, or was cut", "Get it again.")
    m.key("b", "Start the guest")
    sh(f"mv {DIR}/whole {CLOUD}; touch {IMAGES}/cloud2-seed.iso")
    m.key("s", "There is a file", "cloud2-seed.iso already")
    m.key("b", "Start the guest")
    os.unlink(f"{IMAGES}/cloud2-seed.iso")
    assert sorted(os.listdir(IMAGES)) == before, os.listdir(IMAGES)
    os.unlink(CLOUD)


INIT = r"""#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
exec >/dev/ttyS0 2>&1
for f in /lib/*.ko; do /bin/busybox insmod "$f"; done
echo INSTALLER RUNS
/bin/busybox grep -o "debconf/priority=critical.*" /proc/cmdline
/bin/busybox grep -o "get_hostname string.*\\|make-user.*\\|root-password password.*\\|disk string.*" /preseed.cfg
/bin/busybox cat /boot.img >/dev/vda && echo INSTALLED
/bin/busybox sync
/bin/busybox sleep 1
/bin/busybox reboot -f
"""


def debian_iso(path):
    """An ISO that libosinfo takes for Debian's; its installer is this machine's kernel and
    busybox, which show the answers that they got and make the disk bootable."""
    with open(f"{DIR}/init", "w") as f:
        f.write(INIT)
    sh(f"""cd {DIR} && mkdir -p deb/install.amd root/bin root/proc root/dev root/lib
        version=$(basename $(ls -d /boot/vmlinuz-*-amd64 | grep -v -e rt -e kvm-live | tail -n 1))
        version=${{version#vmlinuz-}}
        cp /boot/vmlinuz-$version deb/install.amd/vmlinuz
        n=10
        for f in $(modprobe -S $version -a --show-depends virtio_pci virtio_blk | awk '/^insmod/ {{ print $2 }}'); do
            n=$((n + 1))
            case $f in *.xz) xz -dc $f ;; *) cat $f ;; esac >root/lib/$n.ko
        done
        cp init root/ && chmod +x root/init && cp /bin/busybox root/bin/
        head -c 1024 iso/boot.img | tail -c 512 >root/boot.img
        (cd root && find . | cpio -o -H newc --quiet) | gzip -1 >deb/install.amd/initrd.gz
        cp iso/boot.img deb/
        xorriso -as mkisofs -quiet -V 'Debian 12.5.0 amd64 n' -b boot.img -no-emul-boot \
            -boot-load-size 4 -o {path} deb 2>/dev/null""")


@check("an unattended installer gets its answers, and the guest then starts from its disk")
def _():
    debian_iso("/var/lib/kvm-live/iso/debian.iso")
    os.makedirs("/var/lib/libvirt/boot", exist_ok=True)
    m = menu()
    m.key("i", "2  debian.iso")
    m.key("2", "Name of the guest", "debian12")
    m.key("deb1" + ENTER, "Who answers the installer?")
    m.key("u", "The installer of Debian 12")
    m.set_password("a-Good.one")
    m.key("g", "Disk of the guest")
    m.field("n", "Size of the disk", "10M", "Go on with: new, 10M")
    m.key("g", "Machine of the guest")
    m.set_memory(256)
    m.emulate()
    m.key("g", "Network of the guest")
    m.key("0", SUMMARY, "Installer        unattended")
    m.key("s", "Console of guest deb1")
    m.see("INSTALLED", timeout=240)
    m.see("INSTALLER RUNS", "debconf/priority=critical", "--- console=tty0 console=ttyS0", "get_hostname string deb1",
          "make-user boolean false", "root-password password a-Good.one", "disk string /dev/vda")
    assert os.listdir("/var/lib/libvirt/boot") == [], "the answers are still there"
    m.see("has closed", timeout=60)
    m.key(ENTER, "The guest deb1 has stopped")
    m.key("y", "Console of guest deb1", "DISK-BOOT")
    assert "CD-BOOT" not in m.text(), "the installer did not make the disk bootable"
    m.key(CTRL_RBRACKET, MAIN)
    m.choose_guest("deb1")
    m.force_off("deb1")
    m.delete_guest("deb1", "d", "Choose a guest")
    m.key("b", MAIN)
    os.unlink("/var/lib/kvm-live/iso/debian.iso")


def to_server(m, server):
    """From the main menu to what the NFS server has."""
    m.key("t", "Storage pools")
    m.key("p", "Where disks of guests can be")
    m.key("a", "What kind?")
    m.key("n", "Name or address of the server")
    m.key(server + ENTER, "NFS: a folder of a file server", "Type it")


@check("a pool that cannot be opened is not kept, and the reason and a way out are shown")
def _():
    m = menu()
    to_server(m, "nowhere.invalid")
    m.see("could not be found out", "Reason:")
    m.key("t", "Folder that the server exports")
    m.key("/guests" + ENTER, "Name of the pool")
    m.key("nas1" + ENTER, "could not be opened", "What to do: Check that the server is on")
    m.key("b", "Name of the pool", "nas1")
    m.key(ESC, "Type it")
    for screen in ("Name or address of the server", "What kind?"):
        m.key(ESC, screen)
    if os.path.exists("/usr/lib/x86_64-linux-gnu/libvirt/storage-backend/libvirt_storage_backend_logical.so"):
        print("# libvirt has LVM here, so that it lacks it is not tested")
    else:
        m.key("l", "could not be found out")
        m.key("t", "Name of the volume group")
        m.key("vg0" + ENTER, "Name of the pool", "nas1")
        m.key("vg0" + ENTER, "lacks libvirt's part", "libvirt-daemon-driver-storage")
    assert not {"nas1", "vg0"} & set(sh("virsh pool-list --all --name").split())


@check("a guest's disk is in a pool on NFS (a stand-in for the server), which is then removed")
def _():
    sh(f"""mkdir -p {DIR}/sbin/up {DIR}/sbin/work
        mount -t overlay -o lowerdir=/usr/sbin,upperdir={DIR}/sbin/up,workdir={DIR}/sbin/work none /usr/sbin""")
    for name, script in (("mount.nfs", 'exec mount -i -t tmpfs -o mode=711 "$1" "$2"'),
                         ("showmount", "echo '/guests *'")):
        with open(f"/usr/sbin/{name}", "w") as f:
            f.write(f"#!/bin/sh\n{script}\n")
        os.chmod(f"/usr/sbin/{name}", 0o755)
    m = menu()
    to_server(m, "nas.lan")
    m.see("1  /guests")
    m.key("1", "Name of the pool", "nfs")
    m.key("nas1" + ENTER, "The pool nas1 is open")
    assert "nas.lan:/guests /var/lib/libvirt/pools/nas1" in sh("cat /proc/mounts")
    assert "yes" in sh("virsh pool-info nas1 | grep Autostart")
    m.key("b", "2  nas1")
    m.key("b", "Storage pools")
    m.key("b", MAIN)
    m.key("i", "1  boot.iso")
    m.key("1", "Name of the guest")
    m.key("far" + ENTER, "Disk of the guest")
    m.field("n", "Size of the disk", "10M", "Go on with: new, 10M")
    m.key("p", "Where is the disk to be?")
    m.key("2", "pool       nas1")
    m.key("g", "Machine of the guest")
    m.set_memory(64)
    m.emulate()
    m.key("g", "Network of the guest")
    m.key("0", SUMMARY)
    m.key("s", "Console of guest far", "CD-BOOT", "DISK-BOOT")
    m.key(CTRL_RBRACKET, MAIN)
    assert os.listdir("/var/lib/libvirt/pools/nas1") == ["far.qcow2"]
    m.key("t", "Storage pools")
    m.key("p", "2  nas1")
    m.key("2", "server nas.lan")
    m.key("c", "The pool nas1 answers", "Disks in it: 1.")
    m.key("b", "Check that it answers")
    m.key("r", "The guest far has a disk in the pool nas1")
    m.key("b", "Check that it answers")
    m.key("b", "2  nas1")
    m.key("b", "Storage pools")
    m.key("b", MAIN)
    m.choose_guest("far")
    m.force_off("far")
    m.delete_guest("far", "d", "Guests")
    m.gone("far")
    m.key("b", MAIN)
    m.key("t", "Storage pools")
    m.key("p", "2  nas1")
    m.key("2", "server nas.lan")
    m.key("r", "Close the pool nas1")
    m.key("y", "Where disks of guests can be")
    m.gone("nas1")
    assert "nas1" not in sh("cat /proc/mounts; virsh pool-list --all")
    sh("umount /usr/sbin")


@check("an ISO that is removed while its guest runs disturbs nobody; one removed before is missed")
def _():
    m = menu()
    m.choose_guest("one")
    m.key("s", "was started")
    os.rename(ISO, ISO + ".away")
    try:
        m.key("b", "Guest one: running")
        m.key("c", "Console of guest one")
        m.key("i", "[i]")
        m.key(CTRL_RBRACKET, "Guest one: running")
        m.force_off("one")
        m.key("b", "Choose a guest")
        m.key("b", MAIN)
    finally:
        os.rename(ISO + ".away", ISO)
    sheet(m, "late")
    os.rename(ISO, ISO + ".away")
    try:
        m.key("s", "There is no file " + ISO)
        m.key("b", SUMMARY, "Name             late")
    finally:
        os.rename(ISO + ".away", ISO)
    assert not os.path.exists(f"{IMAGES}/late.qcow2"), "a disk was made"


@check("a guest whose disk is missing does not start, and the reason and a way out are shown")
def _():
    os.rename(f"{IMAGES}/one.qcow2", f"{IMAGES}/away")
    try:
        m = menu()
        m.choose_guest("one")
        m.key("s", "did not start", "What to do: A file that the guest needs is missing")
        m.key("b", "Guest one: shut off")
    finally:
        os.rename(f"{IMAGES}/away", f"{IMAGES}/one.qcow2")


@check("a guest pauses when the file system is full, says so, and goes on when there is room")
def _():
    m = menu()
    m.choose_guest("one")
    m.start_guest("one")
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
    m.create_disk("nospace", "may outgrow")
    m.key("y", "was not created", "What to do: The file system that holds the disks is full")
    m.key("b", "Name             nospace")
    m.key("b", "Storage pool")
    assert "nospace" not in m.text(), m.text()
    m.key("b", MAIN)
    os.unlink(f"{IMAGES}/filler")
    sh(f"mount -o remount,size=512M {IMAGES}")
    m.choose_guest("one")
    m.key("s", "Guest one: running")
    m.force_off("one")


@check("a used disk is asked about; the CD boots first once, then the disk")
def _():
    m = menu()
    m.choose_guest("one")
    m.delete_guest("one", "k", "There is no guest yet")
    m.key("b", MAIN)
    sheet(m, "two", disk="one.qcow2")
    m.see("existing, one.qcow2")
    m.key("s", "The disk is not empty")
    m.key("n", SUMMARY)
    m.key("s", "The disk is not empty")
    m.key("y", "Console of guest two", "CD-BOOT", "has closed")
    assert "DISK-BOOT" not in m.text(), m.text()
    m.key(ENTER, "The guest two has stopped")
    m.key("y", "Console of guest two", "DISK-BOOT")
    m.key("o", "has closed")
    m.key(ENTER, MAIN)
    m.choose_guest("two")
    m.delete_guest("two", "d", "There is no guest yet")
    assert not os.path.exists(f"{IMAGES}/one.qcow2"), "the disk is still there"


@check("a qcow disk and old devices")
def _():
    m = menu()
    sheet(m, "old")
    m.key("d", "New disk: size")
    m.key("f", "Disk format")
    m.key("1", "format     qcow")
    m.field("n", "Size of the disk", "20M", "Go on with: new, 20M, qcow")
    m.key("g", SUMMARY)
    m.key("v", "network card")
    m.key("i", "IDE and rtl8139")
    m.key("s", "Console of guest old", "CD-BOOT", "WRITTEN", "DISK-BOOT")
    m.key(CTRL_RBRACKET, MAIN)
    info = sh(f"qemu-img info -U {IMAGES}/old.qcow")
    assert "file format: qcow\n" in info, info
    m.key("p", "Restart this host")
    m.key("p", "1 guest is running: old")
    m.key("n", "Restart this host")
    m.key("b", MAIN)
    m.choose_guest("old")
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
    m.new_disk("20M")
    m.key("s", "Install a guest", "What to do: KVM", timeout=90)
    m.key("b", "Clean up", IMAGES + "/bad.qcow2")
    m.key("y", SUMMARY, "Name             bad")
    assert not os.path.exists(f"{IMAGES}/bad.qcow2"), "the disk is still there"
    assert "bad" not in sh("virsh list --all"), "the guest is still there"


@check("a guest is paused and goes on; its program stands still meanwhile")
def _():
    m = menu()
    sheet(m, "multi", size="20M")
    install(m, "multi", "DISK-BOOT")
    m.key("p", "is paused")
    m.key("b", "Guest multi: paused")
    m.key("c", "Console of guest multi")
    m.key("w")
    m.pump(1)
    assert "[w]" not in m.text(), m.text()
    m.key(CTRL_RBRACKET, "Guest multi: paused")
    m.key("p", "goes on")
    m.key("b", "Guest multi: running")
    answers(m, "multi", "x")


@check("a snapshot of a running guest brings its memory back")
def _():
    m = menu()
    m.choose_running("multi")
    m.key("t", "Make a new snapshot")
    m.make_snapshot("warm")
    m.see("with memory")
    m.key("b", "Guest multi: running")
    m.key("c", "Console of guest multi")
    m.key("o", "has closed")
    m.key(ENTER, "Guest multi: shut off")
    m.key("t", "Make a new snapshot")
    m.choose_snapshot("warm")
    m.key("r", "Take the guest multi back")
    m.key("y", "is as it was at the snapshot warm")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest multi: running")
    answers(m, "multi", "y")        # nobody booted it: it goes on where it was


@check("a snapshot brings the disk back, and is deleted")
def _():
    m = menu()
    m.choose_off("multi")
    m.key("t", "Make a new snapshot")
    m.make_snapshot("clean")
    before = content(f"{IMAGES}/multi.qcow2")
    m.key("b", "Guest multi: shut off")
    m.start_guest("multi")
    m.key("c", "Console of guest multi")
    m.key("k", "[k]")
    m.key("d", "F")                  # fills the disk
    m.see("[k]F")
    m.key("o", "has closed")
    m.key(ENTER, "Guest multi: shut off")
    assert content(f"{IMAGES}/multi.qcow2") != before, "the guest has written nothing"
    m.key("t", "Make a new snapshot")
    m.choose_snapshot("clean")
    m.key("r", "Take the guest multi back")
    m.key("y", "is as it was at the snapshot clean", "off")
    m.key("b", "Make a new snapshot")
    assert content(f"{IMAGES}/multi.qcow2") == before, "the disk is not as it was"
    for name in ("clean", "warm"):
        m.choose_snapshot(name)
        m.key("d", "Delete the snapshot " + name)
        m.key("y", "is deleted")
        m.key("b", "Make a new snapshot")
    assert "warm" not in sh(f"qemu-img snapshot -l {IMAGES}/multi.qcow2"), "it is still in the file"


@check("a disk is attached to a running guest and taken away; a CD is changed")
def _():
    m = menu()
    m.choose_running("multi")
    m.key("h", "The guest is running")
    m.key("k", "1  vda")
    m.key("n", "Name             multi-2")
    m.field("s", "Size of the disk", "5M", "Size             5M")
    m.key("c", "multi-2.qcow2 as vdb,", "at once and for good")
    m.key("b", "2  vdb")
    assert "vdb" in sh("virsh domblklist multi"), "the running guest has it not"
    m.key("2", "Take the disk vdb", "unmount the disk")
    m.key("y", "Detach a disk")
    m.gone("Take the disk vdb")
    m.key("b", "1  vda")
    assert "vdb" not in sh("virsh domblklist --inactive multi"), "it is still described"
    m.key("b", "Settings of the guest")
    m.key("i", "In the drive: " + ISO)
    m.key("e", "empty, at once and for good")
    m.key("b", "In the drive: empty")
    assert "boot.iso" not in sh("virsh domblklist multi"), "it is still in the drive"
    m.key("i", "Choose an ISO")
    m.key("1", "once and for good")
    m.key("b", "In the drive: " + ISO)
    assert "boot.iso" in sh("virsh domblklist multi"), "it is not in the drive"
    m.key("b", "Settings of the guest")
    m.key("b", "Guest multi: running")
    m.force_off("multi")


@check("a clone has the same disk, and a name, an identity and an address of its own")
def _():
    m = menu()
    m.choose_off("multi")
    m.key("h", "Settings of the guest")
    m.key("t", "Network of the guest")
    m.key("n", "network is: NAT")
    m.key("b", "Network          NAT")
    m.key("b", "Guest multi: shut off")
    m.key("l", "Name of the new guest", "multi-clone")
    m.key(ENTER, "Clone the guest multi as multi-clone", "multi-clone.qcow2")
    m.key("y", "The guest multi-clone was made")
    m.key("b", "Guest multi: shut off")
    assert content(f"{IMAGES}/multi.qcow2") == content(f"{IMAGES}/multi-clone.qcow2"), "the disks differ"
    first, second = (sh(f"virsh dumpxml {name}") for name in ("multi", "multi-clone"))
    for element in ("uuid", "mac address"):
        value = re.search(f"<{element}.*", first).group(0)
        assert f"<{element}" in second and value not in second, value
    m.key("b", "multi-clone")
    m.key("b", MAIN)
    m.choose_guest("multi-clone")
    m.key("h", "Settings of the guest")
    m.key("t", "Network of the guest")
    m.key("0", "network is: none")
    m.key("b", "Network          none")
    m.key("b", "Guest multi-clone: shut off")
    m.start_guest("multi-clone")
    m.key("c", "Console of guest multi-clone")
    m.key("z", "[z]")
    m.key(CTRL_RBRACKET, "running")
    m.force_off("multi-clone")
    m.delete_guest("multi-clone", "d", "Choose a guest")
    assert not os.path.exists(f"{IMAGES}/multi-clone.qcow2"), "its disk is still there"


@check("a clone that is cancelled leaves nothing behind")
def _():
    sh(f"mount -o remount,size=900M {IMAGES} && qemu-img create -q -f qcow2 {IMAGES}/big.qcow2 400M && "
       f"qemu-io -c 'write -q -P 7 0 350M' {IMAGES}/big.qcow2 && virsh -q pool-refresh default")
    m = menu()
    m.choose_off("multi")
    m.key("h", "Settings of the guest")
    m.key("k", "1  vda")
    m.key("a", "big.qcow2")
    m.settle()
    m.key(re.search(r"(\d)  big", m.text()).group(1), "big.qcow2 as vdb.")
    m.key("b", "2  vdb")
    m.key("b", "Settings of the guest")
    m.key("b", "Guest multi: shut off")
    m.key("l", "Name of the new guest")
    m.key("gone" + ENTER, "Clone the guest multi as gone", "big.qcow2 as gone-2.qcow2")
    m.key("y", "The disks are being copied", "%", "<Cancel>")
    m.key(CTRL_C, "It was cancelled")
    m.key("b", "Guest multi: shut off")
    assert "gone" not in sh(f"ls {IMAGES}; virsh list --all"), "something is left"
    m.key("l", "Name of the new guest")
    m.key("whole" + ENTER, "Clone the guest multi as whole")
    m.key("y", "The guest whole was made")
    m.key("b", "Guest multi: shut off")
    assert content(f"{IMAGES}/big.qcow2") == content(f"{IMAGES}/whole-2.qcow2"), "the disks differ"
    m.key("b", "Choose a guest")
    m.key("b", MAIN)
    for name in ("multi", "whole"):
        m.choose_guest(name)
        m.delete_guest(name, "d")
        m.gone(f"Delete the guest {name}?")
        m.key("b", MAIN)
    left = sh(f"ls {IMAGES}")
    assert not re.search(r"multi\.|whole|big", left), left


@check("a guest with UEFI: snapshots and clones hold its variables, deletion takes them")
def _():
    m = menu()
    sheet(m, "efi", size="20M")
    m.key("f", "What starts the guest")
    m.key("u", "Firmware         UEFI")
    m.set_memory(128)
    install(m, "efi")
    m.key("t", "Make a new snapshot")
    m.make_snapshot("warm")
    m.key("b", "Guest efi: running")
    m.force_off("efi")
    assert "warm" in sh(f"qemu-img snapshot -l {NVRAM}/efi_VARS.qcow2"), "the variables are not in it"
    m.key("t", "Make a new snapshot")
    m.make_snapshot("cold")
    assert "cold" in sh(f"qemu-img snapshot -l {NVRAM}/efi_VARS.qcow2"), "the variables are not in it"
    m.choose_snapshot("warm")
    m.key("r", "Take the guest efi back")
    m.key("y", "is as it was at the snapshot warm")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest efi: running")
    m.force_off("efi")
    m.key("l", "Name of the new guest")
    m.key("efi2" + ENTER, "efi_VARS.qcow2 as efi2_VARS.qcow2")
    m.key("y", "The guest efi2 was made")
    m.key("b", "Guest efi: shut off")
    sh(f"cmp {NVRAM}/efi_VARS.qcow2 {NVRAM}/efi2_VARS.qcow2")
    assert "kvm-menu" not in sh("virsh pool-list --all"), "a pool is left"
    m.key("d", "efi.qcow2", "efi_VARS.qcow2 (UEFI variables)", "2 snapshots")
    m.key("d", "Choose a guest")
    m.key("b", MAIN)
    m.choose_guest("efi2")
    m.start_guest("efi2")
    m.force_off("efi2")
    m.delete_guest("efi2", "d")
    m.gone("Delete the guest efi2?")
    assert not os.listdir(NVRAM), "variables are left"


def efi_iso():
    """A loader that nobody signed."""
    sh(f"cd {DIR} && mkdir -p efi/boot/grub && echo 'echo UNSIGNED RUNS' >efi/boot/grub/grub.cfg && "
       "grub-mkrescue -o /var/lib/kvm-live/iso/efi.iso efi 2>/dev/null")


TPM = "/var/lib/libvirt/swtpm"


def secure_boot(m):
    """From the main menu: it is installed, refuses its CD, and stays in the guest's menu."""
    efi_iso()
    sheet(m, "win")
    m.key("i", "Choose an ISO", "efi.iso")
    m.settle()
    m.key(re.search(r"(\d)  efi\.iso", m.text()).group(1), SUMMARY)
    m.new_disk("20M")
    m.key("p", "A TPM goes with UEFI")
    m.key("b", SUMMARY)
    m.key("f", "What starts the guest")
    m.key("s", "Firmware         UEFI with Secure Boot")
    m.key("p", "TPM              2.0, emulated")
    m.key("f", "What starts the guest")
    m.key("i", "Firmware         BIOS", "TPM              none")
    m.key("f", "What starts the guest")
    m.key("s", "Firmware         UEFI with Secure Boot")
    m.key("p", "TPM              2.0, emulated")
    m.set_memory(160)
    m.see("UEFI with Secure Boot", "2.0, emulated")
    m.key("s", "Console of guest win")
    m.see("Access Denied", timeout=180)
    assert "UNSIGNED RUNS" not in m.text(), m.text()
    m.key(CTRL_RBRACKET, MAIN)
    m.choose_guest("win")


def snapshots_with_tpm(m):
    m.key("t", "Make a new snapshot")
    m.make_snapshot("warm")
    m.see("with memory")
    m.choose_snapshot("warm")
    m.key("r", "Take the guest win back")
    m.key("y", "is as it was at the snapshot warm")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest win: running")
    m.force_off("win")
    m.key("t", "Make a new snapshot")
    m.key("n", "The TPM of this guest is saved only while it runs")
    m.key("n", "Make a new snapshot")
    m.key("n", "The TPM of this guest is saved only while it runs")
    m.key("y", "Name of the snapshot")
    m.key("cold" + ENTER, "The snapshot cold was made")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest win: shut off")


@check("Secure Boot refuses a loader that nobody signed; the TPM is in a snapshot with memory, "
       "goes with the name, not with a clone, and is deleted")
def _():
    if not shutil.which("swtpm"):
        print("# not tested: the package swtpm-tools is not here")
        return
    m = menu()
    secure_boot(m)
    state = f"{TPM}/" + sh("virsh domuuid win").strip()
    assert os.listdir(state + "/tpm2"), "no state of a TPM"
    snapshots_with_tpm(m)
    m.key("h", "Settings of the guest")
    m.key("n", "Name of the guest")
    m.key("won" + ENTER, "The guest is called won now")
    m.key("b", "Settings of the guest")
    m.key("b", "Guest won: shut off")
    m.key("t", "Make a new snapshot", "warm", "cold")
    m.choose_snapshot("warm")
    m.key("r", "Take the guest won back")
    m.key("y", "is as it was at the snapshot warm")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest won: running")
    m.force_off("won")
    assert os.listdir(state + "/tpm2"), "the state of the TPM has gone with the old name"
    m.key("l", "Name of the new guest")
    m.key("twin" + ENTER, "Clone the guest won as twin", "win_VARS.qcow2 as twin_VARS.qcow2",
          "a TPM of its own, which is empty")
    m.key("y", "The guest twin was made")
    m.key("b", "Guest won: shut off")
    m.delete_guest("won", "d", "Choose a guest", "twin")
    assert not os.path.exists(state), "the state of the TPM is still there"
    m.key("b", MAIN)
    m.choose_guest("twin")
    m.start_guest("twin")
    m.force_off("twin")
    m.key("d", "its TPM, with the keys in it", "twin_VARS.qcow2 (UEFI variables)")
    m.key("d")
    m.gone("Delete the guest twin?")
    assert not os.listdir(TPM) and not os.listdir(NVRAM), "something is left"
    os.unlink("/var/lib/kvm-live/iso/efi.iso")


@check("a guest with a raw disk is told about external snapshots, and gets them")
def _():
    m = menu()
    sheet(m, "plain")
    m.key("d", "New disk: size")
    m.key("f", "Disk format")
    m.key("r", "format     raw")
    m.field("n", "Size of the disk", "20M", "Go on with: new, 20M, raw")
    m.key("g", SUMMARY)
    install(m, "plain", "DISK-BOOT")
    m.key("t", "Make a new snapshot")
    m.key("n", "not in the format qcow2")
    m.key("y", "Name of the snapshot")
    m.key("warm" + ENTER, "The snapshot warm was made")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest plain: running")
    answers(m, "plain", "x")
    m.key("t", "Make a new snapshot")
    m.choose_snapshot("warm")
    m.key("r", "Take the guest plain back")
    m.key("y", "is as it was at the snapshot warm")
    m.key("b", "Make a new snapshot")
    m.key("b", "Guest plain: running")
    answers(m, "plain", "y")
    m.force_off("plain")
    m.key("l", "Name of the new guest")
    m.key(ENTER, "is a snapshot's", "snapshots first")
    m.key("b", "Guest plain: shut off")
    m.key("d", "plain.raw", "1 snapshot", "plain.warm.memory")
    m.key("d")
    m.gone("Delete the guest plain?")
    assert "plain" not in sh(f"ls {IMAGES}"), sh(f"ls {IMAGES}")


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
    m.new_disk("20M")
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
    m.field("n", "Name of the disk", "dead", "Name             dead")
    kill_libvirt()
    m.key("c", "libvirt ended in the meantime")
    m.key("b", "Name             dead")
    sh("rm -f /run/libvirtd.pid; libvirtd -d")
    m.key("b", "1  kept.qcow2")
    m.key("b", MAIN)
    m.choose_guest("kept")
    m.key("f", "Cut the power")
    m.key("y", "shut off")


menudriver.finish()
