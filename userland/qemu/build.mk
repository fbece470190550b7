# SPDX-License-Identifier: GPL-2.0-or-later
#
# make qemu        build/qemu/kvm-qemu_*.deb, kvm-qemu-block-extra_*.deb
# make emulator    build/emulator/: the same, unpacked, which the tests' PCs run on
# make check-qemu  its tests; then the article's commands on our module in an
#                  emulated AMD machine (minutes)
# make check-qemu-own-tests  QEMU's own tests, against a build without our patches;
#                  long, part of check-long
#
# How it is built, and what is left out: userland/qemu/README.md.

# qemu-unpatched is the same without our patches, with QEMU's own tests.
# The version is the newest that the build root's APT knows; a fresh root's knows none.
qemu: QEMU = packages
qemu-unpatched: QEMU = unpatched
qemu qemu-unpatched:
	@newest() { apt-cache showsrc --only-source qemu 2>/dev/null | \
		sed -n 's/^Version: //p' | sort -rV | head -n 1; }; \
	[ -n "$$(newest)" ] || apt-get -q update >&2; \
	scripts/cached $@ userland/qemu/build userland/qemu/debian $(if $(filter qemu,$@),userland/qemu/patches) \
		-- userland/qemu/build "$$(newest)" $(QEMU)

# For scripts/emulator.
emulator: qemu
	@cmp -s build/qemu/.hash build/emulator/.hash || { rm -rf build/emulator && \
		dpkg-deb -x build/qemu/kvm-qemu_*.deb build/emulator && \
		cp build/qemu/.hash build/emulator/; }

check-qemu: emulator userland mini-guest module
	tests/prove $(if $(V),-v) tests/unit/qemu.t tests/packages/qemu.t tests/module/long/svm-kvm-command.t

check-qemu-own-tests: qemu qemu-unpatched
	tests/prove $(if $(V),-v) tests/packages/long/qemu-own-tests.t

check-long: check-qemu-own-tests

.PHONY: qemu qemu-unpatched emulator check-qemu check-qemu-own-tests
