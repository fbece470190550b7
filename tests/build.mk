# SPDX-License-Identifier: GPL-2.0-or-later
include tests/module/build.mk
include tests/appliance/build.mk
include tests/unit/build.mk

# User-space tests that need no processor with VT. Any executable
# tests/unit/*.t that prints TAP takes part.
check-unit: userland
	prove --timer tests/unit/*.t

check:
	$(MAKE) check-unit
	$(MAKE) check-module
	$(MAKE) check-packages
	$(MAKE) check-appliance
