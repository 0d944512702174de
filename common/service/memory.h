/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory - returns the memory of a burst of work to the system, some seconds after it is over.
 *
 * The allocator keeps free memory between blocks in use, so one burst would cost memory for the
 * rest of the process's life. Loop thread.
 */
#ifndef LOOM_SERVICE_MEMORY_H
#define LOOM_SERVICE_MEMORY_H

#include <stdint.h>

int64_t memory_resident(void); /* bytes of this process; 0: unknown */
/* Bytes allocated and not freed; the difference to the resident bytes is the program, and free
 * memory kept by the allocator. */
int64_t memory_allocated(void);

/* Checks once; call every few seconds. */
struct memory_watch {
	int64_t last; /* resident bytes when there was nothing to release */
};
#define MEMORY_LOOK_MS 3000
void memory_give_back(struct memory_watch *w);

#endif
