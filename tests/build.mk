# SPDX-License-Identifier: GPL-2.0-or-later
include tests/module/build.mk
include tests/appliance/build.mk
include tests/unit/build.mk
include tests/bench/build.mk

# User-space tests that need no processor with VT. Any executable
# tests/unit/*.t that prints TAP takes part; the menu on a real libvirt takes
# minutes and is for check-long.
LONG_UNIT_TESTS := tests/unit/menu-libvirt.t

check-unit: userland qemu
	tests/prove $(filter-out $(LONG_UNIT_TESTS),$(wildcard tests/unit/*.t))

check-long: check-unit-long
check-unit-long: userland
	tests/prove $(LONG_UNIT_TESTS)
.PHONY: check-unit-long

# The two large kernels are built, where they are missing, beside tests that leave a
# processor idle. Whoever needs one waits for it (scripts/cached) and tells of errors.
check:
	@mkdir -p build/logs; \
	nice -n 19 $(MAKE) kernel-debug kernel >build/logs/kernels 2>&1 & \
	trap "kill $$! 2>/dev/null" EXIT; \
	$(MAKE) check-unit && $(MAKE) check-module && $(MAKE) check-packages && $(MAKE) check-appliance
