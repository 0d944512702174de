/* SPDX-License-Identifier: Apache-2.0 */
/* Serves the descriptions of the interface, made at start and compressed once. */
#include "services/api/api.h"
#include "services/api/resources.h"
#include "services/api/routes/openapi.h"

#include "common/net/http_gzip.h"

#include <stdio.h>
#include <string.h>

#define BEST 9 /* gzip level: they are compressed only once */

struct text {
	const char *type;
	char *data, *small; /* small: compressed, NULL: failed */
	size_t len, small_len;
	char tag[24];
};

struct described {
	struct text openapi, docs;
};

/* Takes data. The ETag is weak, as it names both the compressed and the plain form. */
static void text_init(struct text *t, const char *type, char *data)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	*t = (struct text){ .type = type, .data = data, .len = strlen(data) };
	for (size_t i = 0; i < t->len; i++)
		h = (h ^ (unsigned char)data[i]) * 1099511628211u;
	snprintf(t->tag, sizeof(t->tag), "W/\"%016llx\"", (unsigned long long)h);
	t->small = gzip_make(data, t->len, BEST, &t->small_len);
}

struct described *described_create(const struct api_routes *r, const char *internal)
{
	struct described *d = loom_calloc(1, sizeof(*d));
	LOOM_CLEANUP(json_free) struct json *doc = openapi_make(r, internal);
	text_init(&d->openapi, "application/json", json_text(doc));
	text_init(&d->docs, "text/html; charset=utf-8", docs_page_make(r));
	return d;
}

void described_destroy(struct described *d)
{
	if (!d)
		return;
	loom_free(d->openapi.data);
	loom_free(d->openapi.small);
	loom_free(d->docs.data);
	loom_free(d->docs.small);
	loom_free(d);
}

static void send(struct http_req *req, const struct text *t)
{
	const char *has = http_header(req, "If-None-Match");
	bool small = t->small && gzip_accepted(http_header(req, "Accept-Encoding"));
	http_reply_header(req, "ETag", t->tag);
	http_reply_header(req, "Cache-Control", "no-cache");
	http_reply_header(req, "Vary", "Accept-Encoding");
	if (has && (strstr(has, t->tag + 2) || strcmp(has, "*") == 0)) {
		http_reply_empty(req, 304);
		return;
	}
	http_reply_header(req, "Content-Encoding", small ? "gzip" : "identity");
	http_reply(req, 200, t->type, small ? t->small : t->data, small ? t->small_len : t->len);
}

void openapi_get(struct http_req *req, void *ctx)
{
	const struct api *a = ctx;
	send(req, &a->described->openapi);
}

void docs_get(struct http_req *req, void *ctx)
{
	const struct api *a = ctx;
	http_reply_header(req, "Content-Security-Policy",
	                  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
	send(req, &a->described->docs);
}
