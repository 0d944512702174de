/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version of a file for plug-ins, for a provisioner (REST spec 4.3): read piece by piece as the
 * client takes it; all of it, or one range of bytes (RFC 9110 14.2).
 */
#include "services/api/plugin_resources.h"

#include "common/base/str.h"
#include "services/api/resources.h"
#include "services/api/watch.h"

#include <stdio.h>
#include <string.h>

struct download {
	struct watch w;
	struct plugin_content content;
	int64_t pos, end; /* from here to before there */
	bool part;
	struct db_result *piece;
};

static int piece_read(struct db *db, void *arg)
{
	struct download *d = arg;
	db_result_free(d->piece);
	d->piece = NULL;
	return plugin_content_read(db, d->content.id, d->pos, &d->piece);
}

static int read_piece(struct watch *w, struct db_pool *p, bool *more)
{
	struct download *d = (struct download *)w;
	*more = false;
	if (d->pos >= d->end)
		return 0;
	int rc = db_read(p, piece_read, d);
	*more = !rc;
	return rc == PLUGIN_RESOURCE_E_NONE ? 0 : rc; /* it was deleted: the answer is cut short */
}

static long write_piece(struct watch *w)
{
	struct download *d = (struct download *)w;
	size_t len = d->piece ? db_len(d->piece, 0, 0) : 0;
	size_t from = (size_t)(d->pos % (int64_t)PLUGIN_PIECE);
	if (from >= len)
		return -1;
	size_t n = len - from < (size_t)(d->end - d->pos) ? len - from : (size_t)(d->end - d->pos);
	long unsent = http_stream_write(w->req, db_str(d->piece, 0, 0) + from, n);
	d->pos += (int64_t)n;
	db_result_free(d->piece);
	d->piece = NULL;
	return d->pos < d->end ? unsent : -1;
}

static void free_download(struct watch *w)
{
	struct download *d = (struct download *)w;
	db_result_free(d->piece);
	loom_free(d);
}

static const struct watch_ops ops = { .read = read_piece,
	                              .write = write_piece,
	                              .free = free_download };

/* ---- ranges ---------------------------------------------------------------------------------- */

/* "bytes=A-B", "bytes=A-", "bytes=-N"; what is none of these is passed over, as RFC 9110 wants.
 * false: there are no such bytes. */
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
	if (!*a) { /* the last ones */
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

static void start(struct http_req *req, void *arg)
{
	struct download *d = arg;
	char text[96];
	LOOM_CLEANUP_STR char *tag = loom_asprintf("\"%s\"", d->content.sha);
	http_reply_header(req, "Accept-Ranges", "bytes");
	http_reply_header(req, "ETag", tag);
	if (!take_range(http_header(req, "Range"), d)) {
		snprintf(text, sizeof(text), "bytes */%lld", (long long)d->content.size);
		http_reply_header(req, "Content-Range", text);
		http_reply_text(req, 416, "it has %lld bytes", (long long)d->content.size);
		loom_free(d);
		return;
	}
	if (d->part) {
		snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)d->pos,
		         (long long)d->end - 1, (long long)d->content.size);
		http_reply_header(req, "Content-Range", text);
	}
	snprintf(text, sizeof(text), "%lld", (long long)(d->end - d->pos));
	http_reply_header(req, "Content-Length", text);
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
	int rc = others ? PLUGIN_RESOURCE_E_NONE : db_read(a->db, find_read, &f);
	if (rc) {
		plugin_resource_refuse(req, &f.at, rc);
		return;
	}
	struct download *d = loom_calloc(1, sizeof(*d));
	d->w = (struct watch){ .ops = &ops, .a = a, .req = req };
	snprintf(d->w.who.tenant_id, sizeof(d->w.who.tenant_id), "%s", f.at.tenant);
	d->content = f.content;
	d->end = f.content.size;
	http_defer(req, start, d);
}
