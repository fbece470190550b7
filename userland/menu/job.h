/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job: a run of one of our programs, in a thread of its own behind a window. */
#ifndef KVM_MENU_JOB_H
#define KVM_MENU_JOB_H

#include <sys/types.h>

struct job {
	char *argv[10];		/* ends with NULL */
	int argc;
	char *input;		/* for its standard input; NULL: empty */
	char *output;		/* what it printed, errors as well */
	int status;		/* of its exit; 127: it could not be run */
	volatile pid_t pid;	/* while it runs */
};

struct job *job_new(const char *program, const char *command);
void job_add(struct job *job, const char *word);
void job_free(void *job);
/* For ui_busy() and pthread_create(). */
void job_work(void *job);
/* Runs it behind a window to its end; Cancel ends it. */
void job_wait(struct job *job, const char *title, const char *text);
/* The last sentence in its output, without the program's name in front. */
const char *job_said(struct job *job);
/* Runs it behind a window and shows that sentence; frees the job. */
void job_show(struct job *job, const char *title, const char *text);

#endif
