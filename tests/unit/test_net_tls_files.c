/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys: what is refused at the start, and what is read again. */
#include "tests/unit/tls_case.h"

/* ---- reading again --------------------------------------------------------------------------- */

static void start_anew(void)
{
	struct pki own = pki_new(&secure.ca, "server", -60, 3600);
	pki_write(&own, secure.cfg.certificate, secure.cfg.key);
	pki_free(&own);
	start();
}

static long serial_of(int fd)
{
	X509 *shown = SSL_get1_peer_certificate(line_ssl(fd));
	long serial = ASN1_INTEGER_get(X509_get0_serialNumber(shown));
	X509_free(shown);
	return serial;
}

static long serial_now(void)
{
	int fd = dial(NULL);
	long serial = serial_of(fd);
	ck_assert(answered(fd));
	line_close(fd);
	return serial;
}

static const char *notes(void)
{
	static char text[512];
	struct strs list = { 0 };
	tls_notes(&list);
	LOOM_CLEANUP_STR char *all = strs_join(&list, "\n");
	snprintf(text, sizeof(text), "%s", all);
	strs_fini(&list);
	return text;
}

START_TEST(read_again_when_they_change)
{
	int kept = dial(NULL);
	long before = serial_of(kept);
	struct pki next = pki_new(&secure.ca, "next", -60, 20L * 86400);
	ck_assert(answered(kept));
	pki_write(&next, secure.cfg.certificate, NULL); /* the key comes a little later: */
	poll(NULL, 0, 100);
	pki_write(&next, NULL, secure.cfg.key);
	for (int64_t end = clock_mono_ms() + TIMEOUT_MS; serial_now() == before;)
		ck_assert(clock_mono_ms() < end && answered(kept));
	ck_assert_int_eq(metric("loom_tls_certificates_stale"),
	                 0); /* nobody has stumbled over it */
	ck_assert(answered(kept));
	ck_assert_int_eq(serial_of(kept), before);
	ck_assert_int_gt(metric("loom_tls_certificate_seconds_left"), 19L * 86400);
	ck_assert_str_eq(notes(), "");
	line_close(kept);
	pki_free(&next);
}
END_TEST

START_TEST(what_is_of_no_use_is_not_taken)
{
	long before = serial_now();
	struct pki other = pki_new(&secure.ca, "other", -60, 86400);
	pki_write(&other, secure.cfg.certificate, NULL); /* and the key of another */
	wait_until("loom_tls_certificates_stale", 1);
	ck_assert_int_eq(serial_now(), before);
	ck_assert_ptr_nonnull(strstr(notes(), "of no use"));
	ck_assert_ptr_nonnull(strstr(notes(), "ends in 0 days"));
	pki_write(&other, NULL, secure.cfg.key);
	wait_until("loom_tls_certificates_stale", 0);
	ck_assert_int_ne(serial_now(), before);
	pki_free(&other);
}
END_TEST

/* Nothing has changed but the time: who asks for it gets it. */
START_TEST(read_again_when_asked)
{
	long before = serial_now();
	struct pki early = pki_new(&secure.ca, "early", 4, 86400);
	pki_write(&early, secure.cfg.certificate, secure.cfg.key);
	wait_until("loom_tls_certificates_stale", 1);
	while (X509_cmp_current_time(X509_get0_notBefore(early.cert)) > 0)
		poll(NULL, 0, 50);
	ck_assert_int_eq(serial_now(), before);
	tls_read_again();
	wait_until("loom_tls_certificates_stale", 0);
	ck_assert_int_ne(serial_now(), before);
	pki_free(&early);
}
END_TEST

/* ---- what is refused at the start ------------------------------------------------------------ */

enum { CERT, KEY, CA };

/* What stands in the three files (NULL: the file is not there, "": it is not named; "good" etc. are
 * made), and what is said. */
static const struct {
	const char *file[3];
	int mode;
	const char *says;
} starts[] = {
	{ { "good", "good", "" }, 0640, NULL },
	{ { "good", "good", "good" }, 0600, NULL },
	{ { "", "", "" }, 0600, NULL },
	{ { "good", "", "" }, 0600, "tls_certificate needs tls_key" },
	{ { "", "good", "" }, 0600, "tls_key needs tls_certificate" },
	{ { "", "", "good" }, 0600, "tls_client_ca needs tls_certificate" },
	{ { NULL, "good", "" }, 0600, "cert.pem: No such file" },
	{ { "good", NULL, "" }, 0600, "key.pem: No such file" },
	{ { "good", "good", NULL }, 0600, "ca.pem: No such file" },
	{ { "good", "good", "" }, 0644, "may be read by everyone (mode 0644)" },
	{ { "nothing\n", "good", "" }, 0600, "cert.pem is not a certificate in PEM" },
	{ { "good", "nothing\n", "" }, 0600, "key.pem is not a private key in PEM" },
	{ { "good", "good", "nothing\n" }, 0600, "ca.pem holds no certificates in PEM" },
	{ { "good", "other", "" }, 0600, "key.pem is not that of tls_certificate" },
	{ { "ended", "ended", "" }, 0600, "cert.pem has ended at 20" },
	{ { "early", "early", "" }, 0600, "cert.pem begins only at 20" },
	{ { "good", "locked", "" }, 0600, "without a passphrase" },
};

static void make(const char *path, const char *what, int which)
{
	static const struct {
		const char *name;
		long from, to;
	} kinds[] = { { "good", -60, 60 }, { "ended", -60, -10 }, { "early", 60, 120 } };
	static struct pki made[LOOM_COUNT(kinds)];
	FILE *f = fopen(path, "w");
	for (size_t i = 0; i < LOOM_COUNT(kinds); i++) {
		if (!made[i].cert)
			made[i] = pki_new(&secure.ca, "x", kinds[i].from, kinds[i].to);
		if (str_eq(what, kinds[i].name))
			pki_write(&made[i], which != KEY ? path : NULL, which == KEY ? path : NULL);
	}
	if (str_eq(what, "other"))
		pki_write(&secure.ca, NULL, path);
	if (str_eq(what, "locked"))
		PEM_write_PrivateKey(f, made[0].key, EVP_aes_128_cbc(), NULL, 0, NULL,
		                     (char[]){ "x" });
	if (str_starts(what, "nothing"))
		fputs(what, f);
	fclose(f);
}

START_TEST(starting)
{
	static const char *const names[] = { "cert.pem", "key.pem", "ca.pem" };
	char *path[3];
	struct loom_err err = { 0 };
	struct tls *t = NULL;
	log_setup("test", LOG_LV_ERROR, false);
	loop = loop_create();
	for (int i = 0; i < 3; i++) {
		const char *what = starts[_i].file[i];
		path[i] = loom_asprintf("%s/x-%s", secure.dir, names[i]);
		if (!str_blank(what))
			make(path[i], what, i);
		if (what && !*what)
			path[i][0] = '\0';
	}
	(void)chmod(path[KEY], (mode_t)starts[_i].mode);
	const struct tls_config cfg = { path[CERT], path[KEY], path[CA] };
	int rc = tls_create(loop, &cfg, &t, &err);
	ck_assert_msg(!rc == !starts[_i].says, "%d %s", rc, err.msg);
	ck_assert_msg(!rc || strstr(err.msg, starts[_i].says), "%s", err.msg);
	ck_assert_int_eq(!t, rc || !*path[CERT]);
	tls_destroy(t);
	for (int i = 0; i < 3; i++) {
		unlink(path[i]);
		loom_free(path[i]);
	}
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
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
	TCase *again = make_case("again", start_anew, stop);
	tcase_add_test(again, read_again_when_they_change);
	tcase_add_test(again, what_is_of_no_use_is_not_taken);
	tcase_add_test(again, read_again_when_asked);
	TCase *begin = make_case("start", NULL, NULL);
	tcase_add_loop_test(begin, starting, 0, (int)LOOM_COUNT(starts));
	return UNIT_RUN("net_tls_files", again, begin);
}
