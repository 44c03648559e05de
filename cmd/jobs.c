// SPDX-License-Identifier: GPL-2.0-or-later
/* One piece of work a file, by several processes, printed in the order of the files. */
#include "jobs.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apart.h"

/* How far the fastest process may be ahead of what is printed, in files: bounds what is kept. */
#define WINDOW 1024U
/* Files that a process is given at a time. */
#define SHARE_MAX 32U
/* Of the memory for what comes from a process. */
#define ROOM_MIN 65536U
/* More than one file prints. */
#define RESULT_MAX      (UINT64_C(1) << 30)
#define PROGRESS_AFTER  1.0 /* seconds */
#define PROGRESS_PERIOD 0.2

struct result {
	char *out, *err; /* owned */
	size_t out_size, err_size;
	int status;
	bool is_done;
};

/* A process that reads files. */
struct worker {
	struct apart apart;
	char *bytes; /* owned: of results, as they come */
	size_t size, room;
	size_t next, end; /* the files that it has been given and not told of */
	bool is_ready;    /* it has told how preparing went */
};

struct run {
	const struct jobs *jobs;
	struct worker *workers; /* owned */
	size_t worker_count;
	struct result results[WINDOW]; /* of index i at i % WINDOW */
	size_t given, printed;
	bool is_ended; /* early */
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

/* What work, or with PREPARE as the index prepare, prints. */
#define PREPARE SIZE_MAX
static struct result work(const struct jobs *jobs, size_t index)
{
	struct result result = {.status = EXIT_TROUBLE, .is_done = true};
	FILE *out = open_memstream(&result.out, &result.out_size);
	FILE *err = open_memstream(&result.err, &result.err_size);
	bool closed;

	if (out && err)
		result.status = index == PREPARE ? jobs->prepare(jobs->ctx, out, err)
						 : jobs->work(jobs->ctx, index, out, err);
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

/* ---- A process that reads --------------------------------------------------------------------- */

/* What it is given: the files from first to before end. */
struct share {
	uint64_t first, end;
};

/* What it tells of each; both texts follow. */
struct told {
	uint64_t out_size, err_size;
	int64_t status;
};

/* In one piece: each write may wake the one that prints. Frees what result has. */
static bool tell(int channel, struct result result)
{
	struct told told = {result.out_size, result.err_size, result.status};
	size_t size = sizeof(told) + result.out_size + result.err_size;
	char *bytes = malloc(size);
	bool is_told = false;

	if (bytes) {
		memcpy(bytes, &told, sizeof(told));
		memcpy(bytes + sizeof(told), result.out, result.out_size);
		memcpy(bytes + sizeof(told) + result.out_size, result.err, result.err_size);
		is_told = apart_put(channel, bytes, size);
	}
	free(bytes);
	free(result.out);
	free(result.err);
	return is_told;
}

/* The work of apart_start. */
static void read_files(void *ctx, int channel)
{
	const struct jobs *jobs = ctx;
	struct result ready = work(jobs, PREPARE);
	bool goes_on = ready.status == EXIT_CLEAN;
	struct share share;

	goes_on = tell(channel, ready) && goes_on;
	while (goes_on && apart_get(NULL, channel, &share, sizeof(share)))
		for (uint64_t i = share.first; goes_on && i < share.end; i++)
			goes_on = tell(channel, work(jobs, (size_t)i));
}

/* ---- The one that prints ---------------------------------------------------------------------- */

static void end_with(struct run *run, struct nestmig_detail *detail)
{
	hide_progress(run);
	run->status = cli_error(run->jobs->self, run->jobs->json, NULL, NESTMIG_ERR_IO, detail);
	run->is_ended = true;
}

static void start_worker(struct run *run, struct worker *worker)
{
	struct nestmig_detail detail = {0};

	worker->is_ready = false;
	worker->size = 0;
	if (apart_start(&worker->apart, read_files, (void *)(uintptr_t)run->jobs, run->jobs->input,
			&detail))
		end_with(run, &detail);
}

/* Sends what it has been given. */
static void send_share(struct worker *worker)
{
	struct share share = {worker->next, worker->end};

	/* If it has ended, that shows when it is to be read from. */
	(void)apart_put(worker->apart.channel, &share, sizeof(share));
}

/* The next files, fewer towards the end, and none that the window has no room for. */
static void give(struct run *run, struct worker *worker)
{
	size_t left = run->jobs->count - run->given, ahead = run->given - run->printed;
	size_t share = left / (4 * run->worker_count) + 1;

	if (share > SHARE_MAX)
		share = SHARE_MAX;
	if (share > left)
		share = left;
	if (share > WINDOW - ahead)
		share = WINDOW - ahead;
	if (!share)
		return;
	worker->next = run->given;
	run->given += share;
	worker->end = run->given;
	send_share(worker);
}

static void take_result(struct run *run, struct worker *worker, struct result result)
{
	if (!worker->is_ready) {
		worker->is_ready = true;
		run->is_ended = run->is_ended || result.status != EXIT_CLEAN;
		print(run, &result);
		if (worker->next < worker->end)
			send_share(worker);
		return;
	}
	run->results[worker->next++ % WINDOW] = result;
}

/* The result at the beginning of size bytes, and how long it is: 0 if it is not whole, SIZE_MAX if it is
 * nonsense. */
static size_t whole_result(const char *bytes, size_t size, struct result *ret_result)
{
	struct told told;
	size_t length;

	if (size < sizeof(told))
		return 0;
	memcpy(&told, bytes, sizeof(told));
	if (told.out_size > RESULT_MAX || told.err_size > RESULT_MAX)
		return SIZE_MAX;
	length = sizeof(told) + (size_t)told.out_size + (size_t)told.err_size;
	if (size < length)
		return 0;
	*ret_result = (struct result){
		.out = malloc((size_t)told.out_size + 1),
		.err = malloc((size_t)told.err_size + 1),
		.out_size = (size_t)told.out_size,
		.err_size = (size_t)told.err_size,
		.status = told.status == EXIT_CLEAN || told.status == EXIT_FINDINGS
				  ? (int)told.status
				  : EXIT_TROUBLE,
		.is_done = true,
	};
	if (!ret_result->out || !ret_result->err) {
		free(ret_result->out);
		free(ret_result->err);
		return SIZE_MAX;
	}
	memcpy(ret_result->out, bytes + sizeof(told), ret_result->out_size);
	memcpy(ret_result->err, bytes + sizeof(told) + ret_result->out_size, ret_result->err_size);
	return length;
}

/* It has ended, or does not say what it should: the file that it was reading is lost, another process takes
 * the rest. */
static void replace(struct run *run, struct worker *worker)
{
	const struct jobs *jobs = run->jobs;
	struct nestmig_detail detail = {0};
	struct result lost = {.status = EXIT_TROUBLE, .is_done = true};
	enum nestmig_error error = apart_failed(&worker->apart, &detail);
	FILE *out = open_memstream(&lost.out, &lost.out_size);
	FILE *err = open_memstream(&lost.err, &lost.err_size);
	bool is_reading = worker->is_ready && worker->next < worker->end;

	if (is_reading && out && err)
		cli_error_to(out, err, jobs->self, jobs->json, jobs->names[worker->next], error,
			     &detail);
	if (out)
		fclose(out);
	if (err)
		fclose(err);
	apart_end(&worker->apart);
	if (is_reading) {
		take_result(run, worker, lost);
		start_worker(run, worker);
		return;
	}
	free(lost.out);
	free(lost.err);
	end_with(run, &detail);
}

/* Takes the results that are whole. false: there is something else. */
static bool take_results(struct run *run, struct worker *worker)
{
	struct result result = {0};
	size_t at = 0, length;

	while (!worker->is_ready || worker->next < worker->end) {
		length = whole_result(worker->bytes + at, worker->size - at, &result);
		if (length == SIZE_MAX)
			return false;
		if (!length)
			break;
		at += length;
		take_result(run, worker, result);
	}
	worker->size -= at;
	memmove(worker->bytes, worker->bytes + at, worker->size);
	/* Of a file that it has not been given. */
	return !worker->size || worker->next < worker->end || !worker->is_ready;
}

static void receive(struct run *run, struct worker *worker)
{
	ssize_t n = 0;

	if (worker->room - worker->size < ROOM_MIN) {
		size_t room = 2 * worker->room + ROOM_MIN;
		char *bigger = realloc(worker->bytes, room);

		if (bigger) {
			worker->bytes = bigger;
			worker->room = room;
		}
	}
	if (worker->room > worker->size)
		n = read(worker->apart.channel, worker->bytes + worker->size,
			 worker->room - worker->size);
	if (n < 0 && errno == EINTR)
		return;
	worker->size += n > 0 ? (size_t)n : 0;
	if (n <= 0 || !take_results(run, worker))
		replace(run, worker);
}

static void wait_for_workers(struct run *run)
{
	struct pollfd waits[JOBS_MAX];

	for (size_t i = 0; i < run->worker_count; i++)
		waits[i] = (struct pollfd){run->workers[i].apart.channel, POLLIN, 0};
	if (poll(waits, run->worker_count, (int)(1000 * PROGRESS_PERIOD)) < 0)
		return;
	for (size_t i = 0; i < run->worker_count && !run->is_ended; i++)
		if (waits[i].revents)
			receive(run, &run->workers[i]);
}

static void print_done(struct run *run)
{
	while (run->printed < run->jobs->count && !ferror(stdout)) {
		struct result *slot = &run->results[run->printed % WINDOW];

		if (!slot->is_done)
			break;
		print(run, slot);
		*slot = (struct result){0};
		run->printed++;
	}
	show_progress(run);
}

static void run_apart(struct run *run)
{
	for (size_t i = 0; i < run->worker_count && !run->is_ended; i++)
		start_worker(run, &run->workers[i]);
	while (run->printed < run->jobs->count && !ferror(stdout) && !run->is_ended) {
		for (size_t i = 0; i < run->worker_count; i++)
			if (run->workers[i].is_ready && run->workers[i].next == run->workers[i].end)
				give(run, &run->workers[i]);
		wait_for_workers(run);
		print_done(run);
	}
	for (size_t i = 0; i < run->worker_count; i++) {
		apart_end(&run->workers[i].apart);
		free(run->workers[i].bytes);
	}
	/* What is left when printing has ended early. */
	for (unsigned i = 0; i < WINDOW; i++) {
		free(run->results[i].out);
		free(run->results[i].err);
	}
}

static void run_alone(struct run *run)
{
	struct result ready = work(run->jobs, PREPARE);
	bool is_ready = ready.status == EXIT_CLEAN;

	print(run, &ready);
	for (; is_ready && run->printed < run->jobs->count && !ferror(stdout); run->printed++) {
		struct result result = work(run->jobs, run->printed);

		print(run, &result);
		show_progress(run);
	}
}

size_t jobs_process_count(int wanted, size_t count)
{
	cpu_set_t cpus;

	if (!wanted)
		wanted = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	if (wanted > JOBS_MAX)
		wanted = JOBS_MAX;
	return (size_t)wanted > count ? count : (size_t)wanted;
}

int jobs_run(const struct jobs *jobs)
{
	struct run *run = calloc(1, sizeof(*run));
	size_t wanted = jobs_process_count(jobs->processes, jobs->count);
	int status;

	if (run)
		run->workers = calloc(wanted + 1, sizeof(*run->workers));
	if (!run || !run->workers) {
		free(run);
		return EXIT_TROUBLE;
	}
	run->jobs = jobs;
	run->shows_progress = isatty(STDERR_FILENO);
	run->start = now();
	run->worker_count = wanted;
	for (size_t i = 0; i < wanted; i++)
		run->workers[i].apart.channel = -1;
	/* With a terminal to tell, also one: it may take long. */
	if (wanted > 1 || run->shows_progress)
		run_apart(run);
	else
		run_alone(run);
	hide_progress(run);
	status = run->status;
	free(run->workers);
	free(run);
	return status;
}
