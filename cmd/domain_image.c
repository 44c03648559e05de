// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading and judging a save image of libvirt, apart from what talks to its daemon. */
#include "domain_image.h"

#include <stdlib.h>
#include <string.h>

#include "apart.h"
#include "domain.h"
#include "error.h"
#include "hostarg.h"
#include "sandbox.h"
#include "state.h"

/* More than the longest report there is. */
#define REPORT_MAX (UINT64_C(64) << 20)

struct judging {
	const struct domain_request *request;
	const struct nestmig_host *host; /* NULL: not known */
};

/* Follows apart_put_error; then report_size bytes. */
struct answer {
	int32_t verdict;
	char name[256];
	uint64_t report_size;
};

/* ---- In the process apart --------------------------------------------------------------------- */

static enum nestmig_error take_name(const struct nestmig_state *state, struct answer *answer,
				    struct nestmig_detail *detail)
{
	struct nm_domain *domain = NULL;
	enum nestmig_error error;

	if (!state->domain_xml)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "this is a %s: libvirt restores its own save images only; `nestmig "
			       "restore --qmp` takes others",
			       state->format);
	error = nm_domain_parse(state->domain_xml, &domain, detail);
	if (!error && domain->name)
		snprintf(answer->name, sizeof(answer->name), "%s", domain->name);
	nm_domain_free(domain);
	return error;
}

static enum nestmig_error judge(const struct judging *judging, struct answer *answer,
				char **ret_report, struct nestmig_detail *detail)
{
	const struct domain_request *request = judging->request;
	struct sandbox sandbox = {.paths = &request->file, .count = 1};
	struct nestmig_report *report = NULL;
	struct nestmig_state *state = NULL;
	enum nestmig_error error = sandbox_enter(&sandbox, detail);

	if (!error)
		error = nestmig_state_read(request->file, 0, &state, detail);
	if (!error)
		error = take_name(state, answer, detail);
	if (!error)
		error = nestmig_judge(state, judging->host, &report);
	if (!error) {
		answer->verdict = nestmig_report_verdict(report);
		error = request->json ? nestmig_report_json(report, request->file, ret_report)
				      : nestmig_report_text(report, request->file, request->colour,
							    ret_report);
	}
	nestmig_report_free(report);
	nestmig_state_free(state);
	return error;
}

/* The work of apart_start, of a struct judging. */
static void judge_apart(void *ctx, int channel)
{
	struct nestmig_detail detail = {0};
	struct answer answer;
	char *report = NULL;
	enum nestmig_error error;

	memset(&answer, 0, sizeof(answer));
	error = judge(ctx, &answer, &report, &detail);
	answer.report_size = report ? strlen(report) : 0;
	if (apart_put_error(channel, error, &detail) && !error &&
	    apart_put(channel, &answer, sizeof(answer)))
		(void)apart_put(channel, report, (size_t)answer.report_size);
	free(report);
}

/* ---- In the one that asks --------------------------------------------------------------------- */

static enum nestmig_error take_answer(struct apart *apart, struct domain_judged *ret_judged,
				      struct nestmig_detail *detail)
{
	enum nestmig_error error = apart_get_error(apart, detail);
	struct answer answer;
	char *report;

	if (error)
		return error;
	if (!apart_get(apart, apart->channel, &answer, sizeof(answer)) ||
	    answer.report_size > REPORT_MAX)
		return apart_failed(apart, detail);
	report = malloc((size_t)answer.report_size + 1);
	if (!report)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!apart_get(apart, apart->channel, report, (size_t)answer.report_size)) {
		free(report);
		return apart_failed(apart, detail);
	}
	report[answer.report_size] = '\0';
	ret_judged->report = report;
	ret_judged->verdict = answer.verdict == NESTMIG_VERDICT_OK     ? NESTMIG_VERDICT_OK
			      : answer.verdict == NESTMIG_VERDICT_FAIL ? NESTMIG_VERDICT_FAIL
								       : NESTMIG_VERDICT_UNKNOWN;
	memcpy(ret_judged->name, answer.name, sizeof(answer.name));
	ret_judged->name[sizeof(answer.name) - 1] = '\0';
	return NESTMIG_OK;
}

/* "qemu+ssh://host/system" has a host, "qemu:///system" and "qemu+unix:///system?socket=..." have none. */
static bool is_remote(const char *uri)
{
	const char *slashes = uri ? strstr(uri, "://") : NULL;

	return slashes && slashes[3] != '/' && slashes[3] != '\0';
}

enum nestmig_error domain_judge(const struct domain_request *request,
				struct domain_judged *ret_judged, struct nestmig_detail *detail)
{
	const char *argument = request->host_argument;
	struct judging judging = {.request = request};
	struct apart apart = {.channel = -1};
	struct nestmig_host *host = NULL;
	enum nestmig_error error;

	if (!argument)
		argument = is_remote(request->uri) ? "none" : "live";
	error = host_argument_apart(argument, &host, detail);
	judging.host = host;
	if (!error)
		error = apart_start(&apart, judge_apart, &judging, -1, detail);
	if (!error)
		error = take_answer(&apart, ret_judged, detail);
	apart_end(&apart);
	nestmig_host_free(host);
	return error;
}
