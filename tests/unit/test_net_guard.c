/* SPDX-License-Identifier: Apache-2.0 */
/* Every row is fed whole, byte by byte, and in two pieces cut at each place. */
#include "common/net/http_guard.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define H "Host: a\r\n"

static const struct {
	const char *in;
	int status;
	unsigned complete;
} cases[] = {
	/* well formed */
	{ "GET / HTTP/1.1\r\n" H "\r\n", 0, 1 },
	{ "GET /a?b=c%20d&e=[1]|{x} HTTP/1.1\r\nHost: a.b:80\r\n\r\n", 0, 1 },
	{ "GET / HTTP/1.1\r\nhOsT: [::1]:8080\r\n\r\n", 0, 1 },
	{ "GET / HTTP/1.0\r\n\r\n", 0, 1 },
	{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, 1 },
	{ "GET / HTTP/1.0\r\n" H "\r\n", 0, 1 },
	{ "DELETE /x HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 0, 1 },
	{ "POST /x HTTP/1.1\r\nHost:a\r\nContent-Length:0\r\n\r\n", 0, 1 },
	{ "POST /x HTTP/1.1\r\n" H "Content-Length: 003\r\n\r\nabc", 0, 1 },
	{ "POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789"
	  "\r\n0\r\n\r\n",
	  0, 1 },
	{ "POST /x HTTP/1.1\r\n" H "TRANSFER-ENCODING:  Chunked\r\n\r\n000\r\n\r\n", 0, 1 },
	{ "PUT /x HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 0, 1 },
	{ "GET / HTTP/1.1\r\n" H "X: \t a \xc3\xa4 \"q\" , \r\nY:\r\n\r\n", 0, 1 },
	{ "GET / HTTP/1.1\r\n" H "!#$%&'*+-.^_`|~09aZ: x\r\n\r\n", 0, 1 },
	/* several, one after the other */
	{ "GET / HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n", 0, 2 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\n" H "\r\n", 0, 2 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nPOST / "
	  "HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nyOPTIONS / HTTP/1.1\r\n" H "\r\n",
	  0, 3 },
	{ "GET / HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n\r\n", 400, 1 },
	{ "GET / HTTP/1.1\r\n" H "\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n", 400, 1 },
	/* not finished */
	{ "", 0, 0 },
	{ "GET / HTTP/1.1\r\n" H, 0, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabc", 0, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", 0, 0 },
	/* request line */
	{ "\r\nGET / HTTP/1.1\r\n", 400, 0 },
	{ " GET / HTTP/1.1\r\n", 400, 0 },
	{ "GET  / HTTP/1.1\r\n", 400, 0 },
	{ "GET /  HTTP/1.1\r\n", 400, 0 },
	{ "GET / HTTP/1.1 \r\n", 400, 0 },
	{ "GET\t/ HTTP/1.1\r\n", 400, 0 },
	{ "GET /\r\n", 400, 0 },
	{ "GET / HTTP/1.1\n", 400, 0 },
	{ "GET / HTTP/1.1\rX", 400, 0 },
	{ "GET / http/1.1\r\n", 400, 0 },
	{ "GET / HTTPS/1.1\r\n", 400, 0 },
	{ "GET / HTTP/1.1x\r\n", 400, 0 },
	{ "GET / HTTP/\r\n", 400, 0 },
	{ "GET / HTTP/2.0\r\n", 505, 0 },
	{ "GET / HTTP/1.2\r\n", 505, 0 },
	{ "GET / HTTP/1.99999999999\r\n", 505, 0 },
	{ "GET / HTTP/1.11111111111111111111111111111111111111111111111\r\n", 505, 0 },
	{ "GET / HTTP/01.1\r\n", 505, 0 },
	{ "GET http://a/ HTTP/1.1\r\n" H "\r\n", 0, 1 },
	{ "GET HTTPS://a.b:8/c?d HTTP/1.1\r\n" H "\r\n", 0, 1 },
	{ "GET http://[::1]:8080 HTTP/1.1\r\n" H "\r\n", 0, 1 },
	{ "GET http://a?b HTTP/1.0\r\n\r\n", 0, 1 },
	{ "GET http:///x HTTP/1.1\r\n", 400, 0 },
	{ "GET http://u@a/ HTTP/1.1\r\n", 400, 0 },
	{ "GET http:/a HTTP/1.1\r\n", 400, 0 },
	{ "GET ftp://a/ HTTP/1.1\r\n", 400, 0 },
	{ "GET httpx://a/ HTTP/1.1\r\n", 400, 0 },
	{ "GET http://a\\b/ HTTP/1.1\r\n", 400, 0 },
	{ "GET http://a/#b HTTP/1.1\r\n", 400, 0 },
	{ "GET http://a/\x01 HTTP/1.1\r\n", 400, 0 },
	{ "CONNECT a:80 HTTP/1.1\r\n", 501, 0 },
	{ "TRACE / HTTP/1.1\r\n" H "\r\n", 0, 1 },
	{ "get / HTTP/1.1\r\n", 501, 0 },
	{ "GETTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT / HTTP/1.1\r\n", 501, 0 },
	{ "G(T / HTTP/1.1\r\n", 400, 0 },
	{ "GET /a#b HTTP/1.1\r\n", 400, 0 },
	{ "GET /\x01 HTTP/1.1\r\n", 400, 0 },
	{ "GET /\xc3\xa4 HTTP/1.1\r\n", 400, 0 },
	{ "GET /\x7f HTTP/1.1\r\n", 400, 0 },
	/* header lines */
	{ "GET * HTTP/1.1\r\n", 400, 0 },
	{ "OPTIONS *x HTTP/1.1\r\n", 400, 0 },
	{ "OPTIONS ** HTTP/1.1\r\n", 400, 0 },
	{ "OPTIONS /hello HTTP/1.1\r\n" H "\r\nGET * HTTP/1.1\r\n", 400, 1 },
	{ "GET / HTTP/1.1\r\nHost: a\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "X: a\rb\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "\rX", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H " folded\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost : a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost\t: a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n: a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nX\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nX(y): a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nX\xc3: a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "X: a\x01\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n", 400, 0 },
	/* Host */
	{ "GET / HTTP/1.1\r\n\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost:\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\n" H H, 400, 0 },
	{ "GET / HTTP/1.0\r\n" H H, 400, 0 },
	{ "GET / HTTP/1.1\r\n" H "HOST: a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost: a, b\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost: u@a\r\n", 400, 0 },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n", 400, 0 },
	/* Content-Length */
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\ncontent-LENGTH: 2\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1 \r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: \t1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length:\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length : 1\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1.0\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 65\r\n", 413, 0 },
	/* Transfer-Encoding */
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked \r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \tchunked\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n", 400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
	  400, 0 },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400,
	  0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
	  0 },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
	  0 },
	{ "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400, 0 },
	/* Expect */
	{ "POST / HTTP/1.1\r\n" H "Expect: the-unexpected\r\n", 417, 0 },
};

/* Chunked bodies, behind a common head. */
static const struct {
	const char *in;
	int status;
} chunks[] = {
	{ "0x5\r\n", 400 },
	{ "+5\r\n", 400 },
	{ "-5\r\n", 400 },
	{ " 5\r\n", 400 },
	{ "5 \r\n", 400 },
	{ "5;a=b\r\n", 0 },
	{ "5 ; a=\"b;c\" ;d\r\n", 0 },
	{ "5\t;\r\nabcde\r\n1;x=y\r\nf\r\n", 0 },
	{ "5 a\r\n", 400 },
	{ ";a\r\n", 400 },
	{ "5;a\n", 400 },
	{ "5;a\rb", 400 },
	{ "5;a\x01\r\n", 400 },
	{ "5;\xc3\xa4\r\n", 400 },
	{ "5\n", 400 },
	{ "5\rX", 400 },
	{ "\r\n", 400 },
	{ "g\r\n", 400 },
	{ "000000005\r\n", 400 },
	{ "FFFFFFFFF\r\n", 400 },
	{ "FFFFFFFF\r\n", 413 },
	{ "41\r\n", 413 },
	{ "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n1\r\n", 413 },
	{ "1\r\nab", 400 },
	{ "1\r\na\n", 400 },
	{ "1\r\na\rX", 400 },
	{ "1\r\na\r\n\r\n", 400 },
	{ "0\r\nX: y\r\n\r\n", 400 },
	{ "0\r\n\n", 400 },
	{ "0\r\n\rX", 400 },
	{ "0\n", 400 },
};

static const struct http_guard_limits limits = { .max_head = 512,
	                                         .max_headers = 5,
	                                         .max_body = 64 };

static void feed(struct http_guard *g, const char *in, size_t len, size_t cut)
{
	http_guard_init(g, &limits);
	http_guard_feed(g, in, cut);
	http_guard_feed(g, in + cut, len - cut);
}

static void check_one(const char *in, size_t len, int status, unsigned complete)
{
	struct http_guard g;
	for (size_t cut = 0; cut <= len; cut++) {
		feed(&g, in, len, cut);
		ck_assert_msg(g.status == status, "status %d for: %s", g.status, in);
		ck_assert_uint_eq(g.complete, complete);
		ck_assert(!g.reason == !status);
		ck_assert(status || g.fed == len);
	}
	http_guard_init(&g, &limits);
	for (size_t i = 0; i < len; i++)
		http_guard_feed(&g, in + i, 1);
	ck_assert_int_eq(g.status, status);
	ck_assert_uint_eq(g.complete, complete);
	if (status) { /* it stays refused, whatever comes */
		ck_assert_int_eq(http_guard_feed(&g, cases[0].in, strlen(cases[0].in)), status);
		ck_assert_uint_eq(g.complete, complete);
	}
}

START_TEST(cases_one_by_one)
{
	check_one(cases[_i].in, strlen(cases[_i].in), cases[_i].status, cases[_i].complete);
}
END_TEST

START_TEST(chunks_one_by_one)
{
	char text[512];
	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%s",
	         chunks[_i].in);
	check_one(text, strlen(text), chunks[_i].status, 0);
}
END_TEST

START_TEST(nul_bytes)
{
	static const char in_target[] = "GET /\0 HTTP/1.1\r\n" H "\r\n";
	static const char in_name[] = "GET / HTTP/1.1\r\nX\0: a\r\n" H "\r\n";
	static const char in_value[] = "GET / HTTP/1.1\r\nX: a\0b\r\n" H "\r\n";
	static const char in_host[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	static const char in_method[] = "\0GET / HTTP/1.1\r\n" H "\r\n";
	check_one(in_target, sizeof(in_target) - 1, 400, 0);
	check_one(in_name, sizeof(in_name) - 1, 400, 0);
	check_one(in_value, sizeof(in_value) - 1, 400, 0);
	check_one(in_host, sizeof(in_host) - 1, 400, 0);
	check_one(in_method, sizeof(in_method) - 1, 400, 0);
}
END_TEST

START_TEST(limits_hold)
{
	struct http_guard g;
	char text[2048], x[1024];
	memset(x, 'x', sizeof(x));
	int n = snprintf(text, sizeof(text), "GET /%.600s HTTP/1.1\r\n", x);
	check_one(text, (size_t)n, 414, 0);
	n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "X: %.600s\r\n\r\n", x);
	check_one(text, (size_t)n, 431, 0);
	n = snprintf(text, sizeof(text),
	             "GET / HTTP/1.1\r\n" H "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n");
	check_one(text, (size_t)n, 0, 1);
	n = snprintf(text, sizeof(text),
	             "GET / HTTP/1.1\r\n" H "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n");
	check_one(text, (size_t)n, 431, 0);
	/* to the byte, and anew for each request */
	n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "X: %.*s\r\n\r\n",
	             512 - (int)strlen("GET / HTTP/1.1\r\n" H "X: \r\n\r\n"), x);
	ck_assert_int_eq(n, 512);
	http_guard_init(&g, &limits);
	ck_assert_int_eq(http_guard_feed(&g, text, 512), 0);
	ck_assert_int_eq(http_guard_feed(&g, text, 512), 0);
	ck_assert_uint_eq(g.complete, 2);
	n = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" H "Content-Length: 64\r\n\r\n%.64s",
	             x);
	check_one(text, (size_t)n, 0, 1);
}
END_TEST

START_TEST(says_what_has_ended)
{
	static const char text[] = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
				   "1;ab=c\r\nx\r\n0;d\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n";
	static const struct {
		enum http_guard_stop stop;
		const char *taken;
	} steps[] = {
		{ HTTP_GUARD_HEAD, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n" },
		{ HTTP_GUARD_ALL, "1" },
		{ HTTP_GUARD_EXTENSION, ";ab=c" },
		{ HTTP_GUARD_ALL, "\r\nx\r\n0" },
		{ HTTP_GUARD_EXTENSION, ";d" },
		{ HTTP_GUARD_REQUEST, "\r\n\r\n" },
		{ HTTP_GUARD_HEAD, "GET / HTTP/1.1\r\n" H "\r\n" },
		{ HTTP_GUARD_REQUEST, "" },
		{ HTTP_GUARD_ALL, "" },
	};
	struct http_guard g;
	const char *at = text;
	http_guard_init(&g, &limits);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		enum http_guard_stop stop;
		size_t n = http_guard_next(&g, at, strlen(at), &stop);
		ck_assert_msg(stop == steps[i].stop && n == strlen(steps[i].taken) &&
		                      memcmp(at, steps[i].taken, n) == 0,
		              "step %zu: %d, \"%.*s\"", i, (int)stop, (int)n, at);
		at += n;
	}
	ck_assert_uint_eq(g.complete, 2);
}
END_TEST

START_TEST(extensions_have_an_end)
{
	char text[4096], x[2048];
	memset(x, 'x', sizeof(x));
	int n = snprintf(text, sizeof(text),
	                 "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	                 "1;%.900s\r\na\r\n1;%.200s\r\n",
	                 x, x);
	check_one(text, (size_t)n, 400, 0);
}
END_TEST

START_TEST(says_where_a_request_begins)
{
	struct http_guard g;
	const char *one = "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab";
	const char *two = "GET / HTTP/1.1\r\nX : y";
	http_guard_init(&g, &limits);
	http_guard_feed(&g, one, strlen(one));
	ck_assert_uint_eq(g.start, strlen(one));
	http_guard_feed(&g, two, strlen(two));
	ck_assert_int_eq(g.status, 400);
	ck_assert_uint_eq(g.start, strlen(one));
	ck_assert_str_eq(g.reason, "space in or after a header name");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("table");
	tcase_add_loop_test(t, cases_one_by_one, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(t, chunks_one_by_one, 0, sizeof(chunks) / sizeof(chunks[0]));
	tcase_add_test(t, nul_bytes);
	tcase_add_test(t, limits_hold);
	tcase_add_test(t, says_where_a_request_begins);
	tcase_add_test(t, says_what_has_ended);
	tcase_add_test(t, extensions_have_an_end);
	return UNIT_RUN("net_guard", t);
}
