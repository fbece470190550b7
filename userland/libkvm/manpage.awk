# SPDX-License-Identifier: LGPL-2.1-or-later
#
# manpage.awk: libkvm(3) out of libkvm.h. Takes the header's opening comment, the
# callbacks, and each function's comment with the declarations that follow it.
# Comments are copied as they are, in no-fill mode: they are written for it.

function roff(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	if (s ~ /^[.']/)
		s = "\\&" s
	return s
}

BEGIN {
	print ".\\\" SPDX-License-Identifier: LGPL-2.1-or-later"
	print ".\\\" Made from libkvm.h by manpage.awk; do not edit."
	print ".TH LIBKVM 3 \"\" \"kvm-live\" \"Library functions\""
	print ".SH NAME\nlibkvm \\- run guests on /dev/kvm without a device model"
	print ".SH SYNOPSIS\n.nf\n.B #include <libkvm.h>\n\n.B cc \\-o prog prog.c $(pkg\\-config \\-\\-cflags \\-\\-libs libkvm)\n.fi"
	print ".SH DESCRIPTION\n.nf"
}

# The opening comment.
FNR > 1 && !opened && /^\/\*$/ { opened = 1; intro = 1; next }
intro && /^ \*\// { intro = 0; print ".fi"; next }
intro { sub(/^ \* ?/, ""); print roff($0); next }

# The callbacks, verbatim.
/^struct kvm_callbacks \{/ { print ".SH CALLBACKS\n.nf"; print held; incb = 1 }
incb { print roff($0); if (/^};/) { print ".fi"; print ".SH FUNCTIONS"; incb = 0 } next }

# A comment at the left edge: keep it until we see what it belongs to.
/^\/\*$/ { held = ""; comment = 1; title = ""; next }
comment && /^ \*\// { comment = 0; next }
comment {
	sub(/^ \* ?/, "")
	if (held == "" && $0 ~ /^kvm_[a-z0-9_]+ - /)
		title = $0
	else
		held = held roff($0) "\n"
	if (title != "" && held == "")
		held = "\n"
	next
}
title != "" && /^[a-z].*[(;,]/ { decl = decl roff($0) "\n"; if (/;$/) pending = 1; next }
title != "" && decl != "" && /^[ \t]/ { decl = decl roff($0) "\n"; if (/;$/) pending = 1; next }
pending && /^$/ {
	print ".SS " roff(title)
	print ".nf\n.ft B"
	printf "%s", decl
	print ".ft R"
	printf "%s", held
	print ".fi"
	title = ""; decl = ""; held = ""; pending = 0
}
END { print ".SH SEE ALSO\n.BR kvmctl (1),\n.BR kvm-detect (1)" }
