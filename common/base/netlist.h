/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlist - addresses, and lists of networks that an operator wrote: "10.1.0.0/16, fd00::/8, ::1".
 * Pure; any thread.
 */
#ifndef LOOM_BASE_NETLIST_H
#define LOOM_BASE_NETLIST_H

#include <stdbool.h>
#include <stdint.h>

/* Loopback, and networks that are not routed from elsewhere. */
#define NET_LIST_PRIVATE                                                                          \
	"127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, ::1, fc00::/7, " \
	"fe80::/10"

#define NET_OWNER 64

struct sockaddr;

/* Any address as 16 bytes; IPv4 as ::ffff:a.b.c.d. */
struct net_addr {
	uint8_t b[16];
};

bool net_addr_of(const struct sockaddr *sa,
                 struct net_addr *ret);                  /* false: not an internet address */
bool net_addr_text(const char *s, struct net_addr *ret); /* "10.0.0.1" */
bool net_addr_peer(const char *s, struct net_addr *ret); /* with a port: "[::1]:80" */
struct net_addr net_addr_v4(const uint8_t bytes[4]);

/* The owner of an address, for counting: an IPv4 address itself, also if mapped into IPv6; of an
 * IPv6 address its 64-bit network, since one machine may have all of that. A text that is not an
 * address stays unchanged. */
void net_addr_owner(const char *address, char ret[NET_OWNER]);

/* network: "10.0.0.0/8", or one address; any other text contains none. */
bool net_addr_in(const struct net_addr *a, const char *network);
bool net_is_network(const char *word);

/* Calls fn for each word of a list, separated by commas and blanks, until it returns true. */
bool net_words(const char *list, bool (*fn)(const char *word, const void *arg), const void *arg);
bool net_list_has(const char *list, const struct net_addr *a);
/* Are all words networks? *ret_bad owned: the first that is not. */
bool net_list_valid(const char *list, char **ret_bad);

#endif
