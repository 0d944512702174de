/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version of a plug-in file for a provisioner (REST spec 4.3): read piece by piece as the client
 * takes it; the whole, or one byte range (RFC 9110 14.2).
 */
#include "services/api/worker/plugin_resources.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "services/api/resources.h"
#include "services/api/watch/watch.h"

#include <stdio.h>
#include <string.h>

struct download {
	struct watch w;
	struct plugin_content content;
	int64_t pos, end; /* pos inclusive, end exclusive */
	bool part;
	struct plugin_piece piece;
	struct loom_err err;
};

static int piece_read(struct db *db, void *arg)
{
	struct download *d = arg;
	plugin_piece_fini(&d->piece);
	return plugin_content_read(db, d->w.a->ring, d->content.id, d->pos, &d->piece, &d->err);
}

static int read_piece(struct watch *w, struct db_pool *p, bool *more)
{
	struct download *d = (struct download *)w;
	*more = false;
	if (d->pos >= d->end)
		return 0;
	int rc = db_read(p, piece_read, d);
	*more = !rc;
	if (rc == 500)
		log_error("a file for plug-ins is cut short", LOG_S("reason", d->err.msg));
	return err_is_refusal(rc) ? 0
	                          : rc; /* it was deleted, or is shut: the answer is cut short */
}

static long write_piece(struct watch *w)
{
	struct download *d = (struct download *)w;
	size_t len = d->piece.len;
	size_t from = (size_t)(d->pos % (int64_t)PLUGIN_PIECE);
	w->cut = d->pos < d->end;
	if (from >= len)
		return -1;
	size_t n = len - from < (size_t)(d->end - d->pos) ? len - from : (size_t)(d->end - d->pos);
	long unsent = http_stream_write(w->req, d->piece.data + from, n);
	d->pos += (int64_t)n;
	w->cut = d->pos < d->end;
	plugin_piece_fini(&d->piece);
	return d->pos < d->end ? unsent : -1;
}

static void free_download(struct watch *w)
{
	struct download *d = (struct download *)w;
	plugin_piece_fini(&d->piece);
	loom_free(d);
}

/* Added only when the stream begins: a refusal has another length. */
static void add_head(struct watch *w)
{
	const struct download *d = (const struct download *)w;
	char text[96];
	LOOM_CLEANUP_STR char *tag = loom_asprintf("\"%s\"", d->content.sha);
	http_reply_header(w->req, "Accept-Ranges", "bytes");
	http_reply_header(w->req, "ETag", tag);
	if (d->part) {
		snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)d->pos,
		         (long long)d->end - 1, (long long)d->content.size);
		http_reply_header(w->req, "Content-Range", text);
	}
	snprintf(text, sizeof(text), "%lld", (long long)(d->end - d->pos));
	http_reply_header(w->req, "Content-Length", text);
}

static const struct watch_ops ops = {
	.read = read_piece, .write = write_piece, .head = add_head, .free = free_download
};

/* ---- ranges ---------------------------------------------------------------------------------- */

/* "bytes=A-B", "bytes=A-", "bytes=-N"; any other form is ignored, as RFC 9110 demands. false: the
 * range is outside the file. */
static bool take_range(const char *range, struct download *d)
{
	int64_t from = -1, to = -1, size = d->content.size;
	const char *dash = range && str_starts(range, "bytes=") ? strchr(range, '-') : NULL;
	if (!dash)
		return true;
	LOOM_CLEANUP_STR char *a = loom_strndup(range + 6, (size_t)(dash - range) - 6);
	if ((*a && str_to_int(a, &from)) || (dash[1] && str_to_int(dash + 1, &to)) ||
	    (!*a && !dash[1]) || dash[1] == '-' || (to >= 0 && from > to))
		return true;
	if (!*a) { /* the last N bytes */
		from = to < size ? size - to : 0;
		to = -1;
	}
	if (from >= size)
		return false;
	d->pos = from;
	d->end = to >= 0 && to < size ? to + 1 : size;
	d->part = true;
	return true;
}

/* Who has the beginning of another file than this gets the whole (RFC 9110 13.1.5). */
static const char *range_of(const struct http_req *req, const struct download *d)
{
	const char *has = http_header(req, "If-Range");
	LOOM_CLEANUP_STR char *tag = loom_asprintf("\"%s\"", d->content.sha);
	return !has || str_eq(has, tag) ? http_header(req, "Range") : NULL;
}

static void start(struct http_req *req, void *arg)
{
	struct download *d = arg;
	if (!take_range(range_of(req, d), d)) {
		LOOM_CLEANUP_STR char *all =
			loom_asprintf("bytes */%lld", (long long)d->content.size);
		http_reply_header(req, "Content-Range", all);
		http_reply_text(req, 416, "it has %lld bytes", (long long)d->content.size);
		loom_free(d);
		return;
	}
	watch_start_as(&d->w, d->part ? 206 : 200, "application/octet-stream");
}

/* ---- the way in ------------------------------------------------------------------------------ */

struct find {
	struct plugin_resource_at at;
	struct plugin_content content;
};

static int find_read(struct db *db, void *arg)
{
	struct find *f = arg;
	return plugin_content_of(db, &f->at, &f->content);
}

/* The database refuses to compare any other text with a name. */
static bool may_be(const struct plugin_resource_at *at)
{
	return str_is_name(at->tenant) && plugin_resource_name_ok(at->plugin) &&
	       plugin_resource_name_ok(at->type) && plugin_resource_name_ok(at->name);
}

void plugin_resources_download(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const char *only = request_worker_tenant(req), *v = http_param(req, "version");
	struct find f = { .at = { .tenant = http_param(req, "tenant"),
		                  .kind = plugin_kind_of(req),
		                  .plugin = http_param(req, "plugin"),
		                  .type = http_param(req, "type"),
		                  .name = http_param(req, "name") } };
	if (str_to_int(v, &f.at.version) || f.at.version < 1) {
		http_reply_text(req, 400, "version '%.32s' must be a whole number from 1", v);
		return;
	}
	bool others = *only && !str_eq(only, f.at.tenant);
	int rc = others || !may_be(&f.at) ? PLUGIN_RESOURCE_E_NONE : db_read(a->db, find_read, &f);
	if (rc) {
		plugin_resource_refuse(req, &f.at, rc);
		return;
	}
	struct download *d = loom_calloc(1, sizeof(*d));
	d->w = (struct watch){ .ops = &ops, .a = a, .req = req, .cut = true };
	snprintf(d->w.who.tenant_id, sizeof(d->w.who.tenant_id), "%s", f.at.tenant);
	d->content = f.content;
	d->end = f.content.size;
	http_defer(req, start, d);
}
