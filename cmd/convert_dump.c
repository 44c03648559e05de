// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig convert: to a raw KVM dump, a directory that appears whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "convert.h"
#include "error.h"
#include "host.h"
#include "live.h"
#include "rawdump.h"

#define MSR_ENTRY_SIZE 16

/* ---- Files ----------------------------------------------------------------------------------- */

static char *path_in(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static enum nestmig_error write_bytes(int fd, const uint8_t *bytes, size_t size,
				      struct nestmig_detail *detail)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(detail, "writing the dump");
		bytes += n;
		size -= (size_t)n;
	}
	return fsync(fd) < 0 ? nm_fail_errno(detail, "writing the dump to disk") : NESTMIG_OK;
}

static enum nestmig_error write_file(const char *directory, const char *name, const void *bytes,
				     size_t size, struct nestmig_detail *detail)
{
	char *path = path_in(directory, name);
	enum nestmig_error error;
	int fd;

	if (!path)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	free(path);
	if (fd < 0)
		return nm_fail_errno(detail, "creating %s", name);
	error = write_bytes(fd, bytes, size, detail);
	close(fd);
	return error;
}

static enum nestmig_error make_directory(const char *directory, const char *name, char **ret_path,
					 struct nestmig_detail *detail)
{
	char *path = path_in(directory, name);

	if (!path)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (mkdir(path, 0700) < 0) {
		free(path);
		return nm_fail_errno(detail, "creating %s", name);
	}
	*ret_path = path;
	return NESTMIG_OK;
}

static enum nestmig_error sync_directory(const char *path, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return nm_fail_errno(detail, "cannot open the directory %s", path);
	/* EINVAL: a file system that has no such thing. */
	if (fsync(fd) < 0 && errno != EINVAL)
		error = nm_fail_errno(detail, "writing %s to disk", path);
	close(fd);
	return error;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- meta.json and host_msrs ----------------------------------------------------------------- */

/* "kvm_amd.nested=1 kvm_amd.npt=0" */
static enum nestmig_error params_text(struct convert *c, const struct nestmig_host *host,
				      char **ret_text, struct nestmig_detail *detail)
{
	struct nm_buf buf = {0};

	for (size_t i = 0; i < host->param_count; i++) {
		const struct nm_named_value *param = &host->params[i];

		if (strpbrk(param->value, " \t\r\n"))
			convert_note(c, "the module parameter %s of the host", param->name);
		else
			nm_buf_printf(&buf, "%s%s=%s", buf.used ? " " : "", param->name,
				      param->value);
	}
	return nm_buf_take(&buf, ret_text) ? nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory")
					   : NESTMIG_OK;
}

/* A dump has one list for all vCPUs. */
static void add_vm_caps(struct convert *c, const struct nestmig_state *state, json_t *meta)
{
	const struct nm_vcpu *first = state->vcpu_count ? &state->vcpus[0] : NULL;

	if (!first || !nm_vcpu_has(first, NESTMIG_HAVE(VM_CAPS)))
		return;
	for (size_t i = 1; i < state->vcpu_count; i++)
		if (!nm_vcpu_has(&state->vcpus[i], NESTMIG_HAVE(VM_CAPS)) ||
		    state->vcpus[i].view.vm_caps != first->view.vm_caps) {
			convert_note(c, "the capabilities of the VM, which are not those of all "
					"vCPUs");
			return;
		}
	json_object_set_new(meta, "vm_caps", nm_rawdump_caps_json(first->view.vm_caps));
}

static const char *vendor_of(const struct nestmig_state *state)
{
	enum nestmig_vendor vendor = state->vendor;

	if (vendor == NESTMIG_VENDOR_UNKNOWN && state->vcpu_count)
		vendor = state->vcpus[0].view.vendor;
	if (vendor == NESTMIG_VENDOR_UNKNOWN)
		return NULL;
	return vendor == NESTMIG_VENDOR_AMD ? "amd" : "intel";
}

static enum nestmig_error write_meta(struct convert *c, const struct nestmig_state *state,
				     const char *directory, bool is_complete,
				     struct nestmig_detail *detail)
{
	json_t *meta = json_object();
	enum nestmig_error error = NESTMIG_OK;
	char *text = NULL;

	json_object_set_new(meta, "vendor", json_string(vendor_of(state)));
	if (state->host && state->host->kernel)
		json_object_set_new(meta, "kernel", json_string(state->host->kernel));
	if (state->host && state->host->param_count) {
		error = params_text(c, state->host, &text, detail);
		if (!error)
			json_object_set_new(meta, "params", json_string(text));
		free(text);
	}
	if (state->restore_order)
		json_object_set_new(meta, "restore_order", json_string(state->restore_order));
	if (is_complete)
		json_object_set_new(meta, "memory_complete", json_true());
	add_vm_caps(c, state, meta);
	text = error ? NULL : json_dumps(meta, JSON_INDENT(2));
	json_decref(meta);
	if (!error && !text)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!error)
		error = write_file(directory, "meta.json", text, strlen(text), detail);
	free(text);
	return error;
}

static enum nestmig_error write_host_msrs(const struct nestmig_host *host, const char *directory,
					  struct nestmig_detail *detail)
{
	uint8_t *bytes = calloc(host->msr_count + 1, MSR_ENTRY_SIZE);
	enum nestmig_error error;

	if (!bytes)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < host->msr_count; i++)
		for (unsigned k = 0; k < 8; k++) {
			if (k < 4)
				bytes[i * MSR_ENTRY_SIZE + k] =
					(uint8_t)(host->msrs[i].index >> (8 * k));
			bytes[i * MSR_ENTRY_SIZE + 8 + k] =
				(uint8_t)(host->msrs[i].value >> (8 * k));
		}
	error = write_file(directory, "host_msrs", bytes, host->msr_count * MSR_ENTRY_SIZE, detail);
	free(bytes);
	return error;
}

static bool same_cpuid(const struct nestmig_host *host, const struct nm_vcpu *vcpu)
{
	return host->cpuid_count == vcpu->cpuid_count &&
	       (!vcpu->cpuid_count ||
		memcmp(host->cpuid, vcpu->cpuid, vcpu->cpuid_count * sizeof(*vcpu->cpuid)) == 0);
}

static enum nestmig_error write_host(struct convert *c, const struct nestmig_state *state,
				     const char *directory, struct nestmig_detail *detail)
{
	const struct nestmig_host *host = state->host;

	if (!host)
		return NESTMIG_OK;
	if (host->cap_count)
		convert_note(c, "the KVM capabilities of the host");
	if (host->cpuid_count && state->vcpu_count && !same_cpuid(host, &state->vcpus[0]))
		convert_note(c, "the CPUID of the host: a raw dump takes that of the guest for it");
	return host->msr_count ? write_host_msrs(host, directory, detail) : NESTMIG_OK;
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

/*
 * Is what the vCPU does not have of a struct without meaning in it? A struct has no way to say that the
 * error code of a pending exception is not known.
 */
static bool is_whole(struct convert *c, const struct nm_vcpu *vcpu, enum nm_kvm_struct kind)
{
	const struct nestmig_events *events = &vcpu->view.events;

	if (kind != NM_KVM_VCPU_EVENTS || nm_vcpu_has(vcpu, NESTMIG_HAVE(ERROR_CODE)) ||
	    !events->exc_has_error_code || !(events->exc_injected || events->exc_pending))
		return true;
	convert_note(c, "the events of vCPU %u, of which the error code is not known", vcpu->id);
	return false;
}

static enum nestmig_error write_struct(struct convert *c, const struct nm_vcpu *vcpu,
				       const char *directory, enum nm_kvm_struct kind,
				       struct nestmig_detail *detail)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	enum nestmig_error error = nm_encode_kvm_new(vcpu, kind, &bytes, &size);

	if (error)
		return nm_fail(detail, error, "out of memory");
	if (size && is_whole(c, vcpu, kind))
		error = write_file(directory, nm_kvm_struct_name(kind), bytes, size, detail);
	free(bytes);
	return error;
}

static void note_vcpu(struct convert *c, const struct nm_vcpu *vcpu)
{
	if (nm_vcpu_has(vcpu, NESTMIG_HAVE(CPUID)) && !vcpu->cpuid_count)
		convert_note(c, "the guest's CPUID, of which only some registers are known");
	if (vcpu->qemu.present)
		convert_note(c, "that QEMU restores it, which enables the capabilities that the "
				"state needs");
	if (vcpu->qemu.present && !nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED)))
		convert_note(c, "that vCPU %u has no nested state", vcpu->id);
	if (nm_vcpu_has(vcpu, NESTMIG_HAVE(SMBASE)) && !nm_vcpu_has(vcpu, NESTMIG_HAVE(MSRS)))
		convert_note(c, "SMBASE, and with it SMRAM");
}

static enum nestmig_error write_vcpu(struct convert *c, const struct nm_vcpu *vcpu,
				     const char *directory, struct nestmig_detail *detail)
{
	enum nestmig_error error;
	char *path = NULL, name[32];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	error = make_directory(directory, name, &path, detail);
	for (int kind = 0; kind < NM_KVM_STRUCTS && !error; kind++)
		error = write_struct(c, vcpu, path, (enum nm_kvm_struct)kind, detail);
	if (!error)
		error = sync_directory(path, detail);
	note_vcpu(c, vcpu);
	free(path);
	return error;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static enum nestmig_error fill(struct convert *c, const struct nestmig_state *state,
			       const char *directory, struct nestmig_detail *detail)
{
	enum nestmig_error error;
	bool is_complete = false;
	char *path = NULL;

	error = make_directory(directory, "mem", &path, detail);
	if (!error)
		error = convert_memory(c, state, path, &is_complete, detail);
	if (!error)
		error = sync_directory(path, detail);
	free(path);
	for (size_t i = 0; i < state->vcpu_count && !error; i++)
		error = write_vcpu(c, &state->vcpus[i], directory, detail);
	if (!error)
		error = write_host(c, state, directory, detail);
	if (!error)
		error = write_meta(c, state, directory, is_complete, detail);
	return error ? error : sync_directory(directory, detail);
}

/* May what has the name be replaced? Only by --force, and only a dump: all of it will be removed. */
static enum nestmig_error check_output(const struct convert *c, bool *ret_exists,
				       struct nestmig_detail *detail)
{
	struct stat st;
	char *meta;
	bool is_dump;

	*ret_exists = lstat(c->output, &st) == 0;
	if (!*ret_exists)
		return NESTMIG_OK;
	if (!c->force)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "it is there already; --force replaces a raw dump");
	meta = path_in(c->output, "meta.json");
	if (!meta)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	is_dump = S_ISDIR(st.st_mode) && lstat(meta, &st) == 0 && S_ISREG(st.st_mode);
	free(meta);
	if (!is_dump)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "it is there and is no raw dump: it is not replaced");
	return NESTMIG_OK;
}

/* Gives the dump its name; what had it before gets the temporary one, and goes. */
static enum nestmig_error place(const struct convert *c, const char *temporary, bool exists,
				struct nestmig_detail *detail)
{
	int ret = renameat2(AT_FDCWD, temporary, AT_FDCWD, c->output,
			    exists ? RENAME_EXCHANGE : RENAME_NOREPLACE);

	/* Some file systems have no flags. A directory replaces at most an empty one. */
	if (ret < 0 && errno == EINVAL && !exists)
		ret = rename(temporary, c->output);
	if (ret < 0)
		return nm_fail_errno(detail, "giving the dump its name");
	if (exists)
		remove_tree(temporary);
	return NESTMIG_OK;
}

static enum nestmig_error sync_parent(const char *path, struct nestmig_detail *detail)
{
	const char *slash = strrchr(path, '/');
	char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	enum nestmig_error error;

	if (!parent)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = sync_directory(parent, detail);
	free(parent);
	return error;
}

enum nestmig_error convert_to_dump(struct convert *c, const struct nestmig_state *state,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error;
	bool exists = false;
	char *temporary;

	if (!vendor_of(state))
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "a raw dump must name the vendor, which is not known of this state");
	error = check_output(c, &exists, detail);
	if (error)
		return error;
	if (asprintf(&temporary, "%s.partial.XXXXXX", c->output) < 0)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	live_catch_signals(SA_RESETHAND);
	if (!mkdtemp(temporary)) {
		error = nm_fail_errno(detail, "creating a directory beside %s", c->output);
		free(temporary);
		return error;
	}
	error = fill(c, state, temporary, detail);
	if (!error)
		error = convert_go_on(detail);
	if (!error)
		error = place(c, temporary, exists, detail);
	if (error)
		remove_tree(temporary);
	else
		error = sync_parent(c->output, detail);
	free(temporary);
	return error;
}
