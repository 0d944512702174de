/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures resident memory and releases free memory. The allocator is jemalloc if the program is
 * linked with it, else the C library's.
 */
#include "common/service/memory.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Declared in <jemalloc/jemalloc.h>; NULL if not linked. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
	__attribute__((weak));
#define ALL_ARENAS "arena.4096" /* MALLCTL_ARENAS_ALL */

/* Growth that triggers a check, and the least free memory to release. */
#define GROWN ((int64_t)8 << 20)
#define FREE  ((int64_t)16 << 20)

int64_t memory_resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	char line[128] = "", *save = NULL;
	int64_t pages = 0;
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f)) {
		(void)strtok_r(line, " ", &save); /* the first field is the size of the address
		                                   * space */
		const char *resident = strtok_r(NULL, " ", &save);
		if (resident && str_to_int(resident, &pages) != 0)
			pages = 0;
	}
	(void)fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

int64_t memory_allocated(void)
{
	uint64_t epoch = 1;
	size_t n = 0, size = sizeof(n);
	if (!mallctl) {
		struct mallinfo2 now = mallinfo2();
		return (int64_t)(now.uordblks + now.hblkhd);
	}
	/* Counters are updated once per epoch. */
	int rc = mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	if (!rc)
		rc = mallctl("stats.allocated", &n, &size, NULL, 0);
	return rc ? 0 : (int64_t)n;
}

void memory_give_back(struct memory_watch *w)
{
	int64_t resident = memory_resident();
	if (resident < w->last)
		w->last = resident;
	if (resident < w->last + GROWN)
		return;
	w->last = resident;
	if (resident < memory_allocated() + FREE)
		return;
	int64_t start = clock_mono_us();
	if (mallctl)
		(void)mallctl(ALL_ARENAS ".purge", NULL, NULL, NULL, 0);
	else
		(void)malloc_trim(1 << 20);
	w->last = memory_resident();
	log_debug("memory given back", LOG_I("bytes", resident - w->last),
	          LOG_I("us", clock_mono_us() - start));
}
