# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of what people boot: the live image and the mini guest's ISO.

# The whole job on the live image, by BIOS and by UEFI; minutes, because the
# processor of the host is emulated. Writes build/reports/footprint.tsv.
check-appliance: iso emulator
	tests/prove --again -v tests/appliance/live-image.t tests/appliance/data-volume.t

# The mini guest alone, on plain emulation.
check-images: mini-guest emulator
	tests/prove tests/appliance/mini-guest.t

# Fifty power cuts; an hour.
check-long: check-power-cut
check-power-cut: iso emulator
	tests/prove -v tests/appliance/power-cut.t

# Disks in an LVM volume group; ten minutes.
check-long: check-pools
check-pools: iso emulator
	tests/prove -v tests/appliance/pools.t

# Secure Boot and a TPM; five minutes.
check-long: check-secure-boot
check-secure-boot: iso real-guests emulator
	tests/prove -v tests/appliance/secure-boot.t

# Debian's own installer through the menu; hours, where the mirror has all of it.
check-long: check-debian-installer
check-debian-installer: iso emulator
	tests/prove -v tests/appliance/debian-installer.t

.PHONY: check-images check-power-cut check-pools check-secure-boot check-debian-installer
