#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# 30 minutes (RANDOM_SECONDS=1800) of random guests under KASAN and lockdep, half of
# them with nested paging, half with shadow paging (or all on RANDOM_BACKEND).
#
# Such guests also make QEMU's TCG abort (134) or crash (139). Then the emulator is
# gone, its message is shown, and another machine goes on; what our kernel had to
# report until then counts. A machine lives for 5 minutes at most.
. "$(dirname "$0")/../common.sh"
seconds=${RANDOM_SECONDS:-1800}
backends=${RANDOM_BACKEND:-svm-npt svm-shadow}
each=$((seconds / $(echo "$backends" | wc -w)))
mkdir -p "$logs" "$top/build/reports/matrix"
n=0 bad=0
for backend in $backends; do
	done=0 machines=0 good=1
	while [ $done -lt $each ] && [ $good = 1 ]; do
		chunk=$((each - done < 300 ? each - done : 300))
		echo $chunk >"$logs/seconds"
		start=$(date +%s)
		machines=$((machines + 1))
		if "$here/run-vm" --backend "$backend" --modules "$modules" --keep "$logs" \
			--kernel debug --timeout $((chunk * 3 + 400)) \
			--file "$programs/random-guests" --file "$logs/seconds" \
			"$here/in-vm/random-guests-long" >"$logs/tap" 2>&1; then
			grep -E '^# [0-9]+ guests' "$logs/tap"
		elif own=$(grep -E '^# emulator: status 1(34|39)$' "$logs/tap") &&
			grep -q '^ok.*the kernel logged no warning' "$logs/tap"; then
			echo "$own: QEMU stopped itself"
			grep -aE 'assertion failed|^qemu: fatal' "$logs/emulator.log" | sed 's/^/# /'
		else
			sed 's/^/# /' "$logs/tap"
			good=0
		fi
		done=$((done + $(date +%s) - start))
	done
	n=$((n + 1))
	[ $good = 1 ] && r=pass || { r=fail; bad=1; }
	printf '%s\trandom-guests\t%s\t%s\n' "$backend" $r $done \
		>"$top/build/reports/matrix/$backend.random-guests.tsv"
	[ $good = 1 ] && r=ok || r="not ok"
	echo "$r $n - $each s of random guests on $backend in $machines machines"
done
echo "1..$n"
exit $bad
