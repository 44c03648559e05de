// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig gate, in the process that parses: reads and judges device state. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gate.h"
#include "reader.h"
#include "sandbox.h"
#include "source.h"
#include "state.h"

static enum nestmig_error judge(const struct gate_request *request, const uint8_t *bytes,
				size_t size, enum nestmig_verdict *ret_verdict, char **ret_text,
				struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	struct nestmig_report *report = NULL;
	struct nm_source *source = NULL;
	enum nestmig_error error = nm_source_memory(bytes, size, &source, detail);

	if (!error)
		error = nm_state_read_source(source, request->name, 0, NULL, &state, detail);
	if (!error)
		error = nestmig_judge(state, request->host, &report);
	if (!error)
		error = request->json ? nestmig_report_json(report, request->name, ret_text)
				      : nestmig_report_text(report, request->name, request->colour,
							    ret_text);
	if (!error)
		*ret_verdict = nestmig_report_verdict(report);
	nestmig_report_free(report);
	nestmig_state_free(state);
	return error;
}

static bool answer(const struct gate_request *request, int channel, const uint8_t *bytes,
		   size_t size)
{
	enum nestmig_verdict verdict = NESTMIG_VERDICT_UNKNOWN;
	struct nestmig_detail detail = {0};
	char *text = NULL;
	enum nestmig_error error = judge(request, bytes, size, &verdict, &text, &detail);
	struct gate_verdict answer;
	bool is_told = apart_put_error(channel, error, &detail);

	memset(&answer, 0, sizeof(answer));
	if (is_told && !error) {
		answer.verdict = verdict;
		answer.report_size = strlen(text);
		is_told = apart_put(channel, &answer, sizeof(answer)) &&
			  apart_put(channel, text, strlen(text));
	}
	free(text);
	return is_told;
}

void gate_judge(void *ctx, int channel)
{
	struct sandbox sandbox = {.is_paced = true};
	struct nestmig_detail detail = {0};
	bool goes_on = sandbox_enter(&sandbox, &detail) == NESTMIG_OK;
	uint64_t size;

	while (goes_on && apart_get(NULL, channel, &size, sizeof(size)) && size <= GATE_STATE_MAX) {
		uint8_t *bytes = malloc((size_t)size + 1);

		goes_on = bytes && apart_get(NULL, channel, bytes, (size_t)size) &&
			  answer(ctx, channel, bytes, (size_t)size);
		free(bytes);
	}
}
