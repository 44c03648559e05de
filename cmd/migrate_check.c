// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: judging the device state, and serving the process that does it. */
#include "migrate_check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "error.h"
#include "live.h"
#include "qemu.h"
#include "sandbox.h"
#include "source.h"

#define EFER_SVME (UINT64_C(1) << 12)
#define CR4_VMXE  (UINT64_C(1) << 13)
#define CPUID_SVM (UINT32_C(1) << 2)
#define CPUID_VMX (UINT32_C(1) << 5)

/* The longest report of 4096 vCPUs is shorter. */
#define REPORT_MAX (UINT64_C(64) << 20)

/* From the process that judges: it wants the page at gpa, or it is done and the rest follows. */
struct message {
	uint32_t wants_page, reserved;
	uint64_t gpa;
};

struct result {
	uint32_t verdict, vcpus, told, exposed, on, active;
	uint64_t bytes, report_size;
};

/* ---- In the process that judges --------------------------------------------------------------- */

/* state->find_pages has no context of its own. Set once, in a process that does nothing else. */
static int page_channel = -1;

static enum nestmig_error ask_page(const struct nestmig_state *state, struct nm_page *page,
				   struct nestmig_detail *detail)
{
	struct message message = {.wants_page = 1, .gpa = page->gpa};
	struct nm_patched *kept = state->ram.patched;
	struct nm_patched_page *room;
	uint32_t is_there = 0;

	if (kept->count == NM_PATCHED_MAX)
		return NESTMIG_OK;
	room = malloc(sizeof(*room));
	if (!room)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	room->gpa = page->gpa;
	if (!apart_put(page_channel, &message, sizeof(message)) ||
	    !apart_get(NULL, page_channel, &is_there, sizeof(is_there)) ||
	    (is_there && !apart_get(NULL, page_channel, room->bytes, sizeof(room->bytes)))) {
		free(room);
		return nm_fail(detail, NESTMIG_ERR_IO, "nobody gives pages of guest memory");
	}
	if (!is_there) {
		free(room);
		return NESTMIG_OK;
	}
	page->kind = NM_PAGE_PATCHED;
	page->offset = kept->count;
	kept->pages[kept->count++] = room;
	return NESTMIG_OK;
}

static enum nestmig_error ask_pages(const struct nestmig_state *state, struct nm_page *pages,
				    size_t count, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; !error && i < count; i++)
		error = ask_page(state, &pages[i], detail);
	return error;
}

/* Guest memory is not in the stream, but can be asked for. */
static enum nestmig_error use_memory(struct nestmig_state *state,
				     const struct check_request *request,
				     struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	if (!state->ram.patched)
		state->ram.patched = calloc(1, sizeof(*state->ram.patched));
	if (!state->ram.patched)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	state->find_pages = ask_pages;
	for (size_t i = 0; !error && i < request->ram_count; i++)
		error = nm_state_add_extent(state,
					    (struct nm_extent){.gpa = request->ram[i].gpa,
							       .size = request->ram[i].length},
					    detail);
	return error ? error : nm_state_load_memory(state, detail);
}

static enum nestmig_error read_state(const struct check_request *request,
				     struct nestmig_state **ret_state,
				     struct nestmig_detail *detail)
{
	int fd = fcntl(request->memory, F_DUPFD_CLOEXEC, 0);
	struct nm_source *source = NULL;
	enum nestmig_error error;

	if (fd < 0)
		return nm_fail_errno(detail, "reading the device state");
	error = nm_source_fd(fd, request->name, &source, detail);
	if (!error)
		error = nm_state_new(request->name, NULL, ret_state, detail);
	if (error) {
		nm_source_free(source);
		return error;
	}
	error = nm_state_add_source(*ret_state, source, detail);
	if (!error)
		error = nm_qemu_read(*ret_state, source, detail);
	if (!error)
		error = nestmig_state_set_restore_order(*ret_state, "qemu", detail);
	if (!error)
		error = cpus_take(*ret_state, request->cpus, detail);
	return error ? error : use_memory(*ret_state, request, detail);
}

static void count_levels(const struct nestmig_state *state, struct result *result)
{
	for (size_t i = 0; i < state->vcpu_count; i++) {
		const struct nestmig_vcpu_view *view = &state->vcpus[i].view;
		bool has = view->have & NESTMIG_HAVE(SREGS);
		bool is_told = view->have & NESTMIG_HAVE(CPUID);
		const uint32_t *words = view->cpuid.word;

		result->told += is_told;
		result->exposed += is_told && ((words[NESTMIG_CPUID_80000001_ECX] & CPUID_SVM) ||
					       (words[NESTMIG_CPUID_1_ECX] & CPUID_VMX));

		result->on +=
			has && ((view->sregs.efer & EFER_SVME) || (view->sregs.cr4 & CR4_VMXE));
		result->active += strcmp(nm_vcpu_mode(&state->vcpus[i]), "L2") == 0;
	}
	result->vcpus = (uint32_t)state->vcpu_count;
	result->bytes = nm_source_size(state->sources[0]);
}

/* Judges once and answers. false: nobody listens any more. */
static bool judge_once(const struct check_request *request, int channel)
{
	struct nestmig_report *report = NULL;
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	struct message done = {0};
	struct result result = {0};
	char *text = NULL;
	enum nestmig_error error = read_state(request, &state, &detail);
	bool is_told;

	if (!error)
		error = nestmig_judge(state, request->host, &report);
	if (!error)
		error = request->json ? nestmig_report_json(report, request->name, &text)
				      : nestmig_report_text(report, request->name, request->colour,
							    &text);
	is_told =
		apart_put(channel, &done, sizeof(done)) && apart_put_error(channel, error, &detail);
	if (is_told && !error) {
		count_levels(state, &result);
		result.verdict = (uint32_t)nestmig_report_verdict(report);
		result.report_size = strlen(text);
		is_told = apart_put(channel, &result, sizeof(result)) &&
			  apart_put(channel, text, (size_t)result.report_size);
	}
	free(text);
	nestmig_report_free(report);
	nestmig_state_free(state);
	return is_told;
}

/* The work of apart_start. */
static void judge(void *ctx, int channel)
{
	const struct check_request *request = ctx;
	struct sandbox sandbox = {0};
	struct nestmig_detail detail = {0};
	enum nestmig_error error = sandbox_enter(&sandbox, &detail);
	bool is_told = apart_put_error(channel, error, &detail);
	char go;

	page_channel = channel;
	while (is_told && !error && apart_get(NULL, channel, &go, sizeof(go)))
		is_told = judge_once(request, channel);
}

/* ---- In the process that talks to QEMU -------------------------------------------------------- */

enum nestmig_error check_start(struct apart *apart, const struct check_request *request,
			       struct nestmig_detail *detail)
{
	enum nestmig_error error =
		apart_start(apart, judge, (void *)(uintptr_t)request, request->memory, detail);

	return error ? error : apart_get_error(apart, detail);
}

/* Gives pages until the judgement is made. Each is asked for once, so there are not more than are kept. */
static enum nestmig_error serve(struct apart *apart, check_page_fn page, void *ctx,
				struct check_answer *answer, struct nestmig_detail *detail)
{
	uint8_t bytes[NM_PAGE_SIZE];
	struct message message;

	for (;;) {
		uint32_t is_there;

		if (!apart_get(apart, apart->channel, &message, sizeof(message)))
			return apart_failed(apart, detail);
		if (!message.wants_page)
			return apart_get_error(apart, detail);
		if (message.gpa % NM_PAGE_SIZE || answer->pages == NM_PATCHED_MAX)
			return apart_failed(apart, detail);
		is_there = page(ctx, message.gpa, bytes);
		answer->pages += is_there;
		if (!apart_put(apart->channel, &is_there, sizeof(is_there)) ||
		    (is_there && !apart_put(apart->channel, bytes, sizeof(bytes))))
			return apart_failed(apart, detail);
	}
}

static enum nestmig_error take_result(struct apart *apart, struct check_answer *answer,
				      struct nestmig_detail *detail)
{
	struct result result;

	if (!apart_get(apart, apart->channel, &result, sizeof(result)) ||
	    result.verdict > NESTMIG_VERDICT_FAIL || result.report_size > REPORT_MAX)
		return apart_failed(apart, detail);
	answer->report = malloc((size_t)result.report_size + 1);
	if (!answer->report)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!apart_get(apart, apart->channel, answer->report, (size_t)result.report_size))
		return apart_failed(apart, detail);
	answer->report[result.report_size] = '\0';
	answer->verdict = (enum nestmig_verdict)result.verdict;
	answer->vcpus = result.vcpus;
	answer->told = result.told;
	answer->exposed = result.exposed;
	answer->on = result.on;
	answer->active = result.active;
	answer->bytes = result.bytes;
	return NESTMIG_OK;
}

enum nestmig_error check_judge(struct apart *apart, int limit_ms, check_page_fn page, void *ctx,
			       struct check_answer *ret_answer, struct nestmig_detail *detail)
{
	struct check_answer answer = {0};
	enum nestmig_error error;

	apart->deadline = live_now() + limit_ms;
	if (!apart_put(apart->channel, "", 1))
		error = apart_failed(apart, detail);
	else
		error = serve(apart, page, ctx, &answer, detail);
	if (!error)
		error = take_result(apart, &answer, detail);
	apart->deadline = 0;
	if (error) {
		check_answer_clear(&answer);
		return error;
	}
	*ret_answer = answer;
	return NESTMIG_OK;
}

void check_answer_clear(struct check_answer *answer)
{
	free(answer->report);
	*answer = (struct check_answer){0};
}
