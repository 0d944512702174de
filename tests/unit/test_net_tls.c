/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in by TLS, what of certificates is taken, and when they are read again. What HTTP does
 * by TLS is in test_net_server.c and test_net_body.c, whose cases run both ways. */
#include "tests/unit/tls_case.h"

/* ---- client ---------------------------------------------------------------------------------- */

/* Is one served who shows this? */
static bool served(const struct pki *who, int most)
{
	int fd = line_open(http_server_port(server));
	bool good = line_tls(fd, &secure.ca, who, most) && answered(fd);
	line_close(fd);
	return good;
}

/* ---- who speaks what ------------------------------------------------------------------------- */

START_TEST(versions)
{
	ck_assert(served(NULL, TLS1_3_VERSION));
	ck_assert(served(NULL, TLS1_2_VERSION));
	ck_assert(!served(NULL, TLS1_1_VERSION));
	wait_until("loom_tls_handshakes_failed_total", 1);
}
END_TEST

START_TEST(no_renegotiation_and_no_resumption)
{
	int fd = line_open(http_server_port(server));
	ck_assert(line_tls(fd, &secure.ca, NULL, TLS1_2_VERSION));
	ck_assert(answered(fd));
	ck_assert(!SSL_session_reused(line_ssl(fd)));
	ck_assert_int_eq(SSL_SESSION_has_ticket(SSL_get0_session(line_ssl(fd))), 0);
	SSL_renegotiate(line_ssl(fd));
	ck_assert(SSL_do_handshake(line_ssl(fd)) != 1 || !answered(fd));
	line_close(fd);
}
END_TEST

START_TEST(without_tls)
{
	static const char garbage[] = "\x16\x03\x01\xff\xff nonsense, and more than a little of it";
	int fd = line_open(http_server_port(server));
	line_send(fd, GET, sizeof(GET) - 1);
	const char *answer = until(fd, NULL);
	ck_assert_msg(strstr(answer, "HTTP/1.1 400 ") == answer, "%s", answer);
	ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\nthis port speaks TLS"));
	line_close(fd);
	fd = line_open(http_server_port(server));
	line_send(fd, garbage, sizeof(garbage) - 1);
	ck_assert_ptr_null(strstr(until(fd, NULL), "HTTP"));
	line_close(fd);
	wait_until("loom_tls_handshakes_failed_total", 2);
	line_close(line_open(http_server_port(server))); /* only looks whether somebody listens */
	ck_assert(served(NULL, 0));
	wait_until("loom_tls_handshakes_failed_total", 2);
}
END_TEST

/* One that never says anything, and one that never comes to an end. */
START_TEST(handshakes_have_a_deadline)
{
	int silent = line_open(http_server_port(server)),
	    slow = line_open(http_server_port(server));
	int64_t began = clock_mono_ms();
	line_send(slow, "\x16\x03\x01\x02\x00\x01", 6);
	while (!line_readable(slow, 50)) /* never idle */
		line_send(slow, "\x01", 1);
	ck_assert_ptr_null(strstr(until(silent, NULL), "HTTP"));
	ck_assert_int_ge(clock_mono_ms() - began, 1000);
	line_close(silent);
	line_close(slow);
	wait_until("loom_tls_handshakes_failed_total", 2);
}
END_TEST

START_TEST(hung_handshakes_are_in_nobodys_way)
{
	int hung[100];
	for (size_t i = 0; i < LOOM_COUNT(hung); i++) {
		hung[i] = line_open(http_server_port(server));
		line_send(hung[i], "\x16\x03\x01", 3);
	}
	int64_t began = clock_mono_ms();
	ck_assert(served(NULL, 0));
	ck_assert_int_lt(clock_mono_ms() - began, 1000); /* before any has timed out */
	ck_assert_int_le(metric("loom_http_connections"), 68);
	for (size_t i = 0; i < LOOM_COUNT(hung); i++)
		line_close(hung[i]);
}
END_TEST

enum { MANY = 6000 };

/* Reads until that many answers have come. */
static void count_answers(int fd, size_t many)
{
	size_t seen = 0, left = 0;
	char text[16384];
	while (seen < many) {
		ck_assert_msg(line_readable(fd, TIMEOUT_MS), "%zu of %zu", seen, many);
		ssize_t n = line_recv(fd, text + left, sizeof(text) - 1 - left);
		ck_assert_int_gt(n, 0);
		text[left + (size_t)n] = '\0';
		char *at = text;
		for (char *p; (p = strstr(at, "hello\n")); at = p + 6)
			seen++;
		left = strlen(at);
		memmove(text, at, left);
	}
}

/* Each record a request: they are answered one after the other, not one within the other. */
START_TEST(many_small_records)
{
	int fd = dial(NULL);
	for (int i = 0; i < MANY / 2; i++) {
		if (i % 50 == 0)
			poll(NULL, 0, 1);
		ck_assert_int_eq(line_send(fd, GET, sizeof(GET) - 1), sizeof(GET) - 1);
	}
	count_answers(fd, MANY / 2);
	line_close(fd);
}
END_TEST

/* More than is read ahead, in records that are read in pieces: nothing stays behind in OpenSSL,
 * whether they are answered at once or while nothing is read. */
START_TEST(many_in_large_records)
{
	static const char *const requests[] = { GET, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n" };
	size_t len = strlen(requests[_i]), all = MANY * len;
	LOOM_CLEANUP_STR char *text = loom_malloc(all);
	int fd = dial(NULL);
	for (size_t i = 0; i < MANY; i++)
		memcpy(text + i * len, requests[_i], len);
	for (size_t at = 0, n; at < all; at += n) {
		n = all - at < 16384 ? all - at : 16384;
		ck_assert_int_eq(line_send(fd, text + at, n), (ssize_t)n);
	}
	count_answers(fd, MANY);
	line_close(fd);
}
END_TEST

/* So that the peer knows that nothing was cut off. */
START_TEST(the_end_is_said)
{
	static const char last[] = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	int fd = dial(NULL);
	line_send(fd, last, sizeof(last) - 1);
	until(fd, NULL);
	ck_assert_int_eq(SSL_get_shutdown(line_ssl(fd)), SSL_RECEIVED_SHUTDOWN);
	line_close(fd);
}
END_TEST

/* ---- certificates of clients ----------------------------------------------------------------- */

static void want_clients(void)
{
	loom_free(secure.cfg.client_ca);
	secure.cfg.client_ca = loom_asprintf("%s/ca.pem", secure.dir);
	pki_write(&secure.ca, secure.cfg.client_ca, NULL);
	start();
}

static void want_no_more(void)
{
	stop();
	unlink(secure.cfg.client_ca);
}

START_TEST(clients_show_who_they_are)
{
	struct pki good = pki_new(&secure.ca, "client", -60, 60);
	struct pki ended = pki_new(&secure.ca, "client", -60, -10);
	struct pki other_ca = pki_new(NULL, "authority", -60, 60);
	struct pki other = pki_new(&other_ca, "client", -60, 60);
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		ck_assert(served(&good, v));
		ck_assert(!served(NULL, v));
		ck_assert(!served(&ended, v));
		ck_assert(!served(&other, v));
		ck_assert(!served(&other_ca, v));
	}
	wait_until("loom_tls_handshakes_failed_total", 8);
	pki_free(&good);
	pki_free(&ended);
	pki_free(&other_ca);
	pki_free(&other);
}
END_TEST

/* In TLS 1.3 a client may send before it looks: it is not cut off before it has read why. */
START_TEST(the_refusal_can_be_read)
{
	int fd = line_open(http_server_port(server));
	ck_assert(line_tls(fd, &secure.ca, NULL, TLS1_3_VERSION));
	ck_assert(line_readable(fd, TIMEOUT_MS)); /* it has been refused */
	wait_until("loom_tls_handshakes_failed_total", 1);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_gt(line_send(fd, GET, sizeof(GET) - 1), 0);
		poll(NULL, 0, 10); /* for the reset, were there one */
	}
	ck_assert_int_lt(SSL_read(line_ssl(fd), got, sizeof(got)), 1);
	ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()), SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
	line_close(fd);
}
END_TEST

/* ---- our own client -------------------------------------------------------------------------- */

static int ask(const char *host, const struct http_trust *trust, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *url =
		loom_asprintf("https://%s:%d/hello", host, http_server_port(server));
	struct http_call call = {
		.method = "GET", .url = url, .trust = trust, .connect_ms = TIMEOUT_MS
	};
	int rc = http_call(NULL, &call, err);
	ck_assert(rc || call.status == 200);
	http_call_fini(&call);
	return rc;
}

START_TEST(our_own_client)
{
	LOOM_CLEANUP_STR char *ca = loom_asprintf("%s/own-ca.pem", secure.dir);
	struct loom_err err = { 0 };
	struct http_trust by_ca = { .ca = ca };
	struct http_trust own = { secure.cfg.certificate, secure.cfg.certificate, secure.cfg.key,
		                  true };
	struct http_trust shows = { ca, secure.cfg.certificate, secure.cfg.key, false };
	bool wants = *secure.cfg.client_ca;
	pki_write(&secure.ca, ca, NULL);
	ck_assert_int_eq(ask("localhost", &by_ca, &err) != 0, wants);
	ck_assert_int_eq(ask("localhost", &shows, &err), 0);
	ck_assert_int_eq(ask("127.0.0.1", &shows, &err), 0);
	ck_assert_int_ne(ask("127.0.0.2", &shows, &err), 0); /* not a name of it */
	ck_assert_msg(strstr(err.msg, "127.0.0.2"), "%s", err.msg);
	ck_assert_int_eq(ask("127.0.0.2", &own, &err), 0);
	ck_assert_int_ne(ask("localhost", &http_trust_system, &err), 0);
	ck_assert_msg(strstr(err.msg, "certificate"), "%s", err.msg);
	ck_assert_int_ne(ask("localhost", NULL, &err), 0); /* http:// only */
	unlink(ca);
}
END_TEST

static TCase *make_case(const char *name, void (*setup)(void), void (*teardown)(void))
{
	TCase *t = tcase_create(name);
	tcase_set_timeout(t, 30);
	tcase_add_unchecked_fixture(t, secure_on, secure_off);
	tcase_add_checked_fixture(t, setup, teardown);
	return t;
}

int main(void)
{
	TCase *t = make_case("tls", start, stop);
	tcase_add_test(t, versions);
	tcase_add_test(t, no_renegotiation_and_no_resumption);
	tcase_add_test(t, without_tls);
	tcase_add_test(t, handshakes_have_a_deadline);
	tcase_add_test(t, hung_handshakes_are_in_nobodys_way);
	tcase_add_test(t, many_small_records);
	tcase_add_loop_test(t, many_in_large_records, 0, 2);
	tcase_add_test(t, the_end_is_said);
	tcase_add_test(t, our_own_client);
	TCase *clients = make_case("clients", want_clients, want_no_more);
	tcase_add_test(clients, clients_show_who_they_are);
	tcase_add_test(clients, the_refusal_can_be_read);
	tcase_add_test(clients, our_own_client);
	return UNIT_RUN("net_tls", t, clients);
}
