// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirt's XML: what is taken from it, and what hostile XML may not do. */
#include "domain.h"
#include "stream.h"

static struct nm_domain *must_parse(const char *xml)
{
	struct nm_domain *domain = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(nm_domain_parse(xml, &domain, &detail), detail);
	return domain;
}

static void must_not_parse(const char *xml, enum nestmig_error error, const char *says)
{
	struct nm_domain *domain = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(nm_domain_parse(xml, &domain, &detail), error);
	ck_assert_ptr_null(domain);
	ck_assert_msg(strstr(detail.text, says) != NULL, "\"%s\" not in \"%s\"", says, detail.text);
}

START_TEST(a_domain_is_read)
{
	struct nm_domain *d = must_parse(
		"<?xml version='1.0'?>\n<!-- c --><domain type='kvm' id='3'><name>a&amp;b</name>"
		"<metadata><x><name>not this</name></x></metadata><uuid>u</uuid>"
		"<memory unit='MiB'>64</memory><vcpu placement='static'>2</vcpu>"
		"<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
		"<cpu mode='custom' match='exact' check='full'><model "
		"fallback='forbid'>EPYC</model>"
		"<vendor>AMD</vendor><topology sockets='1'/><feature policy='require' name='svm'/>"
		"<feature name='npt'/></cpu><devices><cpu mode='x'/></devices></domain>");

	ck_assert_str_eq(d->type, "kvm");
	ck_assert_str_eq(d->name, "a&b");
	ck_assert_str_eq(d->uuid, "u");
	ck_assert_str_eq(d->arch, "x86_64");
	ck_assert_str_eq(d->machine, "pc-q35-7.2");
	ck_assert_uint_eq(d->memory_kib, 65536);
	ck_assert_uint_eq(d->vcpus, 2);
	ck_assert_uint_eq(d->cpus, 1);
	ck_assert_str_eq(d->cpu_mode, "custom");
	ck_assert_str_eq(d->cpu_match, "exact");
	ck_assert_str_eq(d->cpu_check, "full");
	ck_assert_str_eq(d->cpu_model, "EPYC");
	ck_assert_str_eq(d->cpu_vendor, "AMD");
	ck_assert_str_eq(nm_domain_feature(d, "svm"), "require");
	ck_assert_str_eq(nm_domain_feature(d, "npt"), "require");
	ck_assert_ptr_null(nm_domain_feature(d, "vmx"));
	nm_domain_free(d);
	d = must_parse("<cookie><cpu><model>X</model></cpu><slirpHelper/></cookie>");
	ck_assert_str_eq(d->cpu_model, "X");
	ck_assert_uint_eq(d->memory_kib, 0);
	nm_domain_free(d);
	ck_assert_ptr_null(nm_domain_feature(NULL, "vmx"));
	nm_domain_free(NULL);
}
END_TEST

static const struct {
	const char *xml;
	uint64_t kib;
} sizes[] = {
	{"<domain><memory>7</memory></domain>", 7},
	{"<domain><memory unit='k'>7</memory></domain>", 7},
	{"<domain><memory unit='GiB'>3</memory></domain>", 3 << 20},
	{"<domain><memory unit='G'>99999999999999999999</memory></domain>", 0},
	{"<domain><memory unit='parsecs'>7</memory></domain>", 0},
	{"<domain><memory>-7</memory></domain>", 0},
	{"<domain><memory> 7</memory></domain>", 0},
	{"<domain><memory/></domain>", 0},
};

START_TEST(sizes_have_units)
{
	struct nm_domain *d = must_parse(sizes[_i].xml);

	ck_assert_uint_eq(d->memory_kib, sizes[_i].kib);
	nm_domain_free(d);
}
END_TEST

#define CPU(inner)    "<domain><cpu>" inner "</cpu></domain>"
#define COOKIE(inner) "<cookie><cpu>" inner "</cpu></cookie>"
#define EMULATE(bits) "<maxphysaddr mode='emulate' bits='" bits "'/>"

static const struct {
	const char *domain, *cookie;
	unsigned bits;
} widths[] = {
	{CPU(EMULATE("42")), NULL, 42},
	{CPU(EMULATE("42")), COOKIE(EMULATE("42")), 42},
	{CPU(""), COOKIE(EMULATE("42")), 42},
	{"<domain/>", COOKIE(EMULATE("42")), 42},
	{CPU(EMULATE("42")), "<cookie/>", 42},
	{CPU(EMULATE("32")), NULL, 32},
	{CPU(EMULATE("52")), NULL, 52},
	/* Nothing that is certain. */
	{"<domain/>", NULL, 0},
	{CPU(""), COOKIE(""), 0},
	{CPU(EMULATE("42")), COOKIE(""), 0},
	{CPU(EMULATE("42")), COOKIE(EMULATE("43")), 0},
	{CPU("<maxphysaddr mode='passthrough'/>"), NULL, 0},
	{CPU("<maxphysaddr mode='passthrough' limit='42'/>"), NULL, 0},
	{CPU("<maxphysaddr mode='passthrough'/>"), COOKIE(EMULATE("42")), 0},
	{CPU(EMULATE("42")), COOKIE("<maxphysaddr mode='passthrough'/>"), 0},
	{CPU("<maxphysaddr bits='42'/>"), NULL, 0},
	{CPU(EMULATE("31")), NULL, 0},
	{CPU(EMULATE("53")), NULL, 0},
	{CPU(EMULATE("0")), NULL, 0},
	{CPU(EMULATE("")), NULL, 0},
	{CPU(EMULATE("4294967338")), NULL, 0},
	{CPU(EMULATE("-42")), NULL, 0},
	{CPU(EMULATE("42") EMULATE("42")), NULL, 0},
	{"<domain><cpu>" EMULATE("42") "</cpu><cpu/></domain>", NULL, 0},
	{"<domain><cpu/><cpu>" EMULATE("42") "</cpu></domain>", COOKIE(EMULATE("42")), 0},
	{"<domain><x><cpu>" EMULATE("42") "</cpu></x></domain>", NULL, 0},
};

START_TEST(a_width_is_taken_where_it_is_certain)
{
	struct nm_domain *domain = must_parse(widths[_i].domain);
	struct nm_domain *cookie = widths[_i].cookie ? must_parse(widths[_i].cookie) : NULL;

	ck_assert_uint_eq(nm_domain_phys_bits(domain, cookie), widths[_i].bits);
	nm_domain_free(domain);
	nm_domain_free(cookie);
}
END_TEST

#define ENTITIES                                                                                   \
	"<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"         \
	"<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><domain><name>&c;</name></domain>"

static const struct {
	const char *xml, *says;
} refused[] = {
	{"", "no element found"},
	{"text", "line 1"},
	{"<domain>", "no element found"},
	{"<domain></cookie>", "mismatched"},
	{"<domain/><domain/>", "junk"},
	{"<domainsnapshot/>", "root"},
	{"<html><domain/></html>", "root"},
	{"<domain>\x1b[2J</domain>", "not well-formed"},
	{"<domain>&undefined;</domain>", "undefined entity"},
	{"<domain>\xff\xfe</domain>", "not well-formed"},
	{ENTITIES, "document type"},
	{"<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", "document type"},
	{"<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain>&x;</domain>",
	 "document type"},
};

START_TEST(what_libvirt_does_not_write_is_refused)
{
	must_not_parse(refused[_i].xml, NESTMIG_ERR_FORMAT, refused[_i].says);
}
END_TEST

START_TEST(depth_is_bounded)
{
	struct stream s = {0};

	put(&s, "<domain>", 8);
	for (unsigned i = 0; i < 63; i++)
		put(&s, "<a>", 3);
	for (unsigned i = 0; i < 63; i++)
		put(&s, "</a>", 4);
	put(&s, "</domain>", 10);
	nm_domain_free(must_parse((const char *)s.p));
	stream_free(&s);
	put(&s, "<domain>", 8);
	for (unsigned i = 0; i < 1000000; i++)
		put(&s, "<a>", 3);
	put(&s, "", 1);
	must_not_parse((const char *)s.p, NESTMIG_ERR_LIMIT, "too deep");
	stream_free(&s);
}
END_TEST

START_TEST(features_are_bounded)
{
	const char *feature = "<feature policy='require' name='x'/>";
	struct stream s = {0};

	put(&s, "<domain><cpu>", 13);
	for (unsigned i = 0; i < 4097; i++)
		put(&s, feature, strlen(feature));
	put(&s, "</cpu></domain>", 16);
	must_not_parse((const char *)s.p, NESTMIG_ERR_LIMIT, "features");
	stream_free(&s);
}
END_TEST

START_TEST(long_texts_and_names_do_no_harm)
{
	struct stream s = {0};
	struct nm_domain *d;

	put(&s, "<domain><", 9);
	put_fill(&s, 'x', 100000);
	put(&s, "><name>", 7);
	put_fill(&s, 'y', 1000);
	put(&s, "</name></", 9);
	put_fill(&s, 'x', 100000);
	put(&s, "><name>", 7);
	put_fill(&s, 'z', 100000);
	put(&s, "</name></domain>", 17);
	d = must_parse((const char *)s.p);
	ck_assert_uint_eq(strlen(d->name), 256);
	ck_assert_int_eq(d->name[0], 'z');
	nm_domain_free(d);
	stream_free(&s);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *suite = suite_create("domain");
	TCase *tcase = tcase_create("domain");

	tcase_add_test(tcase, a_domain_is_read);
	tcase_add_loop_test(tcase, sizes_have_units, 0, COUNT(sizes));
	tcase_add_loop_test(tcase, a_width_is_taken_where_it_is_certain, 0, COUNT(widths));
	tcase_add_loop_test(tcase, what_libvirt_does_not_write_is_refused, 0, COUNT(refused));
	tcase_add_test(tcase, depth_is_bounded);
	tcase_add_test(tcase, features_are_bounded);
	tcase_add_test(tcase, long_texts_and_names_do_no_harm);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
