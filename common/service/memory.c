/* SPDX-License-Identifier: Apache-2.0 */
/* Resident memory, and giving back what is free of it. */
#include "common/service/memory.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Growth that is worth a look, and free memory that is worth giving back. */
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
		(void)strtok_r(line, " ", &save); /* the size of its address space */
		const char *resident = strtok_r(NULL, " ", &save);
		if (resident && str_to_int(resident, &pages) != 0)
			pages = 0;
	}
	(void)fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

int64_t memory_allocated(void)
{
	struct mallinfo2 now = mallinfo2();
	return (int64_t)(now.uordblks + now.hblkhd);
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
	(void)malloc_trim(1 << 20);
	w->last = memory_resident();
	log_debug("memory given back", LOG_I("bytes", resident - w->last),
	          LOG_I("us", clock_mono_us() - start));
}
