/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of both versions in one form, so that one comparison serves both. */
#include "common/base/netlist.h"

#include "common/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SEPARATORS ", \t"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

struct net_addr net_addr_v4(const uint8_t bytes[4])
{
	struct net_addr a;
	memcpy(a.b, mapped, sizeof(mapped));
	memcpy(a.b + sizeof(mapped), bytes, 4);
	return a;
}

bool net_addr_of(const struct sockaddr *sa, struct net_addr *ret)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		*ret = net_addr_v4((const uint8_t *)&in.sin_addr);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in;
		memcpy(&in, sa, sizeof(in));
		memcpy(ret->b, &in.sin6_addr, 16);
		return true;
	}
	return false;
}

bool net_addr_text(const char *s, struct net_addr *ret)
{
	uint8_t v4[4];
	if (inet_pton(AF_INET6, s, ret->b) == 1)
		return true;
	if (inet_pton(AF_INET, s, v4) != 1)
		return false;
	*ret = net_addr_v4(v4);
	return true;
}

bool net_addr_peer(const char *s, struct net_addr *ret)
{
	const char *port = s ? strrchr(s, ':') : NULL;
	if (!port)
		return false;
	bool bracketed = *s == '[' && port > s && port[-1] == ']';
	size_t n = (size_t)(port - s);
	LOOM_CLEANUP_STR char *host = bracketed ? loom_strndup(s + 1, n - 2) : loom_strndup(s, n);
	char *zone = strchr(host, '%');
	if (zone)
		*zone = '\0';
	return net_addr_text(host, ret);
}

static bool is_v4(const struct net_addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

void net_addr_owner(const char *address, char ret[NET_OWNER])
{
	struct net_addr a;
	LOOM_CLEANUP_STR char *host = loom_strndup(address, strcspn(address, "%"));
	if (!net_addr_text(host, &a)) {
		(void)snprintf(ret, NET_OWNER, "%s", address);
	} else if (is_v4(&a)) {
		(void)inet_ntop(AF_INET, a.b + sizeof(mapped), ret, NET_OWNER);
	} else {
		memset(a.b + 8, 0, 8);
		(void)inet_ntop(AF_INET6, a.b, ret, NET_OWNER);
	}
}

static bool same_bits(const struct net_addr *a, const struct net_addr *b, unsigned bits)
{
	if (memcmp(a->b, b->b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return !rest || (a->b[bits / 8] ^ b->b[bits / 8]) >> (8 - rest) == 0;
}

static bool network(const char *word, struct net_addr *ret, unsigned *ret_bits)
{
	const char *slash = strchr(word, '/');
	int64_t bits = 128;
	LOOM_CLEANUP_STR char *address =
		slash ? loom_strndup(word, (size_t)(slash - word)) : loom_strdup(word);
	if (!net_addr_text(address, ret))
		return false;
	bool v4 = is_v4(ret) && !strchr(address, ':');
	if (slash && (str_to_int(slash + 1, &bits) || bits < 0 || bits > (v4 ? 32 : 128)))
		return false;
	*ret_bits = (unsigned)bits + (slash && v4 ? 96 : 0);
	return true;
}

bool net_is_network(const char *word)
{
	struct net_addr net;
	unsigned bits;
	return network(word, &net, &bits);
}

bool net_addr_in(const struct net_addr *a, const char *word)
{
	struct net_addr net;
	unsigned bits;
	return network(word, &net, &bits) && same_bits(a, &net, bits);
}

bool net_words(const char *list, bool (*fn)(const char *word, const void *arg), const void *arg)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, SEPARATORS);
		LOOM_CLEANUP_STR char *word = loom_strndup(p, n);
		if (n && fn(word, arg))
			return true;
		p += n + strspn(p + n, SEPARATORS);
	}
	return false;
}

static bool holds(const char *word, const void *arg)
{
	return net_addr_in(arg, word);
}

bool net_list_has(const char *list, const struct net_addr *a)
{
	return net_words(list, holds, a);
}

static bool keep_bad(const char *word, const void *arg)
{
	char **const *ret = arg;
	if (net_is_network(word))
		return false;
	**ret = loom_strdup(word);
	return true;
}

bool net_list_valid(const char *list, char **ret_bad)
{
	*ret_bad = NULL;
	return !net_words(list, keep_bad, &ret_bad);
}
