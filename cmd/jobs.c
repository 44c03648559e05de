// SPDX-License-Identifier: GPL-2.0-or-later
/* One piece of work a file, by several threads, printed in the order of the files. */
#include "jobs.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* How far the fastest thread may be ahead of what is printed, in files: bounds what is kept. */
#define WINDOW          1024U
#define PROGRESS_AFTER  1.0 /* seconds */
#define PROGRESS_PERIOD 0.2

struct result {
	char *out, *err;
	size_t out_size, err_size;
	int status;
	bool is_done;
};

struct run {
	const struct jobs *jobs;
	pthread_mutex_t lock;
	pthread_cond_t done, room;
	struct result results[WINDOW]; /* of index i at i % WINDOW */
	size_t next, printed;
	bool is_ended;
	/* Of the printing thread alone. */
	bool has_printed, shows_progress, is_shown;
	double start, last;
	int status;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct result work(const struct jobs *jobs, size_t index)
{
	struct result result = {.status = EXIT_TROUBLE, .is_done = true};
	FILE *out = open_memstream(&result.out, &result.out_size);
	FILE *err = open_memstream(&result.err, &result.err_size);
	bool closed;

	if (out && err)
		result.status = jobs->work(jobs->ctx, index, out, err);
	/* Only a lack of memory can be the reason. */
	closed = out && fclose(out) == 0;
	closed = err && fclose(err) == 0 && closed;
	if (!closed)
		result.status = EXIT_TROUBLE;
	return result;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void hide_progress(struct run *run)
{
	if (run->is_shown)
		fputs("\r\033[K", stderr);
	run->is_shown = false;
}

static void show_progress(struct run *run)
{
	double time;

	if (!run->shows_progress)
		return;
	time = now();
	if (time - run->start < PROGRESS_AFTER || time - run->last < PROGRESS_PERIOD)
		return;
	run->last = time;
	run->is_shown = true;
	fprintf(stderr, "\r%s: %zu of %zu files ", run->jobs->what, run->printed, run->jobs->count);
}

/* Frees what it prints. */
static void print(struct run *run, struct result *result)
{
	hide_progress(run);
	if (result->out_size) {
		if (run->jobs->separate && run->has_printed)
			putchar('\n');
		fwrite(result->out, 1, result->out_size, stdout);
		run->has_printed = true;
	}
	if (result->err_size) {
		/* In the order in which they were made, where both go to the same place. */
		fflush(stdout);
		fwrite(result->err, 1, result->err_size, stderr);
	}
	if (result->status > run->status)
		run->status = result->status;
	free(result->out);
	free(result->err);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *work_on(void *arg)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->lock);
	for (;;) {
		struct result result;
		size_t index;

		while (!run->is_ended && run->next < run->jobs->count &&
		       run->next - run->printed >= WINDOW)
			pthread_cond_wait(&run->room, &run->lock);
		if (run->is_ended || run->next == run->jobs->count)
			break;
		index = run->next++;
		pthread_mutex_unlock(&run->lock);
		result = work(run->jobs, index);
		pthread_mutex_lock(&run->lock);
		run->results[index % WINDOW] = result;
		if (index == run->printed)
			pthread_cond_signal(&run->done);
	}
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

/* Waits until the next result is there, for a while if there is a progress to show. */
static void wait_done(struct run *run)
{
	struct timespec until;

	if (!run->shows_progress) {
		pthread_cond_wait(&run->done, &run->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(PROGRESS_PERIOD * 1e9);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&run->done, &run->lock, &until);
}

static void print_all(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	while (run->printed < run->jobs->count && !ferror(stdout)) {
		struct result *slot = &run->results[run->printed % WINDOW], result = *slot;

		if (!result.is_done) {
			wait_done(run);
			show_progress(run);
			continue;
		}
		slot->is_done = false;
		run->printed++;
		pthread_cond_signal(&run->room);
		pthread_mutex_unlock(&run->lock);
		print(run, &result);
		show_progress(run);
		pthread_mutex_lock(&run->lock);
	}
	run->is_ended = true;
	pthread_cond_broadcast(&run->room);
	pthread_mutex_unlock(&run->lock);
}

static void run_alone(struct run *run)
{
	for (; run->printed < run->jobs->count && !ferror(stdout); run->printed++) {
		struct result result = work(run->jobs, run->printed);

		print(run, &result);
		show_progress(run);
	}
}

/* What is left when printing has ended early. */
static void drop_results(struct run *run)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		if (!run->results[i].is_done)
			continue;
		free(run->results[i].out);
		free(run->results[i].err);
	}
}

static int thread_count(const struct jobs *jobs)
{
	int threads = jobs->threads;
	cpu_set_t cpus;

	if (!threads)
		threads = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	if (threads > JOBS_MAX)
		threads = JOBS_MAX;
	return (size_t)threads > jobs->count ? (int)jobs->count : threads;
}

int jobs_run(const struct jobs *jobs)
{
	struct run *run = calloc(1, sizeof(*run));
	pthread_t threads[JOBS_MAX];
	int wanted = thread_count(jobs), started = 0, status;

	if (!run)
		return EXIT_TROUBLE;
	run->jobs = jobs;
	run->shows_progress = isatty(STDERR_FILENO);
	run->start = now();
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->done, NULL);
	pthread_cond_init(&run->room, NULL);
	/* With a terminal to tell, also for one file: it may take long. */
	while ((wanted > 1 || run->shows_progress) && started < wanted &&
	       pthread_create(&threads[started], NULL, work_on, run) == 0)
		started++;
	if (started)
		print_all(run);
	else
		run_alone(run);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	hide_progress(run);
	drop_results(run);
	status = run->status;
	pthread_cond_destroy(&run->done);
	pthread_cond_destroy(&run->room);
	pthread_mutex_destroy(&run->lock);
	free(run);
	return status;
}
