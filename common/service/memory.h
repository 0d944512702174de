/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory - what a burst of work took goes back to the system, some seconds after it is over.
 *
 * The allocator keeps what is freed between blocks in use, so that one burst would be paid for as
 * long as the process lives. Loop thread.
 */
#ifndef LOOM_SERVICE_MEMORY_H
#define LOOM_SERVICE_MEMORY_H

#include <stdint.h>

int64_t memory_resident(void); /* bytes of this process; 0 when it cannot be told */
/* Bytes allocated and not freed: what is resident beyond this and the program is kept for later. */
int64_t memory_allocated(void);

/* Looks once; to be called every few seconds. */
struct memory_watch {
	int64_t last; /* resident when there was nothing to give back */
};
#define MEMORY_LOOK_MS 3000
void memory_give_back(struct memory_watch *w);

#endif
