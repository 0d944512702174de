/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates are looked at each second, by what stat() says of the files, which costs next to
 * nothing. They are read when they have stayed the same from one look to the next: whoever renews
 * them writes one file after the other.
 */
#include "common/net/tls.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BAD = 400, LOOK_MS = 1000, CHAIN_MAX = 32 << 10, DAY_S = 86400, SOON_DAYS = 14 };

#define KEY(field, doc)                                                                      \
	{                                                                                    \
		"tls_" #field, CFG_STR, offsetof(struct tls_config, field), "", 0, 0, 0, doc \
	}

const struct config_key tls_config_keys[] = {
	KEY(certificate,
	    "file with the certificate to serve by TLS with, and those that lead to its "
	    "authority's, PEM; read again when it changes; empty: without TLS"),
	KEY(key, "file with its private key"),
	KEY(client_ca, "file with the authorities of which clients must show a certificate; empty: "
	               "they need none"),
	{ 0 },
};

/* ---- metrics --------------------------------------------------------------------------------- */

enum { M_LEFT, M_STALE, M_REFUSED, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_LEFT] = { "loom_tls_certificate_seconds_left",
	             "Until the certificate ends that is served with", METRIC_GAUGE },
	[M_STALE] = { "loom_tls_certificates_stale",
	              "Ports whose certificate, key or authorities have changed and are of no use",
	              METRIC_GAUGE },
	[M_REFUSED] = { "loom_tls_handshakes_failed_total",
	                "Connections closed for a TLS handshake that failed or took too long",
	                METRIC_COUNTER },
};
static atomic_bool serving;
static atomic_uint asked; /* how often all are to be read again */

static void register_metrics(void)
{
	if (!serving)
		metrics_register(metrics, M_COUNT); /* start-up thread only */
	serving = true;
}

void tls_count_refused(void)
{
	metric_add(&metrics[M_REFUSED], 1);
}

void tls_read_again(void)
{
	asked++;
}

void tls_notes(struct strs *ret)
{
	int64_t left = metrics[M_LEFT].value;
	if (!serving)
		return;
	if (metrics[M_STALE].value > 0)
		strs_add(ret, "the TLS certificate has changed and is of no use: the one before is "
		              "served; the log says why");
	if (left <= 0)
		strs_add(ret, "the TLS certificate has ended");
	else if (left < (int64_t)SOON_DAYS * DAY_S)
		strs_addf(ret, "the TLS certificate ends in %lld days", (long long)left / DAY_S);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct read {
	const struct tls_config *cfg;
	SSL_CTX *ctx;
	int64_t ends_ms;
	struct loom_err *err;
};

static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());
	return text ? text : "not understood";
}

static int check_files(const struct read *r)
{
	const struct tls_config *c = r->cfg;
	const struct {
		const char *setting, *path;
	} files[] = { { "tls_certificate", c->certificate },
		      { "tls_key", c->key },
		      { "tls_client_ca", c->client_ca } };
	for (size_t i = 0; i < LOOM_COUNT(files); i++) {
		if (*files[i].path && access(files[i].path, R_OK) != 0)
			return err_set(r->err, BAD, "%s %s: %s", files[i].setting, files[i].path,
			               strerrordesc_np(errno));
	}
	struct stat st;
	if (stat(c->key, &st) == 0 && (st.st_mode & S_IRWXO))
		return err_set(r->err, BAD,
		               "tls_key %s may be read by everyone (mode %04o): make it 0600, or "
		               "0640 and the service's group",
		               c->key, (unsigned)st.st_mode & 07777);
	return 0;
}

/* Nobody is there to type one. */
static int no_passphrase(char *to LOOM_UNUSED, int size LOOM_UNUSED, int writing LOOM_UNUSED,
                         void *arg LOOM_UNUSED)
{
	return 0;
}

static int read_pair(const struct read *r)
{
	const struct tls_config *c = r->cfg;
	if (SSL_CTX_use_certificate_chain_file(r->ctx, c->certificate) != 1)
		return err_set(r->err, BAD, "tls_certificate %s is not a certificate in PEM (%s)",
		               c->certificate, reason());
	if (SSL_CTX_use_PrivateKey_file(r->ctx, c->key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_check_private_key(r->ctx) == 1)
		return 0;
	int why = ERR_GET_REASON(ERR_peek_last_error());
	if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509 &&
	    (why == X509_R_KEY_VALUES_MISMATCH || why == X509_R_KEY_TYPE_MISMATCH))
		return err_set(r->err, BAD, "tls_key %s is not that of tls_certificate %s", c->key,
		               c->certificate);
	return err_set(r->err, BAD,
	               "tls_key %s is not a private key in PEM without a passphrase (%s)", c->key,
	               reason());
}

static int64_t ms_of(const ASN1_TIME *at)
{
	struct tm tm;
	return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static int check_time(struct read *r)
{
	const X509 *own = SSL_CTX_get0_certificate(r->ctx);
	int64_t begins = ms_of(X509_get0_notBefore(own)), now = clock_wall_ms();
	r->ends_ms = ms_of(X509_get0_notAfter(own));
	if (now >= begins && now < r->ends_ms)
		return 0;
	char at[32];
	clock_format(now < begins ? begins : r->ends_ms, at);
	return err_set(r->err, BAD, "tls_certificate %s %s %s", r->cfg->certificate,
	               now < begins ? "begins only at" : "has ended at", at);
}

/* Besides those of the authorities, our own is good: who has its key is this service, which asks
 * itself whether it is ready. */
static int verify(X509_STORE_CTX *shown, void *ctx)
{
	const X509 *own = SSL_CTX_get0_certificate(ctx), *leaf = X509_STORE_CTX_get0_cert(shown);
	if (!leaf || X509_cmp(leaf, own) != 0)
		return X509_verify_cert(shown);
	X509_STORE_CTX_set_error(shown, X509_V_OK);
	return 1;
}

static int read_client_ca(const struct read *r)
{
	const char *path = r->cfg->client_ca;
	if (!*path)
		return 0;
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
	if (!names || SSL_CTX_load_verify_locations(r->ctx, path, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return err_set(r->err, BAD, "tls_client_ca %s holds no certificates in PEM (%s)",
		               path, reason());
	}
	SSL_CTX_set_client_CA_list(r->ctx, names);
	SSL_CTX_set_verify(r->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(r->ctx, verify, r->ctx);
	return 0;
}

/* Without resumption nobody is taken for whom a certificate was once good, and none is kept. */
static void set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                 SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_max_cert_list(ctx, CHAIN_MAX);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
}

/* 0 with r->ctx owned by the caller, or an error. */
static int read_all(struct read *r)
{
	int rc = check_files(r);
	if (rc)
		return rc;
	ERR_clear_error();
	r->ctx = SSL_CTX_new(TLS_server_method());
	loom_assert(r->ctx);
	set_rules(r->ctx);
	rc = read_pair(r);
	if (!rc)
		rc = check_time(r);
	if (!rc)
		rc = read_client_ca(r);
	if (rc)
		SSL_CTX_free(r->ctx);
	ERR_clear_error();
	return rc;
}

/* ---- looking again --------------------------------------------------------------------------- */

struct stamp {
	int64_t of[3][5];
};

struct tls {
	const struct tls_config *cfg;
	SSL_CTX *ctx;
	int64_t ends_ms;
	struct loop_timer *look;
	struct stamp seen, used; /* by the last look; when they were read */
	unsigned asked;
	bool stale;
};

static struct stamp stamp_of(const struct tls_config *c)
{
	const char *const paths[] = { c->certificate, c->key, c->client_ca };
	struct stamp s = { 0 };
	struct stat st;
	for (size_t i = 0; i < LOOM_COUNT(paths); i++) {
		if (!*paths[i] || stat(paths[i], &st) != 0)
			continue;
		s.of[i][0] = (int64_t)st.st_dev;
		s.of[i][1] = (int64_t)st.st_ino;
		s.of[i][2] = (int64_t)st.st_size;
		s.of[i][3] = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
		s.of[i][4] = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	}
	return s;
}

static void set_stale(struct tls *t, bool stale)
{
	metric_add(&metrics[M_STALE], (int)stale - (int)t->stale);
	t->stale = stale;
}

static void set_time_left(const struct tls *t)
{
	metric_set(&metrics[M_LEFT], (t->ends_ms - clock_wall_ms()) / 1000);
}

/* Takes what was read. */
static void take(struct tls *t, const struct read *r)
{
	char ends[32];
	SSL_CTX_free(t->ctx);
	t->ctx = r->ctx;
	t->ends_ms = r->ends_ms;
	clock_format(t->ends_ms, ends);
	log_info("TLS certificate read", LOG_S("file", t->cfg->certificate), LOG_S("ends", ends));
	set_time_left(t);
}

static void on_look(void *arg)
{
	struct tls *t = arg;
	struct loom_err err = { 0 };
	struct read r = { .cfg = t->cfg, .err = &err };
	const struct stamp now = stamp_of(t->cfg);
	bool moved = memcmp(&now, &t->seen, sizeof(now)) != 0;
	set_time_left(t);
	t->seen = now;
	if (moved || (t->asked == asked && memcmp(&now, &t->used, sizeof(now)) == 0))
		return;
	t->used = now;
	t->asked = asked;
	bool bad = read_all(&r);
	if (bad)
		log_error("TLS certificate not read: the one before stays in force",
		          LOG_S("reason", err.msg));
	else
		take(t, &r);
	set_stale(t, bad);
}

/* ---- life ------------------------------------------------------------------------------------ */

int tls_config_check(const struct tls_config *c, struct loom_err *err)
{
	if (*c->certificate && !*c->key)
		return err_set(err, BAD, "tls_certificate needs tls_key");
	if (!*c->certificate && (*c->key || *c->client_ca))
		return err_set(err, BAD, "%s needs tls_certificate",
		               *c->key ? "tls_key" : "tls_client_ca");
	return 0;
}

int tls_create(struct loop *l, const struct tls_config *cfg, struct tls **ret, struct loom_err *err)
{
	struct read r = { .cfg = cfg, .err = err };
	struct tls *t = NULL;
	int rc = tls_config_check(cfg, err);
	const struct stamp now = stamp_of(cfg);
	if (!rc && *cfg->certificate)
		rc = read_all(&r);
	if (rc)
		return rc;
	if (r.ctx) {
		register_metrics();
		t = loom_calloc(1, sizeof(*t));
		t->cfg = cfg;
		t->seen = t->used = now;
		t->asked = asked;
		take(t, &r);
		t->look = loop_timer_create(l, "TLS certificate", on_look, t);
		loop_timer_every(t->look, LOOK_MS);
	}
	*ret = t;
	return 0;
}

void tls_destroy(struct tls *t)
{
	if (!t)
		return;
	set_stale(t, false);
	loop_timer_destroy(t->look);
	SSL_CTX_free(t->ctx);
	loom_free(t);
}

struct ssl_st *tls_accept(const struct tls *t)
{
	SSL *ssl = SSL_new(t->ctx);
	loom_assert(ssl);
	return ssl;
}
