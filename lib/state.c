// SPDX-License-Identifier: LGPL-2.1-or-later
/* The life of a state: vCPUs, sources, RAM extents. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "source.h"

/* KVM_MAX_VCPUS of Linux 6.1 is 4096 at most. */
#define MAX_VCPUS 4096

static const char *const item_names[NESTMIG_ITEM_COUNT] = {
#define ITEM(name, text) [NESTMIG_ITEM_##name] = text,
#include "items.def"
#undef ITEM
};

const char *nm_item_name(enum nestmig_item item)
{
	return (size_t)item < NESTMIG_ITEM_COUNT ? item_names[item] : "?";
}

/* Makes room for one more element; *array is NULL or came from here. Grows in powers of two. */
static bool grow(void **array, size_t count, size_t element)
{
	void *bigger;

	if (count & (count - 1))
		return true;
	bigger = reallocarray(*array, count ? 2 * count : 1, element);
	if (!bigger)
		return false;
	*array = bigger;
	return true;
}

enum nestmig_error nm_state_new(const char *path, const char *format,
				struct nestmig_state **ret_state, struct nestmig_detail *detail)
{
	struct nestmig_state *state = calloc(1, sizeof(*state));

	if (state)
		state->path = strdup(path);
	if (!state || !state->path) {
		free(state);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	state->format = format;
	*ret_state = state;
	return NESTMIG_OK;
}

void nestmig_state_free(struct nestmig_state *state)
{
	if (!state)
		return;
	for (size_t i = 0; i < state->vcpu_count; i++) {
		free(state->vcpus[i].msrs);
		free(state->vcpus[i].cpuid);
		nm_vcpu_drop_memory(&state->vcpus[i]);
	}
	free(state->vcpus);
	/* The first source may serve the others: the last goes first. */
	for (size_t i = state->source_count; i > 0; i--)
		nm_source_free(state->sources[i - 1]);
	free(state->sources);
	for (size_t i = 0; i < state->kept_count; i++)
		free(state->kept[i]);
	free(state->kept);
	free(state->extents);
	free(state->pages);
	for (size_t i = 0; state->ram.patched && i < state->ram.patched->count; i++)
		free(state->ram.patched->pages[i]);
	free(state->ram.patched);
	nestmig_host_free(state->host);
	free(state->restore_order);
	free(state->machine);
	free(state->remark);
	free(state->domain_xml);
	free(state->cookie_xml);
	free(state->path);
	free(state);
}

const char *nestmig_state_format(const struct nestmig_state *state)
{
	return state->format;
}

size_t nestmig_state_vcpu_count(const struct nestmig_state *state)
{
	return state->vcpu_count;
}

uint64_t nestmig_state_bytes_read(const struct nestmig_state *state)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < state->source_count; i++)
		sum += nm_source_bytes_read(state->sources[i]);
	return sum;
}

enum nestmig_error nm_state_add_vcpu(struct nestmig_state *state, uint32_t id,
				     struct nm_vcpu **ret_vcpu, struct nestmig_detail *detail)
{
	struct nm_vcpu *vcpu;
	size_t at = state->vcpu_count;

	if (at >= MAX_VCPUS)
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "more than %d vCPUs", MAX_VCPUS);
	for (size_t i = 0; i < at; i++)
		if (state->vcpus[i].id == id)
			return nm_fail(detail, NESTMIG_ERR_FORMAT, "vCPU %u is there twice", id);
	if (!grow((void **)&state->vcpus, at, sizeof(*vcpu)))
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	vcpu = &state->vcpus[at];
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->id = id;
	state->vcpu_count++;
	*ret_vcpu = vcpu;
	return NESTMIG_OK;
}

enum nestmig_error nm_state_add_source(struct nestmig_state *state, struct nm_source *source,
				       struct nestmig_detail *detail)
{
	if (!grow((void **)&state->sources, state->source_count, sizeof(struct nm_source *))) {
		nm_source_free(source);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	state->sources[state->source_count++] = source;
	return NESTMIG_OK;
}

enum nestmig_error nm_state_set_machine(struct nestmig_state *state, const char *name,
					size_t length, struct nestmig_detail *detail)
{
	char *copy = strndup(name, length);

	if (!copy)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (char *p = copy; *p; p++)
		if (*p <= ' ' || *p > '~')
			*p = '?';
	free(state->machine);
	state->machine = copy;
	return NESTMIG_OK;
}

void *nm_state_room(struct nestmig_state *state, size_t size)
{
	char *room;

	if (!grow((void **)&state->kept, state->kept_count, sizeof(char *)))
		return NULL;
	room = malloc(size);
	if (room)
		state->kept[state->kept_count++] = room;
	return room;
}

const char *nm_state_keep(struct nestmig_state *state, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = nm_state_room(state, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

void nm_vcpu_set_item(struct nm_vcpu *vcpu, enum nestmig_item item, struct nm_origin origin)
{
	vcpu->view.have |= UINT64_C(1) << item;
	vcpu->origin[item] = origin;
}

const char *nm_vcpu_mode(const struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;

	if ((view->have & NESTMIG_HAVE(EVENTS)) && view->events.smi_smm)
		return "SMM";
	if (view->have & NESTMIG_HAVE(NESTED))
		return view->nested.flags & KVMNS_GUEST_MODE ? "L2" : "L1";
	if (vcpu->qemu.present || vcpu->is_not_nested)
		return "L1";
	return "unknown";
}
