/* SPDX-License-Identifier: Apache-2.0 */
/* clock - monotonic time for timeouts, wall time for display, durations in text.  Any thread. */
#ifndef LOOM_BASE_CLOCK_H
#define LOOM_BASE_CLOCK_H

#include "common/base/mem.h"

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void); /* since the epoch */
int64_t clock_wall_us(void);

/* "250ms", "5s", "3m", "2h", "7d"; a bare number is milliseconds. 0 or -EINVAL/-ERANGE. */
LOOM_MUST_CHECK int clock_parse_ms(const char *s, int64_t *ret_ms);

/* RFC 3339 UTC with milliseconds: 2024-05-01T10:00:00.123Z (24 characters and NUL). */
void clock_format(int64_t wall_ms, char out[32]);

/* Exponential backoff with jitter: a random wait between base and min(cap, base * 2^attempt),
 * attempt from 0. */
int64_t clock_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms);

#endif
