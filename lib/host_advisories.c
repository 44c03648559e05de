// SPDX-License-Identifier: LGPL-2.1-or-later
/* Advisories: the table, and what decides each for a host. */
#include "host_advisories.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_parts.h"

/* clang-format off */
#define VENDOR_VMX  NESTMIG_VENDOR_INTEL
#define VENDOR_SVM  NESTMIG_VENDOR_AMD
#define VENDOR_BOTH NESTMIG_VENDOR_UNKNOWN
#define NOT_PROBED                       .decided = NM_DECIDED_NOT
#define BY_CAP(cap)                      .decided = NM_DECIDED_CAP, .name = (cap)
#define BY_BIT(cap, bit)                 .decided = NM_DECIDED_BIT, .name = (cap), .number = (bit)
#define BY_SAVED_MSR(msr)                .decided = NM_DECIDED_SAVED_MSR, .number = (msr)
#define BY_PROBE(probe, yes, no)         .decided = NM_DECIDED_PROBE, .name = (probe), .with = (yes), .without = (no)
#define UNLESS_ON(parameter)             .decided = NM_DECIDED_UNLESS_ON, .name = (parameter)
#define UNLESS_OFF(parameter)            .decided = NM_DECIDED_UNLESS_OFF, .name = (parameter)
#define ADVISORY(commit, whose, first, lines, number_of_cve, decides, name_of_commit, what) \
	{.id = (commit), .vendor = VENDOR_##whose, .mainline = (first), .stable = (lines), .cve = (number_of_cve), \
	 decides, .title = (name_of_commit), .symptom = (what)},
/* clang-format on */

const struct nm_advisory nm_advisories[] = {
#include "host_advisories.def"
};
#undef ADVISORY

const size_t nm_advisory_count = sizeof(nm_advisories) / sizeof(nm_advisories[0]);

const char *nm_advisory_status_name(enum nm_advisory_status status)
{
	static const char *const names[] = {"fixed", "not-affected", "affected", "unknown"};

	return names[status];
}

const char *nm_advisory_by_name(enum nm_advisory_by by)
{
	static const char *const names[] = {"nothing", "probe", "parameter", "changelog",
					    "version"};

	return names[by];
}

bool nm_advisory_applies(const struct nm_advisory *advisory, const struct nestmig_host *host)
{
	return advisory->vendor == NESTMIG_VENDOR_UNKNOWN ||
	       host->view.vendor == NESTMIG_VENDOR_UNKNOWN || advisory->vendor == host->view.vendor;
}

/* ---- What a profile shows -------------------------------------------------------------------- */

#define DECIDE(result, what, how, ...)                                                             \
	((result)->status = (what), (result)->by = (how),                                          \
	 (void)snprintf((result)->evidence, sizeof((result)->evidence), __VA_ARGS__), true)

static enum nm_advisory_status fixed_if(bool fixed)
{
	return fixed ? NM_ADVISORY_FIXED : NM_ADVISORY_AFFECTED;
}

static bool by_cap(const struct nm_advisory *a, const struct nestmig_host *host,
		   struct nm_advisory_result *r)
{
	const char *value = nm_host_cap(host, a->name);

	if (!value)
		return false;
	if (a->decided == NM_DECIDED_CAP)
		return DECIDE(r, fixed_if(strcmp(value, "0") != 0), NM_BY_PROBE, "%s is %s",
			      a->name, value);
	return DECIDE(r, fixed_if(strtoul(value, NULL, 10) >> a->number & 1), NM_BY_PROBE,
		      "%s is %s, bit %u", a->name, value, a->number);
}

static bool by_saved_msr(const struct nm_advisory *a, const struct nestmig_host *host,
			 struct nm_advisory_result *r)
{
	bool listed = false;

	if (!host->saved_msr_count)
		return false;
	for (size_t i = 0; i < host->saved_msr_count; i++)
		listed |= host->saved_msrs[i] == a->number;
	return DECIDE(r, fixed_if(listed), NM_BY_PROBE, "KVM_GET_MSR_INDEX_LIST has %sMSR 0x%x",
		      listed ? "" : "no ", a->number);
}

static bool by_probe(const struct nm_advisory *a, const struct nestmig_host *host,
		     struct nm_advisory_result *r)
{
	const char *value = nm_host_get(&host->probes, a->name);
	bool with = value && !strcmp(value, a->with);

	if (!with && (!value || strcmp(value, a->without) != 0))
		return false;
	return DECIDE(r, fixed_if(with), NM_BY_PROBE, "%s: %s", a->name, value);
}

/* Whoever does not use what it is about is not affected; who does may be. */
static bool by_parameter(const struct nm_advisory *a, const struct nestmig_host *host,
			 struct nm_advisory_result *r)
{
	const char *module = nm_host_module(host->view.vendor);
	int on = module ? nm_host_param_bool(host, module, a->name) : -1;

	if (on < 0 || on == (a->decided == NM_DECIDED_UNLESS_ON))
		return false;
	return DECIDE(r, NM_ADVISORY_NOT_AFFECTED, NM_BY_PARAMETER, "%s.%s is %s", module, a->name,
		      on ? "on" : "off");
}

static bool by_profile(const struct nm_advisory *a, const struct nestmig_host *host,
		       struct nm_advisory_result *r)
{
	switch (a->decided) {
	case NM_DECIDED_CAP:
	case NM_DECIDED_BIT:
		return by_cap(a, host, r);
	case NM_DECIDED_SAVED_MSR:
		return by_saved_msr(a, host, r);
	case NM_DECIDED_PROBE:
		return by_probe(a, host, r);
	case NM_DECIDED_UNLESS_ON:
	case NM_DECIDED_UNLESS_OFF:
		return by_parameter(a, host, r);
	case NM_DECIDED_NOT:
		break;
	}
	return false;
}

/* ---- Versions -------------------------------------------------------------------------------- */

struct version {
	unsigned part[3]; /* major, minor, patch */
	unsigned parts;   /* how many are known */
};

static struct version parse_version(const char *text)
{
	struct version version = {0};

	while (version.parts < 3 && *text >= '0' && *text <= '9') {
		char *end;

		version.part[version.parts++] = (unsigned)strtoul(text, &end, 10);
		text = *end == '.' ? end + 1 : end;
		if (*end != '.')
			break;
	}
	return version;
}

static int compare(const struct version *a, const struct version *b, unsigned parts)
{
	for (unsigned i = 0; i < parts; i++)
		if (a->part[i] != b->part[i])
			return a->part[i] < b->part[i] ? -1 : 1;
	return 0;
}

/* The kernel's upstream version, and whether it was built from that without a distribution's patches. */
struct upstream {
	struct version version;
	bool is_plain;
	bool is_debian; /* its changelog names every patch of the stable releases */
};

/*
 * Debian's release "6.1.0-56-amd64" does not tell the stable release, its build does: "Debian 6.1.192-2". Of
 * others the third number counts unless it is 0 with something behind it, which is what distributions put
 * there that do not follow the stable releases.
 */
static struct upstream upstream_of(const struct nestmig_host *host)
{
	const char *build = nm_host_get(&host->facts, "kernel.build");
	const char *debian = build ? strstr(build, "Debian ") : NULL;
	struct upstream up = {0};

	if (!host->kernel)
		return up;
	up.version = parse_version(debian ? debian + 7 : host->kernel);
	up.is_debian = debian;
	up.is_plain = !debian && !host->kernel[strspn(host->kernel, "0123456789.")];
	if (!debian && !up.is_plain && up.version.parts == 3 && !up.version.part[2])
		up.version.parts = 2;
	if (up.is_plain && up.version.parts == 2)
		up.version.parts = 3;
	return up;
}

/* The release of the kernel's own stable line that has the commit; false: none is known. */
static bool stable_of(const struct nm_advisory *a, const struct version *version,
		      struct version *ret_first)
{
	for (const char *at = a->stable; *at; at += strspn(at, " ")) {
		struct version first = parse_version(at);

		if (compare(&first, version, 2) == 0) {
			*ret_first = first;
			return true;
		}
		at += strcspn(at, " ");
	}
	return false;
}

static bool by_version(const struct nm_advisory *a, const struct upstream *up,
		       struct nm_advisory_result *r)
{
	struct version mainline = parse_version(a->mainline), first;
	const struct version *v = &up->version;

	if (v->parts < 2)
		return false;
	if (mainline.parts == 2 && compare(v, &mainline, 2) >= 0)
		return DECIDE(r, NM_ADVISORY_FIXED, NM_BY_VERSION, "in mainline since %s",
			      a->mainline);
	if (v->parts < 3 || !stable_of(a, v, &first))
		return false;
	if (compare(v, &first, 3) >= 0)
		return DECIDE(r, NM_ADVISORY_FIXED, NM_BY_VERSION,
			      "stable %u.%u.%u has it, this is %u.%u.%u", first.part[0],
			      first.part[1], first.part[2], v->part[0], v->part[1], v->part[2]);
	if (!up->is_plain)
		return false;
	return DECIDE(r, NM_ADVISORY_AFFECTED, NM_BY_VERSION,
		      "stable since %u.%u.%u, this is %u.%u.%u", first.part[0], first.part[1],
		      first.part[2], v->part[0], v->part[1], v->part[2]);
}

/* ---- The changelog --------------------------------------------------------------------------- */

/*
 * That a changelog does not name a commit shows something only if it names all of them, as Debian's, and
 * if the kernel's own stable line got the commit, or none did: else the fault may be younger than the kernel.
 */
static bool by_changelog(const struct nm_advisory *a, const struct nestmig_host *host,
			 const struct upstream *up, struct nm_advisory_result *r)
{
	const char *value = nm_host_get(&host->changelog, a->id);
	struct version first;

	if (!value)
		return false;
	if (!strcmp(value, "has"))
		return DECIDE(r, NM_ADVISORY_FIXED, NM_BY_CHANGELOG,
			      "the package's changelog names it");
	if (!strcmp(value, "reverted"))
		return DECIDE(r, NM_ADVISORY_AFFECTED, NM_BY_CHANGELOG,
			      "the package's changelog takes it back");
	if (strcmp(value, "lacks") != 0 || !up->is_debian ||
	    (*a->stable && !stable_of(a, &up->version, &first)))
		return false;
	return DECIDE(r, NM_ADVISORY_AFFECTED, NM_BY_CHANGELOG,
		      "the package's changelog does not name it");
}

void nm_advisory_judge(const struct nm_advisory *advisory, const struct nestmig_host *host,
		       struct nm_advisory_result *ret_result)
{
	struct upstream up = upstream_of(host);
	const char *value = nm_host_get(&host->changelog, advisory->id);
	bool lacks = value && !strcmp(value, "lacks");

	*ret_result =
		(struct nm_advisory_result){.status = NM_ADVISORY_UNKNOWN, .by = NM_BY_NOTHING};
	if (by_profile(advisory, host, ret_result))
		return;
	/* A kernel that began with the commit has no line about it. */
	if (lacks && by_version(advisory, &up, ret_result))
		return;
	if (!by_changelog(advisory, host, &up, ret_result))
		(void)by_version(advisory, &up, ret_result);
}
