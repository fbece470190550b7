# SPDX-License-Identifier: GPL-2.0-or-later
#
# make qemu        build/qemu/kvm-qemu_*.deb, kvm-qemu-block-extra_*.deb
# make check-qemu  its tests; then the article's commands on our module in an
#                  emulated AMD machine (minutes)
# make qemu-unpatched  build/qemu-unpatched/: the same without our patches, to compare
#                  with, and the programs of QEMU's own tests
#
# How it is built, and what is left out: userland/qemu/README.md.

# The version is the newest that the build root's APT knows; a fresh root's knows none.
qemu: QEMU = packages
qemu-unpatched: QEMU = unpatched
qemu qemu-unpatched:
	@newest() { apt-cache showsrc --only-source qemu 2>/dev/null | \
		sed -n 's/^Version: //p' | sort -rV | head -n 1; }; \
	[ -n "$$(newest)" ] || apt-get -q update >&2; \
	scripts/cached $@ userland/qemu/build userland/qemu/debian $(if $(filter qemu,$@),userland/qemu/patches) \
		-- userland/qemu/build "$$(newest)" $(QEMU)

check-qemu: qemu userland mini-guest module
	tests/prove $(if $(V),-v) tests/unit/qemu.t tests/packages/qemu.t tests/module/long/svm-kvm-command.t

.PHONY: qemu qemu-unpatched check-qemu
