/* SPDX-License-Identifier: Apache-2.0 */
/* The client's address, as far as trusted proxies report it. Pure. */
#include "services/api/request/audit.h"

#include "common/base/netlist.h"
#include "common/base/str.h"

#include <stdio.h>
#include <string.h>

#define FORWARDED "X-Forwarded-For"

/* "192.0.2.7:80", "[2001:db8::7]:80", or the address alone. */
static void without_port(const char *peer, char ret[64])
{
	const char *colon = strchr(peer, ':');
	size_t len = colon && !strchr(colon + 1, ':') ? (size_t)(colon - peer) : strlen(peer);
	if (*peer == '[')
		len = strcspn(++peer, "]");
	snprintf(ret, 64, "%.*s", (int)len, peer);
}

static bool is_trusted(const char *trusted, const char *address)
{
	struct net_addr at;
	return net_addr_text(address, &at) && net_list_has(trusted, &at);
}

/* Removes the last word of a list into ret; false when the list is empty. */
static bool take_last(char *list, char ret[64])
{
	char *comma = strrchr(list, ',');
	const char *word = comma ? comma + 1 : list;
	word += strspn(word, " \t");
	LOOM_CLEANUP_STR char *one = loom_strndup(word, strcspn(word, " \t"));
	without_port(one, ret); /* which some proxies add */
	bool any = *word;
	*(comma ? comma : list) = '\0';
	return any;
}

/* Repeated headers form one list, in order (RFC 9110 5.3): some proxies append to the header,
 * others add one of their own. */
static char *joined(struct strs *all)
{
	char *list = all->n ? strs_join(all, ", ") : NULL;
	strs_fini(all);
	return list;
}

char *audit_forwarded(const struct http_req *req)
{
	struct strs all = { 0 };
	const char *name, *value;
	for (size_t i = 0; http_header_at(req, i, &name, &value); i++) {
		if (str_ieq(name, FORWARDED))
			strs_add(&all, value);
	}
	return joined(&all);
}

char *audit_head_forwarded(const struct http_head *head)
{
	struct strs all = { 0 };
	for (size_t i = 0; i < head->n; i++) {
		if (str_ieq(head->headers[i].name, FORWARDED))
			strs_add(&all, head->headers[i].value);
	}
	return joined(&all);
}

void audit_from(const char *trusted, const char *peer, const char *forwarded, char ret[64])
{
	LOOM_CLEANUP_STR char *list = loom_strdup(forwarded ? forwarded : "");
	char entry[64];
	struct net_addr at;
	without_port(peer, ret);
	while (is_trusted(trusted, ret) && take_last(list, entry) && net_addr_text(entry, &at))
		snprintf(ret, 64, "%s", entry);
}
