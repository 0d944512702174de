/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope of a message: a line of JSON and the body, sealed with the bus's key.
 *
 *	nonce (24) | secretbox of {"v":2,"k":KIND,"to":..,"from":..,..} \n BODY
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

enum { VERSION = 2, NONCE = crypto_secretbox_NONCEBYTES, MAC = crypto_secretbox_MACBYTES };

static const char *const kinds[] = { [BUS_REQUEST] = "request",
	                             [BUS_ANSWER] = "answer",
	                             [BUS_NOTICE] = "notice",
	                             [BUS_HELLO] = "hello",
	                             [BUS_WELCOME] = "welcome" };

int bus_key_read(const char *path, struct bus_key *ret, struct loom_err *err)
{
	unsigned char root[SEAL_KEY];
	_Static_assert(sizeof(root) == crypto_kdf_KEYBYTES,
	               "the cluster's key is one to derive from");
	int rc = seal_file_read(path, root, err);
	if (rc)
		return rc;
	(void)crypto_kdf_derive_from_key(ret->bytes, sizeof(ret->bytes), VERSION, "loom-bus", root);
	sodium_memzero(root, sizeof(root));
	return 0;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static void write_text(struct buf *b, const char *key, const char *value)
{
	if (!value)
		return;
	buf_addf(b, ",\"%s\":", key);
	json_write_str(value, strlen(value), b);
}

static void write_number(struct buf *b, const char *key, int64_t value)
{
	if (value)
		buf_addf(b, ",\"%s\":%" PRId64, key, value);
}

static void write_envelope(struct buf *b, const struct bus_message *m)
{
	buf_addf(b,
	         "{\"v\":%d,\"k\":\"%s\",\"id\":\"%" PRIx64 "\",\"life\":\"%" PRIx64
	         "\",\"n\":\"%" PRIx64 "\",\"at\":%" PRId64,
	         VERSION, kinds[m->kind], m->id, m->life, m->n, m->at);
	write_number(b, "wait", m->wait);
	write_number(b, "error", m->error);
	write_number(b, "size", (int64_t)m->size);
	write_number(b, "off", (int64_t)m->off);
	write_text(b, "verb", m->verb);
	write_text(b, "to", m->to);
	write_text(b, "from", m->from);
	write_text(b, "word", m->word);
	write_text(b, "mine", m->mine);
	buf_adds(b, "}\n");
	buf_add(b, m->text, m->len);
}

void *bus_seal(const struct bus_key *key, const struct bus_message *m, size_t *ret_len)
{
	LOOM_CLEANUP(buf_fini) struct buf plain = BUF_INIT(BUS_MESSAGE_MAX - NONCE - MAC);
	write_envelope(&plain, m);
	if (plain.full)
		return NULL;
	*ret_len = NONCE + MAC + plain.len;
	unsigned char *msg = nn_allocmsg(*ret_len, 0);
	loom_assert(msg);
	randombytes_buf(msg, NONCE);
	(void)crypto_secretbox_easy(msg + NONCE, (const unsigned char *)plain.data, plain.len, msg,
	                            key->bytes);
	return msg;
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

static bool is_word(const char *s)
{
	return s && strlen(s) == BUS_WORD - 1 && strspn(s, "0123456789abcdef") == BUS_WORD - 1;
}

static bool read_size(const struct json *doc, const char *key, size_t *ret)
{
	int64_t n = json_get_int(doc, key, 0);
	*ret = (size_t)n;
	return n >= 0 && n <= (int64_t)BUS_BODY_MAX;
}

static bool read_envelope(struct bus_message *m)
{
	const char *kind = json_get_str(m->doc, "k");
	size_t k = 0;
	while (k < LOOM_COUNT(kinds) && !str_eq(kind, kinds[k]))
		k++;
	if (k == LOOM_COUNT(kinds) || json_get_int(m->doc, "v", 0) != VERSION ||
	    !read_id(json_get_str(m->doc, "id"), &m->id) ||
	    !read_id(json_get_str(m->doc, "life"), &m->life) ||
	    !read_id(json_get_str(m->doc, "n"), &m->n) || !read_size(m->doc, "size", &m->size) ||
	    !read_size(m->doc, "off", &m->off))
		return false;
	m->kind = (enum bus_kind)k;
	m->verb = json_get_str(m->doc, "verb");
	m->to = json_get_str(m->doc, "to");
	m->from = json_get_str(m->doc, "from");
	m->word = json_get_str(m->doc, "word");
	m->mine = json_get_str(m->doc, "mine");
	m->at = json_get_int(m->doc, "at", 0);
	m->wait = json_get_int(m->doc, "wait", 0);
	m->error = (int)json_get_int(m->doc, "error", 0);
	bool needs_verb = m->kind == BUS_REQUEST || m->kind == BUS_NOTICE;
	return m->to && m->from && m->life && m->n && is_word(m->mine) && m->error <= 0 &&
	       (is_word(m->word) || (!m->word && m->kind == BUS_HELLO)) &&
	       (m->verb || !needs_verb) && m->off + m->len <= m->size;
}

/* Reads the envelope's line and the piece of the body after it. */
static bool read_plain(struct bus_message *m, size_t n)
{
	const char *end = memchr(m->plain, '\n', n);
	if (!end || json_parse(m->plain, (size_t)(end - m->plain), BUS_MESSAGE_MAX, &m->doc, NULL))
		return false;
	m->text = end + 1;
	m->len = n - (size_t)(m->text - m->plain);
	return read_envelope(m);
}

enum bus_metric bus_open(const struct bus_key *key, const void *data, size_t len,
                         struct bus_message *m)
{
	const unsigned char *sealed = data;
	*m = (struct bus_message){ 0 };
	if (len < NONCE + MAC || len > BUS_MESSAGE_MAX)
		return BUS_M_UNSEALED;
	size_t n = len - NONCE - MAC;
	m->plain = loom_malloc(n + 1);
	enum bus_metric refusal = 0;
	if (crypto_secretbox_open_easy((unsigned char *)m->plain, sealed + NONCE, len - NONCE,
	                               sealed, key->bytes))
		refusal = BUS_M_UNSEALED;
	else if (!read_plain(m, n))
		refusal = BUS_M_MALFORMED;
	if (refusal)
		bus_message_fini(m);
	return refusal;
}

void bus_message_fini(struct bus_message *m)
{
	json_free(m->doc);
	loom_free(m->plain);
	*m = (struct bus_message){ 0 };
}
