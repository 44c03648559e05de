// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig snapshot: the vCPUs in the stream that has passed. */
#include <stdlib.h>

#include "apart.h"
#include "error.h"
#include "qemu.h"
#include "sandbox.h"
#include "snapshot.h"

/* nm_state_add_vcpu takes no more. */
#define VCPUS_MAX 4096

struct parse {
	struct tail *tail;
	const char *name;
};

/* In the order of the record types. */
static const enum nm_kvm_struct vcpu_structs[] = {
	NM_KVM_NESTED_STATE, NM_KVM_SREGS2,   NM_KVM_REGS, NM_KVM_VCPU_EVENTS,
	NM_KVM_DEBUGREGS,    NM_KVM_MP_STATE, NM_KVM_MSRS};
#define VCPU_STRUCTS (sizeof(vcpu_structs) / sizeof(vcpu_structs[0]))

/* ---- In the process that parses -------------------------------------------------------------- */

/* The id, then the size and the bytes of each struct. */
static bool put_vcpu(int channel, const struct nm_vcpu *vcpu)
{
	static uint8_t buffer[NM_KVM_STRUCT_MAX];
	bool is_told = apart_put(channel, &vcpu->id, sizeof(vcpu->id));

	for (size_t i = 0; is_told && i < VCPU_STRUCTS; i++) {
		size_t size = 0;
		uint32_t told;

		nm_encode_kvm(vcpu, vcpu_structs[i], buffer, &size);
		told = (uint32_t)size;
		is_told =
			apart_put(channel, &told, sizeof(told)) && apart_put(channel, buffer, size);
	}
	return is_told;
}

/* The stream that has passed, with no file in reach. */
static enum nestmig_error read_stream(const struct parse *parse, struct nestmig_state **ret_state,
				      struct nestmig_detail *detail)
{
	struct sandbox sandbox = {0};
	struct nm_source *source = NULL;
	enum nestmig_error error = sandbox_enter(&sandbox, detail);

	if (!error)
		error = nm_state_new(parse->name, NULL, ret_state, detail);
	if (!error)
		error = tail_source(parse->tail, &source, detail);
	if (!error)
		error = nm_state_add_source(*ret_state, source, detail);
	return error ? error : nm_qemu_read(*ret_state, source, detail);
}

/* The work of apart_start: tells the error, how many vCPUs there are, and each. */
static void parse_stream(void *ctx, int channel)
{
	struct nestmig_detail detail = {0};
	struct nestmig_state *state = NULL;
	enum nestmig_error error = read_stream(ctx, &state, &detail);
	bool is_told = apart_put_error(channel, error, &detail);

	if (is_told && !error) {
		uint32_t count = (uint32_t)state->vcpu_count;

		is_told = apart_put(channel, &count, sizeof(count));
		for (uint32_t i = 0; is_told && i < count; i++)
			is_told = put_vcpu(channel, &state->vcpus[i]);
	}
	nestmig_state_free(state);
}

/* ---- In the process that talks to QEMU -------------------------------------------------------- */

/* The structs of a vCPU as they come from the process that parses. */
static enum nestmig_error take_vcpu(struct apart *apart, struct nm_nms_writer *writer,
				    uint32_t *ret_id, struct nestmig_detail *detail)
{
	uint8_t *buffer = malloc(NM_KVM_STRUCT_MAX);
	enum nestmig_error error = NESTMIG_OK;
	uint32_t id = 0, size = 0;

	if (!buffer)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!apart_get(apart, apart->channel, &id, sizeof(id)))
		error = apart_failed(apart, detail);
	for (size_t i = 0; !error && i < VCPU_STRUCTS; i++) {
		if (!apart_get(apart, apart->channel, &size, sizeof(size)) ||
		    size > NM_KVM_STRUCT_MAX || !apart_get(apart, apart->channel, buffer, size))
			error = apart_failed(apart, detail);
		else if (size)
			error = nm_nms_writer_add_vcpu(writer, id, vcpu_structs[i], buffer, size,
						       detail);
	}
	free(buffer);
	*ret_id = id;
	return error;
}

static enum nestmig_error take_vcpus(struct apart *apart, struct nm_nms_writer *writer,
				     uint32_t *ids, size_t *ret_count,
				     struct nestmig_detail *detail)
{
	enum nestmig_error error = apart_get_error(apart, detail);
	uint32_t count = 0;

	if (error)
		return error;
	if (!apart_get(apart, apart->channel, &count, sizeof(count)) || count > VCPUS_MAX)
		return apart_failed(apart, detail);
	for (uint32_t i = 0; !error && i < count; i++)
		error = take_vcpu(apart, writer, &ids[i], detail);
	*ret_count = count;
	return error;
}

enum nestmig_error snapshot_vcpus(struct tail *tail, const char *name, struct nm_nms_writer *writer,
				  uint32_t **ret_ids, size_t *ret_count,
				  struct nestmig_detail *detail)
{
	struct parse parse = {tail, name};
	struct apart apart = {.channel = -1};
	uint32_t *ids = calloc(VCPUS_MAX, sizeof(*ids));
	enum nestmig_error error;
	size_t count = 0;

	if (!ids)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = apart_start(&apart, parse_stream, &parse, -1, detail);
	if (!error)
		error = take_vcpus(&apart, writer, ids, &count, detail);
	apart_end(&apart);
	if (error) {
		free(ids);
		return error;
	}
	*ret_ids = ids;
	*ret_count = count;
	return NESTMIG_OK;
}
