#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The instruction emulator under libFuzzer, AddressSanitizer and UBSan for 10
# seconds or KVM_LIVE_FUZZ_RUNS executions. What it learns is kept in
# build/tests/fuzz-corpus.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit
mkdir -p $out build/tests/fuzz-corpus
if ! command -v clang > /dev/null; then
	echo "1..0 # SKIP clang is not installed"
	exit 0
fi
tests/unit/empty-headers $out/emulate-include kvm-module/emulate*.[ch]
clang -std=gnu11 -g -O1 -Wall -Wextra -Wno-missing-field-initializers -Wno-unused-parameter \
	-I$out/emulate-include -include tests/unit/emulate/kernel.h \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-o $out/emulate-fuzz tests/unit/emulate/fuzz.c kvm-module/emulate*.c
echo "1..1"
limit=${KVM_LIVE_FUZZ_RUNS:+-runs=$KVM_LIVE_FUZZ_RUNS}
if $out/emulate-fuzz "${limit:--max_total_time=10}" -max_len=512 -print_final_stats=1 \
	-artifact_prefix=$out/emulate-fuzz- build/tests/fuzz-corpus \
	> $out/emulate-fuzz.log 2>&1; then
	echo "ok 1 - no finding in" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' $out/emulate-fuzz.log) executions"
else
	tail -n 40 $out/emulate-fuzz.log | sed 's/^/# /'
	echo "not ok 1 - the fuzzer found something"
fi
