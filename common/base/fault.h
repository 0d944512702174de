/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - promises that a test build can break on purpose, so that a test can prove that somebody
 * notices. Builds without LOOM_BREAKABLE (all but those for tests) contain none of it.
 *
 * LOOM_BREAK in the environment says which, with commas between: "fence,quota". The names:
 *   ack      the API acknowledges creates that it did not record
 *   refusal  the API refuses creates that it did record
 *   quota    nobody counts a tenant's clusters
 *   fence    results of attempts that were given up count
 *   edges    a task waits for the first of its predecessors only
 *   leases   tasks of dead provisioners are waited for for ever
 *   machines a provisioner says that it deleted machines, and did not
 *   events   numbers of events have gaps
 *
 * A test can also hold a service at a place of its code, to do meanwhile what happens there only
 * once in a million: see hold_at().
 *
 * Any thread.
 */
#ifndef LOOM_BASE_FAULT_H
#define LOOM_BASE_FAULT_H

#include "common/base/mem.h"

#include <stdbool.h>

#ifdef LOOM_BREAKABLE
bool fault_enabled(const char *what);
/* While the folder that LOOM_HOLD names has a file of this name, whoever comes here waits (for at
 * most 30 s), and makes a file `where`.held so that the test knows. */
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
