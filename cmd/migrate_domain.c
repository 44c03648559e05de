// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: a libvirt domain. */
#include "error.h"
#include "migrate.h"

enum nestmig_error migrate_domain(const struct migrate_request *request,
				  struct migrate_result *result, const char **ret_about,
				  struct nestmig_detail *detail)
{
	(void)request;
	(void)result;
	(void)ret_about;
	return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED, "not yet");
}
