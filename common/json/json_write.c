/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a tree as text; bytes that are no UTF-8 are replaced, so that all output can be read. */
#include "common/base/str.h"
#include "common/json/json_tree.h"

#include <string.h>

#define TEXT_MAX ((size_t)1 << 30)

static void write_escaped(unsigned char c, struct buf *out)
{
	static const char plain[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
	const char *found = c ? strchr(plain, c) : NULL;
	if (found)
		buf_add(out, (const char[]){ '\\', letters[found - plain] }, 2);
	else
		buf_addf(out, "\\u%04x", c);
}

/* How many bytes go out as they are, and need no look at UTF-8. */
static size_t plain_length(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

void json_write_str(const char *s, size_t n, struct buf *out)
{
	size_t clean = 0; /* bytes before s that go out as they are */
	buf_addc(out, '"');
	while (n > 0) {
		size_t easy = plain_length(s, n);
		if (easy) {
			clean += easy;
			s += easy;
			n -= easy;
			continue;
		}
		unsigned char c = (unsigned char)*s;
		size_t len = str_utf8_len(s, n);

		if (len && c >= 0x20 && c != '"' && c != '\\') {
			clean += len;
			s += len;
			n -= len;
			continue;
		}
		buf_add(out, s - clean, clean);
		clean = 0;
		if (len)
			write_escaped(c, out);
		else
			buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
		s++;
		n--;
	}
	buf_add(out, s - clean, clean);
	buf_addc(out, '"');
}

static void write_elements(const struct json *v, struct buf *out)
{
	bool object = v->type == JSON_OBJECT;
	buf_addc(out, object ? '{' : '[');
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			buf_addc(out, ',');
		if (object) {
			json_write_str(v->keys[i], strlen(v->keys[i]), out);
			buf_addc(out, ':');
		}
		json_write(v->v[i], out);
	}
	buf_addc(out, object ? '}' : ']');
}

void json_write(const struct json *v, struct buf *out)
{
	switch (json_type(v)) {
	case JSON_NULL:
		buf_adds(out, "null");
		break;
	case JSON_BOOL:
		buf_adds(out, v->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		buf_add(out, v->text, v->len);
		break;
	case JSON_STRING:
		json_write_str(v->text, v->len, out);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		write_elements(v, out);
		break;
	}
}

char *json_text(const struct json *v)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	json_write(v, &b);
	loom_assert(!b.full);
	return buf_take(&b);
}
