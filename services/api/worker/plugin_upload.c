/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new version of a plug-in file: the body is read as it arrives, and written to the database
 * piece by piece, so that an upload of any size takes the memory of one piece. While a piece is
 * being written the client waits. The version becomes visible with its last piece; an interrupted
 * upload is deleted after a minute at the latest.
 */
#include "services/api/worker/plugin_resources.h"

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/resources.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { TENANTS_PART = 4 }; /* one tenant may have a quarter of all concurrent uploads */

struct upload {
	struct upload *next; /* list of uploads in progress; loop thread */
	struct api *a;
	struct http_req *req;
	char tenant[65];
	struct plugin_resource_at at; /* borrows texts from the request, which outlives it */
	struct plugin_upload u;
	struct buf bytes; /* not written yet */
	crypto_hash_sha256_state hash;
	size_t writing;                 /* how many of the first bytes are being written */
	bool ended, busy;               /* loop thread */
	bool known;                     /* this request was sent before: only compare the body */
	bool begun, finished, answered; /* how far the upload is */
	atomic_bool disconnected;
	int rc;
	struct loom_err err; /* of a 500 */
};

/* ---- worker ---------------------------------------------------------------------------------- */

static int begin_tx(struct db *db, void *arg)
{
	struct upload *up = arg;
	return plugin_upload_begin(db, &up->at, &up->u);
}

static int add_tx(struct db *db, void *arg)
{
	struct upload *up = arg;
	return plugin_upload_add(db, &up->u, up->bytes.data, up->writing, &up->err);
}

static int drop_tx(struct db *db, void *arg)
{
	const struct upload *up = arg;
	return plugin_upload_drop(db, &up->u);
}

struct ending {
	struct upload *up;
	char sha[PLUGIN_CONTENT_SHA];
};

static int end_tx(struct db *db, void *arg)
{
	const struct ending *e = arg;
	return plugin_upload_end(db, &e->up->u, e->sha);
}

static void refuse(struct upload *up)
{
	const struct api *a = up->a;
	struct http_req *req = up->req;
	if (up->rc == PLUGIN_RESOURCE_E_FULL)
		http_reply_text(
			req, 413,
			"the tenant's files for plug-ins may hold %lld MiB together: delete "
			"some that nobody needs",
			(long long)a->cfg.plugin_resources_mib);
	else if (up->rc == PLUGIN_RESOURCE_E_MANY)
		http_reply_text(
			req, 409,
			"a tenant has at most %d versions of files for plug-ins: delete some",
			PLUGIN_VERSIONS_MAX);
	else if (up->rc == PLUGIN_RESOURCE_E_NONE)
		http_reply_text(req, 409, "version %lld of %s was deleted while it came in",
		                (long long)up->u.version, up->at.name);
	else if (up->rc == 500)
		http_reply_problem(req, 500, "%s", up->err.msg);
	else
		api_reply_db(req, up->rc);
}

static void finish(struct upload *up)
{
	struct ending e = { .up = up };
	unsigned char sum[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_final(&up->hash, sum);
	sodium_bin2hex(e.sha, sizeof(e.sha), sum, sizeof(sum));
	LOOM_CLEANUP(json_free) struct json *shown = json_new_obj();
	json_set_str(shown, "name", up->at.name);
	json_set_int(shown, "version", up->u.version);
	json_set_str(shown, "status", "inactive");
	const struct answer made = { .body = shown };
	audit_change(up->req, NULL, shown);
	repeat_body(up->req, e.sha);
	up->rc = repeat_tx(up->req, end_tx, &e, &made);
	plugin_resources_changed(up->a, up->tenant);
	if (!up->rc)
		repeat_reply(up->req, &made);
	up->answered = !up->rc;
}

static void work(void *arg)
{
	struct upload *up = arg;
	if (!up->begun && !up->disconnected && !up->known)
		up->rc = db_tx(up->a->db, begin_tx, up);
	up->begun = true;
	if (!up->rc && up->writing)
		up->rc = up->known ? 0 : db_tx(up->a->db, add_tx, up);
	else if (!up->rc && up->ended && !up->disconnected)
		finish(up);
	up->finished = up->answered || up->rc || up->disconnected;
	if (!up->finished || up->answered)
		return;
	if (!up->known && db_tx(up->a->db, drop_tx, up))
		log_info("upload is left to the janitor", LOG_S("content", up->u.content));
	if (up->rc)
		refuse(up);
	up->answered = up->rc;
}

/* ---- loop ------------------------------------------------------------------------------------ */

static void upload_free(struct upload *up)
{
	for (struct upload **at = &up->a->uploads; *at; at = &(*at)->next) {
		if (*at == up) {
			*at = up->next;
			break;
		}
	}
	buf_fini(&up->bytes);
	loom_free(up);
}

static void worked(void *arg);

/* Writes a piece if there is one, or ends the upload. */
static void go_on(struct upload *up)
{
	LOOM_CLEANUP_STR char *name = loom_asprintf("~%s", up->tenant);
	const struct pool_share share = { name, 0 };
	bool whole = up->bytes.len >= PLUGIN_PIECE;
	http_body_pause(up->req, whole || up->ended);
	if (!whole && !up->ended && !up->disconnected)
		return;
	up->writing = up->disconnected ? 0 : whole ? PLUGIN_PIECE : up->bytes.len;
	up->busy = up->a->pool && !pool_submit_share(up->a->pool, &share, work, worked, up);
	if (up->busy)
		return;
	http_on_close(up->req, NULL, NULL);
	http_reply_text(up->req, 503, "too many are at work; try again");
	upload_free(up); /* what it has written is deleted a minute later */
}

static void worked(void *arg)
{
	struct upload *up = arg;
	up->busy = false;
	if (up->finished) {
		if (!up->answered)
			http_reply_empty(up->req, 204);
		upload_free(up);
		return;
	}
	up->u.size += (int64_t)up->writing;
	up->u.pieces++;
	memmove(up->bytes.data, up->bytes.data + up->writing, up->bytes.len - up->writing);
	up->bytes.len -= up->writing;
	go_on(up);
}

static void on_body(struct http_req *req LOOM_UNUSED, const void *data, size_t len, bool end,
                    void *arg)
{
	struct upload *up = arg;
	buf_add(&up->bytes, data, len);
	loom_assert(!up->bytes.full);
	crypto_hash_sha256_update(&up->hash, data, len);
	up->ended = end;
	go_on(up);
}

static void on_close(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct upload *up = arg;
	up->disconnected = true;
	if (!up->busy)
		go_on(up);
}

static int count(const struct upload *first, const char *tenant)
{
	int n = 0;
	for (const struct upload *up = first; up; up = up->next)
		n += !tenant || str_eq(up->tenant, tenant);
	return n;
}

static void begin(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct upload *up = arg;
	struct api *a = up->a;
	int64_t all = a->cfg.plugin_uploads, part = all < TENANTS_PART ? 1 : all / TENANTS_PART;
	bool many = count(a->uploads, up->tenant) >= part;
	up->next = a->uploads;
	a->uploads = up;
	if (many || count(a->uploads, NULL) > all) {
		http_reply_text(up->req, many ? 429 : 503,
		                "%s uploads at once; try again when others have ended",
		                many ? "the tenant has too many" : "there are too many");
		upload_free(up);
		return;
	}
	http_on_close(up->req, on_close, up);
	http_body_read(up->req, on_body, up);
}

/* ---- the way in ------------------------------------------------------------------------------ */

static struct upload *upload_new(struct http_req *req, struct api *a)
{
	struct upload *up = loom_calloc(1, sizeof(*up));
	up->a = a;
	up->req = req;
	snprintf(up->tenant, sizeof(up->tenant), "%s", request_who(req)->tenant_id);
	id_random_hex(up->u.content, 16);
	up->u.ring = a->ring;
	up->u.tenant = up->tenant;
	up->u.max = a->cfg.plugin_resources_mib << 20;
	up->bytes = BUF_INIT(2 * PLUGIN_PIECE);
	up->known = repeat_is_known(req);
	crypto_hash_sha256_init(&up->hash);
	return up;
}

void plugin_resources_post(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct plugin_resource_at at;
	if (!plugin_resource_of(req, &at))
		return;
	struct upload *up = upload_new(req, a);
	up->at = at;
	http_defer(req, begin, up);
}
