# SPDX-License-Identifier: GPL-2.0-or-later
#
# compare_selftests BACKEND LIST REPORT: runs the selftests of LIST on both modules,
# writes the report (test, ours, stock) and prints TAP. The kernel's own module does
# not change: its results are cached by its version, the emulator's, the tests' and
# what runs them. SELFTESTS_OPTIONS are for run-vm.
#
# What fails on ours and not there runs a second time, alone: these tests have races
# of their own on an emulated machine. If it passes then, it passes, and a line on
# standard error says that it failed once.
compare_selftests() {
	backend=$1 list=$2 report=$3
	cd "$top" || exit 1
	mkdir -p "$logs" build/reports
	if [ -n "${SELFTESTS:-}" ]; then
		awk -v names="$SELFTESTS" 'BEGIN { split(names, n, " "); for (i in n) want[n[i]] = 1 }
			$2 in want' "$list" >"$logs/list"
		list=$logs/list report=$logs/by-hand.tsv
		[ -s "$list" ] || { echo "Bail out! none of these is in the list: $SELFTESTS"; exit 1; }
	fi
	stock=kvm-selftests-stock/$(basename "$report" .tsv)
	# shellcheck disable=SC2046
	scripts/cached "$stock" "$list" tests/module/selftests/run tests/module/in-vm/selftests \
		TESTS="$(cat build/kvm-selftests/.hash)" OPTIONS="${SELFTESTS_OPTIONS:-}" \
		$(dpkg-query -W -f '${Package}=${Version} ' linux-image-amd64 qemu-system-x86 bochs) \
		-- tests/module/selftests/run "$backend" stock "$list" >&2 ||
		{ echo "Bail out! the kernel's own module could not be tested"; exit 1; }
	rm -rf "$logs/ours"
	mkdir -p "$logs/ours"
	OUT=$logs/ours tests/module/selftests/run "$backend" ours "$list"

	awk -F'\t' 'FILENAME == ARGV[1] { if ($2 == "fail") failed[$1] = 1; next }
		FILENAME == ARGV[2] { if ($2 != "pass") delete failed[$1]; next }
		FILENAME == ARGV[3] { delete failed[$2]; next }
		{ name = $0; sub(/^[0-9]+[[:space:]]+/, "", name); sub(/[[:space:]]*(#.*)?$/, "", name) }
		name in failed' "$logs/ours/results.tsv" "build/$stock/results.tsv" \
		tests/module/selftests/known-failures "$list" >"$logs/again.list"
	if [ -s "$logs/again.list" ]; then
		rm -rf "$logs/again"
		mkdir -p "$logs/again"
		OUT=$logs/again tests/module/selftests/run "$backend" ours "$logs/again.list"
		awk -F'\t' -v OFS='\t' 'NR == FNR { if ($2 == "pass") passed[$1] = $0; next }
			$1 in passed { print "selftests: failed once, passed alone: " $1 >"/dev/stderr"
				$0 = passed[$1] }
			{ print }' "$logs/again/results.tsv" "$logs/ours/results.tsv" >"$logs/merged"
		mv "$logs/merged" "$logs/ours/results.tsv"
	fi

	printf 'test\tours\tstock\n' >"$report"
	awk -F'\t' -v OFS='\t' 'NR == FNR { stock[$1] = $2; next }
		{ print $1, $2, $1 in stock ? stock[$1] : "fail" }' \
		"build/$stock/results.tsv" "$logs/ours/results.tsv" >>"$report"
	grep -h 'the kernel logged no warning\|the machine ended by itself' "$logs"/ours/tap-* |
		sed 's/^\(not \)\{0,1\}ok [0-9]* - /\1ours: /' >"$logs/machine"
	for t in build/kvm-selftests/*; do
		grep -qE "(^|[0-9]	)${t##*/}([[:space:]]|$)" tests/module/selftests/list* \
			tests/module/selftests/not-run || echo "${t##*/}"
	done >"$logs/unlisted"
	sed 's/^/# in no list: /' "$logs/unlisted"
	[ ! -s "$logs/unlisted" ] || printf 'not ' >>"$logs/machine"
	echo "every test that was built is in a list or in not-run" >>"$logs/machine"
	grep -h '^# console:' "$logs"/ours/tap-* || :
	awk -F'\t' -v known="tests/module/selftests/known-failures" -v backend="$backend" \
		-v machine="$logs/machine" '
	BEGIN {
		while ((getline line <known) > 0) {
			if (line ~ /^(#|$)/) continue
			split(line, f, /\t+/)
			if (f[1] == "all" || f[1] == backend) reason[f[2]] = f[3]
		}
		while ((getline line <machine) > 0)
			print (sub(/^not /, "", line) ? "not " : "") "ok " ++n " - " line
	}
	FNR == 1 { next }
	{ good = $2 == "pass" || $2 == $3 || $3 == "fail"; n++ }
	# A reason that no longer holds must go.
	good && $1 in reason {
		print "not ok " n " - " $1 ": " $2 " here, " $3 " on stock: take it out of known-failures"
		next
	}
	{
		print (good ? "" : "not ") "ok " n " - " $1 ": " $2 " here, " $3 " on stock" \
			($1 in reason ? " # TODO " reason[$1] : "")
	}
	END { print "1.." n }' "$report"
	[ -n "${SELFTESTS:-}" ] || echo "# ours: $(tail -n +2 "$report" | cut -f2 | sort | uniq -c | tr -s ' \n' ' ')"
}
