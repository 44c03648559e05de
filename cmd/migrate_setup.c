// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: what both QEMUs are told before a migration begins. */
#include "migrate_setup.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"

#define FD_NAME "nestmig-migrate"

/* Capabilities that change what is sent, so that both sides must have the same. */
static const char *const of_both[] = {
	"compress",    "dirty-bitmaps",  "multifd",       "postcopy-ram",    "rdma-pin-all",
	"return-path", "switchover-ack", "validate-uuid", "x-ignore-shared", "xbzrle"};
/* Those with which a migration does not end by itself, or not at a QEMU that listens. */
static const char *const of_none[] = {"background-snapshot", "mapped-ram", "x-colo"};

static bool is_listed(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

#define IS_LISTED(name, list) is_listed(name, list, sizeof(list) / sizeof((list)[0]))

/* ---- Checks ----------------------------------------------------------------------------------- */

static enum nestmig_error check_source(struct live *live, struct nestmig_detail *detail)
{
	enum nestmig_error error = live_query_status(live, detail);

	if (!error)
		error = live_query_migrate(live, detail);
	if (error)
		return error;
	if (live_is_migrating(live))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "a migration of this VM is \"%s\": wait for its end or cancel it",
			       live->migration);
	if (strcmp(live->status, "inmigrate") == 0)
		return nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"this QEMU waits for an incoming migration: it has no VM to migrate");
	if (strcmp(live->status, "postmigrate") == 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "this VM has been saved or migrated already: only after `cont` does "
			       "QEMU migrate it again");
	return NESTMIG_OK;
}

static enum nestmig_error check_fit(struct sides *sides, struct nestmig_detail *detail)
{
	char source[64], dest[64];

	if (!live_machine(&sides->source, source, sizeof(source)) ||
	    !live_machine(&sides->dest, dest, sizeof(dest)) || strcmp(source, dest) == 0)
		return NESTMIG_OK;
	return nm_fail(
		detail, NESTMIG_ERR_CAPABILITY,
		"the VM is a machine \"%s\", and this QEMU has a \"%s\": start it with -M %s",
		source, dest, source);
}

static enum nestmig_error check_dest(struct sides *sides, const struct migrate_request *request,
				     struct nestmig_detail *detail)
{
	struct live *live = &sides->dest;
	enum nestmig_error error = live_query_status(live, detail);

	if (!error)
		error = live_query_migrate(live, detail);
	if (error)
		return error;
	if (strcmp(live->status, "inmigrate") != 0)
		return nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"this QEMU is \"%s\": start one with -incoming defer to migrate into",
			live->status);
	if (strcmp(live->migration, "none") != 0 && !request->uri)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "this QEMU listens already: say with --dest where, or start it with "
			       "-incoming defer");
	return check_fit(sides, detail);
}

enum nestmig_error setup_check(struct sides *sides, const struct migrate_request *request,
			       const char **ret_about, struct nestmig_detail *detail)
{
	enum nestmig_error error = check_source(&sides->source, detail);

	*ret_about = sides->source_address;
	if (error || !sides->is_dest_open)
		return error;
	*ret_about = sides->dest_address;
	return check_dest(sides, request, detail);
}

/* ---- Capabilities and parameters -------------------------------------------------------------- */

static enum nestmig_error query(struct live *live, const char *command, json_t **ret_reply,
				struct nestmig_detail *detail)
{
	if (qmp_execute(live->qmp, command, NULL, LIVE_REPLY_MS, ret_reply))
		return live_failed(live, command, detail);
	return NESTMIG_OK;
}

static enum nestmig_error set_capabilities(struct live *live, json_t *list,
					   struct nestmig_detail *detail)
{
	if (qmp_execute_pack(live->qmp, LIVE_REPLY_MS, NULL, "migrate-set-capabilities", "{s:O}",
			     "capabilities", list))
		return live_failed(live, "migrate-set-capabilities", detail);
	return NESTMIG_OK;
}

static void add(json_t *list, const char *name, bool is_on)
{
	json_array_append_new(list, json_pack("{s:s, s:b}", "capability", name, "state", is_on));
}

/* What a capability of the source has to be; those of the user stay. */
static bool wanted(const char *name, bool is_on, const struct migrate_request *request)
{
	static const char *const always[] = {"events", "pause-before-switchover", "return-path"};

	if (IS_LISTED(name, always))
		return true;
	return strcmp(name, "multifd") == 0 && request->multifd ? true : is_on;
}

/* The lists for both sides, from what the source has. */
static enum nestmig_error make_lists(const json_t *had, const struct migrate_request *request,
				     json_t *source, json_t *dest, struct nestmig_detail *detail)
{
	const json_t *entry;
	bool can_pause = false;
	size_t i;

	json_array_foreach (had, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "capability"));
		bool is_on = json_is_true(json_object_get(entry, "state")), should;

		if (!name)
			continue;
		if (is_on && IS_LISTED(name, of_none))
			return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
				       "the migration capability \"%.64s\" of this QEMU is on: "
				       "switch it off with migrate-set-capabilities",
				       name);
		can_pause |= strcmp(name, "pause-before-switchover") == 0;
		should = wanted(name, is_on, request);
		if (should != is_on)
			add(source, name, should);
		if (IS_LISTED(name, of_both))
			add(dest, name, should);
	}
	add(dest, "events", true);
	/* Or a destination that is held would take the images while the source may go on. */
	add(dest, "late-block-activate", true);
	return can_pause ? NESTMIG_OK
			 : nm_fail(detail, NESTMIG_ERR_CAPABILITY,
				   "this QEMU cannot pause before the switchover: it is older than "
				   "2.11");
}

static enum nestmig_error set_parameters(struct live *live, const struct migrate_request *request,
					 bool is_source, struct nestmig_detail *detail)
{
	json_t *parameters = json_object();
	enum nestmig_error error = NESTMIG_OK;

	if (request->multifd)
		json_object_set_new(parameters, "multifd-channels", json_integer(request->multifd));
	if (is_source && request->bandwidth)
		json_object_set_new(parameters, "max-bandwidth",
				    json_integer((json_int_t)request->bandwidth << 20));
	if (is_source && request->downtime_ms)
		json_object_set_new(parameters, "downtime-limit",
				    json_integer(request->downtime_ms));
	if (json_object_size(parameters) &&
	    qmp_execute(live->qmp, "migrate-set-parameters", parameters, LIVE_REPLY_MS, NULL))
		error = live_failed(live, "migrate-set-parameters", detail);
	json_decref(parameters);
	return error;
}

static enum nestmig_error configure(struct setup *setup, struct sides *sides,
				    const struct migrate_request *request, const char **ret_about,
				    struct nestmig_detail *detail)
{
	json_t *source = json_array(), *dest = json_array();
	enum nestmig_error error;

	*ret_about = sides->source_address;
	error = query(&sides->source, "query-migrate-capabilities", &setup->capabilities, detail);
	if (!error)
		error = query(&sides->source, "query-migrate-parameters", &setup->parameters,
			      detail);
	if (!error)
		error = make_lists(setup->capabilities, request, source, dest, detail);
	if (!error)
		error = set_capabilities(&sides->source, source, detail);
	if (!error)
		error = set_parameters(&sides->source, request, true, detail);
	if (!error && sides->is_dest_open) {
		*ret_about = sides->dest_address;
		error = set_capabilities(&sides->dest, dest, detail);
		if (!error)
			error = set_parameters(&sides->dest, request, false, detail);
	}
	json_decref(source);
	json_decref(dest);
	return error;
}

/* ---- The way from one to the other ------------------------------------------------------------ */

static enum nestmig_error pass_fd(struct live *live, int fd, struct nestmig_detail *detail)
{
	json_t *name = json_pack("{s:s}", "fdname", FD_NAME);
	enum nestmig_error error = NESTMIG_OK;

	if (qmp_execute_fd(live->qmp, "getfd", name, fd, LIVE_REPLY_MS, NULL))
		error = live_failed(live, "getfd", detail);
	json_decref(name);
	return error;
}

/* A pair of sockets, of which each QEMU gets one: nobody else can reach it. */
static enum nestmig_error connect_both(struct sides *sides, const char **ret_about,
				       struct nestmig_detail *detail)
{
	enum nestmig_error error;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return nm_fail_errno(detail, "socketpair");
	*ret_about = sides->source_address;
	error = pass_fd(&sides->source, ends[0], detail);
	if (!error) {
		*ret_about = sides->dest_address;
		error = pass_fd(&sides->dest, ends[1], detail);
	}
	close(ends[0]);
	close(ends[1]);
	return error;
}

static enum nestmig_error listen_at(struct sides *sides, const struct migrate_request *request,
				    const char **ret_uri, const char **ret_about,
				    struct nestmig_detail *detail)
{
	const char *uri = request->listen ? request->listen : request->uri;
	enum nestmig_error error = NESTMIG_OK;

	*ret_uri = request->uri;
	if (!sides->is_dest_open)
		return NESTMIG_OK;
	if (!uri) {
		uri = *ret_uri = "fd:" FD_NAME;
		error = connect_both(sides, ret_about, detail);
		if (error)
			return error;
	}
	*ret_about = sides->dest_address;
	/* Of a QEMU that is not to run: see migrate_sides.h. */
	if (qmp_execute(sides->dest.qmp, "stop", NULL, LIVE_REPLY_MS, NULL))
		return live_failed(&sides->dest, "stop", detail);
	if (strcmp(sides->dest.migration, "none") != 0)
		return NESTMIG_OK;
	if (qmp_execute_pack(sides->dest.qmp, LIVE_REPLY_MS, NULL, "migrate-incoming", "{s:s}",
			     "uri", uri))
		return live_failed(&sides->dest, "migrate-incoming", detail);
	return error;
}

enum nestmig_error setup_both(struct setup *setup, struct sides *sides,
			      const struct migrate_request *request, const char **ret_uri,
			      const char **ret_about, struct nestmig_detail *detail)
{
	enum nestmig_error error = configure(setup, sides, request, ret_about, detail);

	return error ? error : listen_at(sides, request, ret_uri, ret_about, detail);
}

/* ---- Undoing ---------------------------------------------------------------------------------- */

void setup_undo(struct setup *setup, struct sides *sides)
{
	static const char *const capabilities[] = {"events", "multifd", "pause-before-switchover",
						   "return-path"};
	static const char *const parameters[] = {"multifd-channels", "max-bandwidth",
						 "downtime-limit"};
	json_t *list = json_array(), *before = json_object();
	const json_t *entry;
	size_t i;

	json_array_foreach (setup->capabilities, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "capability"));

		if (name && IS_LISTED(name, capabilities))
			add(list, name, json_is_true(json_object_get(entry, "state")));
	}
	for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		json_t *value = json_object_get(setup->parameters, parameters[i]);

		if (value)
			json_object_set(before, parameters[i], value);
	}
	/* What fails here is no reason to fail: the VM does not depend on it. */
	if (json_array_size(list))
		(void)!set_capabilities(&sides->source, list, NULL);
	if (json_object_size(before))
		(void)!qmp_execute(sides->source.qmp, "migrate-set-parameters", before,
				   LIVE_REPLY_MS, NULL);
	json_decref(list);
	json_decref(before);
}

void setup_free(struct setup *setup)
{
	json_decref(setup->capabilities);
	json_decref(setup->parameters);
	*setup = (struct setup){0};
}
