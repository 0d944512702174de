/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text: makes it valid UTF-8 for later readers, without characters that control a
 * terminal. */
#include "common/base/text.h"

#include "common/base/buf.h"
#include "common/base/str.h"

#include <string.h>

char *text_utf8(char *text)
{
	size_t n = strlen(text), at = 0;
	while (at < n) {
		size_t len = str_utf8_len(text + at, n - at);
		if (!len)
			break;
		at += len;
	}
	if (at == n)
		return text;
	struct buf out = BUF_INIT(3 * n + 1);
	for (at = 0; at < n;) {
		size_t len = str_utf8_len(text + at, n - at);
		if (len) {
			buf_add(&out, text + at, len);
			at += len;
			continue;
		}
		buf_adds(&out, "\xef\xbf\xbd");
		/* One replacement for all bytes of a truncated character. */
		do
			at++;
		while (at < n && ((unsigned char)text[at] & 0xc0) == 0x80);
	}
	loom_free(text);
	return buf_take(&out);
}

void text_fit(char *text, char *ret, size_t size)
{
	char *fit = text_utf8(text);
	size_t n = text_whole(fit, strnlen(fit, size - 1));
	memcpy(ret, fit, n);
	ret[n] = '\0';
	loom_free(fit);
}

static uint32_t decode(const char *s, size_t len)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)s[0] & lead[len];
	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

/* Unicode's format characters and line breaks: invisible, or they change the direction of text. */
static bool is_unseen(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{ 0xad, 0xad },     { 0x61c, 0x61c },   { 0x180e, 0x180e },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
	};
	for (size_t i = 0; i < LOOM_COUNT(ranges); i++) {
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	}
	return false;
}

static void spell(struct buf *out, uint32_t c, enum text_form form)
{
	if (form == TEXT_JSON && c > 0xffff)
		buf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
		         0xdc00 + ((c - 0x10000) & 0x3ff));
	else if (form == TEXT_JSON || c > 0xff)
		buf_addf(out, "\\u%04x", c);
	else
		buf_addf(out, "\\x%02x", c);
}

char *text_shown(const char *s, size_t n, enum text_form form)
{
	struct buf out = BUF_INIT(8 * n + 1);
	for (size_t at = 0; at < n;) {
		size_t len = str_utf8_len(s + at, n - at);
		uint32_t c = len ? decode(s + at, len) : (unsigned char)s[at];
		bool plain = len && c >= ' ' && (c < 0x7f || c > 0x9f) && !is_unseen(c);
		if (plain || c == '\t' || (form != TEXT_LINE && c == '\n'))
			buf_add(&out, s + at, len);
		else
			spell(&out, c, form);
		at += len ? len : 1;
	}
	return buf_take(&out);
}

size_t text_whole(const char *s, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)s[n - back];
		size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
		if (want > back)
			return n - back;
		if (c < 0x80 || c >= 0xc0)
			break;
	}
	return n;
}
