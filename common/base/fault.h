/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - guarantees that a test build can break on purpose, so that a test can prove that the
 * breakage is noticed. Builds without LOOM_BREAKABLE (all except those for tests) contain none of
 * it.
 *
 * LOOM_BREAK in the environment lists them, separated by commas: "fence,quota". The names:
 *   ack      the API acknowledges creates that it did not record
 *   refusal  the API refuses creates that it did record
 *   quota    a tenant's clusters are not counted
 *   fence    results of abandoned attempts count
 *   edges    a task waits only for the first of its predecessors
 *   leases   tasks of dead provisioners wait for ever
 *   machines a provisioner claims to have deleted machines, but has not
 *   events   numbers of events have gaps
 *
 * A test can also hold a service at a place in its code, and meanwhile do something that happens
 * there only once in a million times: see hold_at().
 *
 * Any thread.
 */
#ifndef LOOM_BASE_FAULT_H
#define LOOM_BASE_FAULT_H

#include "common/base/mem.h"

#include <stdbool.h>

#ifdef LOOM_BREAKABLE
bool fault_enabled(const char *what);
/* While the folder named by LOOM_HOLD has a file of this name, a caller waits here (for at most 30
 * s), and makes a file `where`.held so that the test knows. */
void hold_at(const char *where);
#else
static inline bool fault_enabled(const char *what LOOM_UNUSED)
{
	return false;
}
static inline void hold_at(const char *where LOOM_UNUSED)
{
}
#endif

#endif
