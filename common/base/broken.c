/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/broken.h"

#ifdef LOOM_BREAKABLE
#include <stdlib.h>
#include <string.h>

bool broken(const char *what)
{
	size_t len = strlen(what);
	const char *s = getenv("LOOM_BREAK"); /* NOLINT(concurrency-mt-unsafe): never set later */
	while (s && *s) {
		size_t n = strcspn(s, ",");
		if (n == len && strncmp(s, what, n) == 0)
			return true;
		s += n + (s[n] == ',');
	}
	return false;
}
#endif
