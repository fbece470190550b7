// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm-menu: from power-on to an installed guest, on any text terminal.
 *
 * main: options, the main menu, the shell, power.
 */
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "disk.h"
#include "first.h"
#include "guests.h"
#include "host.h"
#include "install.h"
#include "language.h"
#include "library.h"
#include "run.h"
#include "storage.h"
#include "ui.h"
#include "util.h"
#include "virt.h"

static const char usage[] =
"Usage: kvm-menu [OPTION]...\n"
"A text menu that installs and runs guests. It needs a terminal of 80x24.\n"
"\n"
"  -c, --connect URI    libvirt's address (default qemu:///system)\n"
"  -p, --pool NAME      storage pool of the disks (default \"default\")\n"
"  -i, --iso-dir DIR    folder of ISO images (default /var/lib/kvm-live/iso)\n"
"  -d, --detect PROG    program that gives the verdict (default kvm-detect)\n"
"  -l, --language LANG  en or zh_CN (default: by LANGUAGE and LANG)\n"
"  -h, --help           this text\n"
"  -V, --version        the version\n"
"\n"
"Exit status: 0 the user left; 1 wrong option; 2 no usable terminal.\n";

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, 'c' },
	{ "pool", required_argument, NULL, 'p' },
	{ "iso-dir", required_argument, NULL, 'i' },
	{ "detect", required_argument, NULL, 'd' },
	{ "language", required_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 }
};

/* Returns the language that is wanted, or NULL. */
static const char *parse_options(int argc, char **argv)
{
	const char *language = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "c:p:i:d:l:hV", long_options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			options.uri = optarg;
			break;
		case 'p':
			options.pool = optarg;
			break;
		case 'i':
			options.iso_dir = optarg;
			break;
		case 'd':
			options.detect = optarg;
			break;
		case 'l':
			language = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_LEFT);
		case 'V':
			puts("kvm-menu (kvm-live) " VERSION);
			exit(EXIT_LEFT);
		default:
			fputs("Try: kvm-menu --help\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind == argc)
		return language;
	fprintf(stderr, "kvm-menu: %s is not an option. Try: kvm-menu --help\n",
		argv[optind]);
	exit(EXIT_USAGE);
}

static void require_terminal(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("kvm-menu: a terminal is needed for keyboard and screen; start it without redirection.\n",
		      stderr);
		exit(EXIT_TERMINAL);
	}
	if (!getenv("TERM") || !strcmp(getenv("TERM"), "dumb")) {
		fputs("kvm-menu: TERM names no terminal that can position text. Try: TERM=vt100 kvm-menu\n",
		      stderr);
		exit(EXIT_TERMINAL);
	}
}

/* Ctrl-C and Ctrl-Z are keys like others here; a child gets them back. */
static void ignore_signals(void)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTOU,
				       SIGTTIN, SIGPIPE };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
}

static void shell_screen(void)
{
	const char *shell = getenv("SHELL");
	int status;

	if (!shell || access(shell, X_OK))
		shell = "/bin/sh";
	ui_suspend();
	printf("\033[m\033[2J\033[H%s\n", _("This is a shell. Type exit to return to the menu."));
	fflush(stdout);
	setenv("KVM_MENU_SHELL", "1", 1);
	status = run_terminal((char *[]){ (char *)shell, NULL });
	ui_resume();
	if (status == 127)
		ui_message("Shell", "The shell %s could not be run. Set SHELL to one that exists.",
			   shell);
}

static void power(const char *title, const char *verb, const char *yes)
{
	const char *warning = ui_warning() ? translated(ui_warning()) : "";
	const char *gap = *warning ? "\n\n" : "";
	char *names;
	int n = guests_running(&names);
	bool sure;

	if (n < 0)
		sure = ui_confirm(title, yes, "libvirt does not answer, so it is not known whether guests run. Those that do are cut off with the host.%s%s",
				  gap, warning);
	else if (n)
		sure = ui_confirm(title, yes, ngettext("%d guest is running: %s.\nThey are shut down or cut off with the host. Better shut them down first, under Guests.%s%s",
						       "%d guests are running: %s.\nThey are shut down or cut off with the host. Better shut them down first, under Guests.%s%s",
						       n), n, names, gap, warning);
	else
		sure = ui_confirm(title, yes, "No guest is running.%s%s", gap, warning);
	free(names);
	if (sure && run_quiet((char *[]){ "systemctl", (char *)verb, NULL }))
		ui_message(title, "This host did not accept it. Choose Shell and try: systemctl %s", verb);
}

static void power_screen(void)
{
	struct ui_menu menu = { .title = N_("Power") };
	int row;

	ui_menu_add(&menu, 'p', "Power off this host");
	ui_menu_add(&menu, 'r', "Restart this host");
	while ((row = ui_menu(&menu)) >= 0)
		if (row == 0)
			power("Power off", "poweroff", "Power off");
		else
			power("Restart", "reboot", "Restart");
	ui_menu_clear(&menu);
}

static bool leave(void)
{
	return ui_confirm("Leave the menu", "Leave", "Leave the menu? Guests keep running. The command kvm-menu brings it back.");
}

/* In the language that was just taken. */
static void draw_anew(void)
{
	ui_stop();
	if (ui_start())
		exit(EXIT_TERMINAL);
}

static void change_language(void)
{
	language_switch();
	draw_anew();
}

static bool first_holds(const struct ui_menu *menu)
{
	char *now = first_text();
	bool same = !strcmp(now, menu->text);

	free(now);
	return same;
}

static void main_rows(struct ui_menu *menu)
{
	ui_menu_clear(menu);
	ui_menu_add(menu, 'i', "Install a guest from an ISO or a cloud image");
	ui_menu_add(menu, 'g', "Guests: start, stop, console, delete");
	ui_menu_add(menu, 'd', "Disks: create, delete");
	ui_menu_add(menu, 'h', "Host: can it run guests, and what has it got");
	ui_menu_add(menu, 't', "Storage: where guests are kept, and if they survive");
	ui_menu_add(menu, 'l', "ISO library: download, import, delete");
	ui_menu_add(menu, 's', "Shell");
	ui_menu_add(menu, 'p', "Power off or restart");
	if (language_possible() || language_is_foreign())
		ui_menu_add(menu, 'z', "Zhongwen: this menu in Chinese");
	ui_menu_add(menu, 'q', "Quit the menu");
}

static void main_menu(void)
{
	/* addresses and the data volume may come late */
	struct ui_menu menu = { .title = "kvm-live", .back = N_("Quit"),
		.refresh_ms = 2000, .holds = first_holds };
	static void (*const screens[])(void) = {
		install_screen, guests_screen, disk_screen, host_screen,
		storage_screen, library_screen, shell_screen, power_screen,
		change_language };
	int row;

	for (;;) {
		if (language_follow())
			draw_anew();
		main_rows(&menu);
		host_banner();
		menu.text = first_text();
		row = ui_menu(&menu);
		free((char *)menu.text);
		if (row >= 0 && row < menu.n - 1)
			screens[row]();
		else if (row != UI_TIMEOUT && leave())
			break;
	}
	ui_menu_clear(&menu);
}

/* Tells a service manager that started us that the menu is there. sd_notify(3) */
static void notify_ready(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (path && fd >= 0 && strlen(path) < sizeof(to.sun_path)) {
		strcpy(to.sun_path, path);
		if (*path == '@')
			to.sun_path[0] = '\0';
		sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to,
		       offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	if (fd >= 0)
		close(fd);
	unsetenv("NOTIFY_SOCKET");
}

int main(int argc, char **argv)
{
	const char *language = parse_options(argc, argv);

	require_terminal();
	if (!language_start(language)) {
		fprintf(stderr, "kvm-menu: there is no translation into %s. Choose en or zh_CN, or leave --language out.\n",
			language);
		return EXIT_USAGE;
	}
	ignore_signals();
	virt_init();
	if (ui_start()) {
		fprintf(stderr, "kvm-menu: the terminal type %s is unknown here. Try: TERM=vt100 kvm-menu\n",
			getenv("TERM"));
		return EXIT_TERMINAL;
	}
	host_detect();
	notify_ready();
	main_menu();
	ui_stop();
	return EXIT_LEFT;
}
