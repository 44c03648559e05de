// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of errors: names from a file that nobody trusts go into them. */
#include "error.h"
#include "stream.h"

static const struct {
	const char *name, *shown;
} names[] = {
	{"pc.ram", "pc.ram"},
	{"caf\xc3\xa9 \xe6\xb1\x89 \xf0\x9f\x99\x82", "caf\xc3\xa9 \xe6\xb1\x89 \xf0\x9f\x99\x82"},
	{"\x1b[2J\n\x7f", "?[2J??"},
	{"\xc2\x9b"
	 "2J",
	 "??2J"},      /* CSI of C1 */
	{"\x9b", "?"}, /* the same of eight bits */
	{"\xe2\x80\xae"
	 "gnp",
	 "???gnp"},    /* right-to-left override */
	{"\xc3", "?"}, /* a character that is cut short */
	{"\xff\xfe", "??"},
};

START_TEST(a_name_cannot_steer_a_terminal)
{
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(nm_fail(&detail, NESTMIG_ERR_FORMAT, "%s", names[_i].name),
			 NESTMIG_ERR_FORMAT);
	ck_assert_str_eq(detail.text, names[_i].shown);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");

	tcase_add_loop_test(tcase, a_name_cannot_steer_a_terminal, 0,
			    sizeof(names) / sizeof(names[0]));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
