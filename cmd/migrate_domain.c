// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nestmig migrate: a domain of libvirt. libvirt pauses QEMU before the switchover itself and lets it go on at once
 * (qemuMigrationSrcRun, 9.0), so what is judged is judged before: the domain's XML, and with --monitor its device
 * state.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain.h"
#include "error.h"
#include "migrate.h"
#include "migrate_take.h"

/* How often it is asked how far it has come, us. */
#define ASK_US 200000
/* How long a judgement may keep a VM stopped, ms. */
#define CHECK_MS 5000

struct moving {
	const struct migrate_request *request;
	struct migrate_result *result;
	virConnectPtr source, dest; /* dest NULL: this machine does not reach it */
	virDomainPtr domain;
	/* Of the thread that migrates. */
	pthread_mutex_t lock;
	bool is_done;
	enum nestmig_error error;
	struct nestmig_detail detail;
};

/* ---- Before ----------------------------------------------------------------------------------- */

/* Is nesting offered to the guest, as libvirt will start it at the destination? */
static enum nestmig_error read_exposed(struct moving *m, const char **ret_feature,
				       struct nestmig_detail *detail)
{
	static const char *const features[] = {"svm", "vmx"};
	char *xml = virDomainGetXMLDesc(m->domain, VIR_DOMAIN_XML_MIGRATABLE);
	struct nm_domain *domain = NULL;
	enum nestmig_error error;

	*ret_feature = NULL;
	if (!xml)
		return libvirt_failed("the domain's XML", detail);
	error = nm_domain_parse(xml, &domain, detail);
	free(xml);
	for (size_t i = 0; !error && i < sizeof(features) / sizeof(features[0]); i++) {
		const char *policy = nm_domain_feature(domain, features[i]);

		if (policy && (strcmp(policy, "require") == 0 || strcmp(policy, "force") == 0))
			*ret_feature = features[i];
	}
	nm_domain_free(domain);
	return error;
}

/* What the XML asks for, and the destination surely does not have. */
static enum nestmig_error check_xml(struct moving *m, struct nestmig_detail *detail)
{
	const char *feature = NULL;
	enum nestmig_error error = read_exposed(m, &feature, detail);

	m->result->checked = "the domain's XML";
	if (error || !feature || !migrate_lacks_nesting(m->request->host))
		return error;
	snprintf(m->result->why, sizeof(m->result->why),
		 "the domain's CPU requires %s, and the destination's KVM has nested=0", feature);
	m->result->is_refused = !m->request->force;
	return NESTMIG_OK;
}

/* The device state, while the domain goes on after it. */
static enum nestmig_error judge_state(struct moving *m, struct take *take, struct apart *judge,
				      struct check_request *request, struct nestmig_detail *detail)
{
	struct migrate_check *check = &m->result->before;
	int64_t begin;
	enum nestmig_error error = check_start(judge, request, detail);

	begin = live_now_us();
	if (!error)
		error = take_state(take, CHECK_MS, detail);
	check->cost_us = live_now_us() - begin;
	if (!error)
		error = check_judge(judge, CHECK_MS, take_page, take, &check->answer, detail);
	check->is_made = !error;
	if (!error)
		m->result->is_refused |= migrate_refuses(m->request, check, m->result);
	return error;
}

static enum nestmig_error check_monitor(struct moving *m, struct nestmig_detail *detail)
{
	struct check_request request = {.name = m->request->domain,
					.host = m->request->host,
					.json = m->request->json,
					.colour = cli_colour()};
	struct live live = {.domain = m->domain};
	struct apart judge = {.channel = -1};
	struct nm_range *ram = NULL;
	struct take take;
	json_t *cpus = NULL;
	enum nestmig_error error = take_open(&take, &live, detail);

	if (!error)
		error = live_query_cpus(&live, &cpus, detail);
	if (!error)
		error = take_ram(&live, &ram, &request.ram_count, detail);
	request.cpus = cpus;
	request.ram = ram;
	request.memory = take.memory;
	if (!error)
		error = judge_state(m, &take, &judge, &request, detail);
	m->result->checked = "the domain's XML, and its device state before the migration";
	take_remove(&take);
	take_close(&take);
	apart_end(&judge);
	json_decref(cpus);
	free(ram);
	return error;
}

/* ---- Migrating -------------------------------------------------------------------------------- */

static unsigned long flags_of(const struct migrate_request *request)
{
	return VIR_MIGRATE_LIVE | (request->managed ? 0 : (unsigned long)VIR_MIGRATE_PEER2PEER) |
	       (request->unsafe ? (unsigned long)VIR_MIGRATE_UNSAFE : 0) |
	       (request->paused ? (unsigned long)VIR_MIGRATE_PAUSED : 0);
}

static int run(struct moving *m, virTypedParameterPtr params, int count)
{
	const struct migrate_request *request = m->request;
	virDomainPtr moved;

	if (!request->managed)
		return virDomainMigrateToURI3(m->domain, request->dest_connect, params,
					      (unsigned)count, (unsigned)flags_of(request));
	moved = virDomainMigrate3(m->domain, m->dest, params, (unsigned)count,
				  (unsigned)flags_of(request));
	libvirt_domain_free(moved);
	return moved ? 0 : -1;
}

/* The thread: libvirt's call returns when all is over. */
static void *migrate(void *ctx)
{
	struct moving *m = ctx;
	virTypedParameterPtr params = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = NESTMIG_OK;
	int count = 0, room = 0;
	bool is_bad = false;

	if (m->request->migrate_uri)
		is_bad |= virTypedParamsAddString(&params, &count, &room, VIR_MIGRATE_PARAM_URI,
						  m->request->migrate_uri) < 0;
	if (m->request->bandwidth)
		is_bad |=
			virTypedParamsAddULLong(&params, &count, &room, VIR_MIGRATE_PARAM_BANDWIDTH,
						(unsigned long long)m->request->bandwidth) < 0;
	if (is_bad || run(m, params, count) < 0)
		error = libvirt_failed("", &detail);
	virTypedParamsFree(params, count);
	pthread_mutex_lock(&m->lock);
	m->error = error;
	m->detail = detail;
	m->is_done = true;
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static bool is_done(struct moving *m)
{
	bool done;

	pthread_mutex_lock(&m->lock);
	done = m->is_done;
	pthread_mutex_unlock(&m->lock);
	return done;
}

/* Bytes of RAM that were sent, and are left. */
static void ask_progress(struct moving *m, uint64_t *ret_done, uint64_t *ret_left)
{
	unsigned long long done = 0, left = 0;
	virTypedParameterPtr params = NULL;
	int type = 0, count = 0;

	if (virDomainGetJobStats(m->domain, &type, &params, &count, 0) < 0)
		return;
	virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_MEMORY_PROCESSED, &done);
	virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_MEMORY_REMAINING, &left);
	virTypedParamsFree(params, count);
	if (done) {
		*ret_done = done;
		*ret_left = left;
	}
}

/* Until the thread is done. What interrupts it, or that nothing has been sent for too long, is told to libvirt. */
static void watch(struct moving *m)
{
	int64_t since = live_now();
	uint64_t done = 0, left = 0, last = 0;
	bool is_aborted = false;

	while (!is_done(m)) {
		usleep(ASK_US);
		ask_progress(m, &done, &left);
		live_progress("migrate", done, done + left);
		if (done != last) {
			last = done;
			since = live_now();
		}
		if (!is_aborted && (live_interrupted() ||
				    live_now() - since > m->request->timeout_s * INT64_C(1000)))
			is_aborted = virDomainAbortJob(m->domain) == 0;
	}
	live_progress_end();
	m->result->bytes = done;
}

/* ---- After ------------------------------------------------------------------------------------ */

static void read_downtime(struct moving *m, virDomainPtr moved)
{
	virTypedParameterPtr params = NULL;
	unsigned long long downtime = 0;
	int type = 0, count = 0;

	if (virDomainGetJobStats(moved, &type, &params, &count, VIR_DOMAIN_JOB_STATS_COMPLETED) < 0)
		return;
	if (virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_DOWNTIME, &downtime) > 0)
		m->result->downtime_us = (int64_t)downtime * 1000;
	virTypedParamsFree(params, count);
}

/* Which side has the domain: libvirt says so of both, where they can be asked. */
static void look_at_both(struct moving *m, const char *name)
{
	struct migrate_result *result = m->result;
	virDomainPtr moved = NULL;
	const char *source = libvirt_state(m->domain), *dest = "unknown";

	if (m->dest)
		dest = libvirt_lookup(m->dest, name, &moved, NULL) ? "gone" : libvirt_state(moved);
	snprintf(result->source, sizeof(result->source), "%s", source);
	snprintf(result->dest, sizeof(result->dest), "%s", dest);
	result->is_migrated = m->error == NESTMIG_OK;
	result->at = result->is_migrated ? "destination" : "source";
	/* A daemon may have gone, or said no, after the domain had been handed over. */
	if (!result->is_migrated && strcmp(source, "running") != 0 && strcmp(source, "paused") != 0)
		result->at = strcmp(dest, "running") == 0 ? "destination" : "unknown";
	if (moved && result->is_migrated)
		read_downtime(m, moved);
	libvirt_domain_free(moved);
}

static enum nestmig_error move(struct moving *m, struct nestmig_detail *detail)
{
	int64_t begin = live_now();
	pthread_t thread;

	live_catch_signals(0);
	if (pthread_create(&thread, NULL, migrate, m))
		return nm_fail(detail, NESTMIG_ERR_IO, "no thread can be started");
	watch(m);
	pthread_join(thread, NULL);
	m->result->total_ms = live_now() - begin;
	look_at_both(m, m->result->name);
	if (m->error && detail)
		*detail = m->detail;
	return m->error;
}

static enum nestmig_error check_domain(struct moving *m, struct nestmig_detail *detail)
{
	const char *state = libvirt_state(m->domain);
	enum nestmig_error error;

	if (strcmp(state, "running") != 0 && strcmp(state, "paused") != 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "the domain is %s: only one that runs "
			       "or is paused can be migrated",
			       state);
	error = check_xml(m, detail);
	if (!error && m->request->monitor && !m->result->is_refused)
		error = check_monitor(m, detail);
	m->result->unchecked =
		m->request->monitor
			? "what becomes of the state until the switchover, at which libvirt lets "
			  "QEMU go on at once: `nestmig gate` as --migrate-uri judges that"
			: "the vCPUs: --monitor judges them before the migration, `nestmig gate` "
			  "as "
			  "--migrate-uri at the switchover";
	return error;
}

enum nestmig_error migrate_domain(const struct migrate_request *request,
				  struct migrate_result *result, const char **ret_about,
				  struct nestmig_detail *detail)
{
	struct moving m = {.request = request, .result = result, .lock = PTHREAD_MUTEX_INITIALIZER};
	enum nestmig_error error = libvirt_open(request->connect, &m.source, detail);

	result->name = request->domain;
	*ret_about = error ? request->connect : request->domain;
	if (!error)
		error = libvirt_lookup(m.source, request->domain, &m.domain, detail);
	if (!error) {
		/* Between two daemons it is not needed, but tells how the domain is there. */
		error = libvirt_open(request->dest_connect, &m.dest, detail);
		if (error && request->managed)
			*ret_about = request->dest_connect;
		else
			error = NESTMIG_OK;
	}
	if (!error)
		error = check_domain(&m, detail);
	if (!error && !result->is_refused)
		error = move(&m, detail);
	libvirt_domain_free(m.domain);
	libvirt_close(m.dest);
	libvirt_close(m.source);
	return error;
}
