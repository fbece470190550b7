// SPDX-License-Identifier: GPL-2.0-or-later
/* kvm-detect's options and output; see detect.h for the parts. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "detect.h"

#define COLUMNS 79
#define TEXT_BYTES 1024
#define VERSION "0.2"

static const char usage[] =
"Usage: kvm-detect [OPTION]...\n"
"Tell whether this machine can run KVM guests, and if not, why and what to do.\n"
"\n"
"  -j, --json     print one JSON object\n"
"  -q, --quiet    print nothing; the exit status is the verdict\n"
"  -l, --load     as root: load the right module if that is what is missing\n"
"  -h, --help     this text\n"
"  -V, --version  the version\n"
"\n"
"Exit status: 0 ready, 1 usage or internal error, 2 no VT in this processor,\n"
"3 switched off in firmware, 4 nested virtualization not enabled outside,\n"
"5 module not loaded, 6 no permission, 7 held by another hypervisor.\n";

/* Wraps @text to the screen, each line after the first indented by @indent. */
static void print_wrapped(const char *label, const char *text, int indent)
{
	int column = printf("%s", label);
	bool first = true;

	while (*text) {
		int n = strcspn(text, " ");

		if (column + !first + n > COLUMNS && column > indent)
			column = printf("\n%*s", indent, "") - 1;
		else if (!first)
			column += printf(" ");
		column += printf("%.*s", n, text);
		text += n + (text[n] == ' ');
		first = false;
	}
	putchar('\n');
}

static void print_text(const struct evidence *e, enum verdict v)
{
	char text[TEXT_BYTES];

	printf("%s\n\n", verdict_name(v));
	explain(e, v, text, sizeof(text));
	print_wrapped("Why:  ", text, 6);
	advise(e, v, text, sizeof(text));
	if (*text)
		print_wrapped("Fix:  ", text, 6);
	printf("\nEvidence:\n");
	for (int i = 0; i < e->nlines; i++) {
		char label[64];

		snprintf(label, sizeof(label), "  %-33s ", e->lines[i].source);
		print_wrapped(label, e->lines[i].value, 6);
	}
}

static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void json_member(const char *name, const char *value)
{
	printf("\"%s\": ", name);
	if (value)
		json_string(value);
	else
		printf("null");
}

static void print_json(const struct evidence *e, enum verdict v)
{
	static const char *const vendors[] = {
		[VENDOR_OTHER] = "other", [VENDOR_INTEL] = "intel", [VENDOR_AMD] = "amd",
	};
	char text[TEXT_BYTES];

	printf("{");
	json_member("verdict", verdict_name(v));
	printf(", ");
	json_member("vendor", vendors[e->vendor]);
	printf(", ");
	json_member("extension", e->raw ? extension_name(e) : NULL);
	printf(", ");
	json_member("module", e->raw ? module_name(e) : NULL);
	printf(",\n ");
	explain(e, v, text, sizeof(text));
	json_member("explanation", text);
	printf(",\n ");
	advise(e, v, text, sizeof(text));
	json_member("fix", text);
	printf(",\n \"evidence\": [");
	for (int i = 0; i < e->nlines; i++) {
		printf("%s\n  {", i ? "," : "");
		json_member("source", e->lines[i].source);
		printf(", ");
		json_member("value", e->lines[i].value);
		printf("}");
	}
	printf("\n ]}\n");
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "load", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "root", required_argument, NULL, 'R' },	/* tests */
		{ 0 },
	};
	bool json = false, quiet = false, load = false;
	const char *root = "";
	struct evidence e;
	enum verdict v;
	int c;

	while ((c = getopt_long(argc, argv, "jqlhV", longs, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 'q': quiet = true; break;
		case 'l': load = true; break;
		case 'R': root = optarg; break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("kvm-detect (kvm-live) " VERSION);
			return 0;
		default:
			fputs("Try 'kvm-detect --help'.\n", stderr);
			return ERROR;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kvm-detect: %s: it takes options only. Try 'kvm-detect --help'.\n",
			argv[optind]);
		return ERROR;
	}
	if (load && !*root && geteuid()) {
		fputs("kvm-detect: --load needs root, because it loads a kernel module. Run: sudo kvm-detect --load\n",
		      stderr);
		return ERROR;
	}
	collect(&e, root);
	v = judge(&e);
	if (load && v == MODULE_NOT_LOADED && !(e.cpuinfo && !e.flag)) {
		load_module(&e, root);
		v = judge(&e);
	}
	if (json)
		print_json(&e, v);
	else if (!quiet)
		print_text(&e, v);
	return fflush(stdout) || ferror(stdout) ? ERROR : (int)v;
}
