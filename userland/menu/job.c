// SPDX-License-Identifier: GPL-2.0-or-later
/* job: a run of one of our programs, in a thread of its own behind a window. */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "language.h"
#include "run.h"
#include "ui.h"
#include "util.h"

struct job *job_new(const char *program, const char *command)
{
	struct job *job = xrealloc(NULL, sizeof(*job));

	*job = (struct job){ .argv = { xstrdup(program), xstrdup(command) }, .argc = 2 };
	return job;
}

void job_add(struct job *job, const char *word)
{
	if (job->argc < (int)ARRAY_SIZE(job->argv) - 1)
		job->argv[job->argc++] = xstrdup(word);
}

void job_free(void *arg)
{
	struct job *job = arg;

	for (int i = 0; i < job->argc; i++)
		free(job->argv[i]);
	if (job->input)		/* perhaps a passphrase */
		explicit_bzero(job->input, strlen(job->input));
	free(job->input);
	free(job->output);
	free(job);
}

void job_work(void *arg)
{
	struct job *job = arg;

	job->status = run_feed(job->argv, job->input, &job->output, &job->pid);
}

static void job_cancel(void *arg)
{
	struct job *job = arg;

	if (job->pid > 0)
		kill(job->pid, SIGTERM);
}

void job_wait(struct job *job, const char *title, const char *text)
{
	struct ui_progress progress = { 0 };

	ui_work(title, text, job_work, job_cancel, job, &progress);
	if (progress.cancel && job->status) {
		free(job->output);
		job->output = xstrdup(_("it was cancelled."));
	}
}

const char *job_said(struct job *job)
{
	size_t n = strlen(job->argv[0]);
	char *line;

	if (job->status == 127) {
		free(job->output);
		job->output = xasprintf(_("The program %s could not be run. Is its package installed?"),
					job->argv[0]);
		return job->output;
	}
	trim(job->output);
	line = strrchr(job->output, '\n');
	line = line ? line + 1 : job->output;
	if (!strncmp(line, job->argv[0], n) && !strncmp(line + n, ": ", 2))
		line += n + 2;
	*line = toupper((unsigned char)*line);
	return line;
}

void job_show(struct job *job, const char *title, const char *text)
{
	if (!ui_busy(title, text, job_work, job_free, job)) {
		ui_message(title, "It still goes on by itself.");
		return;
	}
	ui_message(title, "%s", job_said(job));
	job_free(job);
}
