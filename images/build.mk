# SPDX-License-Identifier: GPL-2.0-or-later
# Guests: the mini guest's installer ISO.

MINI_GUEST_KERNEL := $(firstword $(wildcard /boot/vmlinuz-*-amd64))
MINI_GUEST_MODULES := $(patsubst /boot/vmlinuz-%,/usr/lib/modules/%,$(MINI_GUEST_KERNEL))

images: mini-guest

# The ISO, remade when the kernel or a file of images/mini-guest changes.
mini-guest:
	scripts/cached images/mini-guest-iso images/mini-guest $(MINI_GUEST_KERNEL) -- \
		images/mini-guest/build $(MINI_GUEST_KERNEL) $(MINI_GUEST_MODULES)
	@ln -sf mini-guest-iso/mini-guest.iso build/images/mini-guest.iso

.PHONY: mini-guest

# What real guests of the module's tests boot from.
real-guests:
	scripts/cached images/real-guests images/real-guests -- images/real-guests/build

.PHONY: real-guests

include images/guests/build.mk
