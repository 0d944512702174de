/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_send - writes a message's body, signs it, and sends it if the policy allows the
 * address. */
#include "services/scheduler/webhook/webhook_send.h"

#include "common/base/str.h"
#include "common/base/text.h"
#include "services/scheduler/webhook/webhook_policy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Only {"veto": ...} of an answer is used, up to 300 characters of it; a secret is one line. */
#define MAX_ANSWER 4096
#define MAX_SECRET 4096

static struct json *upper(const char *s)
{
	LOOM_CLEANUP_STR char *text = loom_strdup(s);
	for (char *p = text; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return json_new_str(text);
}

struct json *webhook_job(const struct job *j)
{
	char id[ID_MAX];
	id_job(id, j->cluster_id, j->num);
	struct json *o = json_set_str(json_new_obj(), "jobId", id);
	id_cluster(id, j->cluster_id);
	json_set_str(o, "clusterId", id);
	json_set(o, "clusterAction", upper(j->action));
	json_set(o, "jobStatus", upper(job_status_name(j->status)));
	json_set_str(o, "statusMessage", j->message);
	json_set_int(o, "stepstotal", j->tasks_total);
	return json_set_int(o, "stepscompleted", j->tasks_done);
}

static struct json *cluster(const struct webhook_message *m)
{
	const struct cluster *c = m->c;
	const char *status = json_get_str(m->snapshot, "clusterStatus");
	struct json *o = cluster_shown(c);
	struct json *account = json_set_str(json_new_obj(), "userId", c->owner_id);
	json_set(o, "account", json_set_str(account, "tenantId", c->tenant_id));
	/* values at the time of the event */
	json_set_int(o, "expireTime", json_get_int(m->snapshot, "expireTime", c->expire_time));
	json_set_str(o, "status", status ? status : cluster_status_name(c->status));
	json_set_str(o, "message", json_get_str(m->snapshot, "clusterMessage"));
	json_set(o, "provider", json_copy(json_get(c->brief, "provider")));
	json_set(o, "clusterTemplate", json_copy(json_get(c->brief, "clusterTemplate")));
	return json_set(o, "config", json_copy(c->config));
}

char *webhook_body(const struct webhook_message *m)
{
	struct json *nodes = json_new_arr();
	LOOM_CLEANUP(json_free)
	struct json *o = json_set_str(json_new_obj(), "event", callback_kind_name(m->kind));
	json_set_str(o, "delivery", m->delivery);
	json_set_int(o, "time", m->time);
	json_set(o, "cluster", cluster(m));
	json_set(o, "job", json_copy(json_get(m->snapshot, "job")));
	for (size_t i = 0; m->nodes && i < m->nodes->n; i++) {
		const struct node *n = &m->nodes->v[i];
		struct json *one = json_set_str(json_new_obj(), "id", n->id);
		json_push(nodes, json_set(one, "properties", node_properties(n)));
	}
	json_set(o, "nodes", nodes);
	return json_text(o);
}

char *webhook_sign(const void *key, size_t key_len, const char *body, size_t len)
{
	crypto_auth_hmacsha256_state st;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	char hex[2 * sizeof(mac) + 1];
	crypto_auth_hmacsha256_init(&st, key, key_len);
	crypto_auth_hmacsha256_update(&st, (const unsigned char *)body, len);
	crypto_auth_hmacsha256_final(&st, mac);
	sodium_memzero(&st, sizeof(st));
	sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
	return loom_asprintf("sha256=%s", hex);
}

static bool refuse(struct webhook_post *p, const char *fmt, ...) LOOM_PRINTF(2, 3);
static bool refuse(struct webhook_post *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_fit(loom_vasprintf(fmt, ap), p->reason, sizeof(p->reason)); /* foreign text */
	va_end(ap);
	return false;
}

/* Owned; NULL: no file. */
static char *secret_path(const struct webhook_post *p)
{
	const char *dir = p->cfg->callback_secrets_dir;
	if (str_eq(p->secret, "global"))
		return str_blank(p->cfg->callback_secret_file)
		               ? NULL
		               : loom_strdup(p->cfg->callback_secret_file);
	return str_starts(p->secret, "ref:")
	               ? loom_asprintf("%s/%s/%s", dir, p->tenant_id, p->secret + strlen("ref:"))
	               : NULL;
}

static bool plain(const char *name)
{
	return str_is_name(name) && *name != '.';
}

/* Reads the file without its final line break. -1 with the reason set. */
static ssize_t read_secret(struct webhook_post *p, const char *path, char buf[MAX_SECRET])
{
	if (str_starts(p->secret, "ref:") &&
	    (str_blank(p->cfg->callback_secrets_dir) || !plain(p->tenant_id) ||
	     !plain(p->secret + strlen("ref:")))) {
		p->never = true;
		refuse(p, "no secret %s for this tenant", p->secret + strlen("ref:"));
		return -1;
	}
	LOOM_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, MAX_SECRET);
	if (n < 0)
		refuse(p, "its secret cannot be read: %s", strerror(errno));
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	if (n == 0)
		refuse(p, "its secret is empty");
	return n > 0 ? n : -1;
}

static void add_signature(const struct webhook_post *p, const char *key, size_t len,
                          struct strs *headers)
{
	LOOM_CLEANUP_STR char *mac = webhook_sign(key, len, p->body, strlen(p->body));
	strs_addf(headers, "X-Loom-Signature: %s", mac);
}

static bool add_headers(struct webhook_post *p)
{
	LOOM_CLEANUP_STR char *path = secret_path(p);
	strs_addf(&p->headers, "X-Loom-Event: %s", callback_kind_name(p->kind));
	strs_addf(&p->headers, "X-Loom-Delivery: %s", p->delivery);
	if (!path && !str_blank(p->own))
		add_signature(p, p->own, strlen(p->own), &p->headers);
	if (!path)
		return true;
	char key[MAX_SECRET];
	ssize_t n = read_secret(p, path, key);
	if (n < 0)
		return false;
	add_signature(p, key, (size_t)n, &p->headers);
	sodium_memzero(key, sizeof(key));
	return true;
}

static bool allowed(const struct sockaddr *addr, void *arg)
{
	struct webhook_post *p = arg;
	const char *class = webhook_address_class(addr);
	if (!class || p->listed || webhook_address_listed(p->cfg->callback_allow, addr))
		return true;
	p->class = class;
	return false;
}

static bool refuse_address(struct webhook_post *p)
{
	p->never = true;
	return refuse(p, "%s is a %s address, which callback_allow does not list", p->host,
	              p->class);
}

static bool answered(struct webhook_post *p)
{
	if (p->status >= 200 && p->status < 300)
		return true;
	const char *text = buf_str(&p->answer);
	return refuse(p, "HTTP %d%s%.200s", p->status, *text ? ": " : "", text);
}

bool webhook_prepare(struct webhook_post *p)
{
	p->host = http_url_host(p->url);
	if (!p->host) {
		p->never = true;
		return refuse(p, "not an http:// or https:// URL without a user");
	}
	p->listed = webhook_host_listed(p->cfg->callback_allow, p->host);
	return add_headers(p);
}

static struct http_call call_of(struct webhook_post *p)
{
	return (struct http_call){ .method = "POST",
		                   .url = p->url,
		                   .headers = &p->headers,
		                   .body = p->body,
		                   .body_len = strlen(p->body),
		                   .connect_ms = p->timeout_ms < 3000 ? p->timeout_ms : 3000,
		                   .timeout_ms = p->timeout_ms,
		                   .max_answer = MAX_ANSWER,
		                   .allow = allowed,
		                   .allow_arg = p,
		                   .again = true };
}

static void end(struct webhook_post *p, bool ok)
{
	p->fetch = NULL;
	p->done(p, ok, p->arg);
}

static void on_head(struct http_fetch *f LOOM_UNUSED, int status, const struct strs *headers,
                    void *arg)
{
	struct webhook_post *p = arg;
	int64_t later = status == 429 || status == 503 ? http_retry_after_ms(headers) : 0;
	p->status = status;
	p->later_ms = later > 0 ? later : 0;
}

/* A longer answer is cut off but counts. */
static void on_data(struct http_fetch *f, const char *data, size_t len, void *arg)
{
	struct webhook_post *p = arg;
	buf_add(&p->answer, data, len);
	if (!p->answer.full)
		return;
	http_fetch_cancel(f);
	end(p, answered(p));
}

static void on_done(struct http_fetch *f, const char *error, void *arg)
{
	struct webhook_post *p = arg;
	bool ok = http_fetch_refused(f) ? refuse_address(p)
	          : error               ? refuse(p, "%.400s", error)
	                                : answered(p);
	end(p, ok);
}

void webhook_start(struct webhook_post *p, struct http_client *c, webhook_done done, void *arg)
{
	static const struct http_fetch_ops ops = { on_head, on_data, on_done };
	const struct http_call call = call_of(p);
	p->answer = BUF_INIT(MAX_ANSWER);
	p->done = done;
	p->arg = arg;
	p->fetch = http_fetch_start(c, &call, &ops, p);
}

bool webhook_cancel(struct webhook_post *p)
{
	if (!p->fetch)
		return false;
	http_fetch_cancel(p->fetch);
	p->fetch = NULL;
	return true;
}

void webhook_post_fini(struct webhook_post *p)
{
	buf_fini(&p->answer);
	strs_fini(&p->headers);
	loom_free(p->host);
	p->host = NULL;
}
