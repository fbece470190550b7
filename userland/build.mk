# SPDX-License-Identifier: GPL-2.0-or-later
# Each component has its own Makefile, which takes O=, DESTDIR= and PREFIX=; this
# builds those that are there, into build/userland. The library comes first.
USERLAND := $(wildcard $(addprefix userland/,libkvm kvmctl detect menu))

userland: $(USERLAND:%=%/.build)

$(USERLAND:%=%/.build):
	$(MAKE) -C $(@D) O=$(CURDIR)/build/userland

userland/kvmctl/.build: userland/libkvm/.build

.PHONY: $(USERLAND:%=%/.build)
