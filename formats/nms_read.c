// SPDX-License-Identifier: LGPL-2.1-or-later
/* .nms: from an opened snapshot into a state. */
#include "nms_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "host.h"
#include "qemu.h"
#include "qemu_features.h"

/* Items that a KVM struct supplies. If a vCPU has any of them from the stream, the stream counts.
 */
static const uint64_t supplied[NM_KVM_STRUCTS] = {
	[NM_KVM_NESTED_STATE] = NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMCB12) | NESTMIG_HAVE(VMCS12) |
				NESTMIG_HAVE(SHADOW_VMCS12),
	[NM_KVM_SREGS] = NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(PDPTRS),
	[NM_KVM_SREGS2] = NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(PDPTRS),
	[NM_KVM_REGS] = NESTMIG_HAVE(REGS),
	[NM_KVM_VCPU_EVENTS] =
		NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(ERROR_CODE) | NESTMIG_HAVE(INT_SHADOW),
	[NM_KVM_DEBUGREGS] = NESTMIG_HAVE(DEBUGREGS),
	[NM_KVM_MP_STATE] = NESTMIG_HAVE(MP_STATE),
	[NM_KVM_MSRS] = NESTMIG_HAVE(MSRS) | NESTMIG_HAVE(SMBASE) | NESTMIG_HAVE(HSAVE_PA),
	[NM_KVM_CPUID] = NESTMIG_HAVE(CPUID),
};

/*
 * An error of nm_qemu_read counts from the start of the uncompressed stream; one of unpacking
 * counts from the start of the file already. Makes the former like the latter.
 */
static void move_offset(const struct nm_nms *nms, struct nestmig_detail *detail)
{
	struct nestmig_detail inner;
	size_t chunk;

	if (!detail || nms->unpack_failed || !detail->has_offset)
		return;
	inner = *detail;
	chunk = (size_t)(inner.offset / nms->chunk_size);
	if (chunk >= nms->chunk_count)
		chunk = nms->chunk_count - 1;
	detail->offset = nms->chunks[chunk];
	snprintf(detail->text, sizeof(detail->text),
		 "byte %" PRIu64 " of the stream inside: %.350s", inner.offset, inner.text);
}

/* Takes nms over, also on failure. */
static enum nestmig_error read_stream(struct nestmig_state *state, struct nm_nms *nms,
				      struct nestmig_detail *detail)
{
	struct nm_source *source;
	enum nestmig_error error = nm_nms_stream_source(nms, &source, detail);

	if (!error)
		error = nm_state_add_source(state, source, detail);
	if (error)
		return error;
	state->stream = source;
	error = nm_qemu_read(state, source, detail);
	if (error)
		move_offset(nms, detail);
	return error;
}

static struct nm_vcpu *find_vcpu(struct nestmig_state *state, uint32_t id)
{
	for (size_t i = 0; i < state->vcpu_count; i++)
		if (state->vcpus[i].id == id)
			return &state->vcpus[i];
	return NULL;
}

/* vCPU records ascend, so without a stream the vCPU is the last one or a new one. */
static enum nestmig_error get_vcpu(struct nestmig_state *state, const struct nm_nms_record *record,
				   struct nm_vcpu **ret_vcpu, struct nestmig_detail *detail)
{
	struct nm_vcpu *vcpu = NULL;
	enum nestmig_error error;

	if (state->stream)
		vcpu = find_vcpu(state, record->index);
	else if (state->vcpu_count > 0 && state->vcpus[state->vcpu_count - 1].id == record->index)
		vcpu = &state->vcpus[state->vcpu_count - 1];
	if (!vcpu && state->stream)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, record->offset,
				  "record %s is of vCPU %" PRIu32
				  ", which the stream does not have",
				  nms_type_name(record->type), record->index);
	if (!vcpu) {
		error = nm_state_add_vcpu(state, record->index, &vcpu, detail);
		if (error && detail) {
			detail->has_offset = true;
			detail->offset = record->offset;
		}
		if (error)
			return error;
	}
	*ret_vcpu = vcpu;
	return NESTMIG_OK;
}

static enum nestmig_error read_vcpu(struct nestmig_state *state, struct nm_source *source,
				    const struct nm_nms_record *record, enum nm_kvm_struct kind,
				    struct nestmig_detail *detail)
{
	struct nm_origin origin = {
		.offset = record->payload_offset,
		.size = record->length,
		.layout = NM_LAYOUT_KVM,
	};
	struct nm_vcpu *vcpu = NULL;
	enum nestmig_error error = get_vcpu(state, record, &vcpu, detail);

	if (error)
		return error;
	if (vcpu->view.have & supplied[kind])
		return NESTMIG_OK;
	error = nm_source_window(source, record->payload_offset, (size_t)record->length,
				 &origin.bytes, detail);
	if (error)
		return error;
	return nm_decode_kvm(vcpu, kind, origin, detail);
}

#define QEMU_CPU_MAX (64U << 10)

/* The CPU object of QEMU: counts unless the vCPU has a whole CPUID already. */
static enum nestmig_error read_qemu_cpu(struct nestmig_state *state, struct nm_source *source,
					const struct nm_nms_record *record,
					struct nestmig_detail *detail)
{
	struct nm_origin origin = {.offset = record->payload_offset, .size = record->length};
	struct nm_vcpu *vcpu = find_vcpu(state, record->index);
	enum nestmig_error error;

	if (!vcpu || nm_vcpu_has(vcpu, NESTMIG_HAVE(CPUID)))
		return NESTMIG_OK;
	if (record->length > QEMU_CPU_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, record->offset,
				  "record QEMU_CPU has more than %u bytes", QEMU_CPU_MAX);
	error = nm_source_window(source, record->payload_offset, (size_t)record->length,
				 &origin.bytes, detail);
	return error ? error : nm_qemu_features_text(vcpu, origin, detail);
}

static enum nestmig_error read_host(struct nestmig_state *state, struct nm_source *source,
				    const struct nm_nms_record *record,
				    struct nestmig_detail *detail)
{
	const uint8_t *text;
	enum nestmig_error error = nm_source_window(source, record->payload_offset,
						    (size_t)record->length, &text, detail);

	if (error)
		return error;
	error = nm_host_parse((const char *)text, (size_t)record->length, &state->host, detail);
	if (!error || error == NESTMIG_ERR_NOMEM || !detail)
		return error;
	/* The parser counts from the start of the text, if it counts. */
	detail->offset = record->payload_offset + (detail->has_offset ? detail->offset : 0);
	detail->has_offset = true;
	return error;
}

static enum nestmig_error read_records(struct nestmig_state *state, struct nm_source *source,
				       const struct nm_nms *nms, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < nms->record_count && !error; i++) {
		const struct nm_nms_record *record = &nms->records[i];
		enum nm_kvm_struct kind;

		if (nms_is_vcpu_type(record->type, &kind))
			error = read_vcpu(state, source, record, kind, detail);
		else if (record->type == NM_NMS_HOST)
			error = read_host(state, source, record, detail);
		else if (record->type == NM_NMS_QEMU_CPU)
			error = read_qemu_cpu(state, source, record, detail);
	}
	return error;
}

/* What SOURCE says and the stream does not. */
static enum nestmig_error read_info(struct nestmig_state *state, const struct nm_nms_info *info,
				    struct nestmig_detail *detail)
{
	if (info->machine && !state->machine) {
		enum nestmig_error error =
			nm_state_set_machine(state, info->machine, strlen(info->machine), detail);

		if (error)
			return error;
	}
	for (size_t i = 0; i < state->vcpu_count; i++) {
		struct nestmig_vcpu_view *view = &state->vcpus[i].view;

		if (state->vendor == NESTMIG_VENDOR_UNKNOWN)
			state->vendor = view->vendor;
	}
	if (state->vendor == NESTMIG_VENDOR_UNKNOWN)
		state->vendor = info->vendor;
	for (size_t i = 0; i < state->vcpu_count; i++)
		if (state->vcpus[i].view.vendor == NESTMIG_VENDOR_UNKNOWN)
			state->vcpus[i].view.vendor = state->vendor;
	return NESTMIG_OK;
}

enum nestmig_error nm_nms_read(struct nestmig_state *state, struct nm_source *source,
			       unsigned flags, struct nestmig_detail *detail)
{
	bool has_stream;
	struct nm_nms *nms;
	enum nestmig_error error = nm_nms_open(source, flags, &nms, detail);

	if (error)
		return error;
	state->format = "nms";
	has_stream = nm_nms_has_stream(nms);
	/* From here on, a snapshot with a stream belongs to the state. */
	if (has_stream)
		error = read_stream(state, nms, detail);
	if (!error)
		error = read_records(state, source, nms, detail);
	if (!error)
		error = read_info(state, &nms->info, detail);
	if (!has_stream)
		nm_nms_free(nms);
	return error;
}
