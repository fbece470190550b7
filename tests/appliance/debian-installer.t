#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's way, with Debian's own installer: the live ISO, a data volume, Debian
13's ISO downloaded into the library, recognised, and installed unattended as the menu
offers it; the guest then starts from its disk, and root logs in on its console with the
password that was typed in the menu.

The ISO is made here, as Debian's netinst is laid out, of the installer that the package
debian-installer-13-netboot-amd64 has. What it installs comes from the mirror that APT
is set up with here, through the networks of both emulators. All of it runs on an
emulated processor, one: an hour is nothing unusual.

Some mirrors have all that APT wants, and of what only the installer looks at an old list,
which it then rightly refuses, and not every file. In front of such a mirror the test
serves that list, with older versions where the mirror lacks the listed ones, and a
Release that differs in its checksum, signed by a key of the test's that is put beside
Debian's. All else, for debootstrap and APT too, comes from the mirror and is signed by
Debian.
"""

import concurrent.futures
import hashlib
import http.server
import lzma
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import CD, ISO, KEPT, MAIN, SLOW, Host, download_iso
from appliance import sh as sh_in
from vm import TOP, Failure, Tap

PACKAGE = "debian-installer-13-netboot-amd64"
PASSWORD = "Forty-two.1"
INSTALLING = 4 * 3600
tap = Tap()
work = tempfile.TemporaryDirectory(prefix="debian-installer-", dir=os.path.join(TOP, "build/tests"))


def sh(command):
    return sh_in(command, work.name)


def mirror():
    """Of Debian 13, as APT has it."""
    for line in sh("apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)'").splitlines():
        site, release, component = line.split()
        if (release, component) == ("trixie", "main"):
            return urllib.parse.urlsplit(site)
    return None


def get(name):
    """A file of the mirror's; a busy network has its moments."""
    for _ in range(10):
        try:
            with urllib.request.urlopen(site.geturl().rstrip("/") + "/" + name) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            problem = error
            time.sleep(3)
    raise problem


def fetch(name):
    data = get("dists/trixie/" + name)
    with open(os.path.join(work.name, os.path.basename(name)), "wb") as file:
        file.write(data)


KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIST = "main/debian-installer/binary-amd64/Packages.xz"


def mirror_is_old():
    for name in ("Release", "Release.gpg", LIST):
        fetch(name)
    signed = subprocess.run(["gpgv", "--keyring", KEYRING, "Release.gpg", "Release"],
                            check=False, cwd=work.name, stderr=subprocess.DEVNULL)
    with open(os.path.join(work.name, "Packages.xz"), "rb") as file:
        checksum = hashlib.sha256(file.read()).hexdigest()
    return signed.returncode != 0 or checksum not in sh("cat Release")


def older(version):
    """Versions that a mirror may have instead: rebuilds and updates taken back."""
    rebuilt = re.fullmatch(r"(.*)\+b(\d+)", version)
    if rebuilt:
        return [f"{rebuilt[1]}+b{n}" for n in range(int(rebuilt[2]) - 1, 0, -1)] + [rebuilt[1]]
    update = re.fullmatch(r"(.*)\+deb13u(\d+)", version)
    if not update:
        return []
    # A new upstream version has revision 0; 13.0 had 2.41-5 of util-linux.
    first = re.sub(r"\.\d+-0$", "-5", update[1])
    return [f"{update[1]}+deb13u{n}" for n in range(int(update[2]) - 1, 0, -1)] + \
        [first] + [f"{first}+b{n}" for n in range(3, 0, -1)]


def mend_entry(entry):
    """An entry of the list, of a file that is there, if one is found."""
    found = re.search(r"(?m)^Filename: (\S+)_([^_]+)_(\w+\.udeb)$", entry)
    if not found or "Kernel-Version:" in entry:
        return entry
    for version in [found[2]] + older(found[2]):
        name = f"{found[1]}_{version}_{found[3]}"
        try:
            data = get(name)
        except urllib.error.HTTPError:
            continue
        if version == found[2]:
            return entry
        tap.note(f"{os.path.basename(name)} instead of {found[2]}")
        for field, value in (("Version", version), ("Filename", name), ("Size", len(data)),
                             ("MD5sum", hashlib.md5(data).hexdigest()),
                             ("SHA256", hashlib.sha256(data).hexdigest())):
            entry = re.sub(f"(?m)^{field}: .*$", f"{field}: {value}", entry)
        return entry
    return entry


def sign_release():
    """The list; Release with its checksum, and its signature; both keyrings."""
    path = os.path.join(work.name, "Packages.xz")
    with lzma.open(path, "rt") as file:
        entries = file.read().split("\n\n")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        data = lzma.compress("\n\n".join(threads.map(mend_entry, entries)).encode())
    with open(path, "wb") as file:
        file.write(data)
    release = re.sub(r"(?m)^ [0-9a-f]{64} +\d+ " + re.escape(LIST) + "$",
                     f" {hashlib.sha256(data).hexdigest()} {len(data)} {LIST}", sh("cat Release"))
    with open(os.path.join(work.name, "Release"), "w") as file:
        file.write(release)
    sh(f"""export GNUPGHOME=$PWD/gnupg; mkdir -m 700 gnupg; rm Release.gpg
        gpg -q --batch --passphrase '' --quick-gen-key test-of-kvm-live
        gpg -q --batch --armor --detach-sign -o Release.gpg Release
        mkdir -p own/usr/share/keyrings
        (cat {KEYRING}; gpg -q --export) >own/usr/share/keyrings/archive.gpg
        gpgconf --kill all""")


class Front(http.server.BaseHTTPRequestHandler):
    """The mirror, but for what sign_release() has made."""
    def do_GET(self):
        name = self.path.removeprefix("/debian/")
        try:
            if name in ("dists/trixie/Release", "dists/trixie/Release.gpg", "dists/trixie/" + LIST):
                with open(os.path.join(work.name, os.path.basename(name)), "rb") as file:
                    status, data = 200, file.read()
            else:
                status, data = 200, get(name)
        except urllib.error.HTTPError as error:
            status, data = error.code, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


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
                      # Only Debian's own server has the updates for security.
                      "d-i apt-setup/services-select multiselect\n"
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
        (cd kernel && modprobe -d usr -S $v -a --show-depends virtio_blk ext4 xfs btrfs vfat nls_cp437 nls_ascii \\
                dm_mod dm_crypt md_mod raid1 |
            sed -n "s|^insmod $PWD/||p" |
            xargs cp --parents -t ../own)
        depmod -b own/usr $v
        (cat $d/initrd.gz; cd own && find . | cpio -o -H newc --quiet | gzip) >iso/install.amd/initrd.gz
        printf 'linux /install.amd/vmlinuz\\ninitrd /install.amd/initrd.gz\\nboot\\n' >iso/boot/grub/grub.cfg
        grub-mkrescue -o debian-13.iso iso -- -volid 'Debian 13.2.0 amd64 n' 2>/dev/null""")


class Machine(Host):
    def __init__(self):
        disk = os.path.join(work.name, "disk")
        with open(disk, "wb") as file:
            file.truncate(12 << 30)
        super().__init__("debian-installer", "EPYC,+svm,+npt", smp=1, medium=CD + [
            "-drive", "if=virtio,format=raw,cache=unsafe,file=" + disk])


def boot(host):
    tap.note("menu after %.1f s" % host.boot())
    host.see("There is no data volume|No data volume", SLOW)
    host.make_volume(False)
    host.see(KEPT)


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
seen_from_guest = site
if mirror_is_old():
    tap.note("the mirror's list of the installer's packages is not that of its Release")
    sign_release()
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    seen_from_guest = urllib.parse.urlsplit("http://10.0.2.2:%d/debian" % front.server_port)
make_iso(seen_from_guest)
with Machine() as host:
    ok = tap.step("it boots, and a data volume is made", lambda: boot(host))
    ok = ok and tap.step("Debian's ISO is downloaded into the library", lambda: download_iso(
        host, os.path.join(work.name, "debian-13.iso")))
    ok = ok and tap.step("it is recognised, and installed unattended", lambda: install(host))
    ok = ok and tap.step("the installer ends, and the guest with it", lambda: wait_for_end(host))
    ok = ok and tap.step("Debian starts from its disk, root logs in, SSH runs", lambda: first_start(host))
    if ok:
        tap.step("the menu powers the machine off", host.power_off)
tap.finish()
