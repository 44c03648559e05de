// SPDX-License-Identifier: LGPL-2.1-or-later
/* The version of the library; the number itself is in CMakeLists.txt. */
#include "nestmig.h"

const char *nestmig_version(void)
{
	return NESTMIG_VERSION;
}
