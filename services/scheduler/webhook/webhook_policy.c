/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_policy - tells public addresses from private ones, and reads the operator's list. */
#include "services/scheduler/webhook/webhook_policy.h"

#include "common/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define SEPARATORS ", \t"

/* Any address as 16 bytes; those of version 4 as ::ffff:a.b.c.d. */
struct addr {
	uint8_t b[16];
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool from_sockaddr(const struct sockaddr *sa, struct addr *ret)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		memcpy(ret->b, mapped, sizeof(mapped));
		memcpy(ret->b + 12, &in.sin_addr, 4);
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

static bool from_text(const char *s, struct addr *ret)
{
	if (inet_pton(AF_INET6, s, ret->b) == 1)
		return true;
	memcpy(ret->b, mapped, sizeof(mapped));
	return inet_pton(AF_INET, s, ret->b + 12) == 1;
}

static bool is_v4(const struct addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

static bool same_bits(const struct addr *a, const struct addr *b, unsigned bits)
{
	if (memcmp(a->b, b->b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return !rest || (a->b[bits / 8] ^ b->b[bits / 8]) >> (8 - rest) == 0;
}

/* "10.0.0.0/8", or one address. */
static bool network(const char *word, struct addr *ret, unsigned *ret_bits)
{
	const char *slash = strchr(word, '/');
	int64_t bits = 128;
	LOOM_CLEANUP_STR char *address =
		slash ? loom_strndup(word, (size_t)(slash - word)) : loom_strdup(word);
	if (!from_text(address, ret))
		return false;
	bool v4 = is_v4(ret) && !strchr(address, ':');
	if (slash && (str_to_int(slash + 1, &bits) || bits < 0 || bits > (v4 ? 32 : 128)))
		return false;
	*ret_bits = (unsigned)bits + (slash && v4 ? 96 : 0);
	return true;
}

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
};

/* Addresses of version 6 that carry one of version 4: that one counts too. */
static const struct {
	const char *network;
	unsigned at; /* its first byte */
} carriers[] = {
	{ "64:ff9b::/96", 12 }, { "64:ff9b:1::/48", 12 }, { "2002::/16", 2 }, { "::/96", 12 }
};

static bool in_network(const struct addr *a, const char *word)
{
	struct addr net;
	unsigned bits;
	return network(word, &net, &bits) && same_bits(a, &net, bits);
}

static const char *class_of(const struct addr *a)
{
	for (size_t i = 0; i < LOOM_COUNT(special); i++) {
		if (in_network(a, special[i].network))
			return special[i].what;
	}
	for (size_t i = 0; i < LOOM_COUNT(carriers); i++) {
		if (in_network(a, carriers[i].network)) {
			struct addr v4;
			memcpy(v4.b, mapped, sizeof(mapped));
			memcpy(v4.b + 12, a->b + carriers[i].at, 4);
			return class_of(&v4);
		}
	}
	return NULL;
}

const char *webhook_address_class(const struct sockaddr *sa)
{
	struct addr a;
	return from_sockaddr(sa, &a) ? class_of(&a) : "not an internet address";
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

/* Each word of the list to fn until it says true. */
static bool any_word(const char *allow, bool (*fn)(const char *word, const void *arg),
                     const void *arg)
{
	for (const char *p = allow; p && *p;) {
		size_t n = strcspn(p, SEPARATORS);
		LOOM_CLEANUP_STR char *word = loom_strndup(p, n);
		if (n && fn(word, arg))
			return true;
		p += n + strspn(p + n, SEPARATORS);
	}
	return false;
}

static bool lists_host(const char *word, const void *arg)
{
	return host_word(word, arg);
}

static bool lists_address(const char *word, const void *arg)
{
	return str_eq(word, "*") || in_network(arg, word);
}

bool webhook_host_listed(const char *allow, const char *host)
{
	return any_word(allow, lists_host, host);
}

bool webhook_address_listed(const char *allow, const struct sockaddr *sa)
{
	struct addr a;
	return from_sockaddr(sa, &a) && any_word(allow, lists_address, &a);
}

static bool is_bad(const char *word)
{
	struct addr a;
	unsigned bits;
	const char *name = str_starts(word, "*.") ? word + 2 : word;
	/* What looks like an address has to be one. */
	bool number = strspn(word, "0123456789.") == strlen(word) || strpbrk(word, ":/");
	return number ? !network(word, &a, &bits) : !str_eq(word, "*") && !str_is_name(name);
}

struct found {
	char **ret;
};

static bool keep_bad(const char *word, const void *arg)
{
	const struct found *f = arg;
	if (!is_bad(word))
		return false;
	*f->ret = loom_strdup(word);
	return true;
}

bool webhook_allow_valid(const char *allow, char **ret_bad)
{
	const struct found f = { ret_bad };
	*ret_bad = NULL;
	return !any_word(allow, keep_bad, &f);
}
