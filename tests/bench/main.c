/* SPDX-License-Identifier: Apache-2.0 */
/* The load driver of tests/bench/run: driver COMMAND key=value... */
#include "bench.h"

#include "common/base/log.h"
#include "common/base/str.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *option(const struct options *o, const char *key, const char *otherwise)
{
	size_t len = strlen(key);
	for (int i = 0; i < o->n; i++)
		if (strncmp(o->v[i], key, len) == 0 && o->v[i][len] == '=')
			return o->v[i] + len + 1;
	return otherwise;
}

int64_t option_int(const struct options *o, const char *key, int64_t otherwise)
{
	const char *text = option(o, key, NULL);
	int64_t n = otherwise;
	if (text && str_to_int(text, &n)) {
		fprintf(stderr, "driver: %s=%s is not a number\n", key, text);
		exit(64);
	}
	return n;
}

void samples_add(struct samples *s, int64_t v)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 1024;
		s->v = loom_realloc(s->v, s->cap * sizeof(*s->v));
	}
	s->v[s->n++] = v;
}

void samples_fini(struct samples *s)
{
	loom_free(s->v);
	*s = (struct samples){ 0 };
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

struct json *set_double(struct json *obj, const char *key, double v)
{
	LOOM_CLEANUP_STR char *text = loom_asprintf("%.3f", v);
	return json_set(obj, key, json_new_number(text));
}

struct json *samples_ms(struct samples *s)
{
	static const struct {
		const char *name;
		size_t per_mille;
	} points[] = { { "p50", 500 }, { "p90", 900 }, { "p99", 990 }, { "max", 1000 } };
	struct json *o = json_set_int(json_new_obj(), "n", (int64_t)s->n);
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_size);
	for (size_t i = 0; s->n && i < LOOM_COUNT(points); i++)
		set_double(o, points[i].name,
		           (double)s->v[(s->n - 1) * points[i].per_mille / 1000] / 1000);
	return o;
}

int64_t wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct options *o);
	} commands[] = { { "play", play_main },
		         { "create", create_main },
		         { "solve", solve_main },
		         { "limit", limit_main } };
	struct options o = { argc - 2, argv + 2 };
	signal(SIGPIPE, SIG_IGN);
	log_setup("driver", LOG_LV_WARN, false);
	for (size_t i = 0; argc > 1 && i < LOOM_COUNT(commands); i++)
		if (str_eq(commands[i].name, argv[1]))
			return commands[i].run(&o);
	fprintf(stderr, "usage: driver play|create|solve|limit key=value...\n");
	return 64;
}
