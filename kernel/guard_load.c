// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading, attaching and reading the guard. */
#include "guard_load.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "guard_object.h"
#include "guard_policy.h"
#include "host.h"
#include "nm_guard_bpf.skel.h"

#define LOG_SIZE ((size_t)16 << 20) /* of each program; only touched if one is refused */

static const char lsm_program[] = "nm_guard_ioctl";
static const char lsm_list[] = "/sys/kernel/security/lsm";

/* libbpf says on stderr what went wrong; here the caller gets it. */
static void be_silent(void)
{
	libbpf_set_print(NULL);
}

/* ---- What this kernel has ----------------------------------------------------------------------- */

/* Is "bpf" a word of the list of active LSMs? Without securityfs nobody can tell: no. */
static bool lsm_is_active(void)
{
	char text[512] = "";
	int fd = open(lsm_list, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	for (char *rest = text, *word; got > 0 && (word = strsep(&rest, ",\n")) != NULL;)
		if (!strcmp(word, "bpf"))
			return true;
	return false;
}

static const char *module_of(enum nestmig_vendor vendor)
{
	return vendor == NESTMIG_VENDOR_INTEL ? "kvm_intel" : "kvm_amd";
}

/* Built in, it is there too: it has parameters. */
static bool is_loaded(const char *module)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return access(path, F_OK) == 0;
}

/* The types of the kernel and of KVM's modules. */
struct types {
	struct btf *kernel, *kvm, *vendor;
};

static void types_free(struct types *types)
{
	btf__free(types->vendor);
	btf__free(types->kvm);
	btf__free(types->kernel);
}

static enum nestmig_error types_load(enum nestmig_vendor vendor, struct types *types,
				     struct nestmig_detail *detail)
{
	const char *module = module_of(vendor);

	types->kernel = btf__load_vmlinux_btf();
	if (!types->kernel)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "this kernel has no BTF (/sys/kernel/btf/vmlinux): the guard needs "
			       "CONFIG_DEBUG_INFO_BTF");
	/* What is built in has no BTF of its own. */
	types->kvm = btf__load_module_btf("kvm", types->kernel);
	types->vendor = btf__load_module_btf(module, types->kernel);
	return NESTMIG_OK;
}

/* base: what btf is split from, whose types are left out, as btf__find_by_name_kind does not; or NULL. */
static bool type_has(const struct btf *btf, const struct btf *base, const char *function)
{
	uint32_t end = btf ? btf__type_cnt(btf) : 0;

	for (uint32_t id = base ? btf__type_cnt(base) : 1; id < end; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (btf_is_func(type) &&
		    !strcmp(btf__name_by_offset(btf, type->name_off), function))
			return true;
	}
	return false;
}

/* ---- Choosing, loading and attaching --------------------------------------------------------------- */

const char *nm_guard_function_of(const struct bpf_program *program)
{
	const char *slash = strchr(bpf_program__section_name(program), '/');

	return slash ? slash + 1 : "";
}

static bool is_lsm(const struct bpf_program *program)
{
	return bpf_program__type(program) == BPF_PROG_TYPE_LSM;
}

bool nm_guard_is_of_other_vendor(const struct bpf_program *program, enum nestmig_vendor vendor)
{
	const char *other = vendor == NESTMIG_VENDOR_INTEL ? "nm_guard_svm_" : "nm_guard_vmx_";

	return !strncmp(bpf_program__name(program), other, strlen(other));
}

static bool has_function(const struct types *types, const struct bpf_program *program)
{
	const char *function = nm_guard_function_of(program);
	char hook[64];

	if (is_lsm(program)) {
		snprintf(hook, sizeof(hook), "bpf_lsm_%s", function);
		return type_has(types->kernel, NULL, hook);
	}
	if (type_has(types->kvm, types->kernel, function) ||
	    type_has(types->vendor, types->kernel, function))
		return true;
	return (!types->kvm || !types->vendor) && type_has(types->kernel, NULL, function);
}

static bool was_refused_name(const struct nm_guard *guard, const char *name)
{
	for (size_t i = 0; i < guard->refused_count; i++)
		if (!strcmp(guard->refused[i], name))
			return true;
	return false;
}

static bool was_refused(const struct nm_guard *guard, const struct bpf_program *program)
{
	return was_refused_name(guard, bpf_program__name(program));
}

bool nm_guard_is_of_other_case(const struct bpf_program *program, bool lsm)
{
	const char *prefix = lsm ? "nm_guard_no_lsm_" : "nm_guard_lsm_";

	return !strncmp(bpf_program__name(program), prefix, strlen(prefix));
}

/* "NAME" and "NAME_newer" are one program for a function that has changed: the length of NAME. */
static size_t stem_of(const char *name)
{
	static const char suffix[] = "_newer";
	size_t length = strlen(name), end = sizeof(suffix) - 1;

	return length > end && !strcmp(name + length - end, suffix) ? length - end : length;
}

bool nm_guard_is_same(const char *name, const char *other)
{
	size_t stem = stem_of(name);

	return stem == stem_of(other) && !strncmp(name, other, stem);
}

static bool is_older_form(const struct bpf_program *program)
{
	const char *name = bpf_program__name(program);

	return stem_of(name) == strlen(name);
}

/* Is the other form of a program for this kernel? */
static bool has_other_form(const struct nm_guard *guard, const struct types *types,
			   const struct bpf_program *program)
{
	struct bpf_program *other;

	bpf_object__for_each_program(other, guard->skeleton->obj)
	{
		if (other != program &&
		    nm_guard_is_same(bpf_program__name(other), bpf_program__name(program)))
			return has_function(types, other);
	}
	return false;
}

/* An LSM hook that only newer kernels have is missed by none of the older ones' VMMs. */
static enum nestmig_error choose(struct nm_guard *guard, const struct nm_guard_options *options,
				 enum nestmig_vendor vendor, const struct types *types,
				 struct nestmig_detail *detail)
{
	bool lsm = guard->can_deny && !was_refused_name(guard, lsm_program);
	struct bpf_program *program;

	bpf_object__for_each_program(program, guard->skeleton->obj)
	{
		bool wanted = !nm_guard_is_of_other_vendor(program, vendor) &&
			      !was_refused(guard, program) && (guard->can_deny || !is_lsm(program));
		if (nm_guard_is_of_other_case(program, lsm))
			wanted = false;
		/* The newer form it is where there are both. */
		bool other = has_other_form(guard, types, program);

		if (other && is_older_form(program))
			wanted = false;
		if (wanted && !has_function(types, program)) {
			if (!is_lsm(program) && !options->best_effort && !other)
				return nm_fail(
					detail, NESTMIG_ERR_CAPABILITY,
					"program %s: this kernel has no function %s to attach "
					"it to (--best-effort goes without)",
					bpf_program__name(program), nm_guard_function_of(program));
			wanted = false;
		}
		bpf_program__set_autoload(program, wanted);
	}
	return NESTMIG_OK;
}

static void configure(struct nm_guard_config *config, const struct nm_guard_options *options,
		      const struct nestmig_host *host, bool can_deny)
{
	*config = (struct nm_guard_config){
		.enforce = options->enforce,
		.lsm = can_deny,
		.burst = options->burst ? options->burst : 32,
		.per_second = options->per_second ? options->per_second : 8,
		.host = host->view,
	};
	nm_guard_policy(&host->view, config);
}

/* Of what the verifier said, the last line that is not its statistics: the reason. */
static void reason_of(char *log, char *ret_line, size_t size)
{
	const char *found = log;

	for (char *rest = log, *line; (line = strsep(&rest, "\n")) != NULL;)
		if (*line && strncmp(line, "processed ", 10) != 0)
			found = line;
	snprintf(ret_line, size, "%s", found);
}

/* The program that has something in its log is the one that is refused. */
static enum nestmig_error name_refused(struct nm_guard *guard, char *logs,
				       struct nestmig_detail *detail)
{
	struct bpf_program *program;
	char *log = logs, line[160];

	bpf_object__for_each_program(program, guard->skeleton->obj)
	{
		if (*log) {
			reason_of(log, line, sizeof(line));
			snprintf(guard->refused[guard->refused_count++], sizeof(guard->refused[0]),
				 "%s", bpf_program__name(program));
			return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
				       "program %s: this kernel's verifier refuses it: %s",
				       bpf_program__name(program), line);
		}
		log += LOG_SIZE;
	}
	return nm_fail_errno(detail, "cannot load the guard's programs");
}

static enum nestmig_error load(struct nm_guard *guard, struct nestmig_detail *detail)
{
	struct bpf_object *object = guard->skeleton->obj;
	enum nestmig_error error = NESTMIG_OK;
	struct bpf_program *program;
	size_t count = 0;
	char *logs, *log;

	bpf_object__for_each_program(program, object) count++;
	/* More than a small host has, if it were all used. */
	logs = mmap(NULL, count * LOG_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (logs == MAP_FAILED)
		return nm_fail_errno(detail, "cannot get room for the verifier's logs");
	log = logs;
	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_log_buf(program, log, LOG_SIZE);
		log += LOG_SIZE;
	}
	if (bpf_object__load(object))
		error = name_refused(guard, logs, detail);
	munmap(logs, count * LOG_SIZE);
	return error;
}

static void empty(int map)
{
	uint64_t key;

	while (!bpf_map_get_next_key(map, NULL, &key))
		if (bpf_map_delete_elem(map, &key))
			return;
}

/* What went away while nothing was attached has left its entries, under addresses that are others' now. */
static void forget(struct nm_guard *guard)
{
	empty(guard->vcpus);
	empty(bpf_map__fd(guard->skeleton->maps.nm_vmx_vcpus));
	empty(bpf_map__fd(guard->skeleton->maps.nm_vms));
	memset(guard->skeleton->bss, 0, sizeof(*guard->skeleton->bss));
}

static enum nestmig_error attach_one(struct nm_guard *guard, const struct bpf_program *program,
				     struct nestmig_detail *detail)
{
	struct nm_guard_attached *at = &guard->attached[guard->attached_count];

	if (guard->attached_count == NM_GUARD_PROGRAMS_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "too many programs");
	at->link = bpf_program__attach(program);
	/* What denies is not done without. */
	if (!at->link && guard->best_effort && !is_lsm(program))
		return NESTMIG_OK;
	if (!at->link)
		return nm_fail_errno(detail, "program %s: cannot attach it to %s",
				     bpf_program__name(program), nm_guard_function_of(program));
	snprintf(at->name, sizeof(at->name), "%s", bpf_program__name(program));
	snprintf(at->function, sizeof(at->function), "%s", nm_guard_function_of(program));
	guard->attached_count++;
	return NESTMIG_OK;
}

/* Does it take away what is kept of a vCPU or VM that ends? */
static bool is_of_the_end(const struct bpf_program *program)
{
	static const char suffix[] = "_gone";
	const char *name = bpf_program__name(program);
	size_t length = strlen(name), end = sizeof(suffix) - 1;

	return length > end && !strcmp(name + length - end, suffix);
}

/* Those of the end first, and detached last: none must miss a vCPU of which another has noted something. */
static enum nestmig_error attach(struct nm_guard *guard, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	struct bpf_program *program;

	for (int turn = 0; turn < 2; turn++) {
		bpf_object__for_each_program(program, guard->skeleton->obj)
		{
			if (!error && bpf_program__autoload(program) &&
			    is_of_the_end(program) == (turn == 0))
				error = attach_one(guard, program, detail);
		}
	}
	return error;
}

static enum nestmig_error write_config(struct nm_guard *guard, const struct nm_guard_config *config,
				       struct nestmig_detail *detail)
{
	uint32_t zero = 0;

	guard->config = bpf_map__fd(guard->skeleton->maps.nm_config);
	guard->counters = bpf_map__fd(guard->skeleton->maps.data_counters);
	guard->vcpus = bpf_map__fd(guard->skeleton->maps.nm_vcpus);
	guard->events = bpf_map__fd(guard->skeleton->maps.nm_events);
	if (bpf_map_update_elem(guard->config, &zero, config, BPF_ANY))
		return nm_fail_errno(detail, "cannot configure the guard");
	return NESTMIG_OK;
}

/* A refused program cannot be taken out of an object any more: each attempt has its own. */
static enum nestmig_error load_best(struct nm_guard *guard, const struct nm_guard_options *options,
				    enum nestmig_vendor vendor, const struct types *types,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error;
	size_t refused;

	do {
		refused = guard->refused_count;
		nm_guard_bpf__destroy(guard->skeleton);
		guard->skeleton = nm_guard_bpf__open();
		if (!guard->skeleton)
			return nm_fail_errno(detail, "cannot open the guard's programs");
		guard->skeleton->rodata->nm_vendor = vendor;
		error = choose(guard, options, vendor, types, detail);
		if (!error)
			error = load(guard, detail);
	} while (error && options->best_effort && guard->refused_count > refused &&
		 guard->refused_count < NM_GUARD_PROGRAMS_MAX);
	return error;
}

static enum nestmig_error make(struct nm_guard *guard, const struct nm_guard_options *options,
			       const struct nestmig_host *host, struct nestmig_detail *detail)
{
	enum nestmig_vendor vendor = host->view.vendor;
	struct nm_guard_config config;
	struct types types = {0};
	enum nestmig_error error;

	guard->can_deny = !options->observe && lsm_is_active();
	if (options->enforce && !guard->can_deny)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "nothing can be denied here: \"bpf\" is not among the active LSMs "
			       "(%s); boot with lsm=...,bpf, or only audit",
			       lsm_list);
	if (vendor == NESTMIG_VENDOR_UNKNOWN)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "neither kvm_amd nor kvm_intel is loaded here");
	if (!is_loaded(module_of(vendor)))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "the host profile is one of %s, which is not loaded here",
			       module_of(vendor));
	guard->best_effort = options->best_effort;
	error = types_load(vendor, &types, detail);
	if (!error)
		error = load_best(guard, options, vendor, &types, detail);
	types_free(&types);
	if (error)
		return error;
	guard->can_deny &= bpf_program__autoload(guard->skeleton->progs.nm_guard_ioctl);
	if (options->enforce && !guard->can_deny)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "nothing can be denied here: this kernel does not take program "
			       "nm_guard_ioctl");
	configure(&config, options, host, guard->can_deny);
	return write_config(guard, &config, detail);
}

enum nestmig_error nm_guard_load(const struct nm_guard_options *options,
				 const struct nestmig_host *host, struct nm_guard **ret_guard,
				 struct nestmig_detail *detail)
{
	struct nm_guard *guard = calloc(1, sizeof(*guard));
	enum nestmig_error error;

	if (!guard)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	be_silent();
	error = make(guard, options, host, detail);
	if (error) {
		nm_guard_free(guard);
		return error;
	}
	*ret_guard = guard;
	return NESTMIG_OK;
}

enum nestmig_error nm_guard_attach(struct nm_guard *guard, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (!guard->skeleton || guard->attached_count)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "the guard is attached already");
	forget(guard);
	error = attach(guard, detail);
	if (error)
		nm_guard_detach(guard);
	return error;
}

void nm_guard_detach(struct nm_guard *guard)
{
	while (guard->attached_count)
		bpf_link__destroy(guard->attached[--guard->attached_count].link);
}

enum nestmig_error nm_guard_start(const struct nm_guard_options *options,
				  const struct nestmig_host *host, struct nm_guard **ret_guard,
				  struct nestmig_detail *detail)
{
	struct nm_guard *guard = NULL;
	enum nestmig_error error = nm_guard_load(options, host, &guard, detail);

	if (error)
		return error;
	error = nm_guard_attach(guard, detail);
	if (error) {
		nm_guard_free(guard);
		return error;
	}
	*ret_guard = guard;
	return NESTMIG_OK;
}

bool nm_guard_can_deny(const struct nm_guard *guard)
{
	return guard->can_deny;
}
