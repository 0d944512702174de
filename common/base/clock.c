/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, durations as text, and growing waits with jitter. */
#include "common/base/clock.h"

#include "common/base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec ts;
	int rc = clock_gettime(id, &ts);
	loom_assert(rc == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

static const struct {
	const char *suffix;
	int64_t ms;
} units[] = {
	{ "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

int clock_parse_ms(const char *s, int64_t *ret_ms)
{
	char digits[24];
	size_t n = s ? strspn(s, "0123456789") : 0;
	int64_t value;
	int rc;
	if (n == 0)
		return -EINVAL;
	for (size_t i = 0; i < LOOM_COUNT(units); i++) {
		if (!str_eq(s + n, units[i].suffix))
			continue;
		if (n >= sizeof(digits))
			return -ERANGE;
		memcpy(digits, s, n);
		digits[n] = '\0';
		rc = str_to_int(digits, &value);
		if (rc)
			return rc;
		if (value > INT64_MAX / units[i].ms)
			return -ERANGE;
		*ret_ms = value * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

void clock_format(int64_t wall_ms, char out[32])
{
	int64_t ms = wall_ms % 1000;
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	size_t n;
	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	if (!gmtime_r(&seconds, &tm) || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0) {
		(void)snprintf(out, 32, "0000-00-00T00:00:00.000Z");
		return;
	}
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, 32 - n, ".%03dZ", (int)ms);
}

int64_t clock_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms)
{
	int64_t top = base_ms;
	uint64_t random = 0;
	loom_assert(base_ms >= 0 && cap_ms >= 0);
	for (unsigned i = 0; i < attempt && top < cap_ms; i++)
		top = top > INT64_MAX / 2 ? INT64_MAX : top * 2;
	if (top > cap_ms)
		top = cap_ms;
	if (top <= base_ms)
		return top;
	ssize_t got = getrandom(&random, sizeof(random), 0);
	loom_assert(got == sizeof(random));
	return base_ms + (int64_t)(random % (uint64_t)(top - base_ms + 1));
}
