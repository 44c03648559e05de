// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: a running VM to another host, judged for that host first. */
#include "migrate.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "hostarg.h"
#include "options.h"

enum {
	OPT_LISTEN = 256,
	OPT_CONNECT,
	OPT_DEST_CONNECT,
	OPT_MIGRATE_URI,
	OPT_MONITOR,
	OPT_MANAGED,
	OPT_UNSAFE,
	OPT_PAUSED,
	OPT_NO_PREFLIGHT,
	OPT_MULTIFD,
	OPT_BANDWIDTH,
	OPT_DOWNTIME,
	OPT_STRICT
};

static const struct option options[] = {{"qmp", required_argument, NULL, 'q'},
					{"dest-qmp", required_argument, NULL, 'Q'},
					{"dest", required_argument, NULL, 'd'},
					{"listen", required_argument, NULL, OPT_LISTEN},
					{"domain", required_argument, NULL, 'D'},
					{"connect", required_argument, NULL, OPT_CONNECT},
					{"dest-connect", required_argument, NULL, OPT_DEST_CONNECT},
					{"migrate-uri", required_argument, NULL, OPT_MIGRATE_URI},
					{"monitor", no_argument, NULL, OPT_MONITOR},
					{"managed", no_argument, NULL, OPT_MANAGED},
					{"unsafe", no_argument, NULL, OPT_UNSAFE},
					{"host", required_argument, NULL, 'H'},
					{"force", no_argument, NULL, 'f'},
					{"strict", no_argument, NULL, OPT_STRICT},
					{"paused", no_argument, NULL, OPT_PAUSED},
					{"no-preflight", no_argument, NULL, OPT_NO_PREFLIGHT},
					{"multifd", required_argument, NULL, OPT_MULTIFD},
					{"bandwidth", required_argument, NULL, OPT_BANDWIDTH},
					{"downtime", required_argument, NULL, OPT_DOWNTIME},
					{"timeout", required_argument, NULL, 't'},
					{"json", no_argument, NULL, 'j'},
					{"help", no_argument, NULL, 'h'},
					{0}};

/* An option with a text or without an argument. false: it is none of these. */
static bool take_text(struct migrate_request *r, int option, const char *text)
{
	const struct {
		int option;
		const char **text;
		bool *flag;
	} places[] = {{'q', &r->socket, NULL},
		      {'Q', &r->dest_socket, NULL},
		      {'d', &r->uri, NULL},
		      {OPT_LISTEN, &r->listen, NULL},
		      {'D', &r->domain, NULL},
		      {OPT_CONNECT, &r->connect, NULL},
		      {OPT_DEST_CONNECT, &r->dest_connect, NULL},
		      {OPT_MIGRATE_URI, &r->migrate_uri, NULL},
		      {'H', &r->host_argument, NULL},
		      {OPT_MONITOR, NULL, &r->monitor},
		      {OPT_MANAGED, NULL, &r->managed},
		      {OPT_UNSAFE, NULL, &r->unsafe},
		      {'f', NULL, &r->force},
		      {OPT_STRICT, NULL, &r->strict},
		      {OPT_PAUSED, NULL, &r->paused},
		      {OPT_NO_PREFLIGHT, NULL, &r->no_preflight},
		      {'j', NULL, &r->json}};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].option != option)
			continue;
		if (places[i].text)
			*places[i].text = text;
		else
			*places[i].flag = true;
		return true;
	}
	return false;
}

/* An option with a number: -1 if it is good, else an exit code. */
static int take_number(const struct command *self, struct migrate_request *r, int option,
		       const char *text)
{
	const struct {
		int option, low, high;
		int *number;
		const char *complaint;
	} places[] = {
		{'t', 1, 86400, &r->timeout_s, "--timeout takes 1 to 86400 s"},
		{OPT_MULTIFD, 1, 255, &r->multifd, "--multifd takes 1 to 255 channels"},
		{OPT_BANDWIDTH, 1, 1 << 20, &r->bandwidth, "--bandwidth takes 1 to 1048576 MiB/s"},
		{OPT_DOWNTIME, 1, 2000000, &r->downtime_ms, "--downtime takes 1 to 2000000 ms"}};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i].option == option)
			return option_number(text, places[i].low, places[i].high, places[i].number)
				       ? -1
				       : cli_usage_error(self, "%s", places[i].complaint);
	return cli_wrong_option(self);
}

/* Which options go together. */
static int check_options(const struct command *self, const struct migrate_request *r)
{
	bool has_qmp =
		r->socket || r->dest_socket || r->uri || r->listen || r->multifd || r->no_preflight;
	bool has_libvirt = r->connect || r->dest_connect || r->migrate_uri || r->monitor ||
			   r->managed || r->unsafe;

	if (r->domain && has_qmp)
		return cli_usage_error(self, "--domain does not go with options of QMP");
	if (!r->domain && has_libvirt)
		return cli_usage_error(self, "options of libvirt need --domain");
	if (r->domain && !r->dest_connect)
		return cli_usage_error(self, "--domain needs --dest-connect URI");
	if (!r->domain && !(r->socket && (r->dest_socket || r->uri)))
		return cli_usage_error(
			self, "give --qmp SOCKET and --dest-qmp SOCKET or --dest URI, or --domain");
	if (r->listen && !(r->dest_socket && r->uri))
		return cli_usage_error(self, "--listen needs --dest-qmp and --dest");
	if (r->paused && !r->dest_socket && !r->domain)
		return cli_usage_error(self, "--paused needs --dest-qmp");
	if (r->multifd && !r->uri)
		return cli_usage_error(self, "--multifd needs --dest URI");
	if (!r->host_argument && !(r->dest_socket && strncmp(r->dest_socket, "tcp:", 4) != 0))
		return cli_usage_error(self,
				       "give --host, the profile of the destination; \"none\" "
				       "judges without");
	return -1;
}

static int parse(const struct command *self, struct migrate_request *r, int argc, char **argv)
{
	int c, status;

	while ((c = getopt_long(argc, argv, "q:Q:d:D:H:ft:jh", options, NULL)) != -1) {
		if (c == 'h')
			return cli_help(self);
		if (c == '?')
			return cli_wrong_option(self);
		if (take_text(r, c, optarg))
			continue;
		status = take_number(self, r, c, optarg);
		if (status >= 0)
			return status;
	}
	if (optind != argc)
		return cli_usage_error(self, "it takes no file");
	return check_options(self, r);
}

bool migrate_lacks_nesting(const struct nestmig_host *host)
{
	return host && (host->view.have & NESTMIG_HAVE(HOST_PARAMS)) && !host->view.nested;
}

bool migrate_refuses(const struct migrate_request *request, const struct migrate_check *check,
		     struct migrate_result *result)
{
	bool is_stranded = check->answer.on && migrate_lacks_nesting(request->host);

	if (is_stranded)
		snprintf(result->why, sizeof(result->why),
			 "SVM or VMX is on in %u of %u vCPUs, and the destination's KVM has "
			 "nested=0",
			 check->answer.on, check->answer.vcpus);
	return cli_refuses(is_stranded ? NESTMIG_VERDICT_FAIL : check->answer.verdict,
			   request->strict, request->force);
}

/* A migration that had begun and failed has a result too: which side has the VM. It may have been completed all the
 * same, as where the source has ended at the switchover. */
static int finish(const struct command *self, const struct migrate_request *request,
		  struct migrate_result *result, const char *about, enum nestmig_error error,
		  struct nestmig_detail *detail)
{
	if (error && result->at) {
		snprintf(result->why, sizeof(result->why), "%s", detail->text);
		if (migrate_report(request, result))
			return EXIT_TROUBLE;
		return cli_error(self, false, about, error, detail);
	}
	if (error)
		return cli_error(self, request->json, about, error, detail);
	error = migrate_report(request, result);
	if (error)
		return cli_error(self, request->json, about, error, detail);
	if (result->is_migrated)
		return EXIT_CLEAN;
	return result->is_refused ? EXIT_FINDINGS : EXIT_TROUBLE;
}

int cmd_migrate(const struct command *self, int argc, char **argv)
{
	struct migrate_request request = {.timeout_s = 30};
	struct migrate_result result = {.downtime_us = -1};
	struct nestmig_detail detail = {0};
	struct nestmig_host *host = NULL;
	const char *about = NULL;
	enum nestmig_error error;
	int status = parse(self, &request, argc, argv);

	if (status >= 0)
		return status;
	if (!request.host_argument)
		request.host_argument = "live";
	error = host_argument_apart(request.host_argument, &host, &detail);
	request.host = host;
	if (error && !host_argument_is_live(request.host_argument))
		about = request.host_argument;
	if (!error)
		error = request.domain ? migrate_domain(&request, &result, &about, &detail)
				       : migrate_qemu(&request, &result, &about, &detail);
	status = finish(self, &request, &result, about, error, &detail);
	check_answer_clear(&result.before.answer);
	check_answer_clear(&result.check.answer);
	nestmig_host_free(host);
	return status;
}
