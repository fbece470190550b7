# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of what people boot: the mini guest's ISO and the live image.

# The mini guest alone, on plain emulation.
check-images: mini-guest
	prove --timer tests/appliance/mini-guest.t

.PHONY: check-images
