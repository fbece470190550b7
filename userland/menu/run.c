// SPDX-License-Identifier: GPL-2.0-or-later
/* run: other programs, without a shell in between. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"
#include "util.h"

#define OUTPUT_MAX 65536

static void default_signals(void)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTOU,
				       SIGTTIN, SIGPIPE };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_DFL);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Where its standard streams come from and go, or -1 for nowhere. */
static void child(char *const argv[], int in, int out, int err)
{
	int null = open("/dev/null", O_RDWR);

	dup2(in < 0 ? null : in, 0);
	dup2(out < 0 ? null : out, 1);
	dup2(err < 0 ? null : err, 2);
	default_signals();
	/* words are looked for in what it says, in English */
	setenv("LC_ALL", "C.UTF-8", 1);
	unsetenv("LANGUAGE");
	execvp(argv[0], argv);
	_exit(127);
}

int run_quiet(char *const argv[])
{
	pid_t pid = fork();

	if (pid < 0)
		return 127;
	if (!pid)
		child(argv, -1, -1, -1);
	return wait_for(pid);
}

static void read_all(int fd, char *text, void (*seen)(const char *piece, void *data),
		     void *data)
{
	size_t len = 0;
	ssize_t n;

	while (len < OUTPUT_MAX) {
		n = read(fd, text + len, OUTPUT_MAX - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		text[len + n] = '\0';
		if (seen)
			seen(text + len, data);
		len += n;
	}
	text[len] = '\0';
}

static int run_pipes(char *const argv[], int in, bool errors,
		     void (*seen)(const char *piece, void *data), void *data,
		     char **output, volatile pid_t *running)
{
	int fds[2], status;
	pid_t pid;

	*output = xrealloc(NULL, OUTPUT_MAX + 1);
	(*output)[0] = '\0';
	if (pipe2(fds, O_CLOEXEC))
		return 127;
	pid = fork();
	if (!pid)
		child(argv, in, fds[1], errors ? fds[1] : -1);
	*running = pid;
	close(fds[1]);
	if (pid > 0)
		read_all(fds[0], *output, seen, data);
	close(fds[0]);
	status = pid < 0 ? 127 : wait_for(pid);
	*running = 0;
	return status;
}

int run_read(char *const argv[], char **output)
{
	volatile pid_t pid;

	return run_pipes(argv, -1, false, NULL, NULL, output, &pid);
}

int run_watch(char *const argv[], void (*seen)(const char *piece, void *data),
	      void *data, char **output, volatile pid_t *pid)
{
	return run_pipes(argv, -1, true, seen, data, output, pid);
}

int run_feed(char *const argv[], const char *input, char **output,
	     volatile pid_t *pid)
{
	size_t len = input ? strlen(input) : 0;
	int fds[2], status;

	/* a pipe holds more than any input here, so nobody waits for the other */
	if (len > PIPE_BUF || pipe2(fds, O_CLOEXEC)) {
		*output = xstrdup("");
		return 127;
	}
	if (write(fds[1], input ? input : "", len) < 0)
		len = 0;
	close(fds[1]);
	status = run_pipes(argv, fds[0], true, NULL, NULL, output, pid);
	close(fds[0]);
	return status;
}

int run_terminal(char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return 127;
	if (!pid) {
		default_signals();
		execvp(argv[0], argv);
		_exit(127);
	}
	status = wait_for(pid);
	/* a shell may have died without giving the terminal back */
	tcsetpgrp(0, getpgrp());
	return status;
}
