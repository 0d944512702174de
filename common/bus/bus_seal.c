/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope of a message: JSON, sealed with the cluster key.
 *
 *	nonce (24) | secretbox of
 *{"v":1,"k":KIND,"id":"..","verb":..,"from":..,"at":..,..,"body":..}
 *
 * Encoding and decoding side by side. Any thread.
 */
#include "common/bus/bus.h"

#include "common/base/seal.h"
#include "common/base/str.h"
#include "common/bus/bus_private.h"

#include <inttypes.h>
#include <nanomsg/nn.h>
#include <string.h>

enum { VERSION = 1, NONCE = crypto_secretbox_NONCEBYTES, MAC = crypto_secretbox_MACBYTES };

static const char *const kinds[] = {
	[BUS_REQUEST] = "request", [BUS_ANSWER] = "answer", [BUS_NOTICE] = "notice"
};

int bus_key_read(const char *path, struct bus_key *ret, struct loom_err *err)
{
	return seal_file_read(path, ret->bytes, err);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static void write_text(struct buf *b, const char *key, const char *value)
{
	if (!value)
		return;
	buf_addf(b, ",\"%s\":", key);
	json_write_str(value, strlen(value), b);
}

static void write_envelope(struct buf *b, const struct bus_message *m)
{
	buf_addf(b, "{\"v\":%d,\"k\":\"%s\",\"id\":\"%" PRIx64 "\",\"at\":%" PRId64, VERSION,
	         kinds[m->kind], m->id, m->at);
	if (m->wait)
		buf_addf(b, ",\"wait\":%" PRId64, m->wait);
	if (m->error)
		buf_addf(b, ",\"error\":%d", m->error);
	write_text(b, "verb", m->verb);
	write_text(b, "from", m->from);
	if (m->body) {
		buf_adds(b, ",\"body\":");
		json_write(m->body, b);
	}
	buf_addc(b, '}');
}

int bus_seal(const struct bus_key *key, const struct bus_message *m, void **ret, size_t *ret_len)
{
	__attribute__((cleanup(buf_fini_p))) struct buf plain =
		BUF_INIT(BUS_MESSAGE_MAX - NONCE - MAC);

	write_envelope(&plain, m);
	if (plain.full)
		return -EMSGSIZE;
	size_t len = NONCE + MAC + plain.len;
	unsigned char *msg = nn_allocmsg(len, 0);
	loom_assert(msg);
	randombytes_buf(msg, NONCE);
	(void)crypto_secretbox_easy(msg + NONCE, (const unsigned char *)plain.data, plain.len, msg,
	                            key->bytes);
	*ret = msg;
	*ret_len = len;
	return 0;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static bool read_id(const char *s, uint64_t *ret)
{
	size_t n = s ? strlen(s) : 0;
	uint64_t id = 0;

	if (!n || n > 16)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *digit = strchr("0123456789abcdef", s[i]);

		if (!digit)
			return false;
		id = id << 4 | (uint64_t)(digit - "0123456789abcdef");
	}
	*ret = id;
	return true;
}

static bool read_envelope(struct bus_message *m)
{
	const char *kind = json_get_str(m->doc, "k");
	size_t k = 0;

	while (k < LOOM_COUNT(kinds) && !str_eq(kind, kinds[k]))
		k++;
	if (k == LOOM_COUNT(kinds) || json_get_int(m->doc, "v", 0) != VERSION ||
	    !read_id(json_get_str(m->doc, "id"), &m->id))
		return false;
	m->kind = (enum bus_kind)k;
	m->verb = json_get_str(m->doc, "verb");
	m->from = json_get_str(m->doc, "from");
	m->at = json_get_int(m->doc, "at", 0);
	m->wait = json_get_int(m->doc, "wait", 0);
	m->error = (int)json_get_int(m->doc, "error", 0);
	m->body = json_get(m->doc, "body");
	return m->from && (m->verb || m->kind == BUS_ANSWER) && m->error <= 0;
}

enum bus_metric bus_open(const struct bus_key *key, const void *data, size_t len, int64_t now,
                         struct bus_message *m)
{
	const unsigned char *sealed = data;

	*m = (struct bus_message){ 0 };
	if (len < NONCE + MAC || len > BUS_MESSAGE_MAX)
		return BUS_M_UNSEALED;
	size_t n = len - NONCE - MAC;
	LOOM_CLEANUP_STR char *plain = loom_malloc(n + 1);
	if (crypto_secretbox_open_easy((unsigned char *)plain, sealed + NONCE, len - NONCE, sealed,
	                               key->bytes))
		return BUS_M_UNSEALED;
	if (json_parse(plain, n, BUS_MESSAGE_MAX, &m->doc, NULL))
		return BUS_M_MALFORMED;
	enum bus_metric refusal = 0;
	if (!read_envelope(m))
		refusal = BUS_M_MALFORMED;
	else if (m->at < now - BUS_AGE_MAX_MS || m->at > now + BUS_AGE_MAX_MS)
		refusal = BUS_M_STALE;
	if (refusal) {
		json_free(m->doc);
		m->doc = NULL;
	}
	return refusal;
}
