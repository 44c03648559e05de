// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig gate: a relay on the path of a migration. What it does and why it is safe: gate.h. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "hostarg.h"
#include "jsontext.h"
#include "live.h"
#include "options.h"

struct gate {
	const struct command *self;
	struct gate_request request;
	const char *listen, *host_argument;
	struct gate_keeper keeper;
	struct nestmig_host *host;
	bool keep;
};

/* ---- Telling ------------------------------------------------------------------------------------- */

static bool is_cut(const struct gate_result *result)
{
	return result->is_judged && !result->is_passed;
}

static const char *outcome(const struct gate_result *result)
{
	if (is_cut(result))
		return "cut";
	switch (result->answer) {
	case GATE_ANSWER_TAKEN:
		return "taken-over";
	case GATE_ANSWER_REFUSED:
		return "refused-by-destination";
	default:
		return result->return_path ? "no-answer" : "passed";
	}
}

static double mib_per_second(const struct gate_result *result)
{
	double seconds = (double)result->relayed_us / 1e6;

	return seconds > 0 ? (double)result->bytes / 1048576.0 / seconds : 0;
}

static void print_outcome(const struct gate *g)
{
	const struct gate_result *result = &g->keeper.result;

	cli_put_name(stdout, g->request.name);
	if (is_cut(result))
		puts(result->return_path
			     ? ": cut; the destination has no VM, and the source goes on"
			     : ": cut; the destination has no VM. The source did not wait: its VM "
			       "is "
			       "whole, but stands still (postmigrate), until `cont`");
	else if (result->answer == GATE_ANSWER_TAKEN)
		puts(": passed on; the destination has taken the VM over");
	else if (result->return_path)
		puts(": passed on, but the destination has not taken the VM over: its own error "
		     "output says why. The source goes on");
	else
		puts(": passed on; without a return path the destination does not say whether it "
		     "has taken the VM over");
	printf("%" PRIu64 " MiB in %.1f s (%.0f MiB/s) over %u connections; %" PRIu64
	       " KiB of device state held for %.1f ms, of which judging took %.1f ms\n",
	       result->bytes >> 20, (double)result->relayed_us / 1e6, mib_per_second(result),
	       result->connections, result->held_bytes >> 10, (double)result->held_us / 1e3,
	       (double)result->judged_us / 1e3);
	if (result->verdict == NESTMIG_VERDICT_UNKNOWN && !is_cut(result))
		puts("Not everything could be judged: a stream that passes by has no guest memory "
		     "to "
		     "look at. --strict refuses what is unknown");
}

static enum nestmig_error print_result(struct gate *g)
{
	const struct gate_result *result = &g->keeper.result;
	json_t *json;

	if (!g->request.json) {
		cli_print(g->keeper.report);
		g->keeper.report = NULL;
		print_outcome(g);
		return NESTMIG_OK;
	}
	json = json_pack("{s:s, s:o, s:s, s:s, s:b, s:I, s:I, s:f, s:f, s:f, s:f, s:i, s:o?}",
			 "schema", "nestmig.gate/1", "connect", nm_json_text(g->request.name),
			 "outcome", outcome(result), "verdict",
			 nestmig_verdict_name((enum nestmig_verdict)result->verdict), "return_path",
			 (int)result->return_path, "bytes", (json_int_t)result->bytes, "held_bytes",
			 (json_int_t)result->held_bytes, "seconds",
			 (double)result->relayed_us / 1e6, "mib_per_second", mib_per_second(result),
			 "held_ms", (double)result->held_us / 1e3, "judged_ms",
			 (double)result->judged_us / 1e3, "connections", (int)result->connections,
			 "report", g->keeper.report ? json_loads(g->keeper.report, 0, NULL) : NULL);
	if (!json)
		return NESTMIG_ERR_NOMEM;
	json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(json);
	return NESTMIG_OK;
}

/* ---- The command --------------------------------------------------------------------------------- */

static int parse(struct gate *g, int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
						{"connect", required_argument, NULL, 'c'},
						{"host", required_argument, NULL, 'H'},
						{"strict", no_argument, NULL, 's'},
						{"one-way", no_argument, NULL, 'w'},
						{"once", no_argument, NULL, 'o'},
						{"keep", no_argument, NULL, 'k'},
						{"timeout", required_argument, NULL, 't'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "l:c:H:okt:jh", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			g->listen = optarg;
			break;
		case 'c':
			g->keeper.connect = optarg;
			break;
		case 'H':
			g->host_argument = optarg;
			break;
		case 's':
			g->request.strict = true;
			break;
		case 'w':
			g->request.one_way = true;
			break;
		case 'o':
			g->keep = false;
			break;
		case 'k':
			g->keep = true;
			break;
		case 't':
			if (!option_number(optarg, 1, 86400, &g->request.timeout_s))
				return cli_usage_error(g->self, "--timeout takes 1 to 86400 s");
			break;
		case 'j':
			g->request.json = true;
			break;
		case 'h':
			return cli_help(g->self);
		default:
			return cli_wrong_option(g->self);
		}
	}
	return -1;
}

static bool is_address(const char *text)
{
	size_t prefix = 0;

	if (text && strncmp(text, "unix:", 5) == 0)
		prefix = 5;
	else if (text && strncmp(text, "tcp:", 4) == 0)
		prefix = 4;
	return prefix && text[prefix];
}

static int check(struct gate *g, int argc)
{
	if (!is_address(g->listen) || !is_address(g->keeper.connect) || optind != argc)
		return cli_usage_error(g->self, "give --listen and --connect, each unix:PATH or "
						"tcp:HOST:PORT, and nothing else");
	if (!g->host_argument)
		return cli_usage_error(g->self,
				       "give --host, the profile of the destination's host");
	g->request.name = g->keeper.connect;
	g->keeper.request = &g->request;
	return -1;
}

/* One migration. */
static int pass_one(struct gate *g)
{
	struct nestmig_detail detail = {0};
	enum nestmig_error error = gate_keep(&g->keeper, &detail);
	const struct gate_result *result = &g->keeper.result;
	int status = EXIT_CLEAN;

	if (is_cut(result) && !error)
		status = EXIT_FINDINGS;
	else if (result->return_path && result->answer != GATE_ANSWER_TAKEN)
		status = EXIT_TROUBLE;
	if (!error)
		error = print_result(g);
	if (error)
		status = cli_error(g->self, g->request.json, g->request.name, error, &detail);
	free(g->keeper.report);
	g->keeper.report = NULL;
	memset(&g->keeper.result, 0, sizeof(g->keeper.result));
	fflush(stdout);
	return status;
}

int cmd_gate(const struct command *self, int argc, char **argv)
{
	struct gate g = {.self = self, .request = {.colour = cli_colour(), .timeout_s = 30}};
	struct nestmig_detail detail = {0};
	int status = parse(&g, argc, argv), one;
	enum nestmig_error error;
	const char *about;

	if (status < 0)
		status = check(&g, argc);
	if (status >= 0)
		return status;
	about = host_argument_is_live(g.host_argument) ? NULL : g.host_argument;
	error = host_argument_apart(g.host_argument, &g.host, &detail);
	if (!error) {
		about = g.listen;
		error = gate_listen(g.listen, &g.keeper.listener, &detail);
	}
	if (error) {
		nestmig_host_free(g.host);
		return cli_error(self, g.request.json, about, error, &detail);
	}
	g.request.host = g.host;
	live_catch_signals(0);
	status = EXIT_CLEAN;
	do {
		one = pass_one(&g);
		status = one > status ? one : status;
	} while (g.keep && !live_interrupted());
	gate_unlisten(g.listen, g.keeper.listener);
	nestmig_host_free(g.host);
	return status;
}
