#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The walk of the guest's page tables against a slow reference, in user space.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit/walk
rm -rf $out
tests/unit/empty-headers $out/include kvm-module/kvm.h kvm-module/walk.c
cat >$out/include/asm/trap_pf.h <<'END'
#define X86_PF_PROT	0x01
#define X86_PF_WRITE	0x02
#define X86_PF_USER	0x04
#define X86_PF_RSVD	0x08
#define X86_PF_INSTR	0x10
#define X86_PF_PK	0x20
#define X86_FEATURE_GBPAGES 1
#define EFER_NX		0x800
#define PAGE_SHIFT	12
END
cc -std=gnu11 -g -O2 -Wall -Wextra -Werror -Wno-sign-compare -Wno-unused-parameter \
	-fsanitize=address,undefined -fno-sanitize-recover=all \
	-I$out/include -include tests/unit/irqchip/shim.h -include $out/include/asm/trap_pf.h \
	-Ikvm-module -o $out/test tests/unit/walk/test.c kvm-module/walk.c
exec $out/test "${KVM_LIVE_WALKS:-100000}"
