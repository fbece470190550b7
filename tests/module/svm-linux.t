#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests under Debian's QEMU on our SVM: firmware, boot loaders, Debian's
# kernels to a shell. linux-guest has no interrupt controller in the kernel.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2046
matrix svm-npt --timeout 700 $(real_guests seabios grub ipxe ovmf secure-boot-smp2 secure-boot-unsigned \
	linux-amd64-smp2 linux-686-pae linux-686) "$here/in-vm/identity" "$here/in-vm/linux-guest"
