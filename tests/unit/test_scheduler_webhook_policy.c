/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/webhook/webhook_policy.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const struct sockaddr *address(const char *text)
{
	static struct sockaddr_storage out;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	memset(&out, 0, sizeof(out));
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		memcpy(&out, &in, sizeof(in));
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		memcpy(&out, &in6, sizeof(in6));
	else
		ck_abort_msg("not an address: %s", text);
	return (const struct sockaddr *)&out;
}

static const struct {
	const char *address, *what;
} classes[] = {
	{ "8.8.8.8", NULL },
	{ "1.1.1.1", NULL },
	{ "126.255.255.255", NULL },
	{ "128.0.0.1", NULL },
	{ "172.15.255.255", NULL },
	{ "172.32.0.0", NULL },
	{ "100.63.255.255", NULL },
	{ "100.128.0.0", NULL },
	{ "192.167.255.255", NULL },
	{ "169.253.1.1", NULL },
	{ "223.255.255.255", NULL },
	{ "2606:4700::1111", NULL },
	{ "64:ff9b::808:808", NULL },
	{ "2002:808:808::1", NULL },
	{ "::ffff:8.8.8.8", NULL },
	{ "0.0.0.0", "this machine" },
	{ "0.1.2.3", "this machine" },
	{ "127.0.0.1", "loopback" },
	{ "127.255.1.2", "loopback" },
	{ "169.254.169.254", "link-local" },
	{ "168.63.129.16", "metadata" },
	{ "100.100.100.200", "private" },
	{ "10.0.0.1", "private" },
	{ "172.16.0.1", "private" },
	{ "172.31.255.255", "private" },
	{ "192.168.1.1", "private" },
	{ "198.19.0.1", "private" },
	{ "192.0.0.8", "reserved" },
	{ "224.0.0.1", "multicast" },
	{ "255.255.255.255", "reserved" },
	{ "::", "this machine" },
	{ "::1", "loopback" },
	{ "fe80::1", "link-local" },
	{ "febf::1", "link-local" },
	{ "fd00:ec2::254", "private" },
	{ "fc00::1", "private" },
	{ "ff02::1", "multicast" },
	{ "2001:db8::1", "reserved" },
	{ "2001::1", "tunnelled" },
	/* version 4 inside */
	{ "::ffff:127.0.0.1", "loopback" },
	{ "::ffff:169.254.169.254", "link-local" },
	{ "::127.0.0.1", "loopback" },
	{ "64:ff9b::a00:1", "private" },
	{ "64:ff9b:1::808:808", "tunnelled" },
	{ "2002:7f00:1::", "loopback" },
	{ "2002:a00:1::5", "private" },
};

START_TEST(knows_special_addresses)
{
	const char *got = webhook_address_class(address(classes[_i].address));
	ck_assert_msg(str_eq(got, classes[_i].what), "%s is %s, not %s", classes[_i].address, got,
	              classes[_i].what);
}
END_TEST

START_TEST(knows_internet_addresses_only)
{
	const struct sockaddr local = { .sa_family = AF_UNIX };
	ck_assert_str_eq(webhook_address_class(&local), "not an internet address");
	ck_assert(!webhook_address_listed("*", &local));
}
END_TEST

static const struct {
	const char *allow, *host;
	bool listed;
} hosts[] = {
	{ "", "a", false },
	{ "a", "a", true },
	{ "b, a", "a", true },
	{ "b,a", "ab", false },
	{ "A.Example", "a.example", true },
	{ "*.lab", "x.lab", true },
	{ "*.lab", "y.x.lab", true },
	{ "*.lab", "lab", false },
	{ "*.lab", "xlab", false },
	{ "*.lab", ".lab", false },
	{ "*", "anything", true },
	{ "127.0.0.1", "127.0.0.1", true },
	{ "10.0.0.0/8", "10.0.0.1", false }, /* networks are of addresses */
};

START_TEST(lists_hosts)
{
	ck_assert_msg(webhook_host_listed(hosts[_i].allow, hosts[_i].host) == hosts[_i].listed,
	              "%s in '%s'", hosts[_i].host, hosts[_i].allow);
}
END_TEST

static const struct {
	const char *allow, *address;
	bool listed;
} addresses[] = {
	{ "", "10.0.0.1", false },
	{ "10.0.0.1", "10.0.0.1", true },
	{ "10.0.0.1", "10.0.0.2", false },
	{ "10.0.0.0/8", "10.255.1.1", true },
	{ "10.0.0.0/8", "11.0.0.1", false },
	{ "10.0.0.128/25", "10.0.0.129", true },
	{ "10.0.0.128/25", "10.0.0.127", false },
	{ "0.0.0.0/0", "203.0.113.7", true },
	{ "0.0.0.0/0", "::1", false },
	{ "x.lab, 127.0.0.0/8", "127.0.0.1", true },
	{ "127.0.0.0/8", "::ffff:127.0.0.1", true },
	{ "::1", "::1", true },
	{ "fd00::/8", "fd12::1", true },
	{ "fd00::/8", "fe12::1", false },
	{ "::/0", "::1", true },
	{ "*", "10.0.0.1", true },
	{ "*.lab", "10.0.0.1", false },
	{ "10.0.0.0/33", "10.0.0.1", false },
};

START_TEST(lists_addresses)
{
	ck_assert_msg(webhook_address_listed(addresses[_i].allow, address(addresses[_i].address)) ==
	                      addresses[_i].listed,
	              "%s in '%s'", addresses[_i].address, addresses[_i].allow);
}
END_TEST

static const struct {
	const char *allow, *bad;
} lists[] = {
	{ "", NULL },
	{ " , ,", NULL },
	{ "a.b, *.c, *, 10.0.0.0/8, ::1, fd00::/8 1.2.3.4", NULL },
	{ "a, 10.0.0/8", "10.0.0/8" },
	{ "10.0.0.0/33", "10.0.0.0/33" },
	{ "1.2.3", "1.2.3" },
	{ "http://x", "http://x" },
	{ "a:80", "a:80" },
	{ "*a", "*a" },
	{ "a,b c_d,e!", "e!" },
};

START_TEST(checks_lists)
{
	LOOM_CLEANUP_STR char *bad = NULL;
	ck_assert(webhook_allow_valid(lists[_i].allow, &bad) == !lists[_i].bad);
	ck_assert_pstr_eq(bad, lists[_i].bad);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("policy");
	tcase_add_loop_test(c, knows_special_addresses, 0, LOOM_COUNT(classes));
	tcase_add_test(c, knows_internet_addresses_only);
	tcase_add_loop_test(c, lists_hosts, 0, LOOM_COUNT(hosts));
	tcase_add_loop_test(c, lists_addresses, 0, LOOM_COUNT(addresses));
	tcase_add_loop_test(c, checks_lists, 0, LOOM_COUNT(lists));
	return UNIT_RUN("scheduler_callback_policy", c);
}
