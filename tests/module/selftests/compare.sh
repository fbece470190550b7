# SPDX-License-Identifier: GPL-2.0-or-later
#
# compare_selftests BACKEND LIST REPORT: runs the selftests of LIST on both modules
# and prints TAP. The kernel's own module does not change: its results are cached by
# its version, the emulator's, the tests' and what runs them.
compare_selftests() {
	backend=$1 list=$2 report=$3
	cd "$top" || exit 1
	mkdir -p "$logs" build/reports
	known=$top/tests/module/selftests/known-failures
	if [ -n "${SELFTESTS:-}" ]; then
		awk -v names="$SELFTESTS" 'BEGIN { split(names, n, " "); for (i in n) want[n[i]] = 1 }
			$2 in want' "$list" >"$logs/list"
		list=$logs/list report=$logs/selftests.tsv
		[ -s "$list" ] || { echo "Bail out! no test of $SELFTESTS is in the list"; exit 1; }
	fi
	# shellcheck disable=SC2046
	scripts/cached "kvm-selftests-stock-$backend" "$list" tests/module/selftests/run \
		tests/module/in-vm/selftests TESTS="$(cat build/kvm-selftests/.hash)" \
		$(dpkg-query -W -f '${Package}=${Version} ' linux-image-amd64 qemu-system-x86 bochs) \
		-- tests/module/selftests/run "$backend" stock "$list" >&2 ||
		{ echo "Bail out! the kernel's own module could not be tested"; exit 1; }
	rm -rf "$logs/ours"
	mkdir -p "$logs/ours"
	OUT=$logs/ours tests/module/selftests/run "$backend" ours "$list"

	printf 'test\tours\tstock\n' >"$report"
	awk -F'\t' -v OFS='\t' 'NR == FNR { stock[$1] = $2; next }
		{ print $1, $2, $1 in stock ? stock[$1] : "fail" }' \
		"build/kvm-selftests-stock-$backend/results.tsv" "$logs/ours/results.tsv" >>"$report"
	awk -F'\t' -v known="$known" -v backend="$backend" '
	BEGIN {
		while ((getline line <known) > 0) {
			if (line ~ /^(#|$)/) continue
			split(line, f, /\t+/)
			if (f[1] == "all" || f[1] == backend) reason[f[2]] = f[3]
		}
	}
	FNR == 1 { next }
	{ n++; good = $2 == "pass" || $2 == $3 || $3 == "fail" }
	# A reason that no longer holds must go.
	good && $1 in reason { printf "not ok %d - %s: %s here, %s on stock: take it out of known-failures\n", n, $1, $2, $3; next }
	{ printf "%sok %d - %s: %s here, %s on stock%s\n", good ? "" : "not ", n, $1, $2, $3,
		$1 in reason ? " # TODO " reason[$1] : "" }
	END { print "1.." n }' "$report"
}
