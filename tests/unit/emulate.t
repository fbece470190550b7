#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The instruction emulator: tables of behaviour (table.c), then every form of
# forms.h against this machine's processor (diff.c). The long form of the
# latter is make check-emulate-long.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit
mkdir -p $out
tests/unit/empty-headers $out/emulate-include kvm-module/emulate*.[ch]
warn="-std=gnu11 -g -Wall -Wextra -Werror -Wno-missing-field-initializers -Wno-unused-parameter
	-I$out/emulate-include -include tests/unit/emulate/kernel.h"
cc $warn -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-o $out/emulate-table tests/unit/emulate/table.c kvm-module/emulate*.c
cc -c -o $out/emulate-native.o tests/unit/emulate/native.S
cc $warn -O2 -no-pie -fno-pie -o $out/emulate-diff tests/unit/emulate/diff.c \
	$out/emulate-native.o kvm-module/emulate*.c
# One plan for both: the second's single line is numbered after the first's.
$out/emulate-table > $out/emulate-table.tap || true
grep -v '^1\.\.' $out/emulate-table.tap
n=$(grep -c '^\(not \)\{0,1\}ok ' $out/emulate-table.tap)
planned=$(sed -n 's/^1\.\.//p' $out/emulate-table.tap)
[ "$n" = "$planned" ] || { echo "Bail out! emulate-table stopped early"; exit 1; }
$out/emulate-diff --cases "${KVM_LIVE_EMULATE_CASES:-40}" > $out/emulate-diff.tap || true
grep -v '^1\.\.' $out/emulate-diff.tap | sed "s/^\(not \)\{0,1\}ok 1 /\1ok $((n + 1)) /"
echo "1..$((n + 1))"
