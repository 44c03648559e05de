// SPDX-License-Identifier: LGPL-2.1-or-later
/* libvirt's XML, with expat. */
#include "domain.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

#define MAX_DEPTH    64
#define MAX_FEATURES 4096
/* Of the texts between tags that are kept; libvirt's own are shorter. */
#define MAX_TEXT 256
/* "/domain/devices/controller/pcihole64" is the longest path of interest. */
#define MAX_PATH 64

struct parse {
	XML_Parser parser;
	struct nm_domain *domain;
	unsigned depth;
	char path[MAX_PATH];               /* of the element; empty below what is of interest */
	size_t path_length[MAX_DEPTH + 1]; /* of each level, or SIZE_MAX if it did not fit */
	char text[MAX_TEXT + 1];
	size_t text_length;
	char unit[8]; /* of <memory> */
	enum nestmig_error error;
	const char *why;
};

static void stop(struct parse *p, enum nestmig_error error, const char *why)
{
	if (!p->error) {
		p->error = error;
		p->why = why;
	}
	XML_StopParser(p->parser, XML_FALSE);
}

static const char *attribute(const XML_Char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return NULL;
}

/* The first of a kind counts. */
static void keep(struct parse *p, char **at, const char *text)
{
	if (*at || !text)
		return;
	*at = strdup(text);
	if (!*at)
		stop(p, NESTMIG_ERR_NOMEM, "out of memory");
}

/* A decimal number without sign, at most 2^53; 0 if it is none. */
static uint64_t number(const char *text)
{
	uint64_t value = 0;

	if (!text || !*text)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > UINT64_C(1) << 49)
			return 0;
		value = 10 * value + (uint64_t)(*text - '0');
	}
	return value;
}

static unsigned small_number(const char *text)
{
	uint64_t value = number(text);

	return value > 65535 ? 0 : (unsigned)value;
}

static void add_feature(struct parse *p, const XML_Char **attributes)
{
	struct nm_domain *domain = p->domain;
	struct nm_domain_feature *feature;

	if (!domain->features)
		domain->features = calloc(MAX_FEATURES, sizeof(*domain->features));
	if (!domain->features) {
		stop(p, NESTMIG_ERR_NOMEM, "out of memory");
		return;
	}
	if (domain->feature_count == MAX_FEATURES) {
		stop(p, NESTMIG_ERR_LIMIT, "the CPU has too many features");
		return;
	}
	feature = &domain->features[domain->feature_count++];
	keep(p, &feature->policy, attribute(attributes, "policy"));
	keep(p, &feature->name, attribute(attributes, "name"));
}

/* What stands in the tag. The path is that below the root: "/cpu/feature". */
static void take_tag(struct parse *p, const char *path, const XML_Char **attributes)
{
	struct nm_domain *domain = p->domain;

	if (strcmp(path, "") == 0) {
		keep(p, &domain->type, attribute(attributes, "type"));
	} else if (strcmp(path, "/os/type") == 0) {
		keep(p, &domain->arch, attribute(attributes, "arch"));
		keep(p, &domain->machine, attribute(attributes, "machine"));
	} else if (strcmp(path, "/memory") == 0) {
		const char *unit = attribute(attributes, "unit");

		p->unit[0] = '\0';
		strncat(p->unit, unit ? unit : "KiB", sizeof(p->unit) - 1);
	} else if (strcmp(path, "/maxMemory") == 0) {
		domain->has_max_memory = true;
	} else if (strcmp(path, "/devices/controller/pcihole64") == 0) {
		domain->has_pcihole64 = true;
	} else if (strcmp(path, "/cpu/numa/cell") == 0) {
		domain->cells++;
	} else if (strcmp(path, "/cpu") == 0) {
		domain->cpus++;
		keep(p, &domain->cpu_mode, attribute(attributes, "mode"));
		keep(p, &domain->cpu_match, attribute(attributes, "match"));
		keep(p, &domain->cpu_check, attribute(attributes, "check"));
	} else if (strcmp(path, "/cpu/maxphysaddr") == 0) {
		domain->maxphysaddrs++;
		keep(p, &domain->maxphysaddr_mode, attribute(attributes, "mode"));
		domain->maxphysaddr_bits = small_number(attribute(attributes, "bits"));
		domain->maxphysaddr_limit = small_number(attribute(attributes, "limit"));
	} else if (strcmp(path, "/cpu/feature") == 0) {
		add_feature(p, attributes);
	}
}

/* What libvirt writes is in KiB; it takes more units (virScaleInteger). */
static uint64_t in_kib(const char *unit, const char *text)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = {{"KiB", 0}, {"k", 0}, {"MiB", 10}, {"M", 10}, {"GiB", 20}, {"G", 20}};
	uint64_t value = number(text);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].unit) == 0)
			return value > UINT64_MAX >> units[i].shift ? 0 : value << units[i].shift;
	return 0;
}

/* What stands between a tag and its end. */
static void take_text(struct parse *p, const char *path)
{
	struct nm_domain *domain = p->domain;

	if (strcmp(path, "/name") == 0)
		keep(p, &domain->name, p->text);
	else if (strcmp(path, "/uuid") == 0)
		keep(p, &domain->uuid, p->text);
	else if (strcmp(path, "/memory") == 0)
		domain->memory_kib = in_kib(p->unit, p->text);
	else if (strcmp(path, "/vcpu") == 0)
		domain->vcpus = small_number(p->text);
	else if (strcmp(path, "/cpu/model") == 0)
		keep(p, &domain->cpu_model, p->text);
	else if (strcmp(path, "/cpu/vendor") == 0)
		keep(p, &domain->cpu_vendor, p->text);
}

/* The path of the element below the root, or NULL where nothing is of interest. */
static const char *path_of(const struct parse *p)
{
	const char *slash;

	if (p->path_length[p->depth] == SIZE_MAX)
		return NULL;
	slash = strchr(p->path + 1, '/');
	return slash ? slash : "";
}

static void start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct parse *p = data;
	size_t before = p->path_length[p->depth], length = strlen(name);

	if (p->error)
		return;
	if (p->depth == 0 && strcmp(name, "domain") != 0 && strcmp(name, "cookie") != 0) {
		stop(p, NESTMIG_ERR_FORMAT, "its root is neither <domain> nor <cookie>");
		return;
	}
	if (p->depth == MAX_DEPTH) {
		stop(p, NESTMIG_ERR_LIMIT, "it is nested too deep");
		return;
	}
	p->depth++;
	p->text_length = 0;
	p->text[0] = '\0';
	p->path_length[p->depth] = SIZE_MAX;
	if (before >= sizeof(p->path) || length + 2 > sizeof(p->path) - before)
		return;
	p->path[before] = '/';
	memcpy(p->path + before + 1, name, length + 1);
	p->path_length[p->depth] = before + 1 + length;
	take_tag(p, path_of(p), attributes);
}

static void end(void *data, const XML_Char *name)
{
	struct parse *p = data;
	const char *path;

	(void)name;
	/* expat still ends an empty element in whose start it was stopped. */
	if (p->error)
		return;
	path = path_of(p);
	if (path)
		take_text(p, path);
	p->text_length = 0;
	p->text[0] = '\0';
	p->depth--;
	if (p->path_length[p->depth] < sizeof(p->path))
		p->path[p->path_length[p->depth]] = '\0';
}

static void text(void *data, const XML_Char *text, int length)
{
	struct parse *p = data;
	size_t room = MAX_TEXT - p->text_length,
	       here = (size_t)length < room ? (size_t)length : room;

	memcpy(p->text + p->text_length, text, here);
	p->text_length += here;
	p->text[p->text_length] = '\0';
}

static void doctype(void *data, const XML_Char *name, const XML_Char *system,
		    const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	stop(data, NESTMIG_ERR_FORMAT, "it has a document type, which libvirt does not write");
}

static enum nestmig_error run(struct parse *p, const char *xml, struct nestmig_detail *detail)
{
	size_t length = strlen(xml);
	enum XML_Status status;

	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, start, end);
	XML_SetCharacterDataHandler(p->parser, text);
	XML_SetStartDoctypeDeclHandler(p->parser, doctype);
	if (length > INT32_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "the XML is too long");
	status = XML_Parse(p->parser, xml, (int)length, XML_TRUE);
	if (p->error)
		return nm_fail(detail, p->error, "the XML cannot be read: %s", p->why);
	if (status != XML_STATUS_OK)
		return nm_fail(detail, NESTMIG_ERR_FORMAT, "the XML cannot be read: %s in line %lu",
			       XML_ErrorString(XML_GetErrorCode(p->parser)),
			       (unsigned long)XML_GetCurrentLineNumber(p->parser));
	return NESTMIG_OK;
}

enum nestmig_error nm_domain_parse(const char *xml, struct nm_domain **ret_domain,
				   struct nestmig_detail *detail)
{
	struct parse p = {.parser = XML_ParserCreate(NULL), .domain = calloc(1, sizeof(*p.domain))};
	enum nestmig_error error;

	if (p.parser && p.domain)
		error = run(&p, xml, detail);
	else
		error = nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (p.parser)
		XML_ParserFree(p.parser);
	if (error) {
		nm_domain_free(p.domain);
		return error;
	}
	*ret_domain = p.domain;
	return NESTMIG_OK;
}

void nm_domain_free(struct nm_domain *domain)
{
	if (!domain)
		return;
	for (size_t i = 0; i < domain->feature_count; i++) {
		free(domain->features[i].policy);
		free(domain->features[i].name);
	}
	free(domain->features);
	free(domain->type);
	free(domain->name);
	free(domain->uuid);
	free(domain->arch);
	free(domain->machine);
	free(domain->cpu_mode);
	free(domain->cpu_match);
	free(domain->cpu_check);
	free(domain->cpu_model);
	free(domain->cpu_vendor);
	free(domain->maxphysaddr_mode);
	free(domain);
}

/* 0: says nothing of it, or nothing that is certain (*ret_conflict). QEMU takes 32 to 52 bits. */
static unsigned emulated_bits(const struct nm_domain *domain, bool *ret_conflict)
{
	if (!domain || (domain->cpus == 1 && !domain->maxphysaddrs))
		return 0;
	*ret_conflict = domain->cpus != 1 || domain->maxphysaddrs != 1 ||
			!domain->maxphysaddr_mode ||
			strcmp(domain->maxphysaddr_mode, "emulate") != 0 ||
			domain->maxphysaddr_bits < 32 || domain->maxphysaddr_bits > 52;
	return *ret_conflict ? 0 : domain->maxphysaddr_bits;
}

unsigned nm_domain_phys_bits(const struct nm_domain *domain, const struct nm_domain *cookie)
{
	bool conflict = false, other_conflict = false;
	unsigned bits, other;

	if (!cookie || !cookie->cpus)
		return emulated_bits(domain, &conflict);
	bits = emulated_bits(cookie, &conflict);
	other = emulated_bits(domain && domain->cpus ? domain : NULL, &other_conflict);
	return conflict || other_conflict || (other && other != bits) ? 0 : bits;
}

const char *nm_domain_feature(const struct nm_domain *domain, const char *name)
{
	for (size_t i = 0; domain && i < domain->feature_count; i++)
		if (domain->features[i].name && strcmp(domain->features[i].name, name) == 0)
			return domain->features[i].policy ? domain->features[i].policy : "require";
	return NULL;
}
