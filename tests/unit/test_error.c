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

static const struct {
	const char *text, *shown;
} uris[] = {
	{"qemu+tcp://root:secret@host/system: no", "qemu+tcp://root:*@host/system: no"},
	{"a://u:p@ss@h, b://u:s@h:16509", "a://u:*@h, b://u:*@h:16509"},
	{"qemu+ssh://root@host:22/system", "qemu+ssh://root@host:22/system"},
	{"tcp://host:49152/a:b@c", "tcp://host:49152/a:b@c"},
	{"a://u:@h", "a://u:@h"},
	{"a://", "a://"},
	{"none: u:p@h", "none: u:p@h"},
};

START_TEST(a_password_is_hidden)
{
	char text[64];

	snprintf(text, sizeof(text), "%s", uris[_i].text);
	nm_hide_passwords(text);
	ck_assert_str_eq(text, uris[_i].shown);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");

	tcase_add_loop_test(tcase, a_name_cannot_steer_a_terminal, 0,
			    sizeof(names) / sizeof(names[0]));
	tcase_add_loop_test(tcase, a_password_is_hidden, 0, sizeof(uris) / sizeof(uris[0]));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
