// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig convert: to an .nms. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "convert.h"
#include "error.h"
#include "nms.h"
#include "qemu_features.h"
#include "source.h"

#define PIECE_SIZE (1U << 20)

/* Of another .nms: the same again. Else what the state says. */
static enum nestmig_error add_source(struct nm_nms_writer *writer,
				     const struct nestmig_state *state,
				     struct nestmig_detail *detail)
{
	struct nm_nms_info info = {.kind = NM_NMS_STATE_ONLY,
				   .vendor = state->vendor,
				   .tool = nestmig_version(),
				   .machine = state->machine};
	enum nestmig_error error = NESTMIG_OK;
	struct nm_nms *nms = NULL;
	time_t now = time(NULL);
	struct tm utc;
	char when[32];

	gmtime_r(&now, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	info.time = when;
	if (state->stream && strcmp(state->format, "qemu-device-state") != 0)
		info.kind = NM_NMS_FULL;
	if (strcmp(state->format, "nms") == 0) {
		/* Its checksums have been verified by the reader. */
		error = nm_nms_open(state->sources[0], NESTMIG_READ_SKIP_RAM_CHECKSUM, &nms,
				    detail);
		if (error)
			return error;
		info = *nm_nms_info(nms);
	}
	error = nm_nms_writer_add_source(writer, &info, detail);
	nm_nms_free(nms);
	return error;
}

static enum nestmig_error add_host(struct nm_nms_writer *writer, const struct nestmig_state *state,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error;
	char *text = NULL;

	if (!state->host)
		return NESTMIG_OK;
	error = nestmig_host_json(state->host, &text);
	if (error)
		return nm_fail(detail, error, "out of memory");
	error = nm_nms_writer_add_record(writer, NM_NMS_HOST, 0, text, strlen(text), detail);
	free(text);
	return error;
}

static enum nestmig_error add_stream(struct convert *c, struct nm_nms_writer *writer,
				     const struct nestmig_state *state,
				     struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	uint64_t size;
	uint8_t *piece;

	if (!state->stream)
		return NESTMIG_OK;
	size = nm_source_size(state->stream);
	piece = malloc(PIECE_SIZE);
	if (!piece)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	while (c->stream_bytes < size && !error) {
		uint64_t left = size - c->stream_bytes;
		size_t here = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;

		error = nm_source_read(state->stream, c->stream_bytes, piece, here, detail);
		if (!error)
			error = nm_nms_writer_add_stream(writer, piece, here, detail);
		c->stream_bytes += here;
	}
	free(piece);
	return error ? error : nm_nms_writer_finish_stream(writer, detail);
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

static enum nestmig_error add_struct(struct nm_nms_writer *writer, const struct nm_vcpu *vcpu,
				     enum nm_kvm_struct kind, struct nestmig_detail *detail)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	enum nestmig_error error = nm_encode_kvm_new(vcpu, kind, &bytes, &size);

	if (error)
		return nm_fail(detail, error, "out of memory");
	if (size)
		error = nm_nms_writer_add_vcpu(writer, vcpu->id, kind, bytes, size, detail);
	free(bytes);
	return error;
}

/* CPUID words without the list that they are from. */
static enum nestmig_error add_words(struct nm_nms_writer *writer, const struct nm_vcpu *vcpu,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error;
	char *text = NULL;

	if (!nm_vcpu_has(vcpu, NESTMIG_HAVE(CPUID)) || vcpu->cpuid_count)
		return NESTMIG_OK;
	error = nm_qemu_features_format(vcpu, &text);
	if (error)
		return nm_fail(detail, error, "out of memory");
	error = nm_nms_writer_add_record(writer, NM_NMS_QEMU_CPU, vcpu->id, text, strlen(text),
					 detail);
	free(text);
	return error;
}

static enum nestmig_error add_vcpu(struct nm_nms_writer *writer, const struct nm_vcpu *vcpu,
				   struct nestmig_detail *detail)
{
	/* In the order of the record types. */
	static const enum nm_kvm_struct kinds[] = {
		NM_KVM_NESTED_STATE, NM_KVM_SREGS2,   NM_KVM_REGS, NM_KVM_VCPU_EVENTS,
		NM_KVM_DEBUGREGS,    NM_KVM_MP_STATE, NM_KVM_MSRS, NM_KVM_CPUID};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !error; i++)
		error = add_struct(writer, vcpu, kinds[i], detail);
	return error ? error : add_words(writer, vcpu, detail);
}

static int by_id(const void *a, const void *b)
{
	const struct nm_vcpu *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Records ascend by vCPU. */
static enum nestmig_error add_vcpus(struct nm_nms_writer *writer, const struct nestmig_state *state,
				    struct nestmig_detail *detail)
{
	const struct nm_vcpu **sorted = calloc(state->vcpu_count + 1, sizeof(struct nm_vcpu *));
	enum nestmig_error error = NESTMIG_OK;

	if (!sorted)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < state->vcpu_count; i++)
		sorted[i] = &state->vcpus[i];
	qsort(sorted, state->vcpu_count, sizeof(struct nm_vcpu *), by_id);
	for (size_t i = 0; i < state->vcpu_count && !error; i++)
		error = add_vcpu(writer, sorted[i], detail);
	free(sorted);
	return error;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void note_losses(struct convert *c, const struct nestmig_state *state)
{
	if (!state->stream && state->extent_count)
		convert_note(c, "guest memory: an .nms has it only inside a QEMU stream");
	if (state->restore_order)
		convert_note(c, "the order of the restore");
	if (state->domain_xml || state->cookie_xml)
		convert_note(c, "the domain XML of libvirt");
	for (size_t i = 0; i < state->vcpu_count; i++)
		if (nm_vcpu_has(&state->vcpus[i], NESTMIG_HAVE(VM_CAPS)))
			convert_note(c, "the capabilities of the VM");
}

enum nestmig_error convert_to_nms(struct convert *c, const struct nestmig_state *state,
				  struct nestmig_detail *detail)
{
	struct nm_nms_writer *writer = NULL;
	enum nestmig_error error;
	struct stat st;

	if (!c->force && lstat(c->output, &st) == 0)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "it is there already; --force replaces it");
	error = nm_nms_writer_new(c->output, NM_NMS_LEVEL_DEFAULT, &writer, detail);
	if (!error)
		error = add_source(writer, state, detail);
	if (!error)
		error = add_host(writer, state, detail);
	if (!error)
		error = add_stream(c, writer, state, detail);
	if (!error)
		error = add_vcpus(writer, state, detail);
	if (!error)
		error = nm_nms_writer_commit(writer, detail);
	nm_nms_writer_free(writer);
	if (!error)
		note_losses(c, state);
	return error;
}
