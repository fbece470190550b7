#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's way, with Debian's own installer: the live ISO, a data volume, Debian
13's ISO downloaded into the library, recognised, and installed unattended as the menu
offers it; the guest then starts from its disk, and root logs in on its console with the
password that was typed in the menu.

The ISO is made here, as Debian's netinst is laid out, of the installer that the package
debian-installer-13-netboot-amd64 has. What it installs comes from the mirror that APT
is set up with here, through the networks of both emulators. All of it runs on an
emulated processor: hours are nothing unusual. Where the mirror lacks what the installer
needs, the test ends where the installer does: when it has reached the mirror.
"""

import hashlib
import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import CD, ISO, KEPT, MAIN, SLOW, Host
from vm import TOP, Failure, Tap

PACKAGE = "debian-installer-13-netboot-amd64"
PASSWORD = "Forty-two.1"
INSTALLING = 4 * 3600
tap = Tap()
work = tempfile.TemporaryDirectory(prefix="debian-installer-", dir=os.path.join(TOP, "build/tests"))


def sh(command):
    return subprocess.run(command, shell=True, check=True, text=True, stdout=subprocess.PIPE,
                          cwd=work.name).stdout


def mirror():
    """Of Debian 13, as APT has it."""
    for line in sh("apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)'").splitlines():
        site, release, component = line.split()
        if (release, component) == ("trixie", "main"):
            return urllib.parse.urlsplit(site)
    return None


def fetch(site, name):
    at = f"{site.scheme}://{site.netloc}{site.path.rstrip('/')}/dists/trixie/" + name
    with urllib.request.urlopen(at) as answer:
        data = answer.read()
    with open(os.path.join(work.name, os.path.basename(name)), "wb") as file:
        file.write(data)
    return data


def mirror_problem(site):
    """Some mirrors have all that APT wants, and an old state of what only the installer
    looks at, which it then rightly refuses. None: all of it is there."""
    packages = "main/debian-installer/binary-amd64/Packages.xz"
    for name in ("Release", "Release.gpg"):
        fetch(site, name)
    if subprocess.run(["gpgv", "--keyring", "/usr/share/keyrings/debian-archive-keyring.gpg",
                       "Release.gpg", "Release"], check=False, cwd=work.name,
                      stderr=subprocess.DEVNULL).returncode:
        return "the mirror's Release.gpg is not that of its Release"
    if hashlib.sha256(fetch(site, packages)).hexdigest() not in sh("cat Release"):
        return "the mirror's list of the installer's packages is not that of its Release"
    return None


def make_iso(site):
    """Debian's kernel and initrd, where its CDs have them. Who owns a mirror can tell the
    installer by DHCP or DNS; here a file in the initrd does. A mirror has the installer's
    kernel modules for one kernel only, which need not be that of the package, so the few
    that are needed are in the initrd as well, from the kernel's own package."""
    sh(f"apt-get -q -o APT::Sandbox::User=root download {PACKAGE} && dpkg-deb -x {PACKAGE}_*.deb deb")
    os.makedirs(os.path.join(work.name, "own/usr/lib/debian-installer-startup.d"))
    with open(os.path.join(work.name, "own/mirror.cfg"), "w") as answers:
        answers.write("d-i mirror/country string manual\n"
                      f"d-i mirror/protocol string {site.scheme}\n"
                      f"d-i mirror/{site.scheme}/hostname string {site.netloc}\n"
                      f"d-i mirror/{site.scheme}/directory string {site.path.rstrip('/')}\n"
                      "d-i anna/no_kernel_modules boolean true\n")
    script = os.path.join(work.name, "own/usr/lib/debian-installer-startup.d/S31mirror")
    with open(script, "w") as file:
        file.write("#!/bin/sh\n. /usr/share/debconf/confmodule\n. /lib/preseed/preseed.sh\n"
                   "preseed_location file:///mirror.cfg\n")
    os.chmod(script, 0o755)
    sh("""d=deb/usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64
        mkdir -p iso/install.amd iso/boot/grub
        cp $d/linux iso/install.amd/vmlinuz
        (cd own && zcat ../$d/initrd.gz | cpio -id --quiet 'usr/lib/modules/*')
        v=$(ls own/usr/lib/modules)
        apt-get -q -o APT::Sandbox::User=root download linux-image-$v
        dpkg-deb -x linux-image-*.deb kernel
        depmod -b kernel/usr $v
        (cd kernel && modprobe -d usr -S $v -a --show-depends virtio_blk ext4 vfat nls_cp437 nls_ascii dm_mod |
            sed -n "s|^insmod $PWD/||p" |
            xargs cp --parents -t ../own)
        depmod -b own/usr $v
        (cat $d/initrd.gz; cd own && find . | cpio -o -H newc --quiet | gzip) >iso/install.amd/initrd.gz
        printf 'linux /install.amd/vmlinuz\\ninitrd /install.amd/initrd.gz\\nboot\\n' >iso/boot/grub/grub.cfg
        grub-mkrescue -o debian-13.iso iso -- -volid 'Debian 13.2.0 amd64 n' 2>/dev/null""")


class Files(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory=work.name)

    def log_message(self, *_):
        pass


class Machine(Host):
    def __init__(self):
        disk = os.path.join(work.name, "disk")
        with open(disk, "wb") as file:
            file.truncate(12 << 30)
        super().__init__("debian-installer", "EPYC,+svm,+npt", medium=CD + [
            "-drive", "if=virtio,format=raw,cache=unsafe,file=" + disk])


def boot(host):
    tap.note("menu after %.1f s" % host.boot())
    host.see("There is no data volume|No data volume", SLOW)
    host.make_volume(False)
    host.see(KEPT)


def download(host):
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    checksum = sh("sha256sum debian-13.iso").split()[0]
    host.key("l", "D  Download")
    host.key("d", "Address of the ISO")
    host.key("http://10.0.2.2:%d/debian-13.iso\r" % web.server_port, "SHA-256")
    host.key(checksum + "\r", "The image debian-13.iso is in the library", SLOW)
    host.key("\r", r"\d  debian-13\.iso")
    host.main()
    web.shutdown()


def install(host):
    host.key("i", "Choose an ISO", SLOW)
    row = host.see(r"(\d) +(?:\S*/)?debian-13\.iso")
    host.key(row.group(1), r"Name of the guest[\s\S]*debian13", SLOW)
    host.key("\r", "Who answers the installer")
    host.key("u", "The installer of Debian 13")
    host.key("p", "Password for the new system")
    host.key(PASSWORD + "\r", "once more")
    host.key(PASSWORD + "\r", "Password +set")
    host.key("g", "Disk of the guest")
    host.field("n", "Size of the disk", "6G", "Go on with: new, 6G")
    host.key("g", "Machine of the guest")
    host.see(r"This is what Debian 13 needs|Debian 13 also wants")
    host.key("g", "Network of the guest")
    host.key("n", r"Start the installation[\s\S]*Installer +unattended")
    host.send("s")
    host.expect("Console of guest debian13", SLOW)
    host.expect(["Linux version", "Starting system log daemon", "Loading additional components"], SLOW)


def asked(host):
    """It should ask nothing: what it asks, and the end of its log."""
    question = host.text()
    host.send("\x01" + "4")        # a window of screen(1), in which it runs
    raise Failure("the installer asks:\n%s\n%s" % tuple(
        re.sub(r"\n\s*(?=\n)", "", text) for text in (question, host.refresh(20))))


def wait_for_end(host):
    """The installer's screens go by; each title is noted with its time."""
    start, seen = time.time(), set()
    while True:
        text = host.refresh(2)
        if "has closed" in text:
            return
        if re.search(r"\[!!?\]", text):
            asked(host)
        if time.time() > start + INSTALLING:
            raise Failure("no end after %d s:\n%s" % (INSTALLING, text))
        for title in re.findall(r"q[u ]+ ([A-Z][\w ,.'()-]+?) [t ]+q|^ *x +(\w[\w .'()-]+\.\.\.)", text, re.M):
            title = title[0] or title[1]
            if title not in seen:
                seen.add(title)
                tap.note("%5.0f s  %s" % (time.time() - start, title))


def first_start(host):
    host.send("\r")
    host.see("The guest debian13 has stopped", SLOW)
    host.send("y")
    host.expect("Console of guest debian13", SLOW)
    host.expect("debian13 login: ", 3 * SLOW)
    host.send("root\r")
    host.expect("Password: ", SLOW)
    host.send(PASSWORD + "\r")
    host.expect("root@debian13:.*# ", SLOW)
    host.send("echo VER''SION $(cat /etc/debian_version); systemctl is-active ssh; "
              "ls /root/osinfo-install-successful\r")
    host.expect(r"VERSION 13\.\d+", SLOW)
    host.expect("active", SLOW)
    host.expect("osinfo-install-successful\r", SLOW)
    host.send("poweroff\r")
    host.expect("has closed", SLOW)
    host.send("\r")
    host.see(MAIN, SLOW)


if not os.path.exists(ISO):
    print("1..0 # SKIP %s is missing: make iso" % ISO)
    sys.exit(0)
site = mirror()
if not site:
    print("1..0 # SKIP APT has no mirror of Debian 13 here, from which the guest could be installed")
    sys.exit(0)
problem = mirror_problem(site)
make_iso(site)
with Machine() as host:
    ok = tap.step("it boots, and a data volume is made", lambda: boot(host))
    ok = ok and tap.step("Debian's ISO is downloaded into the library", lambda: download(host))
    ok = ok and tap.step("it is recognised, and installed unattended", lambda: install(host))
    if ok and problem:
        tap.step("it runs without a question until it has found its mirror", lambda: host.see(
            r"\[!!\] Download installer components", INSTALLING))
        tap.ok(True, "the installer ends, Debian starts from its disk # SKIP " + problem)
        tap.finish()
    ok = ok and tap.step("the installer ends, and the guest with it", lambda: wait_for_end(host))
    ok = ok and tap.step("Debian starts from its disk, root logs in, SSH runs", lambda: first_start(host))
    if ok:
        tap.step("the menu powers the machine off", host.power_off)
tap.finish()
