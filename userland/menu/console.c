// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * console: a guest's serial console on our terminal.
 *
 * libvirt hands out the console as a stream. What the guest writes arrives in
 * the event thread (on_stream), which copies it to standard output. What the
 * user types is read here and sent. A pipe wakes this thread up when the stream
 * ends. The terminal is raw meanwhile: every key except Ctrl-] is the guest's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "dom.h"
#include "language.h"
#include "ui.h"
#include "util.h"

#define ESCAPE_KEY 0x1d	/* Ctrl-] */

struct console {
	virStreamPtr stream;
	int wake[2];		/* the event thread writes when the stream ends */
};

static void write_all(const char *s, size_t n)
{
	while (n) {
		ssize_t done = write(STDOUT_FILENO, s, n);

		if (done < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ STDOUT_FILENO, POLLOUT, 0 }, 1, 1000);
		else if (done < 0 && errno != EINTR)
			return;
		if (done > 0) {
			s += done;
			n -= done;
		}
	}
}

/* The terminal is raw: a line ends with both characters. */
static void say(const char *s)
{
	for (size_t n; (n = strcspn(s, "\n")), s[n]; s += n + 1) {
		write_all(s, n);
		write_all("\r\n", 2);
	}
	write_all(s, strlen(s));
}

static void on_stream(virStreamPtr stream, int events, void *data)
{
	struct console *c = data;
	char buffer[4096];
	int n = -2;

	if (events & VIR_STREAM_EVENT_READABLE)
		n = virStreamRecv(stream, buffer, sizeof(buffer));
	if (n > 0) {
		write_all(buffer, n);
		return;
	}
	if (n == -2 && !(events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)))
		return;
	virStreamEventUpdateCallback(stream, 0);
	if (write(c->wake[1], "", 1) < 0)
		return;
}

/* False when the stream is gone. */
static bool send_all(virStreamPtr stream, const char *s, size_t n)
{
	for (int tries = 0; n && tries < 500; ) {
		int done = virStreamSend(stream, s, n);

		if (done == -2) {	/* the guest does not read just now */
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
			tries++;
		} else if (done < 0) {
			return false;
		} else {
			s += done;
			n -= done;
		}
	}
	return true;
}

/* Copies the keyboard to the guest; true: the user left, false: it ended. */
static bool pump(struct console *c)
{
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 },
				{ c->wake[0], POLLIN, 0 } };
	char buffer[256], *escape;
	ssize_t n;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return true;
		if (fds[1].revents)
			return false;
		if (!fds[0].revents)
			continue;
		n = read(STDIN_FILENO, buffer, sizeof(buffer));
		if (n <= 0)
			return n == 0 || errno != EINTR;
		escape = memchr(buffer, ESCAPE_KEY, n);
		if (escape)
			n = escape - buffer;
		if (!send_all(c->stream, buffer, n))
			return false;
		if (escape)
			return true;
	}
}

static char *vnc_text(virDomainPtr dom)
{
	char *xml = virDomainGetXMLDesc(dom, 0), *vnc = dom_vnc(xml), *text;

	text = vnc ? xasprintf(_("its screen is at VNC %s of this host"), vnc) :
		xstrdup(_("look at its screen with a VNC viewer"));
	free(vnc);
	free(xml);
	return text;
}

static void greet(virDomainPtr dom)
{
	char *vnc = vnc_text(dom), *text;

	text = xasprintf(_("*** Console of guest %s. Ctrl-] returns to the menu; the guest runs on.\n"
			   "*** Nothing appears? Press Enter. Still nothing: this guest may not use a\n"
			   "*** serial console; boot it with console=ttyS0, or\n"
			   "*** %s.\n\n"), virDomainGetName(dom), vnc);
	say("\033[2J\033[H");
	say(text);
	free(text);
	free(vnc);
}

static void raw_terminal(struct termios *saved)
{
	struct termios raw;

	tcgetattr(STDIN_FILENO, saved);
	raw = *saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void wait_for_enter(void)
{
	char c = 0;

	say(_("\n*** The guest's console has closed: it was shut down. Press Enter.\n"));
	while (c != '\r' && c != '\n' && c != ESCAPE_KEY && c != 3)
		if (read(STDIN_FILENO, &c, 1) == 0)
			return;
}

/* A paused guest: else its console would stay empty for ever, without a word. */
static void go_on(virDomainPtr dom)
{
	char *error, *text;

	if (!virDomainResume(dom))
		return;
	error = virt_error();
	text = xasprintf(_("*** The guest does not go on: %s\n"
			   "*** Ctrl-] returns to the menu; resume it there, or cut its power.\n"), error);
	say(text);
	free(text);
	free(error);
}

/* The stream is open: give it the terminal. True: the guest ended it. */
static bool converse(virDomainPtr dom, struct console *c, bool resume)
{
	struct termios saved;
	bool left;

	ui_suspend();
	raw_terminal(&saved);
	greet(dom);
	virStreamEventAddCallback(c->stream, VIR_STREAM_EVENT_READABLE |
				  VIR_STREAM_EVENT_ERROR |
				  VIR_STREAM_EVENT_HANGUP, on_stream, c, NULL);
	if (resume)
		go_on(dom);
	left = pump(c);
	if (!left)
		wait_for_enter();
	virStreamEventRemoveCallback(c->stream);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	/* leave no colour or scroll region of the guest's behind */
	say("\033[m\033[r\033[?7h\033[?25h\033[2J\033[H");
	ui_resume();
	return !left;
}

/* Some guests have a screen only. */
static void no_console(virDomainPtr dom)
{
	char *error = virt_error();
	char *xml = virDomainGetXMLDesc(dom, 0), *vnc = dom_vnc(xml);

	if (vnc && !strstr(xml, "<console")) {
		ui_message("Console", "This guest has no text console. Its screen is at VNC %s of this host: point a VNC viewer there, from another machine through an SSH tunnel.",
			   vnc);
		free(error);
	} else {
		virt_failed("Console", "The console of the guest could not be opened.",
			    error);
	}
	free(vnc);
	free(xml);
}

bool console_run(virDomainPtr dom, bool resume)
{
	struct console c;
	bool ended = false;

	if (pipe2(c.wake, O_CLOEXEC))
		return false;
	c.stream = virStreamNew(virDomainGetConnect(dom), VIR_STREAM_NONBLOCK);
	if (c.stream && !virDomainOpenConsole(dom, NULL, c.stream,
					      VIR_DOMAIN_CONSOLE_FORCE)) {
		ended = converse(dom, &c, resume);
		virStreamAbort(c.stream);
	} else {
		no_console(dom);
		if (resume)
			virt_resume(dom, "Console");
	}
	if (c.stream)
		virStreamFree(c.stream);
	close(c.wake[0]);
	close(c.wake[1]);
	return ended;
}
