/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes host names from arbitrary cluster names.
 * Names stay as the first releases made them, because tenants' scripts rely on them. One exception:
 * a hyphen separates a name ending in a digit from the id, so that two clusters never get the same
 * name.
 */
#include "services/scheduler/placement/hostname.h"

#include "common/base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63

static char label_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if (c == '_' || c == '.')
		return '-';
	return c;
}

char *hostname_make(const char *cluster_name, int64_t cluster_id, int nodenum,
                    const char *dns_suffix)
{
	char number[32];
	char label[LABEL_MAX + 1];
	size_t n = 0;
	(void)snprintf(number, sizeof(number), "%" PRId64 "-%d", cluster_id, nodenum);
	size_t room = LABEL_MAX - strlen(number);
	cluster_name += strspn(cluster_name, "0123456789");
	/* a label that begins with a hyphen is not a host name */
	cluster_name += strspn(cluster_name, "-_.");
	for (; *cluster_name && n < room; cluster_name++)
		label[n++] = label_char(*cluster_name);
	if (n && label[n - 1] >= '0' && label[n - 1] <= '9') {
		n -= n == room;
		label[n++] = '-';
	}
	label[n] = '\0';
	if (dns_suffix && *dns_suffix == '.')
		dns_suffix++;
	return loom_asprintf("%s%s.%s", label, number,
	                     dns_suffix && *dns_suffix ? dns_suffix : "local");
}

const char *hostname_suffix(const struct json *request, const struct json *template)
{
	const char *asked = json_get_str(request, "dnsSuffix");
	return str_blank(asked) ? json_get_str(json_get(template, "defaults"), "dnsSuffix") : asked;
}
