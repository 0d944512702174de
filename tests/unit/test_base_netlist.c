/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/netlist.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#define PRIVATE "127.0.0.0/8, 10.0.0.0/8,\t::1 fe80::/10"

static const struct {
	const char *list, *peer;
	bool has;
} cases[] = {
	{ PRIVATE, "127.0.0.1:80", true },
	{ PRIVATE, "10.255.255.255:1", true },
	{ PRIVATE, "11.0.0.0:1", false },
	{ PRIVATE, "[::1]:80", true },
	{ PRIVATE, "::1:80", true },
	{ PRIVATE, "[::2]:80", false },
	{ PRIVATE, "[fe80::1%eth0]:80", true },
	{ PRIVATE, "[::ffff:10.0.0.1]:80", true },
	{ "10.1.2.3", "10.1.2.3:9", true },
	{ "10.1.2.3", "10.1.2.4:9", false },
	{ "0.0.0.0/0", "203.0.113.7:9", true },
	{ "0.0.0.0/0", "[2001:db8::1]:9", false },
	{ "", "127.0.0.1:80", false },
	{ PRIVATE, "10.0.0.1", false }, /* no port */
	{ PRIVATE, "unix:", false },
	{ PRIVATE, "", false },
};

START_TEST(finds_peers)
{
	struct net_addr a;
	bool has = net_addr_peer(cases[_i].peer, &a) && net_list_has(cases[_i].list, &a);
	ck_assert_msg(has == cases[_i].has, "%s in %s", cases[_i].peer, cases[_i].list);
}
END_TEST

static const struct {
	const char *list, *bad;
} lists[] = {
	{ "", NULL },
	{ PRIVATE, NULL },
	{ "10.0.0.0/8, somewhere", "somewhere" },
	{ "10.0.0.0/33", "10.0.0.0/33" },
	{ "::/129", "::/129" },
	{ "10.0.0/8", "10.0.0/8" },
	{ "*", "*" },
};

START_TEST(checks_lists)
{
	LOOM_CLEANUP_STR char *bad = NULL;
	ck_assert_int_eq(net_list_valid(lists[_i].list, &bad), !lists[_i].bad);
	ck_assert_pstr_eq(bad, lists[_i].bad);
}
END_TEST

static const struct {
	const char *address, *owner;
} owners[] = {
	{ "10.0.0.1", "10.0.0.1" },
	{ "::ffff:10.0.0.1", "10.0.0.1" },
	{ "::ffff:a00:1", "10.0.0.1" },
	{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
	{ "2001:db8:1:2::", "2001:db8:1:2::" },
	{ "2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::" },
	{ "2001:db8:1:3::1", "2001:db8:1:3::" },
	{ "fe80::1%eth0", "fe80::" },
	{ "::1", "::" },
	{ "unix:", "unix:" },
	{ "", "" },
};

START_TEST(counts_by_network)
{
	char owner[NET_OWNER];
	net_addr_owner(owners[_i].address, owner);
	ck_assert_str_eq(owner, owners[_i].owner);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("netlist");
	tcase_add_loop_test(c, finds_peers, 0, LOOM_COUNT(cases));
	tcase_add_loop_test(c, checks_lists, 0, LOOM_COUNT(lists));
	tcase_add_loop_test(c, counts_by_network, 0, LOOM_COUNT(owners));
	return UNIT_RUN("base_netlist", c);
}
