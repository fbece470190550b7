#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the kernel's own tools say of the module's sources: checkpatch, sparse and the
# compiler's further warnings (W=1) say nothing; and it stays as small as it is meant
# to be: 14,000 lines of code, comments and blank lines aside.
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 1..3
failed=0

verdict() { # NUMBER NAME FILE: passes when the file is empty
	if [ -s "$3" ]; then
		failed=1
		echo "not ok $1 - $2"
		sed 's/^/# /' "$3" | head -n 40
	else
		echo "ok $1 - $2"
	fi
}

# Not asked: macros that are lists (COMPLEX_MACRO) or whole functions
# (MACRO_WITH_FLOW_CONTROL); functions in assembly are declared where they are called
# (AVOID_EXTERNS); jiffies compared for being the same (JIFFIES_COMPARISON); the % of
# an operand in _ASM_EXTABLE().
tar -C "$work" --strip-components=2 -xf /usr/src/linux-source-6.12.tar.xz \
	linux-source-6.12/scripts/checkpatch.pl linux-source-6.12/scripts/spelling.txt \
	linux-source-6.12/scripts/const_structs.checkpatch
"$work/checkpatch.pl" --no-tree --terse --no-summary --max-line-length=100 \
	--ignore COMPLEX_MACRO,MACRO_WITH_FLOW_CONTROL,AVOID_EXTERNS,JIFFIES_COMPARISON \
	-f "$top"/kvm-module/*.[chS] 2>&1 | grep -v "consistent spacing around '%'" >"$work/said"
verdict 1 checkpatch "$work/said"

mkdir "$work/module"
cp "$top"/kvm-module/*.[chS] "$top"/kvm-module/Makefile "$work/module"
if make -s -C /lib/modules/*-amd64/build M="$work/module" C=2 W=1 modules >"$work/said" 2>&1; then
	[ -e "$work/module/kvm.ko" ] || echo "no module was made" >>"$work/said"
else
	echo "make failed" >>"$work/said"
fi
verdict 2 "sparse, and gcc's W=1" "$work/said"

(cd "$top/kvm-module" && "$top/scripts/code-lines" *.[chS]) |
	awk '$1 == "total" { code = $3 }
		END { if (!code || code > 14000) print code + 0 " lines of code" }' >"$work/said"
verdict 3 "at most 14,000 lines of code" "$work/said"
exit $failed
