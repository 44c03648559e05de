// SPDX-License-Identifier: GPL-2.0-or-later
/* The report as an HTML page: what comes from files stays text, the page is whole, and its marks are those
 * of the rules. */
#include <jansson.h>

#include "dump_dir.h"
#include "host.h"
#include "report_html.h"

static struct nestmig_state *state;
static struct nestmig_report *report;
static struct nestmig_host *host;
static char *page;

static void free_ids(void);

static void setup(void)
{
	struct stream s = genuine("dev2");

	page = NULL;
	report = NULL;
	host = NULL;
	state = must_read(&s);
	stream_free(&s);
}

static void teardown(void)
{
	free_ids();
	nestmig_report_free(report);
	nestmig_host_free(host);
	nestmig_state_free(state);
	free(page);
}

static void judge(void)
{
	nestmig_report_free(report);
	report = NULL;
	ck_assert_int_eq(nestmig_judge(state, host, &report), NESTMIG_OK);
}

static void judge_for_kernel(const char *kernel)
{
	ck_assert_int_eq(
		nm_host_from_parts(NESTMIG_VENDOR_AMD, kernel, "npt=1 nested=1", &host, NULL),
		NESTMIG_OK);
	judge();
}

static void render(const char *name, size_t count)
{
	struct nestmig_html_file files[2] = {{name, state, report}, {name, state, report}};

	free(page);
	page = NULL;
	ck_assert_int_eq(nestmig_report_html(files, count, &page), NESTMIG_OK);
}

/* As strstr, which under ASan measures all that is left of the page each time. */
static const char *find(const char *p, const char *what)
{
	size_t length = strlen(what);

	while ((p = strchr(p, *what)) != NULL && strncmp(p, what, length) != 0)
		p++;
	return p;
}

static size_t count_of(const char *what)
{
	size_t count = 0;

	for (const char *p = page; (p = find(p, what)); p += strlen(what))
		count++;
	return count;
}

static void says(const char *what)
{
	ck_assert_msg(strstr(page, what) != NULL, "no \"%s\"", what);
}

static void says_not(const char *what)
{
	ck_assert_msg(strstr(page, what) == NULL, "\"%s\" is there", what);
}

/* Only a failure costs something: check writes to a pipe for every assertion. */
#define must(condition, ...)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

/* ---- The page is whole ------------------------------------------------------------------------ */

#define DEPTH_MAX 32

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

/* The element that a '<' starts; returns what is behind its '>'. Values have no '<' and no '>'. */
static const char *read_tag(const char *p, char name[16])
{
	size_t length = strcspn(p + 1, " >");
	const char *end = strpbrk(p + 1, "<>");

	must(end && *end == '>', "a tag without an end: %.60s", p);
	must(length > 0 && length < 16, "no tag: %.60s", p);
	snprintf(name, 16, "%.*s", (int)length, p + 1);
	return end + 1;
}

/* Every element is one that the page uses, and all are closed that have to be. */
static void check_elements(void)
{
	static const char *const open_ended[] = {
		"!DOCTYPE", "html", "/html", "meta", "body", "/body", "p",   "li", "dt",
		"dd",       "tr",   "th",    "td",   "br",   "input", "wbr", NULL};
	static const char *const closed[] = {
		"title", "style", "main",    "header",  "nav", "section", "article", "footer",
		"div",   "h1",    "h2",      "h3",      "h4",  "a",       "span",    "b",
		"i",     "em",    "small",   "code",    "kbd", "bdi",     "ul",      "dl",
		"table", "label", "details", "summary", NULL};
	char stack[DEPTH_MAX][16], name[16];
	size_t depth = 0;

	for (const char *p = strchr(page, '<'); p; p = strchr(p, '<')) {
		p = read_tag(p, name);
		if (is_one_of(name, open_ended))
			continue;
		if (name[0] == '/') {
			must(depth && strcmp(stack[depth - 1], name + 1) == 0,
			     "<%s> closes <%s>: %.60s", name, depth ? stack[depth - 1] : "nothing",
			     p);
			depth--;
			continue;
		}
		must(is_one_of(name, closed), "<%s> is not an element of the page", name);
		must(depth < DEPTH_MAX, "too deep");
		strcpy(stack[depth++], name);
	}
	ck_assert_uint_eq(depth, 0);
}

/* The ids of the page, sorted; each is there once. */
static struct ids {
	char *names[100000];
	size_t count;
} ids;

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_ids(void)
{
	while (ids.count > 0)
		free(ids.names[--ids.count]);
}

static void collect_ids(void)
{
	free_ids();
	for (const char *p = page; (p = find(p, " id=")); p++) {
		const char *at = p + 4 + (p[4] == '"');

		must(ids.count < sizeof(ids.names) / sizeof(ids.names[0]), "too many ids");
		ids.names[ids.count++] = strndup(at, strcspn(at, "\" >"));
	}
	qsort(ids.names, ids.count, sizeof(ids.names[0]), compare_names);
	for (size_t i = 1; i < ids.count; i++)
		must(strcmp(ids.names[i - 1], ids.names[i]) != 0, "id %s is there twice",
		     ids.names[i]);
}

static bool has_id(const char *id)
{
	return bsearch(&id, ids.names, ids.count, sizeof(ids.names[0]), compare_names) != NULL;
}

static void check_links(void)
{
	collect_ids();
	for (const char *p = page; (p = find(p, "href=\"")); p++) {
		const char *value = p + strlen("href=\"");
		char id[128];

		must(*value == '#', "a link to elsewhere: %.60s", p);
		snprintf(id, sizeof(id), "%.*s", (int)strcspn(value, "\"") - 1, value + 1);
		must(has_id(id), "a link to nowhere: %s", id);
	}
}

static void check_page(void)
{
	json_t *json = json_string(page);

	must(json != NULL, "the page is not UTF-8");
	json_decref(json);
	for (const char *p = page; *p; p++)
		must((unsigned char)*p >= 0x20 || *p == '\n' || *p == '\t',
		     "a control character: %.40s", p);
	says("http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-");
	says("name=viewport");
	check_elements();
	check_links();
}

START_TEST(a_page_is_whole)
{
	judge();
	render("file", 1);
	check_page();
	render("file", 2);
	check_page();
	judge_for_kernel("6.1.0");
	render("file", 1);
	check_page();
}
END_TEST

START_TEST(the_same_input_makes_the_same_page)
{
	char *first;

	judge();
	render("file", 1);
	first = page;
	page = NULL;
	judge();
	render("file", 1);
	ck_assert_str_eq(first, page);
	free(first);
}
END_TEST

/* ---- Hostile text ----------------------------------------------------------------------------- */

#define HOSTILE "\"'><script>alert(1)</script>&amp;\033[31m\xff\n"
/* The last byte is no UTF-8. */
#define HARMLESS "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;?[31m??"

START_TEST(hostile_text_stays_text)
{
	judge();
	free(state->machine);
	state->machine = strdup(HOSTILE);
	free(report->host_kernel);
	report->host_kernel = strdup(HOSTILE);
	free(report->format);
	report->format = strdup(HOSTILE);
	for (int item = 0; item < NESTMIG_ITEM_COUNT; item++)
		state->vcpus[0].origin[item].file = HOSTILE;
	render(HOSTILE, 2);
	says("<h1><bdi>" HARMLESS "</bdi></h1>");
	says("unknown: " HARMLESS " / ");
	says("<dt>Machine<dd><bdi>" HARMLESS);
	says("<dt>Judged for<dd><bdi>" HARMLESS);
	says("<dt>Format<dd><bdi>" HARMLESS);
	says("<code><bdi>" HARMLESS "</bdi></code>, byte ");
	says_not("<script");
	says_not("alert(1)</script");
	check_page();
}
END_TEST

START_TEST(text_is_not_turned_around)
{
	judge();
	/* Right-to-left override, isolate, Arabic letter mark, a C1 control; and letters beside them. */
	render("a\u202eb\u2066c\u061cd\u200fe\xc2\x9b"
	       "f\u00e4\u20ac",
	       1);
	says("<h1><bdi>a?b?c?d?e?f\u00e4\u20ac</bdi></h1>");
	check_page();
}
END_TEST

START_TEST(what_a_domain_is_called_is_not_shown)
{
	/* A domain's XML may hold passwords. */
	judge();
	state->domain_xml = strdup("<domain><graphics passwd='secret'/></domain>");
	state->cookie_xml = strdup("<cookie>secret</cookie>");
	render("file", 1);
	says_not("secret");
}
END_TEST

/* ---- Marks ------------------------------------------------------------------------------------ */

/* The class of the cell of a field. */
static char mark_of(const char *id)
{
	char what[96];
	const char *at, *cell;

	snprintf(what, sizeof(what), "<div id=\"%s\">", id);
	at = strstr(page, what);
	ck_assert_msg(at != NULL, "no cell %s", id);
	for (cell = at; strncmp(cell, "class=\"c ", 9) != 0; cell--)
		;
	return cell[9];
}

START_TEST(cells_have_the_marks_of_their_rules)
{
	state->vcpus[0].view.sregs.cr0 = 0xa0010033; /* NW without CD */
	judge_for_kernel("6.1.0");
	render("file", 1);
	ck_assert_int_eq(mark_of("a0-sregs.cr0"), 'b');
	ck_assert_int_eq(mark_of("a1-vmcb12.control.int_ctl"), 'h');
	ck_assert_int_eq(mark_of("a0-vmcb12.control.asid"), 'u');
	ck_assert_int_eq(mark_of("a0-vmcb12.control.clean"), 'n');
	says("<article class=\"f b\" id=\"a0-r-svm-l2-cr0-cd-nw\">");
	says("<a href=\"#a0-sregs.cr0\">sregs.cr0</a>");
	says("<span class=\"big b\">");
	says("vCPU 0: KVM_SET_SREGS fails with EINVAL");
}
END_TEST

START_TEST(every_field_of_the_vmcb_has_one_cell)
{
	judge();
	render("file", 1);
	collect_ids();
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		char id[96];

		if (field->item != NESTMIG_ITEM_VMCB12 || field->kvm_width > 8)
			continue;
		snprintf(id, sizeof(id), "a0-%s", field->name);
		ck_assert_msg(has_id(id), "%s", id);
	}
}
END_TEST

/* A rule is broken, unknown, held or none of them, and never two. */
START_TEST(a_rule_has_one_result)
{
	judge_for_kernel("6.1.0");
	for (size_t v = 0; v < report->vcpu_count; v++) {
		const struct nm_vcpu_report *vcpu = &report->vcpus[v];

		for (size_t i = 0; i < vcpu->finding_count; i++)
			ck_assert(!nm_rule_bit(vcpu->held,
					       (unsigned)(vcpu->findings[i].rule - nm_rules)));
		for (size_t i = 0; i < vcpu->undecided_count; i++)
			ck_assert(!nm_rule_bit(vcpu->held,
					       (unsigned)(vcpu->undecided[i].rule - nm_rules)));
	}
	ck_assert(nm_rule_bit(report->vcpus[0].held, NESTMIG_RULE_svm_l2_cr0_cd_nw));
}
END_TEST

START_TEST(what_does_not_apply_is_not_said_to_hold)
{
	size_t asked_for_later = 0;

	judge_for_kernel("6.1.0");
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		const struct nm_rule *rule = &nm_rules[i];
		bool is_later =
			rule->changed > NESTMIG_KERNEL(6, 1) && rule->before == NM_CONSEQUENCE_NONE;

		asked_for_later += is_later;
		if (is_later || rule->when == NM_WHEN_L1 || rule->when == NM_WHEN_VMX_L2 ||
		    rule->when == NM_WHEN_SMM)
			ck_assert_msg(!nm_rule_bit(report->vcpus[0].held, i), "%s", rule->id);
	}
	ck_assert_uint_gt(asked_for_later, 0);
}
END_TEST

START_TEST(without_nested_state_no_rule_on_it_holds)
{
	state->vcpus[0].view.have = 0;
	judge();
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		ck_assert_msg(!nm_rule_bit(report->vcpus[0].held, i), "%s", nm_rules[i].id);
}
END_TEST

/* ---- Sizes ------------------------------------------------------------------------------------ */

START_TEST(many_vcpus_make_no_endless_page)
{
	struct nm_vcpu *vcpu;

	state->vcpus[1].view.sregs.cr0 = 0xa0010033;
	for (uint32_t id = 100; id < 400; id++)
		ck_assert_int_eq(nm_state_add_vcpu(state, id, &vcpu, NULL), NESTMIG_OK);
	judge();
	render("file", 1);
	check_page();
	ck_assert_uint_eq(count_of("<section class=v "), 64);
	ck_assert_uint_eq(count_of("<h3>Map of the state</h3>"), 16);
	ck_assert_uint_eq(count_of("<a class=\"gl "), 302);
	says("286 vCPUs are shown without a map and 238 only at a glance");
	/* The worst come first. */
	says("id=\"a1-sregs.cr0\"");
}
END_TEST

START_TEST(no_vcpu_makes_no_ok)
{
	size_t count = state->vcpu_count;

	state->vcpu_count = 0;
	judge();
	render("file", 1);
	state->vcpu_count = count;
	says("nothing was judged");
	says("<span class=\"big u\">? unknown</span>");
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
	struct nestmig_html_file files[3] = {{"file", state, NULL}};

	judge();
	files[0].report = report;
	ck_assert_int_eq(nestmig_report_html(files, 0, &page), NESTMIG_ERR_INVALID);
	ck_assert_int_eq(nestmig_report_html(files, 3, &page), NESTMIG_ERR_INVALID);
	report->vcpu_count--;
	ck_assert_int_eq(nestmig_report_html(files, 1, &page), NESTMIG_ERR_INVALID);
	report->vcpu_count++;
	ck_assert_ptr_null(page);
}
END_TEST

START_TEST(a_comparison_names_what_differs)
{
	struct nestmig_html_file files[2] = {{"a", state, NULL}};
	struct stream s = genuine("dev2");
	struct nestmig_state *other = must_read(&s);

	stream_free(&s);
	judge();
	files[0].report = report;
	report = NULL;
	other->vcpus[0].view.sregs.cr0 = 0xa0010033;
	files[1] = (struct nestmig_html_file){"b", other, NULL};
	ck_assert_int_eq(nestmig_judge(other, NULL, &report), NESTMIG_OK);
	files[1].report = report;
	ck_assert_int_eq(nestmig_report_html(files, 2, &page), NESTMIG_OK);
	check_page();
	ck_assert_uint_eq(count_of("<div class=\"d "), 1);
	says("<div class=\"d b\"><b><em title=\"broken\">✗</em> sregs.cr0</b>");
	says("only in B</b> <a href=\"#b0-r-svm-l2-cr0-cd-nw\">");
	says("None: every decoded field is the same.");
	nestmig_report_free((struct nestmig_report *)files[0].report);
	nestmig_state_free(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report_html");
	TCase *tcase = tcase_create("report_html");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_page_is_whole);
	tcase_add_test(tcase, the_same_input_makes_the_same_page);
	tcase_add_test(tcase, hostile_text_stays_text);
	tcase_add_test(tcase, text_is_not_turned_around);
	tcase_add_test(tcase, what_a_domain_is_called_is_not_shown);
	tcase_add_test(tcase, cells_have_the_marks_of_their_rules);
	tcase_add_test(tcase, every_field_of_the_vmcb_has_one_cell);
	tcase_add_test(tcase, a_rule_has_one_result);
	tcase_add_test(tcase, what_does_not_apply_is_not_said_to_hold);
	tcase_add_test(tcase, without_nested_state_no_rule_on_it_holds);
	tcase_add_test(tcase, many_vcpus_make_no_endless_page);
	tcase_add_test(tcase, no_vcpu_makes_no_ok);
	tcase_add_test(tcase, wrong_arguments_are_refused);
	tcase_add_test(tcase, a_comparison_names_what_differs);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
