// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts and eventfds: a guest that is told by an interrupt and answers by
 * writing to a port, while the thread that runs it never leaves KVM_RUN for
 * that. The guest's memory has a dirty log, which shows where it counted.
 *
 *	events [ROUNDS]
 *
 *	cc -pthread -o events events.c $(pkg-config --cflags --libs libkvm)
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <libkvm.h>

#define LINE		5		/* an IRQ of the first PIC */
#define DOORBELL	0x500		/* the port that the guest answers on */
#define COUNTER		0x3000		/* where the guest counts, in real mode */
#define CODE		0x1000
#define REGION_LOW	0

/* Real mode: PIC at vector 8, its IRQ 5 open; the handler counts and answers. */
static const unsigned char guest[] = {
	0xc7, 0x06, 0x34, 0x00, 0x2b, 0x10,	/* movw $handler, 13 * 4 */
	0xc7, 0x06, 0x36, 0x00, 0x00, 0x00,	/* movw $0, 13 * 4 + 2 */
	0xbc, 0x00, 0x10,			/* movw $0x1000, %sp */
	0xb0, 0x11, 0xe6, 0x20,			/* ICW1: edges, ICW4 follows */
	0xb0, 0x08, 0xe6, 0x21,			/* ICW2: vectors from 8 */
	0xb0, 0x04, 0xe6, 0x21,			/* ICW3: the second PIC at 2 */
	0xb0, 0x01, 0xe6, 0x21,			/* ICW4: 8086 */
	0xb0, 0xdf, 0xe6, 0x21,			/* all masked but 5 */
	0xba, 0x00, 0x05,			/* movw $DOORBELL, %dx */
	0xee,					/* outb: ready */
	0xfb,					/* sti */
	0xf4,					/* 1: hlt */
	0xeb, 0xfd,				/* jmp 1b */
	/* handler, at CODE + 0x2b: */
	0xff, 0x06, 0x00, 0x30,			/* incw COUNTER */
	0xb0, 0x20, 0xe6, 0x20,			/* end of interrupt */
	0xee,					/* outb: the answer */
	0xcf,					/* iret */
};

static struct kvm_context *kvm;

static void wake(int sig)
{
	(void)sig;
}

static void *run(void *arg)
{
	*(int *)arg = kvm_run(kvm, 0);
	return NULL;
}

static void ring(int fd)
{
	if (eventfd_write(fd, 1) < 0)
		perror("events: eventfd_write");
}

static void await(int fd)
{
	eventfd_t n;

	if (eventfd_read(fd, &n) < 0)
		perror("events: eventfd_read");
}

static int failed(void)
{
	fprintf(stderr, "events: %s\n", kvm_error(kvm));
	return 1;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000;
	int interrupt = eventfd(0, 0), answer = eventfd(0, 0), result = 0;
	unsigned long long bitmap[LIBKVM_LOW_END / 4096 / 64 + 1];
	pthread_t thread;
	char *memory;
	void *mem;

	kvm = kvm_init(NULL, NULL);
	if (!kvm || kvm_create_machine(kvm, 1 << 20, LIBKVM_IRQCHIP, &mem) < 0)
		return failed();
	memory = (char *)mem;
	memcpy(memory + CODE, guest, sizeof(guest));
	if (kvm_enter_16(kvm, 0, 0, CODE) < 0 ||
	    kvm_add_irqfd(kvm, interrupt, LINE, -1) < 0 ||
	    kvm_add_ioeventfd(kvm, answer, DOORBELL, 1, KVM_IOEVENTFD_FLAG_PIO, 0) < 0 ||
	    kvm_set_memory_flags(kvm, REGION_LOW, KVM_MEM_LOG_DIRTY_PAGES) < 0)
		return failed();
	signal(SIGUSR1, wake);
	pthread_create(&thread, NULL, run, &result);
	await(answer);
	for (int i = 0; i < rounds; i++) {
		ring(interrupt);
		await(answer);
	}
	kvm_stop(kvm, 0);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	if (kvm_get_dirty_log(kvm, REGION_LOW, bitmap, sizeof(bitmap)) < 0)
		return failed();
	printf("%d interrupts, the guest counted %u, its page is %s\n", rounds,
	       *(unsigned short *)(memory + COUNTER),
	       bitmap[0] >> COUNTER / 4096 & 1 ? "dirty" : "clean");
	kvm_finalize(kvm);
	return 0;
}
