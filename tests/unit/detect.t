#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-detect on made-up machines: one directory each, given with --root, for
every verdict and for the cases in which /proc/cpuinfo alone would mislead."""
import errno, json, os, shutil, struct, subprocess, sys, tempfile

top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
detect = os.path.join(top, "build/userland/kvm-detect")
count = failed = 0

READY, ERROR, NO_VT, FIRMWARE, NESTED, MODULE, PERMISSION, BUSY = range(8)
NAMES = ["ready", "error", "no-vt", "firmware-off", "nested-off",
         "module-not-loaded", "no-permission", "busy"]


def ok(good, name, *why):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    if not good:
        for w in why:
            print("#", str(w).replace("\n", "\n# "))


def words(text):
    return struct.unpack("<3I", text.encode().ljust(12, b"\0"))


class Machine:
    """A ready Intel machine, changed by keyword arguments."""

    def __init__(self, vendor="GenuineIntel", raw=True, flag=True, hypervisor=None,
                 feat_ctl=5, vm_cr=0, msr=True, modules=True, device=True, kvm="",
                 maker="Example Inc.", files=None, cmdline="quiet", modprobe=None):
        self.dir = tempfile.mkdtemp()
        svm = vendor in ("AuthenticAMD", "HygonGenuine")
        b, d, c = words(vendor)
        leaves = [(0, 0x10, b, c, d)]
        ecx = (0 if svm or not raw else 1 << 5) | (1 << 31 if hypervisor is not None else 0)
        leaves.append((1, 0, 0, ecx, 0))
        if hypervisor is not None:
            b, c, d = words(hypervisor)
            leaves.append((0x40000000, 0x40000001, b, c, d))
        leaves.append((0x80000000, 0x80000008, 0, 0, 0))
        leaves.append((0x80000001, 0, 0, 4 if svm and raw else 0, 0))
        self.write("cpuid", "".join("%x 0 %x %x %x %x\n" % l for l in leaves))
        flags = "fpu vme svm_lock vmx_thing" + (f" {'svm' if svm else 'vmx'}" if flag else "")
        self.write("proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {vendor}\n"
                   f"flags\t\t: {flags} lm\nbugs\t\t:\n")
        self.write("proc/cmdline", cmdline + "\n")
        self.write("sys/class/dmi/id/sys_vendor", maker + "\n")
        if msr:
            self.write("dev/cpu/0/msr", "")
            with open(self.dir + "/dev/cpu/0/msr", "r+b") as f:
                f.seek(0x3a)
                f.write(struct.pack("<Q", feat_ctl))
                f.seek(0xc0010114)
                f.write(struct.pack("<Q", vm_cr))
        if modules:
            self.write("sys/module/kvm/version", "kvm-live 0.1\n")
            self.write(f"sys/module/{'kvm_amd' if svm else 'kvm_intel'}/parameters/nested", "Y\n")
        if device:
            self.write("dev/kvm", "")
        self.write("kvm", kvm)
        for name, text in (files or {}).items():
            self.write(name, text)
        if modprobe is not None:
            self.write("modprobe", modprobe)
            os.chmod(self.dir + "/modprobe", 0o755)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def run(self, *options):
        return subprocess.run([detect, "--root", self.dir, *options],
                              capture_output=True, text=True)


def case(name, want, says=(), *, options=(), **machine):
    """The verdict in status, text and JSON; the words in why, fix or evidence."""
    m = Machine(**machine)
    try:
        # --load changes a machine: run it once.
        p = m.run("--json", *options)
        try:
            j = json.loads(p.stdout)
        except ValueError as e:
            ok(False, name, e, p.stdout, p.stderr)
            return
        everything = " ".join([j["explanation"], j["fix"]] +
                              [f"{e['source']}: {e['value']}" for e in j["evidence"]])
        missing = [w for w in ([says] if isinstance(says, str) else says)
                   if w not in everything]
        good = (p.returncode == want and j["verdict"] == NAMES[want] and not missing
                and bool(j["fix"]) == (want != READY) and j["explanation"])
        ok(good, f"{NAMES[want]}: {name}", f"status {p.returncode}, verdict {j['verdict']}",
           f"missing words: {missing}", p.stdout, p.stderr)
        if not options:
            t = m.run()
            wide = [l for l in t.stdout.split("\n") if len(l) > 80]
            if t.returncode != want or not t.stdout.startswith(NAMES[want] + "\n") or wide:
                ok(False, f"{name}: the text agrees and fits 80 columns", t.stdout, wide)
        return j
    finally:
        shutil.rmtree(m.dir)


j = case("Intel with everything", READY, "Intel VT-x")
ok(j["vendor"] == "intel" and j["extension"] == "vmx" and j["module"] == "kvm_intel",
   "JSON names vendor, extension and module (Intel)", j)
j = case("AMD with everything", READY, "AMD-V", vendor="AuthenticAMD")
ok(j["vendor"] == "amd" and j["extension"] == "svm" and j["module"] == "kvm_amd",
   "JSON names vendor, extension and module (AMD)", j)
case("Hygon counts as svm", READY, "AMD-V", vendor="HygonGenuine")
case("Zhaoxin counts as vmx", READY, "VT-x", vendor="  Shanghai  ")
case("feature control not locked: KVM itself switches it on", READY, "not locked", feat_ctl=0)
case("our module's version is in the evidence", READY, "version kvm-live 0.1")
case("without the msr driver, and says so", READY, "modprobe msr", msr=False)
case("nested, in a virtual machine", READY, "nested", hypervisor="KVMKVMKVM")

j = case("CPUID has no vmx", NO_VT, "neither vmx nor svm", raw=False, flag=False,
         modules=False, device=False)
ok(j["extension"] is None and j["module"] is None, "JSON has null for what is not there", j)
case("CPUID has no svm", NO_VT, vendor="AuthenticAMD", raw=False, flag=False,
     modules=False, device=False)
case("emulated by QEMU with a model that has none", NO_VT, ("is emulated", "EPYC,+svm"),
     vendor="AuthenticAMD", hypervisor="TCGTCGTCGTCG", raw=False, flag=False, modules=False,
     device=False)
case("emulated by QEMU with svm", READY, "AMD-V", vendor="AuthenticAMD", hypervisor="TCGTCGTCGTCG")
case("another vendor's processor", NO_VT, "NoSuchVendor", vendor="NoSuchVendor", raw=False,
     flag=False, modules=False, device=False)

off = dict(flag=False, modules=False, device=False)
case("Intel, locked off", FIRMWARE, ("IA32_FEAT_CTL = 0x1", "power the machine off"),
     feat_ctl=1, **off)
case("Intel, on only inside SMX", FIRMWARE, "0x3: locked, VMX off", feat_ctl=3, **off)
case("AMD, SVMDIS and locked", FIRMWARE, ("VM_CR = 0x18", "SVM"), vendor="AuthenticAMD",
     vm_cr=0x18, **off)
case("the flag is cleared and the register unreadable", FIRMWARE,
     ("could not be read", "not read"), msr=False, **off)
case("an old kernel leaves the flag set", FIRMWARE, feat_ctl=1, modules=False, device=False)
for maker, word in (("LENOVO", "Security > Virtualization"), ("Dell Inc.", "F2"),
                    ("ASUSTeK COMPUTER INC.", "Intel (VMX)"), ("HP", "F10"),
                    ("Apple Inc.", "macOS")):
    case(f"names the menu of {maker}", FIRMWARE, word, feat_ctl=1, maker=maker, **off)
case("names AMD's setting of Gigabyte", FIRMWARE, "SVM Mode", vendor="AuthenticAMD",
     vm_cr=0x10, maker="Gigabyte Technology Co., Ltd.", **off)
case("takes the board's maker when the system has none", FIRMWARE, "F7", feat_ctl=1,
     maker="To Be Filled By O.E.M.",
     files={"sys/class/dmi/id/board_vendor": "Micro-Star International Co., Ltd.\n"}, **off)

hidden = dict(raw=False, **off)
for ident, word in (("KVMKVMKVM", "host-passthrough"), ("VMwareVMware", "vhv.enable"),
                    ("VBoxVBoxVBox", "--nested-hw-virt"),
                    ("Microsoft Hv", "ExposeVirtualizationExtensions"),
                    ("XenVMMXenVMM", "nestedhvm"), ("Unheard of", "outer")):
    case(f"in {ident}, which hides it", NESTED, word, hypervisor=ident, **hidden)
case("in a machine whose hypervisor has no name", NESTED, "does not tell", hypervisor="", **hidden)
case("shown, but the outer hypervisor switched it off", NESTED, "switched off",
     hypervisor="KVMKVMKVM", feat_ctl=1, **off)
case("on Amazon EC2", NESTED, "bare metal", hypervisor="KVMKVMKVM", maker="Amazon EC2", **hidden)

j = case("neither module nor device", MODULE, ("kvm_intel", "kvm-detect --load"),
         modules=False, device=False)
ok(j["module"] == "kvm_intel", "JSON names the module to load", j)
case("a device node without a module", MODULE, "no module is behind it", modules=False)
case("only the generic module", MODULE, "kvm_amd", vendor="AuthenticAMD", modules=False,
     device=False, files={"sys/module/kvm/version": "x\n"})
case("a device that has no driver behind it", MODULE, kvm=f"open {errno.ENODEV}")
case("clearcpuid= hides the flag", MODULE, "clearcpuid=vmx", cmdline="ro clearcpuid=vmx quiet",
     flag=False, modules=False, device=False)
case("the kernel hides the flag against the register", MODULE, "hide", **off)

case("EACCES", PERMISSION, "adduser", kvm=f"open {errno.EACCES}")
case("EPERM", PERMISSION, kvm=f"open {errno.EPERM}")
case("a container without the device", PERMISSION, "--device /dev/kvm", device=False)

case("KVM_CREATE_VM gives EBUSY", BUSY, "busy", kvm=f"create {errno.EBUSY}")
case("VirtualBox is named", BUSY, ("VirtualBox", "rmmod"), kvm=f"create {errno.EBUSY}",
     files={"sys/module/vboxdrv/refcnt": "1\n"})
case("VMware is named", BUSY, "VMware", kvm=f"create {errno.EBUSY}",
     files={"sys/module/vmmon/refcnt": "1\n"})
case("VirtualBox loaded but idle is no obstacle", READY, "VirtualBox",
     files={"sys/module/vboxdrv/refcnt": "1\n"})
case("the host system of Xen", BUSY, "without Xen", raw=False, hypervisor="XenVMMXenVMM",
     files={"proc/xen/capabilities": "control_d\n"}, **off)

case("KVM_CREATE_VM fails otherwise", ERROR, "Cannot allocate memory", kvm=f"create {errno.ENOMEM}")
case("another API version", ERROR, "version 11", kvm="version 11")
case("the device cannot be opened for an odd reason", ERROR, "Too many open files",
     kvm=f"open {errno.EMFILE}")

loads = '#!/bin/sh\nr=${0%/*}\nmkdir -p $r/sys/module/kvm $r/sys/module/$1 && : >$r/dev/kvm\n'
case("--load loads what is missing", READY, "kvm_intel: loaded", options=["--load"],
     modules=False, device=False, modprobe=loads)
case("--load leaves a ready machine alone", READY, options=["--load"], modprobe="#!/bin/sh\nexit 1\n")
case("--load reports modprobe's words", MODULE, "FATAL: Module kvm_intel not found",
     options=["--load"], modules=False, device=False,
     modprobe="#!/bin/sh\necho modprobe: FATAL: Module kvm_intel not found >&2; exit 1\n")
case("--load meets another hypervisor", BUSY, "busy", options=["--load"], modules=False,
     device=False, modprobe="#!/bin/sh\necho \"modprobe: ERROR: could not insert 'kvm_intel': "
     "Device or resource busy\" >&2; exit 1\n")
case("--load does not fight firmware", FIRMWARE, options=["--load"], feat_ctl=1, modprobe=loads, **off)

m = Machine(maker='A "quoted" \\ name\x01é')
try:
    ok(json.loads(m.run("--json").stdout), "JSON survives odd characters in DMI")
except ValueError as e:
    ok(False, "JSON survives odd characters in DMI", e)
p = m.run("--quiet")
ok(p.returncode == 0 and p.stdout == "", "--quiet prints nothing")
shutil.rmtree(m.dir)
p = subprocess.run([detect, "--help"], capture_output=True, text=True)
ok(p.returncode == 0 and "7 held by another" in p.stdout, "--help lists the exit statuses")
p = subprocess.run([detect, "--nonsense"], capture_output=True, text=True)
ok(p.returncode == 1 and "--help" in p.stderr, "an unknown option is status 1")
p = subprocess.run([detect, "machine"], capture_output=True, text=True)
ok(p.returncode == 1, "an argument is status 1")
p = subprocess.run([detect, "--json"], capture_output=True, text=True)
try:
    j = json.loads(p.stdout)
    ok(j["verdict"] == NAMES[p.returncode] and j["evidence"], "it runs on this machine", p.stdout)
except ValueError as e:
    ok(False, "it runs on this machine", e, p.stdout, p.stderr)
print(f"1..{count}")
sys.exit(failed != 0)
