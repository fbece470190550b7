#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The in-kernel PIC, I/O APIC and PIT against their data sheets, in user space.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit/irqchip
devices="kvm-module/i8259.c kvm-module/ioapic.c kvm-module/i8254.c"
rm -rf $out
# shellcheck disable=SC2086
tests/unit/empty-headers $out/include kvm-module/kvm.h $devices
# shellcheck disable=SC2086
cc -std=gnu11 -g -O1 -Wall -Wextra -Werror -Wno-sign-compare \
	-fsanitize=address,undefined -fno-sanitize-recover=all \
	-I$out/include -include tests/unit/irqchip/shim.h -Ikvm-module \
	-o $out/test tests/unit/irqchip/test.c $devices
exec $out/test
