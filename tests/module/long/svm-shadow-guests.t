#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The real guests of svm-linux.t and long/svm-guests.t with shadow paging.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-shadow --timeout 9000 $(real_guests seabios grub ipxe ovmf linux-amd64 \
	linux-amd64-smp2 linux-686-pae linux-686 installer memtest-64 memtest-32)
