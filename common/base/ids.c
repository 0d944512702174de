/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and reads the identifiers of clusters, jobs, tasks and nodes. */
#include "common/base/ids.h"

#include "common/base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void id_cluster(char out[ID_MAX], int64_t cluster)
{
	(void)snprintf(out, ID_MAX, "%08" PRId64, cluster);
}

void id_job(char out[ID_MAX], int64_t cluster, int64_t job)
{
	(void)snprintf(out, ID_MAX, "%08" PRId64 "-%03" PRId64, cluster, job);
}

void id_task(char out[ID_MAX], int64_t cluster, int64_t job, int64_t task)
{
	(void)snprintf(out, ID_MAX, "%08" PRId64 "-%03" PRId64 "-%03" PRId64, cluster, job, task);
}

/* Exactly n positive numbers with '-' between them. */
static int parse_numbers(const char *s, int64_t *ret, unsigned n)
{
	char part[ID_MAX];
	if (!s)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		size_t len = strcspn(s, "-");
		uint64_t value;
		if (len >= sizeof(part))
			return -EINVAL;
		memcpy(part, s, len);
		part[len] = '\0';
		if (str_to_uint(part, &value) || value == 0 || value > INT64_MAX)
			return -EINVAL;
		ret[i] = (int64_t)value;
		s += len;
		if (*s != (i + 1 < n ? '-' : '\0'))
			return -EINVAL;
		s++;
	}
	return 0;
}

int id_parse_cluster(const char *s, int64_t *ret)
{
	int64_t n[1];
	if (parse_numbers(s, n, 1))
		return -EINVAL;
	*ret = n[0];
	return 0;
}

int id_parse_job(const char *s, struct task_ref *ret)
{
	int64_t n[2];
	if (parse_numbers(s, n, 2))
		return -EINVAL;
	*ret = (struct task_ref){ .cluster = n[0], .job = n[1] };
	return 0;
}

int id_parse_task(const char *s, struct task_ref *ret)
{
	int64_t n[3];
	if (parse_numbers(s, n, 3))
		return -EINVAL;
	*ret = (struct task_ref){ .cluster = n[0], .job = n[1], .task = n[2] };
	return 0;
}

void id_random_hex(char *out, size_t bytes)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char random[32];
	while (bytes > 0) {
		size_t n = bytes < sizeof(random) ? bytes : sizeof(random);
		loom_assert(getrandom(random, n, 0) == (ssize_t)n);
		for (size_t i = 0; i < n; i++) {
			*out++ = hex[random[i] >> 4];
			*out++ = hex[random[i] & 15];
		}
		bytes -= n;
	}
	*out = '\0';
}

void id_uuid(char out[37])
{
	static const unsigned groups[] = { 8, 4, 4, 4, 12 };
	char hex[33];
	const char *p = hex;
	char *q = out;
	id_random_hex(hex, 16);
	hex[12] = '4';
	hex[16] = "89ab"[(unsigned char)hex[16] & 3];
	for (size_t i = 0; i < LOOM_COUNT(groups); i++) {
		if (i)
			*q++ = '-';
		memcpy(q, p, groups[i]);
		q += groups[i];
		p += groups[i];
	}
	*q = '\0';
}
