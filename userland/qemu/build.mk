# SPDX-License-Identifier: GPL-2.0-or-later
#
# make qemu        build/qemu/kvm-qemu_*.deb, kvm-qemu-block-extra_*.deb
# make check-qemu  its tests; then the article's commands on our module in an
#                  emulated AMD machine (minutes)
#
# How it is built, and what is left out: userland/qemu/README.md.

# The newest that the build root's APT knows. A fresh root's knows none yet.
qemu:
	@newest() { apt-cache showsrc --only-source qemu 2>/dev/null | \
		sed -n 's/^Version: //p' | sort -rV | head -n 1; }; \
	[ -n "$$(newest)" ] || apt-get -q update >&2; \
	scripts/cached qemu userland/qemu/build userland/qemu/patches userland/qemu/debian \
		-- userland/qemu/build "$$(newest)"

check-qemu: qemu userland mini-guest module
	tests/prove $(if $(V),-v) tests/unit/qemu.t tests/packages/qemu.t tests/module/long/svm-kvm-command.t

.PHONY: qemu check-qemu
