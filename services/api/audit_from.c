/* SPDX-License-Identifier: Apache-2.0 */
/* From where a request is, said by proxies that are trusted to say it. Pure. */
#include "services/api/audit.h"

#include "common/base/netlist.h"
#include "common/base/str.h"

#include <stdio.h>
#include <string.h>

static void without_port(const char *peer, char ret[64])
{
	const char *end = strrchr(peer, ':');
	bool bracketed = *peer == '[';
	size_t len = end && (bracketed || strchr(peer, ':') == end) ? (size_t)(end - peer)
	                                                            : strlen(peer);
	if (bracketed && len >= 2)
		snprintf(ret, 64, "%.*s", (int)(len - 2), peer + 1);
	else
		snprintf(ret, 64, "%.*s", (int)len, peer);
}

static bool is_trusted(const char *trusted, const char *address)
{
	struct net_addr at;
	return net_addr_text(address, &at) && net_list_has(trusted, &at);
}

/* The last word of a list, which gets shorter by it; false when none is left. */
static bool take_last(char *list, char ret[64])
{
	char *comma = strrchr(list, ',');
	const char *word = comma ? comma + 1 : list;
	word += strspn(word, " \t");
	snprintf(ret, 64, "%.*s", (int)strcspn(word, " \t"), word);
	bool any = *word;
	*(comma ? comma : list) = '\0';
	return any;
}

const char *audit_forwarded(const struct http_req *req)
{
	const char *name, *value, *last = NULL;
	for (size_t i = 0; http_header_at(req, i, &name, &value); i++) {
		if (str_ieq(name, "X-Forwarded-For"))
			last = value;
	}
	return last;
}

void audit_from(const char *trusted, const char *peer, const char *forwarded, char ret[64])
{
	LOOM_CLEANUP_STR char *list = loom_strdup(forwarded ? forwarded : "");
	char said[64];
	struct net_addr at;
	without_port(peer, ret);
	while (is_trusted(trusted, ret) && take_last(list, said) && net_addr_text(said, &at))
		snprintf(ret, 64, "%s", said);
}
