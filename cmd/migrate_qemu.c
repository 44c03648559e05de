// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: a VM from one QEMU to another, judged when it is stopped for the switchover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "migrate.h"
#include "migrate_setup.h"
#include "migrate_take.h"

/* How often it is asked how far it has come, ms. */
#define ASK_MS 200
/* How long a judgement may keep a VM stopped. */
#define CHECK_MS 5000

struct migration {
	const struct migrate_request *request;
	struct migrate_result *result;
	struct keeper keeper;
	struct sides sides;
	struct setup setup;
	struct take take;
	struct apart judge;
	struct sides_outcome outcome;
	json_t *cpus;
	struct nm_range *ram;
	size_t ram_count;
	bool is_switching; /* the source is at pre-switchover */
	int64_t stopped_us, started, progress;
	uint64_t transferred;
};

/* ---- Judging ---------------------------------------------------------------------------------- */

static enum nestmig_error make_check(struct migration *m, struct migrate_check *check,
				     struct nestmig_detail *detail)
{
	int64_t begin = live_now_us();
	enum nestmig_error error = take_state(&m->take, CHECK_MS, detail);

	check_answer_clear(&check->answer);
	check->is_made = false;
	if (!error)
		error = check_judge(&m->judge, CHECK_MS, take_page, &m->take, &check->answer,
				    detail);
	check->cost_us = live_now_us() - begin;
	check->is_made = !error;
	return error;
}

static bool refuses(struct migration *m, const struct migrate_check *check, bool is_at_switchover)
{
	struct migrate_result *result = m->result;

	result->is_refused = migrate_refuses(m->request, check, result);
	result->is_at_switchover = result->is_refused && is_at_switchover;
	return result->is_refused;
}

/* ---- Before ----------------------------------------------------------------------------------- */

static enum nestmig_error start_judge(struct migration *m, struct nestmig_detail *detail)
{
	struct check_request check = {.name = m->request->socket,
				      .host = m->request->host,
				      .cpus = m->cpus,
				      .ram = m->ram,
				      .ram_count = m->ram_count,
				      .json = m->request->json,
				      .colour = cli_colour(),
				      .memory = m->take.memory};

	return check_start(&m->judge, &check, detail);
}

/* All that is needed of both, and a process that judges. Nothing is changed yet. */
static enum nestmig_error prepare(struct migration *m, const char **ret_about,
				  struct nestmig_detail *detail)
{
	struct sides *sides = &m->sides;
	enum nestmig_error error = sides_open(sides, ret_about, detail);

	if (!error)
		error = setup_check(sides, m->request, ret_about, detail);
	/* The guest's CPUID is that of the QEMU which will run it. */
	if (!error)
		error = live_query_cpus(sides->is_dest_open ? &sides->dest : &sides->source,
					&m->cpus, detail);
	if (error)
		return error;
	*ret_about = sides->source_address;
	m->keeper.plan->was_running = sides->source.running;
	error = take_open(&m->take, &sides->source, detail);
	if (!error)
		error = take_ram(&sides->source, &m->ram, &m->ram_count, detail);
	return error ? error : start_judge(m, detail);
}

/*
 * Before anything is sent. Of a VM that is paused this is the judgement that counts: its state does not change,
 * and at the switchover it may not be taken (take_state).
 */
static enum nestmig_error preflight(struct migration *m, struct nestmig_detail *detail)
{
	struct migrate_check *check =
		m->keeper.plan->was_running ? &m->result->before : &m->result->check;
	enum nestmig_error error;

	if (m->keeper.plan->was_running && m->request->no_preflight)
		return NESTMIG_OK;
	error = make_check(m, check, detail);
	qmp_flush_events(m->sides.source.qmp);
	if (!error)
		(void)refuses(m, check, false);
	return error;
}

static enum nestmig_error begin(struct migration *m, const char **ret_about,
				struct nestmig_detail *detail)
{
	struct sides *sides = &m->sides;
	const char *uri = NULL;
	enum nestmig_error error;

	live_catch_signals(0);
	m->keeper.plan->phase = SIDES_STARTED;
	error = setup_both(&m->setup, sides, m->request, &uri, ret_about, detail);
	if (error)
		return error;
	*ret_about = sides->source_address;
	m->started = m->progress = live_now();
	if (qmp_execute_pack(sides->source.qmp, LIVE_REPLY_MS, NULL, "migrate", "{s:s}", "uri",
			     uri))
		return live_failed(&sides->source, "migrate", detail);
	return NESTMIG_OK;
}

/* ---- While RAM is sent ------------------------------------------------------------------------ */

static enum nestmig_error has_failed(struct migration *m, struct nestmig_detail *detail)
{
	const struct live *source = &m->sides.source;

	return nm_fail(detail, NESTMIG_ERR_QMP, "the migration has %s%s%.300s", source->migration,
		       *source->error ? ": " : "", source->error);
}

static enum nestmig_error look(struct migration *m, struct nestmig_detail *detail)
{
	struct live *source = &m->sides.source;
	enum nestmig_error error = live_query_migrate(source, detail);

	if (error)
		return error;
	if (!live_is_migrating(source))
		return has_failed(m, detail);
	m->is_switching = strcmp(source->migration, "pre-switchover") == 0;
	live_progress("migrate", source->transferred, source->transferred + source->remaining);
	if (source->transferred != m->transferred || m->is_switching) {
		m->transferred = source->transferred;
		m->progress = live_now();
	} else if (live_now() - m->progress > m->request->timeout_s * INT64_C(1000)) {
		return nm_fail(detail, NESTMIG_ERR_TIMEOUT, "nothing was sent for %d s",
			       m->request->timeout_s);
	}
	return NESTMIG_OK;
}

/*
 * The VM was stopped: for the switchover, by somebody else, or by what has happened to it ("io-error"). In the second case it is judged now, unless the
 * destination is held: then what is noted at the switchover does no harm.
 */
static enum nestmig_error note_stop(struct migration *m, struct nestmig_detail *detail)
{
	enum nestmig_error error = live_query_status(&m->sides.source, detail);

	m->stopped_us = live_now_us();
	/* "running": it has been resumed since, which is the next event. */
	if (error || m->sides.source.running ||
	    strcmp(m->sides.source.status, "finish-migrate") == 0)
		return error;
	m->keeper.plan->was_running = false;
	return m->sides.is_dest_open ? NESTMIG_OK : make_check(m, &m->result->check, detail);
}

static enum nestmig_error note_event(struct migration *m, const json_t *event,
				     struct nestmig_detail *detail)
{
	const char *name = qmp_event_name(event), *status = NULL;

	if (strcmp(name, "STOP") == 0)
		return note_stop(m, detail);
	if (strcmp(name, "RESUME") == 0) {
		m->keeper.plan->was_running = true;
		return NESTMIG_OK;
	}
	status = json_string_value(json_object_get(qmp_event_data(event), "status"));
	m->is_switching = status && strcmp(status, "pre-switchover") == 0;
	if (status && (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0))
		return look(m, detail);
	return NESTMIG_OK;
}

/* Until the source waits at pre-switchover. */
static enum nestmig_error watch(struct migration *m, struct nestmig_detail *detail)
{
	static const char *const names[] = {"MIGRATION", "STOP", "RESUME", NULL};
	enum nestmig_error error = NESTMIG_OK;
	int64_t asked = 0;

	while (!error && !m->is_switching) {
		json_t *event = NULL;
		enum qmp_error got = qmp_wait_any_event(m->sides.source.qmp, names, ASK_MS, &event);

		if (live_interrupted())
			error = nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
		else if (!got)
			error = note_event(m, event, detail);
		else if (got != QMP_ERR_TIMEOUT)
			error = live_failed(&m->sides.source, "waiting", detail);
		json_decref(event);
		if (!error && !m->is_switching && live_now() - asked >= ASK_MS) {
			error = look(m, detail);
			asked = live_now();
		}
	}
	live_progress_end();
	return error;
}

/* ---- The switchover --------------------------------------------------------------------------- */

static enum nestmig_error decide(struct migration *m, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	bool is_to_be_judged = m->keeper.plan->was_running || m->sides.is_dest_open;

	if (is_to_be_judged)
		error = make_check(m, &m->result->check, detail);
	if (error)
		return error;
	if (live_interrupted())
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
	if (refuses(m, &m->result->check, true))
		return NESTMIG_OK;
	m->keeper.plan->phase = SIDES_DECIDED;
	if (qmp_execute_pack(m->sides.source.qmp, LIVE_REPLY_MS, NULL, "migrate-continue", "{s:s}",
			     "state", "pre-switchover"))
		return live_failed(&m->sides.source, "migrate-continue", detail);
	return NESTMIG_OK;
}

/* Whatever has come of it: one side has the VM, and it is known which. */
static void settle(struct migration *m)
{
	struct migrate_result *result = m->result;
	struct live *source = &m->sides.source;

	sides_settle(&m->sides, m->keeper.plan, &m->outcome);
	result->at = sides_at_name(m->outcome.at);
	result->is_migrated = m->outcome.at == SIDES_AT_DESTINATION;
	result->bytes = source->transferred;
	result->total_ms = live_now() - m->started;
	if (result->is_migrated && m->stopped_us && m->outcome.running_us)
		result->downtime_us = m->outcome.running_us - m->stopped_us;
	else if (result->is_migrated && source->downtime_ms >= 0)
		result->downtime_us = source->downtime_ms * 1000;
	snprintf(result->source, sizeof(result->source), "%s", m->outcome.source);
	snprintf(result->dest, sizeof(result->dest), "%s", m->outcome.dest);
	if (*m->outcome.why || !result->is_refused)
		snprintf(result->why, sizeof(result->why), "%s", m->outcome.why);
	if (!result->is_migrated)
		setup_undo(&m->setup, &m->sides);
}

static enum nestmig_error migrate(struct migration *m, const char **ret_about,
				  struct nestmig_detail *detail)
{
	enum nestmig_error error = prepare(m, ret_about, detail);

	if (!error)
		error = preflight(m, detail);
	if (error || m->result->is_refused)
		return error;
	error = begin(m, ret_about, detail);
	if (!error)
		error = watch(m, detail);
	if (!error)
		error = decide(m, detail);
	settle(m);
	m->keeper.plan->phase = SIDES_OVER;
	return error;
}

enum nestmig_error migrate_qemu(const struct migrate_request *request,
				struct migrate_result *result, const char **ret_about,
				struct nestmig_detail *detail)
{
	struct migration m = {
		.request = request,
		.result = result,
		.judge = {.channel = -1},
		.take = {.memory = -1, .writer = -1, .page_memory = -1},
		.sides = {.source_address = request->socket, .dest_address = request->dest_socket}};
	enum nestmig_error error;

	result->name = *ret_about = request->socket;
	error = keeper_start(&m.keeper, request->socket, request->dest_socket, detail);
	if (!error) {
		m.keeper.plan->timeout_s = request->timeout_s;
		m.keeper.plan->leave_paused = request->paused;
		error = migrate(&m, ret_about, detail);
	}
	keeper_end(&m.keeper);
	apart_end(&m.judge);
	take_close(&m.take);
	setup_free(&m.setup);
	json_decref(m.cpus);
	free(m.ram);
	sides_close(&m.sides);
	return error;
}
