#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-live-data on loop devices: a made-up system below a directory gets a data
volume, is "restarted" and finds it again; and everything that a volume can be that
is not usable. LUKS needs device mapper: tests/appliance/data-volume.t has it."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = TOP + "/live-config/image-config/usr/sbin/kvm-live-data"
LABEL = "T-DATA-%d" % (os.getpid() % 10000)
WORK = tempfile.mkdtemp(prefix="live-data-")
count = failed = 0
loops = []
IN_USE, ERROR, NONE, LOCKED, UNUSABLE, GONE, NOT_SURE = range(7)


def skip(reason):
    print("1..0 # SKIP " + reason)
    sys.exit(0)


def sh(command, check=True):
    p = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    assert not check or p.returncode == 0, f"{command}: status {p.returncode}\n{p.stdout}"
    return p.stdout.strip()


def check(what):
    def run(function):
        global count, failed
        count += 1
        before = list(loops)
        try:
            function()
            print(f"ok {count} - {what}", flush=True)
        except (AssertionError, OSError, ValueError) as e:
            failed += 1
            print(f"not ok {count} - {what}", flush=True)
            print("# " + str(e).replace("\n", "\n# "), flush=True)
        for system in list(System.all):
            system.at_end()
        for loop in [l for l in loops if l not in before]:
            detach(loop)
    return run


def disk(mib=320):
    """A disk of its own: a loop device on a sparse file."""
    path = tempfile.mktemp(dir=WORK)
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    loop = sh(f"losetup -f --show {path}")
    loops.append(loop)
    return loop


def detach(loop):
    sh(f"partx -d {loop}; losetup -d {loop}", check=False)
    loops.remove(loop)


def labels(device):
    return sh(f"blkid -p -s LABEL -o value {device}", check=False)


def volume(mib=320, label=LABEL):
    """A labelled file system, made by hand."""
    loop = disk(mib)
    sh(f"mkfs.ext4 -q -L {label} {loop}")
    return loop


class Mounted:
    def __init__(self, device):
        self.dir = tempfile.mkdtemp(dir=WORK)
        sh(f"mount {device} {self.dir}")

    def __enter__(self):
        return self.dir

    def __exit__(self, *_):
        sh(f"umount {self.dir}")


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


class System:
    """A system that was just started: an image's files, and a layer of changes. The
    kernel's root overlay is not there, so what is changed is written twice."""
    all = []

    def __init__(self, **files):
        self.root = tempfile.mkdtemp(dir=WORK)
        System.all.append(self)
        # as systemd has it: what is mounted here shows in every bind of it
        sh(f"mount --bind {self.root} {self.root} && mount --make-shared {self.root}")
        for path, text in {"etc/passwd": "root:x:0:0\nsync:x:4:4\n",
                           "etc/shadow": "root:*:1\nsync:*:1\n", "etc/hosts": "image\n",
                           "etc/machine-id": "0\n", "root/.profile": "image\n",
                           "var/lib/kvm-live/libvirt-is-set-up": ""}.items():
            self.image(path, files.get(path, text))
        for path in ("var/lib/libvirt/images", "home", "run/live"):
            os.makedirs(f"{self.root}/{path}")
        os.chmod(f"{self.root}/var/lib/libvirt/images", 0o711)

    def image(self, path, text):
        write(f"{self.root}/{path}", text)

    def change(self, path, text):
        self.image(path, text)
        write(f"{self.root}/run/live/overlay/rw/{path}", text)

    def run(self, *args, status=None, says=(), feed=None):
        env = dict(os.environ, KVM_LIVE_DATA_ROOT=self.root, KVM_LIVE_DATA_LABEL=LABEL,
                   KVM_LIVE_DATA_DISKS="loop", PATH=f"{WORK}/bin:{os.environ['PATH']}")
        p = subprocess.run([PROGRAM, *args], text=True, env=env, input=feed,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert status is None or p.returncode == status, \
            f"{args}: status {p.returncode}, not {status}\n{p.stdout}"
        for words in [says] if isinstance(says, str) else says:
            assert words in p.stdout, f"{args}: no {words!r} in\n{p.stdout}"
        return p.stdout

    def state(self, name, status=None, says=()):
        j = json.loads(self.run("status", "--json", status=status, says=says))
        assert j["state"] == name, j
        return j

    def boot(self, state, status=None, says=()):
        self.run("boot", status=0)
        return self.state(state, status, says)

    def read(self, path):
        return read(f"{self.root}/{path}")

    def mounts(self):
        return [l.split()[1] for l in read("/proc/mounts").splitlines()
                if l.split()[1].startswith(self.root + "/")]

    def off(self):
        for path in reversed(self.mounts()):
            sh(f"umount {path}", check=False)
        System.all.remove(self)

    def at_end(self):
        self.off()
        sh(f"umount -l {self.root}")

    def crash(self):
        """The mounts end with nothing said; what was written is on the volume."""
        for path in reversed(self.mounts()):
            sh(f"umount -l {path}")
        System.all.remove(self)


if os.geteuid():
    skip("needs root for loop devices and mounts")
if sh("losetup -f", check=False).startswith("losetup"):
    skip("no loop device can be had here")
if "overlay" not in read("/proc/filesystems"):
    skip("this kernel has no overlayfs")

XFS = "xfs" in read("/proc/filesystems") and shutil.which("mkfs.xfs")

# The kernel here may not read GPT by itself, and there is neither systemd nor udev.
for name, text in (("sfdisk", '#!/bin/sh\n/usr/sbin/sfdisk "$@"\nstatus=$?\nfor last; do :; done\n'
                    'case " $* " in *" --list-free "*) ;; *) partx -d "$last"; partx -a "$last" ;; esac '
                    '>/dev/null 2>&1\nexit $status\n'),
                   ("lsblk", '#!/bin/sh\nexec /usr/bin/lsblk --properties-by blkid "$@"\n'),
                   ("udevadm", "#!/bin/sh\n"), ("systemctl", "#!/bin/sh\nexit 1\n")):
    write(f"{WORK}/bin/{name}", text)
    os.chmod(f"{WORK}/bin/{name}", 0o755)


def guest(system, name="g1", size=100):
    system.change(f"etc/libvirt/qemu/{name}.xml", f"<name>{name}</name>\n")
    system.image(f"var/lib/libvirt/images/{name}.qcow2", name * (size << 9))


@check("without a volume the system comes up and says so")
def _():
    s = System()
    s.boot("none", NONE, "There is no data volume.")
    s.run("use", status=NONE)


@check("a volume is made on a whole disk, used at once, and found at the next start")
def _():
    loop = disk()
    s = System()
    s.boot("none")
    s.change("etc/shadow", "root:secret:1\nsync:*:1\n")
    s.change("root/.ssh/authorized_keys", "key\n")
    guest(s, size=4000)
    s.run("create", loop, "--yes", "--use", status=0, says=("was made", "are kept on"))
    j = s.state("in-use", IN_USE)
    assert j["device"] == loop + "p1" and j["free"] > 200 << 20, j
    for path in ("etc", "root", "var/lib/libvirt", "var/lib/kvm-live", "home"):
        assert f"{s.root}/{path}" in s.mounts(), (path, s.mounts())
    write(s.root + "/etc/hostname", "later\n")
    os.remove(s.root + "/etc/hosts")
    write(s.root + "/var/lib/kvm-live/iso/a.iso", "iso\n")
    s.off()
    t = System()
    t.boot("in-use", IN_USE)
    for path, text in (("etc/shadow", "root:secret:1\nsync:*:1\n"), ("etc/hostname", "later\n"),
                       ("root/.ssh/authorized_keys", "key\n"), ("root/.profile", "image\n"),
                       ("var/lib/kvm-live/iso/a.iso", "iso\n"), ("etc/machine-id", "0\n"),
                       ("etc/libvirt/qemu/g1.xml", "<name>g1</name>\n"),
                       ("var/lib/libvirt/images/g1.qcow2", "g1" * (4000 << 9))):
        assert t.read(path) == text, path
    assert not os.path.exists(t.root + "/etc/hosts"), "a deletion is forgotten"
    mode = os.stat(t.root + "/var/lib/libvirt/images").st_mode & 0o777
    assert mode == 0o711, oct(mode)


@check("the memory of the disks that moved is given back, and nothing else is lost there")
def _():
    s = System()
    s.boot("none")
    guest(s, size=4000)
    s.image("var/lib/libvirt/qemu/small", "x")
    s.run("create", disk(), "--yes", "--use", status=0)
    s.off()
    assert not os.path.exists(s.root + "/var/lib/libvirt/images/g1.qcow2")
    assert s.read("var/lib/libvirt/qemu/small") == "x"


@check("a newer image's files show, what was changed stays, its new accounts are known")
def _():
    loop = volume()
    s = System()
    s.boot("in-use")
    write(s.root + "/etc/passwd", s.read("etc/passwd") + "joe:x:1000:1000\n")
    write(s.root + "/root/.profile", "mine\n")
    s.off()
    t = System(**{"etc/passwd": "root:x:0:0\nsync:x:4:4\nnewd:x:101:101\n",
                  "etc/hosts": "newer image\n", "root/.profile": "newer\n"})
    os.makedirs(t.root + "/var/lib/libvirt/newdir")
    t.boot("in-use", IN_USE)
    assert t.read("etc/passwd") == "root:x:0:0\nsync:x:4:4\njoe:x:1000:1000\nnewd:x:101:101\n"
    assert t.read("etc/hosts") == "newer image\n" and t.read("root/.profile") == "mine\n"
    assert os.path.isdir(t.root + "/var/lib/libvirt/newdir"), loop


@check("nothing is made without --yes, and what would be lost is named")
def _():
    loop = disk()
    sh(f"mkfs.ext4 -q -L holidays {loop}")
    s = System()
    s.run("create", loop, status=NOT_SURE, says=("320MiB", 'ext4 "holidays"', "--yes"))
    assert labels(loop) == "holidays"


@check("list has disks, partitions and free space, with what is on them, and not what is used")
def _():
    free, used, empty = disk(800), disk(), disk()
    sh(f"printf 'size=300MiB\\n' | {WORK}/bin/sfdisk -q --label gpt {free}")
    sh(f"mkfs.ext4 -q -L one {free}p1; mkfs.ext4 -q {used}")
    s = System()
    with Mounted(used):
        rows = {r["target"]: r for r in json.loads(s.run("list", "--json"))["targets"]}
        s.run("create", used, "--yes", status=ERROR, says="mounted")
        text = s.run("list")
    assert used not in rows, rows
    assert rows[empty]["content"] == "nothing that is known", rows
    assert 'ext4 "one"' in rows[free + "p1"]["content"] and 'ext4 "one"' in rows[free]["content"]
    assert rows[free + "p1"]["kind"] == "part" and rows[empty]["size"] == 320 << 20
    assert 490 << 20 <= rows["free:" + free]["size"] <= 500 << 20, rows
    assert "free:" + free in text and all(len(l) < 100 for l in text.splitlines()), text
    small = disk(100)
    s.run("create", small, "--yes", status=ERROR, says="smaller than 256MiB")


@check("the medium that the system came from is never a target, all of it")
def _():
    loop = disk(800)
    sh(f"printf 'size=300MiB\\n,\\n' | {WORK}/bin/sfdisk -q --label gpt {loop}")
    sh(f"mkfs.ext4 -q {loop}p1")
    s = System()
    medium = s.root + "/run/live/medium"
    os.makedirs(medium)
    sh(f"mount {loop}p1 {medium}")
    text = s.run("list")
    assert loop not in text, text
    for target in (loop, loop + "p1", loop + "p2", "free:" + loop):
        s.run("create", target, "--yes", status=ERROR, says="cannot be used")


@check("a disk of a storage server is never a target")
def _():
    loop, own = disk(800), disk()
    sh(f"printf 'size=300MiB\\n' | {WORK}/bin/sfdisk -q --label gpt {loop}")
    before = read(f"{WORK}/bin/lsblk")
    write(f"{WORK}/bin/lsblk", before.replace("exec ", "").rstrip() +
          f""" | case " $* " in *,TRAN" ") sed 's|^{loop} .*|&iscsi|' ;; *) cat ;; esac\n""")
    s = System()
    try:
        text = s.run("list")
        for target in (loop, loop + "p1", "free:" + loop):
            s.run("create", target, "--yes", status=ERROR, says="storage server")
    finally:
        write(f"{WORK}/bin/lsblk", before)
    assert loop not in text and own in text, text
    assert loop in s.run("list")


@check("a volume in the free space of a GPT disk leaves its partitions alone")
def _():
    loop = disk(800)
    sh(f"printf 'size=300MiB\\n' | {WORK}/bin/sfdisk -q --label gpt {loop}")
    sh(f"mkfs.ext4 -q -L one {loop}p1")
    s = System()
    s.run("create", "free:" + loop, "--yes", "--use", status=0)
    assert s.state("in-use")["device"] == loop + "p2"
    assert labels(loop + "p1") == "one"
    sh(f"e2fsck -fn {loop}p1")


@check("a volume on a partition")
def _():
    loop = disk(800)
    sh(f"printf 'size=300MiB\\n,\\n' | {WORK}/bin/sfdisk -q --label gpt {loop}")
    sh(f"mkfs.ext4 -q -L one {loop}p1")
    s = System()
    s.run("create", loop + "p2", "--yes", status=0)
    s.state("found", UNUSABLE)
    assert labels(loop + "p1") == "one" and labels(loop + "p2") == LABEL
    s.run("use", status=0)
    s.state("in-use", IN_USE)


@check("a making that is cut short leaves nothing that is taken for a volume")
def _():
    loop = disk()
    s = System()
    write(f"{WORK}/bin/e2label", "#!/bin/sh\nexit 1\n")
    os.chmod(f"{WORK}/bin/e2label", 0o755)
    try:
        s.run("create", loop, "--yes", status=ERROR, says="no data volume")
    finally:
        os.remove(f"{WORK}/bin/e2label")
    s.off()
    System().boot("none", NONE)


@check("a second volume is not made, and of two none is used, but one can be chosen")
def _():
    one, other = volume(), disk()
    s = System()
    s.run("create", other, "--yes", status=ERROR, says=one + " is a data volume already")
    s.run("create", one, status=NOT_SURE)
    sh(f"mkfs.ext4 -q -L {LABEL} {other}")
    s.boot("several", UNUSABLE, (one, other, "detach all but one"))
    assert len(s.mounts()) == 0
    s.run("use", status=ERROR, says="say which")
    s.run("use", other, status=0)
    assert s.state("in-use")["device"] == other


@check("a broken volume is named, with the way to repair it, and left alone")
def _():
    loop = volume()
    sh(f"debugfs -w -R 'clri <2>' {loop}")
    s = System()
    s.boot("broken", UNUSABLE, (loop, "cannot be mounted", "was not used", "e2fsck -f"))
    sh(f"debugfs -w -R 'set_super_value state 2' {loop}")
    s.boot("broken", UNUSABLE, (loop, "was not used", "e2fsck -f"))
    assert not s.mounts(), s.mounts()


@check("a volume that lost power is checked, which is told, and used")
def _():
    loop = volume()
    sh(f"debugfs -w -R 'feature needs_recovery' {loop}")
    s = System()
    s.boot("in-use", IN_USE, "checked after a power cut")


@check("errors that can be repaired are, which is told")
def _():
    loop = volume()
    sh(f"debugfs -w -R 'set_super_value state 2' {loop}; "
       f"debugfs -w -R 'set_super_value free_blocks_count 5' {loop}")
    System().boot("in-use", IN_USE, "checked and repaired")


@check("a full volume is not used, with the way out")
def _():
    loop = volume()
    with Mounted(loop) as at:
        os.mkdir(at + "/kvm-live")
        sh(f"dd if=/dev/zero of={at}/fill bs=1M status=none", check=False)
    s = System()
    s.boot("full", UNUSABLE, ("is full", "delete something"))
    assert not s.mounts()
    with Mounted(loop) as at:
        os.remove(at + "/fill")
    s.run("use", status=0)


@check("guests cannot fill the room that settings need")
def _():
    loop = disk()
    s = System()
    s.run("create", loop, "--yes", "--use", status=0)
    sh(f"chmod 777 {WORK} {s.root} {s.root}/var/lib/libvirt/images; setpriv --reuid 65534 --clear-groups "
       f"dd if=/dev/zero of={s.root}/var/lib/libvirt/images/big bs=1M status=none", check=False)
    assert os.path.getsize(s.root + "/var/lib/libvirt/images/big") > 200 << 20
    write(s.root + "/etc/shadow", "x" * (1 << 20))
    s.off()
    System().boot("in-use", IN_USE)


@check("a volume of a newer format is left alone")
def _():
    loop = volume()
    with Mounted(loop) as at:
        write(at + "/kvm-live/format", "2\n")
    s = System()
    s.boot("newer", UNUSABLE, "from a newer kvm-live (format 2")
    assert not s.mounts()
    with Mounted(loop) as at:
        assert os.listdir(at + "/kvm-live") == ["format"]
        write(at + "/kvm-live/format", "one\n")
    System().boot("broken", UNUSABLE, "damaged")


@check("a file system of another kind with the label is told")
def _():
    loop = disk()
    sh(f"mkfs.fat -F 32 -n {LABEL[:11]} {loop}")
    if labels(loop) != LABEL:
        return      # FAT's labels are shorter than this process's
    System().boot("broken", UNUSABLE, "holds vfat")


@check("a volume that vanishes is told, the system has its own files again")
def _():
    loop = disk()
    s = System()
    s.run("create", loop, "--yes", "--use", status=0)
    write(s.root + "/etc/hosts", "changed\n")
    os.rename(loop + "p1", loop + "-gone")
    try:
        s.state("gone", GONE, "attach it again")
        s.run("gone")
        s.state("gone", GONE)
        assert not s.mounts(), s.mounts()
        assert s.read("etc/hosts") == "image\n"
    finally:
        os.rename(loop + "-gone", loop + "p1")


@check("a volume that takes no more changes is told and left to the next start")
def _():
    volume()
    s = System()
    s.boot("in-use")
    # by the old system call: libmount 2.41 does not remount what has dirsync by the new ones
    sh(f"LIBMOUNT_FORCE_MOUNT2=always mount -o remount,ro {s.root}/run/kvm-live/data")
    s.state("broken", UNUSABLE, "takes no more changes")
    s.run("use", status=ERROR, says="in use already")
    assert s.root + "/etc" in s.mounts()


@check("guests that run keep a volume from being used; guests that do not fit stay")
def _():
    loop = volume()
    s = System()
    s.boot("in-use")
    s.off()
    s = System()
    write(s.root + "/run/libvirt/qemu/g1.xml", "")
    s.run("use", status=ERROR, says=("g1", "Shut them down"))
    os.rename(s.root + "/run/libvirt/qemu/g1.xml", s.root + "/run/libvirt/qemu/Joe's.xml")
    s.run("use", status=ERROR, says="these guests run: Joe's. Shut them down")
    os.remove(s.root + "/run/libvirt/qemu/Joe's.xml")
    os.mkdir(s.root + "/var/lib/kvm-live/iso")
    with subprocess.Popen(["flock", s.root + "/var/lib/kvm-live/iso", "cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as transfer:
        transfer.stdin.write(b"x")
        transfer.stdin.flush()
        transfer.stdout.read(1)
        s.run("use", status=ERROR, says="being brought into the ISO library")
        transfer.stdin.close()
    guest(s, "big", 400 << 10)
    s.run("use", status=UNUSABLE, says="more than it has room for")
    assert not s.mounts() and os.path.getsize(s.root + "/var/lib/libvirt/images/big.qcow2")
    s.state("found", UNUSABLE, loop)


@check("what a pool has mounted below the guests is unmounted and not copied; if it is in use, nothing moves")
def _():
    volume()
    s = System()
    guest(s)
    at = s.root + "/var/lib/libvirt/nfs one"
    os.mkdir(at)
    sh(f"mount -t tmpfs tmpfs '{at}'")
    write(at + "/disk", "the server's\n")
    with open(at + "/disk"):
        s.run("use", status=UNUSABLE, says=("nfs one", "busy", "close the pool"))
    assert os.path.exists(at + "/disk") and s.state("found", UNUSABLE)
    s.run("use", status=0)
    assert s.read("var/lib/libvirt/images/g1.qcow2").startswith("g1g1")
    assert os.listdir(at) == [] and at.replace(" ", "\\040") not in s.mounts()


@check("guests of the same name here and there: neither is touched")
def _():
    volume()
    s = System()
    s.boot("in-use")
    write(s.root + "/var/lib/libvirt/images/g1.qcow2", "there\n")
    write(s.root + "/var/lib/libvirt/images/Joe's.raw", "there\n")
    s.off()
    t = System()
    guest(t)
    t.image("var/lib/libvirt/images/Joe's.raw", "here\n")
    t.run("use", status=UNUSABLE, says=("system: Joe's.raw g1.qcow2.", "Delete or rename"))
    assert t.read("var/lib/libvirt/images/g1.qcow2").startswith("g1g1") and not t.mounts()


@check("what is copied when the power goes is not taken for a guest's disk")
def _():
    loop = volume()
    with Mounted(loop) as at:
        write(at + "/kvm-live/new/images/g1.qcow2", "half")
    s = System()
    s.boot("in-use")
    assert not os.path.exists(s.root + "/run/kvm-live/data/kvm-live/new")
    assert not os.path.exists(s.root + "/var/lib/libvirt/images/g1.qcow2")


@check("after a crash every setting that was synced is there")
def _():
    volume()
    s = System()
    s.boot("in-use")
    write(s.root + "/etc/shadow.new", "new\n")
    sh(f"sync {s.root}/etc/shadow.new")
    os.rename(s.root + "/etc/shadow.new", s.root + "/etc/shadow")
    s.crash()
    t = System()
    t.boot("in-use")
    assert t.read("etc/shadow") == "new\nroot:*:1\nsync:*:1\n"


@check("a machine-id that systemd mounted over the image's stays the one that is seen")
def _():
    volume()
    s = System(**{"etc/machine-id": "uninitialized\n"})
    write(s.root + "/run/machine-id", "12ab\n")
    sh(f"mount --bind {s.root}/run/machine-id {s.root}/etc/machine-id")
    s.boot("in-use")
    assert s.read("etc/machine-id") == "12ab\n"


def xfs_volume():
    """Made by the program and in use: the device, and the system that uses it."""
    loop = disk(600)
    s = System()
    s.run("create", loop, "--fs", "xfs", "--yes", "--use", status=0, says="(xfs)")
    assert s.state("in-use", IN_USE)["fs"] == "xfs"
    return loop + "p1", s


def xfs_check(what):
    if XFS:
        return check(what)
    print(f"# not tested, because there is no XFS or no xfsprogs here: {what}")
    return lambda function: None


@xfs_check("an XFS volume is made, and found by its label, which XFS cuts")
def _():
    global LABEL
    before, LABEL = LABEL, LABEL + "-LONG"
    try:
        part, s = xfs_volume()
        assert labels(part) == LABEL[:12] != LABEL
        s.change("etc/hostname", "later\n")
        guest(s, size=4000)
        s.off()
        t = System()
        t.boot("in-use", IN_USE, (part, "(xfs)"))
        assert t.read("etc/hostname") == "later\n"
        assert t.read("var/lib/libvirt/images/g1.qcow2") == "g1" * (4000 << 9)
        s = System()
        s.run("create", disk(), "--yes", status=ERROR, says=part + " is a data volume already")
    finally:
        LABEL = before


@xfs_check("an XFS volume that lost power is checked, which is told, and used")
def _():
    _, s = xfs_volume()
    write(s.root + "/etc/hosts", "synced\n")
    sh(f"sync {s.root}/etc/hosts && xfs_io -x -c 'shutdown -f' {s.root}/run/kvm-live/data")
    s.state("broken", UNUSABLE, "takes no more changes")
    s.crash()
    t = System()
    t.boot("in-use", IN_USE, "checked after a power cut")
    assert t.read("etc/hosts") == "synced\n"


@xfs_check("a broken XFS volume is named, with the way to repair it, and left alone")
def _():
    part, s = xfs_volume()
    s.off()
    sh(f"xfs_db -x -c 'sb 0' -c 'addr rootino' -c 'write -c core.mode 0' {part}")
    s = System()
    s.boot("broken", UNUSABLE, (part, "cannot be mounted", "was not used", "xfs_repair " + part))
    assert not s.mounts(), s.mounts()
    s.off()
    sh(f"xfs_repair {part}")
    System().boot("in-use", IN_USE)


@xfs_check("guests cannot fill the room that settings need on XFS after the next start")
def _():
    _, s = xfs_volume()
    sh(f"dd if=/dev/zero of={s.root}/var/lib/libvirt/images/big bs=1M status=none", check=False)
    s.off()
    t = System()
    t.boot("in-use", IN_USE, "It is full: delete something")
    write(t.root + "/etc/shadow", "x" * (1 << 20))
    t.off()
    u = System()
    u.boot("in-use", IN_USE)
    assert u.read("etc/shadow").startswith("x" * (1 << 20))


@xfs_check("a place that is too small for XFS is refused before anything is lost")
def _():
    loop = disk()
    System().run("create", loop, "--fs", "xfs", "--yes", status=ERROR, says=("320MiB", "needs 512MiB"))
    assert not labels(loop) and "p1" not in sh(f"lsblk -rno NAME {loop}")


@check("a volume that appears after the start")
def _():
    s = System()
    s.boot("none")
    volume()
    s.run("late", status=0)
    s.state("in-use", IN_USE)
    s.off()
    t = System()
    write(t.root + "/run/kvm-live/data.json", '{"state": "none"}')
    t.image("var/lib/kvm-live/iso/a.iso", "mine\n")
    t.run("late", status=0)
    t.state("found", UNUSABLE, "Choose Storage to use it")
    assert not t.mounts()
    t.run("use", status=0)
    assert t.read("var/lib/kvm-live/iso/a.iso") == "mine\n"


@check("wrong words are answered with a sentence")
def _():
    s = System()
    s.run("--help", status=0, says="Exit status")
    s.run("nonsense", status=ERROR, says="Usage")
    s.run("create", status=ERROR, says="say where")
    s.run("create", disk(), "--fs", "ntfs", status=ERROR, says="is ext4 or xfs, not ntfs")
    s.run("create", disk(), "--fs", status=ERROR, says="is ext4 or xfs, not nothing")
    s.run("create", "/dev/none", "--yes", status=ERROR, says="does not exist")
    s.run("create", "--oops", status=ERROR, says="--help")
    s.run("open", "/dev/none", status=ERROR, says="not a disk")
    s.run("open", volume(), status=ERROR, says="not a LUKS container")


for loop in list(loops):
    detach(loop)
shutil.rmtree(WORK, ignore_errors=True)
print(f"1..{count}")
sys.exit(failed != 0)
