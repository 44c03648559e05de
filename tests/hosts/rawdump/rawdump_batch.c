// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many cases of one dump. Workers take the next case from shared memory and send back a line; the
 * first process prints it, and replaces a worker that dies of a case or does not come back from it.
 *
 * By default more workers than CPUs, because much of a case is waiting for the kernel to tear down its
 * VM. With one it is known at which case a host died, and in which the
 * kernel warned.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rawdump.h"

#define MAX_WORKERS     16
#define DEFAULT_WORKERS 4
#define NO_CASE         SIZE_MAX
/* No case needs more than a few seconds: struct patience of rawdump_run.c. */
#define SECONDS_A_CASE  60
#define PROGRESS_PERIOD 10

/* What the processes share. */
struct shared {
	_Atomic size_t next;
	_Atomic size_t current[MAX_WORKERS];
	_Atomic time_t since[MAX_WORKERS];
};

struct batch {
	int kvm_fd;
	const char *base;
	struct image image;
	struct cases cases;
	struct shared *shared;
	int pipe[2];
	size_t workers;
	pid_t pids[MAX_WORKERS];
	size_t done;
	time_t start;
};

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void try_case(struct batch *batch, uint8_t *memory, const struct case_text *item)
{
	struct verdict verdict = {.words = "not-tried"};
	const char *reason = "";
	char line[1024];
	int length;

	image_reset(&batch->image);
	kernel_log_start();
	if (case_apply(item, &batch->image, &reason))
		snprintf(verdict.words, sizeof(verdict.words), "bad-case %s", reason);
	else if (image_run(batch->kvm_fd, memory, &batch->image, &verdict))
		snprintf(verdict.words, sizeof(verdict.words), "not-tried");
	kernel_log_take(&verdict);
	length = snprintf(line, sizeof(line), "%.*s outcome %s%s%s\n", (int)item->name_length,
			  item->name, verdict.words, verdict.details[0] ? " #" : "",
			  verdict.details);
	/* Short enough to be written in one piece. */
	if (write(batch->pipe[1], line, (size_t)length) != length)
		_exit(1);
}

static void work(struct batch *batch, size_t worker)
{
	struct shared *shared = batch->shared;
	uint8_t *memory = guest_memory_new(batch->image.memory_fd);

	if (!memory)
		_exit(1);
	if (batch->workers == 1)
		kernel_log_open();
	for (;;) {
		size_t index = atomic_fetch_add(&shared->next, 1);

		if (index >= batch->cases.count)
			break;
		atomic_store(&shared->since[worker], now());
		atomic_store(&shared->current[worker], index);
		try_case(batch, memory, &batch->cases.items[index]);
		atomic_store(&shared->current[worker], NO_CASE);
	}
	_exit(0);
}

static int start_worker(struct batch *batch, size_t worker)
{
	pid_t pid;

	atomic_store(&batch->shared->current[worker], NO_CASE);
	pid = fork();
	if (pid == 0)
		work(batch, worker);
	batch->pids[worker] = pid;
	if (pid < 0)
		perror("rawdump: fork");
	return pid < 0 ? -1 : 0;
}

/* Prints what has come through the pipe; waits for it at most a second. */
static void take_lines(struct batch *batch)
{
	struct pollfd ready = {.fd = batch->pipe[0], .events = POLLIN};
	char buffer[4096];
	ssize_t length;

	if (poll(&ready, 1, 1000) <= 0)
		return;
	length = read(batch->pipe[0], buffer, sizeof(buffer));
	for (ssize_t i = 0; i < length; i++)
		batch->done += buffer[i] == '\n';
	if (length > 0)
		fwrite(buffer, 1, (size_t)length, stdout);
	fflush(stdout);
}

static void take_remaining_lines(struct batch *batch)
{
	struct pollfd ready = {.fd = batch->pipe[0], .events = POLLIN};

	while (poll(&ready, 1, 0) > 0)
		take_lines(batch);
}

/* The worker is gone, or was killed; the case it was at gets a line of its own. */
static void bury(struct batch *batch, size_t worker, const char *words)
{
	size_t index = atomic_load(&batch->shared->current[worker]);

	batch->pids[worker] = 0;
	take_remaining_lines(batch);
	if (index == NO_CASE)
		return;
	printf("%.*s outcome %s\n", (int)batch->cases.items[index].name_length,
	       batch->cases.items[index].name, words);
	fflush(stdout);
	batch->done++;
}

static void look_after(struct batch *batch, size_t worker)
{
	struct shared *shared = batch->shared;
	int status;

	if (!batch->pids[worker])
		return;
	if (waitpid(batch->pids[worker], &status, WNOHANG) == batch->pids[worker]) {
		bury(batch, worker, "process-died");
	} else if (atomic_load(&shared->current[worker]) != NO_CASE &&
		   now() - atomic_load(&shared->since[worker]) > SECONDS_A_CASE) {
		/* If even that does not help it, it is left behind. */
		kill(batch->pids[worker], SIGKILL);
		bury(batch, worker, "wedged");
	}
	if (!batch->pids[worker] && atomic_load(&shared->next) < batch->cases.count)
		start_worker(batch, worker);
}

static bool is_anyone_left(const struct batch *batch)
{
	for (size_t worker = 0; worker < batch->workers; worker++) {
		if (batch->pids[worker] > 0)
			return true;
	}
	return false;
}

static void watch_workers(struct batch *batch)
{
	time_t reported = batch->start;

	while (is_anyone_left(batch)) {
		take_lines(batch);
		for (size_t worker = 0; worker < batch->workers; worker++)
			look_after(batch, worker);
		if (now() - reported < PROGRESS_PERIOD)
			continue;
		reported = now();
		fprintf(stderr, "%zu of %zu cases, %.0f a second\n", batch->done,
			batch->cases.count,
			(double)batch->done / (double)(reported - batch->start));
	}
	take_remaining_lines(batch);
}

static void on_child(int number)
{
	(void)number;
}

static int run_cases(struct batch *batch)
{
	/* A worker that ends is noticed at once: poll is interrupted. */
	struct sigaction action = {.sa_handler = on_child};
	/* Kept open, because KVM patches the kernel when its first VM comes or its last one goes. */
	int keeper = ioctl(batch->kvm_fd, KVM_CREATE_VM, 0);

	batch->shared = mmap(NULL, sizeof(*batch->shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (keeper < 0 || batch->shared == MAP_FAILED || pipe(batch->pipe)) {
		perror("rawdump: batch");
		return -1;
	}
	sigaction(SIGCHLD, &action, NULL);
	batch->start = now();
	fflush(stdout);
	for (size_t worker = 0; worker < batch->workers; worker++) {
		if (start_worker(batch, worker))
			return -1;
	}
	watch_workers(batch);
	fprintf(stderr, "%zu of %zu cases in %lld s\n", batch->done, batch->cases.count,
		(long long)(now() - batch->start));
	close(keeper);
	return batch->done == batch->cases.count ? 0 : -1;
}

int batch_run(int kvm_fd, const char *base, const char *cases_file, const char *workers)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	int failed = -1;

	if (!batch)
		return -1;
	batch->kvm_fd = kvm_fd;
	batch->base = base;
	batch->workers = workers ? strtoul(workers, NULL, 10) : DEFAULT_WORKERS;
	if (!batch->workers || batch->workers > MAX_WORKERS) {
		fprintf(stderr, "rawdump: from 1 to %d workers\n", MAX_WORKERS);
		free(batch);
		return -1;
	}
	if (!image_read(base, &batch->image) && !cases_read(cases_file, &batch->cases))
		failed = run_cases(batch);
	free(batch);
	return failed;
}
