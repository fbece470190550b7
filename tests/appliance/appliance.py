# SPDX-License-Identifier: GPL-2.0-or-later
"""The live ISO in an emulated machine, worked by keystrokes on its serial line: what
the tests of the appliance have in common."""

import functools
import hashlib
import http.server
import os
import re
import subprocess
import threading
import time

from vm import TOP, Failure, Vm

ISO = os.environ.get("ISO", os.path.join(TOP, "build/iso/kvm-live.iso"))
MAIN = "What do you want to do"
KEPT = r"on the data volume and survive a restart: [\d.]+ GiB free"
BOOT = 600		# seconds from the boot menu to ours at most, on a busy machine
SLOW = 600		# for whatever starts libvirt or QEMU
GUEST = 300		# for the guest's next words

CD = ["-drive", "if=ide,index=2,media=cdrom,format=raw,file=" + ISO]
STICK = ["-device", "qemu-xhci", "-device", "usb-storage,drive=stick",
         "-drive", "if=none,id=stick,format=raw,readonly=on,file=" + ISO]


def sh(command, directory):
    return subprocess.run(command, shell=True, check=True, text=True, stdout=subprocess.PIPE,
                          cwd=directory).stdout


class Host(Vm):
    """A machine with the live ISO in its CD drive, or on a stick."""

    def __init__(self, name, cpu, uefi=False, medium=None, smp=2):
        super().__init__(["-cpu", cpu, "-smp", str(smp), "-nic", "user,model=virtio-net-pci"] +
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

    def make_volume(self, encryption, fs="ext4"):
        self.main()
        self.key("t", "M  Make a data volume")
        row = self.key("m", r"(\d)  /dev/vda +\d+ GiB", SLOW)
        self.key(row.group(1), "E  ext4")
        self.key(fs[0], "Not encrypted")
        if encryption:
            self.key("e", "Passphrase of the data volume")
            self.key("secret\r", "once more")
            self.key("secret\r", "All that is on it will be lost")
        else:
            self.key("n", "All that is on it will be lost")
        self.key("y", "Guests and settings are kept on the data volume /dev/vda1", SLOW)
        self.key("\r", r"survive a restart\.")
        self.main()

    def power_off(self):
        self.main()
        self.key("p", "Restart this host")
        self.key("p", "Y  Power off", SLOW)     # it asks libvirt first which guests run
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


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def download_iso(host, path):
    """Into the library, from a server on this machine, with its checksum."""
    directory, name = os.path.split(path)
    with open(path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                          functools.partial(Files, directory=directory))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    host.main()
    host.key("l", "D  Download")
    host.key("d", "Address of the ISO")
    host.key("http://10.0.2.2:%d/%s\r" % (web.server_port, name), "SHA-256")
    host.key(checksum + "\r", "The image %s is in the library" % re.escape(name), SLOW)
    host.key("\r", r"\d  " + re.escape(name))
    host.main()
    web.shutdown()


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
    hear(host, "Token: ")
    host.send(token + "\r")
    hear(host, "Installing, token=" + token, "Installed")


def read_token(host, token):
    hear(host, "mini-guest: token=" + token, "login: ")


def hear(host, *texts):
    """On the guest's console. When nothing comes: what is known of the host's processors
    and of the guest's."""
    def note(command, answer):
        print("# %s\n# %s" % (command, answer.replace("\n", "\n# ")), flush=True)

    try:
        for text in texts:
            host.expect(text, GUEST)
    except Failure as failure:
        for command in ("info registers -a", "info lapic 0", "info lapic 1", "info pic"):
            note("the host: " + command, host.monitor(command))
        host.send("\x1d")
        host.shell()
        for command in ("info status", "info registers", "info lapic", "info pic"):
            note("the guest: " + command, host.run(
                "virsh -c qemu:///system qemu-monitor-command $(virsh -c qemu:///system list --name) "
                "--hmp '%s'" % command))
        count = "cat /sys/kernel/debug/kvm/exits"
        note("exits, a little later, log", host.run("%s; sleep 3; %s; dmesg | tail" % (count, count)))
        raise failure


def choose_guest(host, name, state):
    host.main()
    host.key("g", "Choose a guest", SLOW)
    row = host.see(r"(\d) +%s\b" % name)
    host.key(row.group(1), "Guest %s: %s" % (name, state))


def run_guest(host, name, token):
    """A guest that is off is started, its token read, and it is cut off."""
    choose_guest(host, name, "shut off")
    host.key("s", "was started", SLOW)
    host.key("\r", "Guest %s: running" % name)
    host.send("c")
    read_token(host, token)
    host.send("\x1d")
    host.see("Guest %s: running" % name, SLOW)
    host.key("f", "Cut the power")
    host.key("y", "Guest %s: shut off" % name, SLOW)
    host.main()
