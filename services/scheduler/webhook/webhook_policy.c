/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_policy - tells public addresses from private ones, and reads the operator's list. */
#include "services/scheduler/webhook/webhook_policy.h"

#include "common/base/netlist.h"
#include "common/base/str.h"

#include <string.h>

static const struct {
	const char *network, *what;
} special[] = {
	{ "0.0.0.0/8", "this machine" },
	{ "127.0.0.0/8", "loopback" },
	{ "169.254.0.0/16", "link-local" },
	{ "168.63.129.16", "metadata" },
	{ "100.64.0.0/10", "private" },
	{ "10.0.0.0/8", "private" },
	{ "172.16.0.0/12", "private" },
	{ "192.168.0.0/16", "private" },
	{ "192.0.0.0/24", "reserved" },
	{ "192.0.2.0/24", "reserved" },
	{ "198.18.0.0/15", "private" },
	{ "198.51.100.0/24", "reserved" },
	{ "203.0.113.0/24", "reserved" },
	{ "224.0.0.0/4", "multicast" },
	{ "240.0.0.0/4", "reserved" },
	{ "::", "this machine" },
	{ "::1", "loopback" },
	{ "fe80::/10", "link-local" },
	{ "fec0::/10", "private" },
	{ "fc00::/7", "private" },
	{ "ff00::/8", "multicast" },
	{ "2001:db8::/32", "reserved" },
	{ "100::/64", "reserved" },
	{ "2001::/32", "tunnelled" },
	{ "64:ff9b:1::/48",
	  "tunnelled" }, /* where it has the other address is its operator's choice */
};

/* IPv6 addresses that carry an IPv4 address: the inner one counts as well. */
static const struct {
	const char *network;
	unsigned at; /* offset of the IPv4 address */
} carriers[] = { { "64:ff9b::/96", 12 }, { "2002::/16", 2 }, { "::/96", 12 } };

static const char *class_of(const struct net_addr *a)
{
	for (size_t i = 0; i < LOOM_COUNT(special); i++) {
		if (net_addr_in(a, special[i].network))
			return special[i].what;
	}
	for (size_t i = 0; i < LOOM_COUNT(carriers); i++) {
		if (net_addr_in(a, carriers[i].network)) {
			const struct net_addr v4 = net_addr_v4(a->b + carriers[i].at);
			return class_of(&v4);
		}
	}
	return NULL;
}

const char *webhook_address_class(const struct sockaddr *sa)
{
	struct net_addr a;
	return net_addr_of(sa, &a) ? class_of(&a) : "not an internet address";
}

static bool host_word(const char *word, const char *host)
{
	if (str_eq(word, "*"))
		return true;
	if (str_starts(word, "*."))
		return strlen(host) > strlen(word + 1) &&
		       str_ieq(host + strlen(host) - strlen(word + 1), word + 1);
	return str_ieq(word, host);
}

static bool lists_host(const char *word, const void *arg)
{
	return host_word(word, arg);
}

static bool lists_address(const char *word, const void *arg)
{
	return str_eq(word, "*") || net_addr_in(arg, word);
}

bool webhook_host_listed(const char *allow, const char *host)
{
	return net_words(allow, lists_host, host);
}

bool webhook_address_listed(const char *allow, const struct sockaddr *sa)
{
	struct net_addr a;
	return net_addr_of(sa, &a) && net_words(allow, lists_address, &a);
}

static bool is_bad(const char *word)
{
	const char *name = str_starts(word, "*.") ? word + 2 : word;
	/* A word that looks like an address must be one. */
	bool number = strspn(word, "0123456789.") == strlen(word) || strpbrk(word, ":/");
	return number ? !net_is_network(word) : !str_eq(word, "*") && !str_is_name(name);
}

static bool keep_bad(const char *word, const void *arg)
{
	char **const *ret = arg;
	if (!is_bad(word))
		return false;
	**ret = loom_strdup(word);
	return true;
}

bool webhook_allow_valid(const char *allow, char **ret_bad)
{
	*ret_bad = NULL;
	return !net_words(allow, keep_bad, &ret_bad);
}
