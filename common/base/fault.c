/* SPDX-License-Identifier: Apache-2.0 */
/* Guarantees that tests break on purpose: reads LOOM_BREAK and tells which ones it names. */
#include "common/base/fault.h"

#ifdef LOOM_BREAKABLE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOLD_POLL_US = 5000, HOLD_POLLS = 6000 };

bool fault_enabled(const char *what)
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

void hold_at(const char *where)
{
	const char *dir = getenv("LOOM_HOLD"); /* NOLINT(concurrency-mt-unsafe): never set later */
	if (!dir)
		return;
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", dir, where);
	LOOM_CLEANUP_STR char *held = loom_asprintf("%s.held", path);
	for (int i = 0; i < HOLD_POLLS && access(path, F_OK) == 0; i++) {
		LOOM_CLEANUP_FD int fd = i ? -1 : open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		(void)usleep(HOLD_POLL_US);
	}
}
#endif
