# SPDX-License-Identifier: GPL-2.0-or-later
#
# The long forms of the emulator's tests: every form 10,000 times against the
# processor, and the fuzzer for half an hour (10 million executions and more).

check-emulate-long:
	KVM_LIVE_EMULATE_CASES=10000 KVM_LIVE_FUZZ_SECONDS=1800 \
		prove --timer tests/unit/emulate.t tests/unit/emulate-fuzz.t

.PHONY: check-emulate-long
