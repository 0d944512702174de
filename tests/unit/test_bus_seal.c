/* SPDX-License-Identifier: Apache-2.0 */
/* The sealed envelope of the bus: round trips, and everything that must not open. */
#include "common/bus/bus_private.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <nanomsg/nn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct bus_key key, other_key;

static void setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	randombytes_buf(&key, sizeof(key));
	randombytes_buf(&other_key, sizeof(other_key));
}

static const int64_t NOW = INT64_C(1700000000000);

static void seal(const struct bus_message *m, void **msg, size_t *len)
{
	ck_assert_int_eq(bus_seal(&key, m, msg, len), 0);
}

START_TEST(test_round_trip)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	struct bus_message got, m = { .kind = BUS_REQUEST,
		                      .id = UINT64_C(0xfedcba9876543210),
		                      .verb = "task.take",
		                      .from = "tcp://127.0.0.1:4711",
		                      .at = NOW,
		                      .wait = 30000,
		                      .body = body };
	void *msg;
	size_t len;

	json_set_str(body, "text", "a \"quoted\" \n line");
	json_set_int(body, "n", -7);
	seal(&m, &msg, &len);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW, &got), 0);
	ck_assert_int_eq(got.kind, BUS_REQUEST);
	ck_assert(got.id == m.id && got.at == m.at && got.wait == m.wait && got.error == 0);
	ck_assert_str_eq(got.verb, m.verb);
	ck_assert_str_eq(got.from, m.from);
	ck_assert(json_equal(got.body, body));
	json_free(got.doc);
	(void)nn_freemsg(msg);
}
END_TEST

START_TEST(test_answer_with_error)
{
	struct bus_message got,
		m = { .kind = BUS_ANSWER, .id = 1, .from = "x", .at = NOW, .error = -ENOSYS };
	void *msg;
	size_t len;

	seal(&m, &msg, &len);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW, &got), 0);
	ck_assert(got.kind == BUS_ANSWER && got.error == -ENOSYS && !got.body && !got.verb);
	json_free(got.doc);
	(void)nn_freemsg(msg);
}
END_TEST

START_TEST(test_no_byte_may_change)
{
	struct bus_message got,
		m = { .kind = BUS_NOTICE, .verb = "wake", .from = "tcp://a:1", .at = NOW };
	unsigned char *bytes;
	void *msg;
	size_t len;

	seal(&m, &msg, &len);
	bytes = msg;
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		ck_assert_int_eq(bus_open(&key, msg, len, NOW, &got), BUS_M_UNSEALED);
		bytes[i] ^= 1;
	}
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(bus_open(&key, msg, n, NOW, &got), BUS_M_UNSEALED);
	ck_assert_int_eq(bus_open(&other_key, msg, len, NOW, &got), BUS_M_UNSEALED);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW, &got), 0);
	json_free(got.doc);
	(void)nn_freemsg(msg);
}
END_TEST

START_TEST(test_age)
{
	struct bus_message got,
		m = { .kind = BUS_NOTICE, .verb = "wake", .from = "tcp://a:1", .at = NOW };
	void *msg;
	size_t len;

	seal(&m, &msg, &len);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW + BUS_AGE_MAX_MS, &got), 0);
	json_free(got.doc);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW + BUS_AGE_MAX_MS + 1, &got), BUS_M_STALE);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW - BUS_AGE_MAX_MS - 1, &got), BUS_M_STALE);
	(void)nn_freemsg(msg);
}
END_TEST

/* Sealed rightly, but not an envelope that this version understands. */
static const char *const malformed[] = {
	"",
	"hello",
	"[]",
	"null",
	"{}",
	"{\"v\":2,\"k\":\"notice\",\"id\":\"0\",\"at\":1700000000000,\"verb\":\"a\",\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"other\",\"id\":\"0\",\"at\":1700000000000,\"verb\":\"a\",\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"notice\",\"id\":\"0g\",\"at\":1700000000000,\"verb\":\"a\",\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"notice\",\"id\":\"\",\"at\":1700000000000,\"verb\":\"a\",\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"notice\",\"id\":\"00000000000000000\",\"at\":1700000000000,\"verb\":\"a\","
	"\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"notice\",\"at\":1700000000000,\"verb\":\"a\",\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"notice\",\"id\":\"0\",\"at\":1700000000000,\"from\":\"b\"}",
	"{\"v\":1,\"k\":\"notice\",\"id\":\"0\",\"at\":1700000000000,\"verb\":\"a\"}",
	"{\"v\":1,\"k\":\"answer\",\"id\":\"0\",\"at\":1700000000000,\"from\":\"b\",\"error\":5}",
	"{\"v\":1,\"k\":\"notice\",\"id\":\"0\",\"at\":1700000000000,\"verb\":\"a\",\"from\":\"b\"} x",
};

START_TEST(test_malformed)
{
	const char *plain = malformed[_i];
	size_t n = strlen(plain), len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + n;
	LOOM_CLEANUP_STR char *msg = loom_malloc(len);
	unsigned char *bytes = (unsigned char *)msg;
	struct bus_message got;

	randombytes_buf(bytes, crypto_secretbox_NONCEBYTES);
	ck_assert_int_eq(crypto_secretbox_easy(bytes + crypto_secretbox_NONCEBYTES,
	                                       (const unsigned char *)plain, n, bytes, key.bytes),
	                 0);
	ck_assert_int_eq(bus_open(&key, msg, len, NOW, &got), BUS_M_MALFORMED);
}
END_TEST

START_TEST(test_too_big)
{
	LOOM_CLEANUP_STR char *text = loom_malloc(BUS_MESSAGE_MAX + 1);
	LOOM_CLEANUP(json_free) struct json *body = NULL;
	struct bus_message m = { .kind = BUS_NOTICE, .verb = "v", .from = "f", .at = NOW };
	void *msg = NULL;
	size_t len;

	memset(text, 'x', BUS_MESSAGE_MAX);
	text[BUS_MESSAGE_MAX] = '\0';
	body = json_new_str(text);
	m.body = body;
	ck_assert_int_eq(bus_seal(&key, &m, &msg, &len), -EMSGSIZE);
	ck_assert_ptr_null(msg);
}
END_TEST

static int read_key_text(const char *text, struct bus_key *ret, struct loom_err *err)
{
	char path[] = "/tmp/test_bus_key_XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	loom_close(fd);
	int r = bus_key_read(path, ret, err);
	(void)unlink(path);
	return r;
}

START_TEST(test_key_file)
{
	static const char good[] =
		"000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
	char text[128];
	struct bus_key k;
	struct loom_err err;

	ck_assert_int_eq(read_key_text(good, &k, &err), 0);
	ck_assert_int_eq(k.bytes[31], 0x1f);
	(void)snprintf(text, sizeof(text), "%s\r\n", good);
	ck_assert_int_eq(read_key_text(text, &k, &err), 0);
	(void)snprintf(text, sizeof(text), "%s00", good);
	ck_assert_int_ne(read_key_text(text, &k, &err), 0);
	(void)snprintf(text, sizeof(text), "%.62s", good);
	ck_assert_int_ne(read_key_text(text, &k, &err), 0);
	(void)snprintf(text, sizeof(text), "%.62sxy", good);
	ck_assert_int_ne(read_key_text(text, &k, &err), 0);
	ck_assert_int_ne(read_key_text("", &k, &err), 0);
	ck_assert_int_ne(bus_key_read("/nonexistent/key", &k, &err), 0);
	ck_assert(strstr(err.msg, "/nonexistent/key"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bus_seal");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_answer_with_error);
	tcase_add_test(tc, test_no_byte_may_change);
	tcase_add_test(tc, test_age);
	tcase_add_loop_test(tc, test_malformed, 0, (int)LOOM_COUNT(malformed));
	tcase_add_test(tc, test_too_big);
	tcase_add_test(tc, test_key_file);
	return UNIT_RUN("bus_seal", tc);
}
