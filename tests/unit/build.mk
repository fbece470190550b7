# SPDX-License-Identifier: GPL-2.0-or-later
#
# The long forms of the emulator's tests: every form 10,000 times against the
# processor, 10 million executions of the fuzzer, 5 million page-table walks a mode.

check-emulate-long:
	KVM_LIVE_EMULATE_CASES=10000 KVM_LIVE_FUZZ_RUNS=10000000 KVM_LIVE_WALKS=5000000 \
		tests/prove -v tests/unit/emulate.t tests/unit/emulate-fuzz.t tests/unit/walk.t

check-long: check-emulate-long

.PHONY: check-emulate-long

# And the long form of the fuzzer of kvmctl's loaders.
fuzz-loaders:
	KVM_LIVE_FUZZ_RUNS=1000000 tests/prove -v tests/unit/loaders-fuzz.t

check-long: fuzz-loaders

.PHONY: fuzz-loaders
