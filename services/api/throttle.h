/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle - wrong passwords cost time: after a few of them an account must wait, twice as long
 * each time, so that guessing is hopeless; whoever mistypes hardly notices. In memory, of this
 * process. Bounded: the accounts tried last are remembered. Any thread.
 */
#ifndef LOOM_API_THROTTLE_H
#define LOOM_API_THROTTLE_H

#include <stdint.h>

#define THROTTLE_FREE    5     /* wrong ones without a wait */
#define THROTTLE_MOST_MS 60000 /* no wait is longer */

struct throttle;

struct throttle *throttle_create(void);
void throttle_destroy(struct throttle *t); /* NULL ok */

/* How long key must wait from now on, monotonic ms; 0: it may try. */
int64_t throttle_wait(struct throttle *t, const char *key, int64_t now);
void throttle_wrong(struct throttle *t, const char *key, int64_t now);
void throttle_right(struct throttle *t, const char *key);

#endif
