// SPDX-License-Identifier: GPL-2.0-or-later
/* A running QEMU over QMP. */
#include "live.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

static enum nestmig_error translate(const struct qmp_error_info *info, const char *what,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_ERR_QMP;

	if (info->code == QMP_ERR_TIMEOUT)
		error = NESTMIG_ERR_TIMEOUT;
	else if (info->code == QMP_ERR_NOMEM)
		error = NESTMIG_ERR_NOMEM;
	nm_fail(detail, error, "%s%s%.330s", what, *what ? ": " : "", info->text);
	if (detail)
		detail->sys_errno = info->sys_errno;
	return error;
}

enum nestmig_error live_open(struct live *live, const char *address, struct nestmig_detail *detail)
{
	struct qmp_error_info info = {0};

	*live = (struct live){0};
	if (qmp_connect(address, NULL, &live->qmp, &info))
		return translate(&info, "", detail);
	return NESTMIG_OK;
}

void live_close(struct live *live)
{
	qmp_free(live->qmp);
	live->qmp = NULL;
}

enum nestmig_error live_failed(struct live *live, const char *what, struct nestmig_detail *detail)
{
	return translate(qmp_last_error(live->qmp), what, detail);
}

enum nestmig_error live_execute(struct live *live, const char *command, json_t *arguments, int fd,
				int timeout_ms, json_t **ret_value, struct nestmig_detail *detail)
{
	enum qmp_error error;

	if (live->domain)
		return libvirt_monitor(live->domain, command, arguments, fd, ret_value, detail);
	error = fd < 0 ? qmp_execute(live->qmp, command, arguments, timeout_ms, ret_value)
		       : qmp_execute_fd(live->qmp, command, arguments, fd, timeout_ms, ret_value);
	return error ? live_failed(live, command, detail) : NESTMIG_OK;
}

bool live_is_gone(const struct live *live)
{
	enum qmp_error code = qmp_last_error(live->qmp)->code;

	return code == QMP_ERR_CLOSED || code == QMP_ERR_IO;
}

static void copy_text(char *to, size_t size, const json_t *from, const char *otherwise)
{
	const char *text = json_string_value(from);

	snprintf(to, size, "%s", text ? text : otherwise);
	/* What a QEMU says goes to terminals. */
	nm_make_printable(to);
}

enum nestmig_error live_query_status(struct live *live, struct nestmig_detail *detail)
{
	json_t *reply = NULL;

	if (qmp_execute(live->qmp, "query-status", NULL, LIVE_REPLY_MS, &reply))
		return live_failed(live, "query-status", detail);
	copy_text(live->status, sizeof(live->status), json_object_get(reply, "status"), "unknown");
	live->running = json_is_true(json_object_get(reply, "running"));
	json_decref(reply);
	return NESTMIG_OK;
}

enum nestmig_error live_query_migrate(struct live *live, struct nestmig_detail *detail)
{
	json_int_t downtime = -1, transferred = 0, remaining = 0;
	json_t *reply = NULL;

	if (qmp_execute(live->qmp, "query-migrate", NULL, LIVE_REPLY_MS, &reply))
		return live_failed(live, "query-migrate", detail);
	copy_text(live->migration, sizeof(live->migration), json_object_get(reply, "status"),
		  "none");
	copy_text(live->error, sizeof(live->error), json_object_get(reply, "error-desc"), "");
	(void)json_unpack(reply, "{s?I, s?{s?I, s?I}}", "downtime", &downtime, "ram", "transferred",
			  &transferred, "remaining", &remaining);
	live->downtime_ms = downtime;
	live->transferred = (uint64_t)transferred;
	live->remaining = (uint64_t)remaining;
	json_decref(reply);
	return NESTMIG_OK;
}

/* QEMU adds states with time: what is not known to be over is not over. */
bool live_is_migrating(const struct live *live)
{
	static const char *const over[] = {"none", "completed", "failed", "cancelled"};

	for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		if (strcmp(live->migration, over[i]) == 0)
			return false;
	return true;
}

/* Not those that need a second channel, another program to continue the migration, or the same
 * setting where the stream is loaded. */
static bool is_harmless(const char *capability)
{
	static const char *const harmless[] = {"auto-converge", "events", "late-block-activate",
					       "xbzrle", "zero-blocks"};

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(capability, harmless[i]) == 0)
			return true;
	return false;
}

enum nestmig_error live_check_capabilities(struct live *live, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	json_t *list = NULL, *entry;
	size_t i;

	if (qmp_execute(live->qmp, "query-migrate-capabilities", NULL, LIVE_REPLY_MS, &list))
		return live_failed(live, "query-migrate-capabilities", detail);
	json_array_foreach (list, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "capability"));

		if (!name || !json_is_true(json_object_get(entry, "state")) || is_harmless(name))
			continue;
		error = nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"the migration capability \"%.64s\" of this QEMU is on: switch it off "
			"with migrate-set-capabilities",
			name);
		break;
	}
	json_decref(list);
	return error;
}

/* A property of an object; NULL if QEMU does not have it. */
static json_t *property_of(struct live *live, const char *path, const char *name)
{
	json_t *arguments = json_pack("{s:s, s:s}", "path", path, "property", name), *value = NULL;
	enum nestmig_error error =
		live_execute(live, "qom-get", arguments, -1, LIVE_REPLY_MS, &value, NULL);

	json_decref(arguments);
	return error ? NULL : value;
}

static json_t *cpu_features(struct live *live, const json_t *cpu)
{
	const char *path = json_string_value(json_object_get(cpu, "qom-path"));
	json_t *words = path ? property_of(live, path, "feature-words") : NULL;
	json_t *bits = words ? property_of(live, path, "phys-bits") : NULL;

	if (!words)
		return json_null();
	if (!bits)
		bits = json_integer(0);
	return json_pack("{s:o, s:o}", "feature-words", words, "phys-bits", bits);
}

static enum nestmig_error add_cpu(struct live *live, json_t *cpus, json_t *cpu,
				  struct nestmig_detail *detail)
{
	json_int_t index = -1;
	char key[16];

	if (json_unpack(cpu, "{s:I}", "cpu-index", &index) || index < 0 || index > UINT16_MAX)
		return nm_fail(detail, NESTMIG_ERR_QMP,
			       "query-cpus-fast: a CPU has no \"cpu-index\" that makes sense");
	snprintf(key, sizeof(key), "%u", (unsigned)index);
	if (json_object_set_new(cpus, key, cpu_features(live, cpu)))
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return NESTMIG_OK;
}

enum nestmig_error live_query_cpus(struct live *live, json_t **ret_cpus,
				   struct nestmig_detail *detail)
{
	json_t *list = NULL, *cpus = json_object(), *cpu;
	enum nestmig_error error =
		live_execute(live, "query-cpus-fast", NULL, -1, LIVE_REPLY_MS, &list, detail);
	size_t i;

	json_array_foreach (list, i, cpu) {
		if (!error)
			error = add_cpu(live, cpus, cpu, detail);
	}
	json_decref(list);
	if (error) {
		json_decref(cpus);
		return error;
	}
	*ret_cpus = cpus;
	return NESTMIG_OK;
}

const json_t *live_cpu(const json_t *cpus, uint32_t index)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", index);
	return json_object_get(cpus, key);
}

bool live_machine(struct live *live, char *name, size_t size)
{
	static const char end[] = "-machine";
	json_t *type = property_of(live, "/machine", "type");
	const char *text = json_string_value(type);
	size_t length = text ? strlen(text) : 0, tail = sizeof(end) - 1;
	bool is_told =
		length > tail && length - tail < size && strcmp(text + length - tail, end) == 0;

	if (is_told)
		snprintf(name, size, "%.*s", (int)(length - tail), text);
	json_decref(type);
	return is_told;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

void live_catch_signals(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

bool live_interrupted(void)
{
	return interrupted;
}

int64_t live_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t live_now(void)
{
	return live_now_us() / 1000;
}

#define PROGRESS_MS    200
#define PROGRESS_CELLS 20

void live_progress(const char *what, uint64_t done, uint64_t total)
{
	static int64_t last;
	int64_t now = live_now();

	if (!isatty(STDERR_FILENO) || now - last < PROGRESS_MS)
		return;
	last = now;
	if (total)
		fprintf(stderr, "\r%s: [%-*.*s] %" PRIu64 " of about %" PRIu64 " MiB ", what,
			PROGRESS_CELLS,
			done < total ? (int)(done * PROGRESS_CELLS / total) : PROGRESS_CELLS,
			"####################", done >> 20, total >> 20);
	else
		fprintf(stderr, "\r%s: %" PRIu64 " MiB ", what, done >> 20);
}

void live_progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}
