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

static const char WORD[] = "00112233445566778899aabbccddeeff";
static const char MINE[] = "ffeeddccbbaa99887766554433221100";

static struct bus_message message(enum bus_kind kind)
{
	return (struct bus_message){ .kind = kind,
		                     .id = 7,
		                     .life = 5,
		                     .n = 1,
		                     .verb = kind == BUS_ANSWER ? NULL : "wake",
		                     .to = "tcp://127.0.0.1:1",
		                     .from = "tcp://127.0.0.1:2",
		                     .word = WORD,
		                     .mine = MINE,
		                     .text = "" };
}

static void *seal(const struct bus_message *m, size_t *len)
{
	void *msg = bus_seal(&key, m, len);
	ck_assert_ptr_nonnull(msg);
	return msg;
}

START_TEST(test_round_trip)
{
	struct bus_message got, m = message(BUS_REQUEST);
	size_t len;
	m.id = UINT64_C(0xfedcba9876543210);
	m.life = UINT64_MAX;
	m.n = UINT64_C(1) << 40;
	m.wait = 30000;
	m.at = INT64_C(1700000000000);
	m.text = "{\"text\":\"a \\\"quoted\\\" line\"}";
	m.len = strlen(m.text) - 5; /* a piece need not be whole */
	m.size = 1000;
	m.off = 100;
	void *msg = seal(&m, &len);
	ck_assert_int_eq(bus_open(&key, msg, len, &got), 0);
	ck_assert_int_eq(got.kind, BUS_REQUEST);
	ck_assert(got.id == m.id && got.life == m.life && got.n == m.n && got.at == m.at);
	ck_assert(got.wait == m.wait && got.error == 0 && got.size == 1000 && got.off == 100);
	ck_assert_str_eq(got.verb, m.verb);
	ck_assert_str_eq(got.to, m.to);
	ck_assert_str_eq(got.from, m.from);
	ck_assert_str_eq(got.word, m.word);
	ck_assert_str_eq(got.mine, m.mine);
	ck_assert(got.len == m.len && memcmp(got.text, m.text, m.len) == 0);
	bus_message_fini(&got);
	(void)nn_freemsg(msg);
}
END_TEST

START_TEST(test_answer_with_error)
{
	struct bus_message got, m = message(BUS_ANSWER);
	size_t len;
	m.error = -ENOSYS;
	void *msg = seal(&m, &len);
	ck_assert_int_eq(bus_open(&key, msg, len, &got), 0);
	ck_assert(got.kind == BUS_ANSWER && got.error == -ENOSYS && !got.len && !got.verb);
	bus_message_fini(&got);
	(void)nn_freemsg(msg);
}
END_TEST

START_TEST(test_no_byte_may_change)
{
	struct bus_message got, m = message(BUS_NOTICE);
	size_t len;
	void *msg = seal(&m, &len);
	unsigned char *bytes = msg;
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		ck_assert_int_eq(bus_open(&key, msg, len, &got), BUS_M_UNSEALED);
		bytes[i] ^= 1;
	}
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(bus_open(&key, msg, n, &got), BUS_M_UNSEALED);
	ck_assert_int_eq(bus_open(&other_key, msg, len, &got), BUS_M_UNSEALED);
	ck_assert_int_eq(bus_open(&key, msg, len, &got), 0);
	bus_message_fini(&got);
	(void)nn_freemsg(msg);
}
END_TEST

/* Sealed rightly, but not an envelope that this version understands: a right one, changed. */
#define ENVELOPE(v, k, id, life, n, more)                                                 \
	"{\"v\":" v ",\"k\":\"" k "\",\"id\":\"" id "\",\"life\":\"" life "\",\"n\":\"" n \
	"\",\"to\":\"t\",\"from\":\"f\",\"mine\":\"ffeeddccbbaa99887766554433221100\"" more "}\n"
#define WORD_IS ",\"word\":\"00112233445566778899aabbccddeeff\""
static const struct {
	const char *plain;
	bool good;
} envelopes[] = {
	{ ENVELOPE("2", "answer", "0", "1", "1", WORD_IS), true },
	{ ENVELOPE("2", "hello", "0", "1", "1", ""), true },
	{ ENVELOPE("2", "notice", "0", "1", "1", WORD_IS ",\"verb\":\"a\",\"size\":3") "abc",
	  true },
	{ "", false },
	{ "\n", false },
	{ "hello", false },
	{ "[]\n", false },
	{ "null\n", false },
	{ "{}\n", false },
	{ ENVELOPE("1", "answer", "0", "1", "1", WORD_IS), false },
	{ ENVELOPE("3", "answer", "0", "1", "1", WORD_IS), false },
	{ ENVELOPE("2", "other", "0", "1", "1", WORD_IS), false },
	{ ENVELOPE("2", "answer", "0g", "1", "1", WORD_IS), false },
	{ ENVELOPE("2", "answer", "", "1", "1", WORD_IS), false },
	{ ENVELOPE("2", "answer", "00000000000000000", "1", "1", WORD_IS), false },
	{ ENVELOPE("2", "answer", "0", "0", "1", WORD_IS), false },
	{ ENVELOPE("2", "answer", "0", "1", "0", WORD_IS), false },
	{ ENVELOPE("2", "answer", "0", "1", "1", ""), false },
	{ ENVELOPE("2", "welcome", "0", "1", "1", ",\"word\":\"short\""), false },
	{ ENVELOPE("2", "hello", "0", "1", "1", ",\"word\":\"\""), false },
	{ ENVELOPE("2", "notice", "0", "1", "1", WORD_IS), false },
	{ ENVELOPE("2", "answer", "0", "1", "1", WORD_IS ",\"error\":5"), false },
	{ ENVELOPE("2", "answer", "0", "1", "1", WORD_IS) "abc", false },
	{ ENVELOPE("2", "answer", "0", "1", "1", WORD_IS ",\"size\":3,\"off\":1") "abc", false },
	{ ENVELOPE("2", "answer", "0", "1", "1", WORD_IS ",\"size\":-1"), false },
	{ ENVELOPE("2", "answer", "0", "1", "1", WORD_IS ",\"size\":99999999999"), false },
};

START_TEST(test_envelopes)
{
	const char *plain = envelopes[_i].plain;
	size_t n = strlen(plain), len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + n;
	LOOM_CLEANUP_STR char *msg = loom_malloc(len);
	unsigned char *bytes = (unsigned char *)msg;
	struct bus_message got;
	randombytes_buf(bytes, crypto_secretbox_NONCEBYTES);
	ck_assert_int_eq(crypto_secretbox_easy(bytes + crypto_secretbox_NONCEBYTES,
	                                       (const unsigned char *)plain, n, bytes, key.bytes),
	                 0);
	ck_assert_int_eq(bus_open(&key, msg, len, &got), envelopes[_i].good ? 0 : BUS_M_MALFORMED);
	bus_message_fini(&got);
}
END_TEST

START_TEST(test_too_big)
{
	LOOM_CLEANUP_STR char *text = loom_malloc(BUS_MESSAGE_MAX);
	struct bus_message m = message(BUS_NOTICE);
	size_t len;
	memset(text, 'x', BUS_MESSAGE_MAX);
	m.text = text;
	m.len = m.size = BUS_MESSAGE_MAX;
	ck_assert_ptr_null(bus_seal(&key, &m, &len));
	m.len = BUS_PIECE;
	void *msg = seal(&m, &len);
	ck_assert_uint_le(len, BUS_MESSAGE_MAX);
	(void)nn_freemsg(msg);
}
END_TEST

/* ---- what is fresh --------------------------------------------------------------------------- */

static struct bus_fresh *fresh;

static enum bus_metric check(struct bus_message m, const char *word, uint64_t n)
{
	m.word = word;
	m.n = n;
	return bus_fresh_check(fresh, &m, "tcp://127.0.0.1:1");
}

START_TEST(test_made_for_us_and_now)
{
	struct bus_message m = message(BUS_NOTICE);
	char word[BUS_WORD];
	fresh = bus_fresh_create();
	memcpy(word, bus_fresh_word(fresh), sizeof(word));
	ck_assert_int_eq(check(m, WORD, 1), BUS_M_STALE);
	ck_assert_int_eq(check(m, NULL, 1), BUS_M_STALE);
	ck_assert_int_eq(check(m, word, 1), 0);
	m.to = "tcp://127.0.0.1:3"; /* sent on to us by somebody */
	ck_assert_int_eq(check(m, word, 2), BUS_M_ASTRAY);
	m.to = "tcp://127.0.0.1:1";
	bus_fresh_turn(fresh);
	ck_assert_str_ne(bus_fresh_word(fresh), word);
	ck_assert_int_eq(check(m, word, 3), 0); /* the one before still counts */
	bus_fresh_turn(fresh);
	ck_assert_int_eq(check(m, word, 4), BUS_M_STALE);
	ck_assert_int_eq(check(m, word, 1), BUS_M_STALE);
	bus_fresh_destroy(fresh);
}
END_TEST

START_TEST(test_a_hello_need_not_know_us)
{
	struct bus_message m = message(BUS_HELLO);
	fresh = bus_fresh_create();
	m.word = NULL;
	ck_assert_int_eq(bus_fresh_check(fresh, &m, m.to), 0);
	ck_assert(!m.fresh);
	m.word = WORD;
	ck_assert_int_eq(bus_fresh_check(fresh, &m, m.to), 0);
	ck_assert(!m.fresh);
	m.word = bus_fresh_word(fresh);
	ck_assert_int_eq(bus_fresh_check(fresh, &m, m.to), 0);
	ck_assert(m.fresh);
	ck_assert_int_eq(bus_fresh_check(fresh, &m, m.to), BUS_M_REPLAYED);
	bus_fresh_destroy(fresh);
}
END_TEST

START_TEST(test_each_number_once)
{
	enum { MANY = 20000 };
	static bool taken[MANY + 1];
	struct bus_message m = message(BUS_NOTICE), other = message(BUS_NOTICE);
	other.life = 6;
	fresh = bus_fresh_create();
	const char *word = bus_fresh_word(fresh);
	uint64_t top = 0;
	memset(taken, 0, sizeof(taken));
	for (int i = 0; i < 3 * MANY; i++) { /* in disorder, with repetitions and gaps */
		uint64_t n = top + 1 + randombytes_uniform(40);
		n -= randombytes_uniform(n < 60 ? (uint32_t)n : 60);
		n = n > MANY ? MANY - randombytes_uniform(5000) : n;
		enum bus_metric rc = check(m, word, n);
		bool too_old = n + 4096 <= top;
		ck_assert_msg(rc == (taken[n] || too_old ? BUS_M_REPLAYED : 0), "%d after %d",
		              (int)n, (int)top);
		taken[n] = true;
		top = n > top ? n : top;
	}
	ck_assert_int_eq(check(other, word, 1), 0); /* each sender by itself */
	ck_assert_int_eq(check(m, word, top + 1000000), 0);
	ck_assert_int_eq(check(m, word, top), BUS_M_REPLAYED);
	ck_assert_int_eq(check(m, word, top + 999999), 0);
	/* As long as its words count a sender is known. */
	bus_fresh_turn(fresh);
	ck_assert_int_eq(check(m, word, top + 999999), BUS_M_REPLAYED);
	bus_fresh_destroy(fresh);
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
	/* not the cluster's key itself, which seals other things */
	ck_assert(!memmem(k.bytes, sizeof(k.bytes), "\x1a\x1b\x1c\x1d", 4));
	struct bus_key again;
	ck_assert_int_eq(read_key_text(good, &again, &err), 0);
	ck_assert(memcmp(&k, &again, sizeof(k)) == 0);
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
	tcase_add_loop_test(tc, test_envelopes, 0, (int)LOOM_COUNT(envelopes));
	tcase_add_test(tc, test_made_for_us_and_now);
	tcase_add_test(tc, test_a_hello_need_not_know_us);
	tcase_add_test(tc, test_each_number_once);
	tcase_add_test(tc, test_too_big);
	tcase_add_test(tc, test_key_file);
	return UNIT_RUN("bus_seal", tc);
}
