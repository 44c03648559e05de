/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fuzz targets do with a state that was read: everything that a command would. */
#ifndef NESTMIG_FUZZ_USE_H
#define NESTMIG_FUZZ_USE_H

#include <stdlib.h>

#include "nestmig.h"

static void use_text(enum nestmig_error error, char **text)
{
	if (!error)
		free(*text);
}

/* Judges it for no host, and prints it in every form. */
static void use_state(const struct nestmig_state *state)
{
	struct nestmig_report *report = NULL;
	char *text = NULL;

	if (nestmig_judge(state, NULL, &report) == NESTMIG_OK) {
		struct nestmig_html_file file = {"<fuzz>", state, report};

		use_text(nestmig_report_text(report, "fuzz", false, &text), &text);
		use_text(nestmig_report_json(report, "fuzz", &text), &text);
		use_text(nestmig_report_html(&file, 1, &text), &text);
	}
	nestmig_report_free(report);
	use_text(nestmig_inspect_text(state, false, &text), &text);
	use_text(nestmig_inspect_json(state, &text), &text);
	use_text(nestmig_inspect_smram_text(state, false, &text), &text);
	use_text(nestmig_inspect_smram_json(state, &text), &text);
	use_text(nestmig_inspect_xml_text(state, &text, NULL), &text);
	use_text(nestmig_inspect_xml_json(state, &text, NULL), &text);
}

#endif
