/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create - takes a request for a new cluster: validates it as far as possible without a scheduler,
 * then records it (the cluster and its first job, in one transaction), or only plans it. Order of
 * checks as in REST spec 5.3.
 *
 * A client that sends an idempotency key (repeat.h) may repeat a request whose answer was lost: it
 * gets the first one's answer.
 */
#include "services/api/resources.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/str.h"
#include "common/model/cluster/job.h"
#include "common/model/cluster/labels.h"
#include "common/model/cluster/outcome.h"
#include "common/model/cluster/unfinished.h"
#include "common/model/keys/sealing.h"
#include "services/api/catalog/providerfields.h"
#include "services/api/catalog/secrets.h"
#include "services/api/catalog/templates.h"
#include "services/api/catalog/validate.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/request/tracing.h"

struct create {
	struct api *a;
	struct http_req *req;
	struct identity who;
	bool plan_only;
	struct json *request, *template, *provider, *type;
	enum entity_kind missing; /* what does not exist, with its name */
	const char *missing_name;
	struct loom_err err; /* why the template cannot be resolved */
	int64_t lease_ms, id;
	int64_t generation; /* of the provider type's secret fields, read before the type */
	struct json *made;  /* the answer */
	struct outcome done;
};

static void create_fini(struct create *c)
{
	json_free(c->request);
	json_free(c->template);
	json_free(c->provider);
	json_free(c->type);
	json_free(c->made);
}

static bool refuse(struct create *c, int status, const char *fmt, ...) LOOM_PRINTF(3, 4);
static bool refuse(struct create *c, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *msg = loom_vasprintf(fmt, ap);
	va_end(ap);
	http_reply_text(c->req, status, "%s", msg);
	return false;
}

/* Checks what a schema cannot express. */
static bool check_body(struct create *c)
{
	const char *dns = json_get_str(c->request, "dnsSuffix");
	if (!str_blank(dns) && !validate_dns_suffix(dns))
		return refuse(c, 400, "dnsSuffix: %.200s is an invalid DNS suffix.", dns);
	if (labels_check(json_get(c->request, "labels"), &c->err))
		return refuse(c, 400, "%s", c->err.msg);
	return true;
}

static int find(struct db *db, struct create *c, enum entity_kind k, const char *tenant,
                const char *name, struct json **ret)
{
	json_free(*ret);
	*ret = NULL;
	int rc = entity_get(db, tenant, k, name, ret);
	if (rc == ENTITY_E_NONE) {
		c->missing = k;
		c->missing_name = name;
	}
	return rc;
}

/* The stored template, merged with what it extends and includes. */
static int find_template(struct db *db, struct create *c)
{
	const char *name = json_get_str(c->request, "clusterTemplate");
	LOOM_CLEANUP(json_free) struct json *stored = NULL;
	int rc = find(db, c, ENTITY_CLUSTERTEMPLATE, c->who.tenant_id, name, &stored);
	json_free(c->template);
	c->template = NULL;
	return rc ? rc : templates_resolve(db, c->who.tenant_id, stored, &c->template, &c->err);
}

static int documents_read(struct db *db, void *arg)
{
	struct create *c = arg;
	int rc = find_template(db, c);
	if (!rc)
		rc = sealing_generation(db, &c->generation);
	if (rc)
		return rc;
	const char *provider = json_get_str(c->request, "provider");
	if (str_blank(provider))
		provider = json_get_str(json_get(c->template, "defaults"), "provider");
	if (str_blank(provider))
		return err_set(
			&c->err, 400,
			"provider is missing: the template %s names none, so say which is to be used",
			json_get_str(c->template, "name"));
	rc = find(db, c, ENTITY_PROVIDER, c->who.tenant_id, provider, &c->provider);
	return rc ? rc
	          : find(db, c, ENTITY_PROVIDERTYPE, TENANT_SUPERADMIN,
	                 json_get_str(c->provider, "providertype"), &c->type);
}

static bool check_size(struct create *c)
{
	const struct json *size = json_path(c->template, "constraints/size");
	int64_t n = json_get_int(c->request, "numMachines", 0);
	int64_t min = json_get_int(size, "min", 1), max = json_get_int(size, "max", INT32_MAX);
	if (n < min || n > max)
		return refuse(
			c, 400,
			"numMachines: Size must be at least %lld but not greater than %lld. Now it's %lld",
			(long long)min, (long long)max, (long long)n);
	return true;
}

static bool check_lease(struct create *c)
{
	int64_t initial =
		json_get_int(json_path(c->template, "administration/leaseduration"), "initial", 0);
	int64_t asked = json_get_int(c->request, "initialLeaseDuration", -1);
	c->lease_ms = asked == -1 ? initial : asked;
	if (c->lease_ms < 0 || c->lease_ms > VALIDATE_LEASE_MAX)
		return refuse(c, 400, "initialLeaseDuration: invalid lease duration: %lld",
		              (long long)asked);
	if (initial && (!c->lease_ms || c->lease_ms > initial))
		return refuse(
			c, 400,
			"initialLeaseDuration: lease duration cannot be greater than duration "
			"specified in template (%lld ms)",
			(long long)initial);
	return true;
}

/* Checks the configuration that the cluster gets: its own, or else the template's. */
static bool check_config(struct create *c)
{
	const struct json *own = json_get(c->request, "config");
	const struct json *config =
		own && !json_is(own, JSON_NULL) ? own : json_path(c->template, "defaults/config");
	int rc = validate_config(config, config == own ? "config" : "defaults.config", &c->err);
	return rc ? refuse(c, rc, "%s", c->err.msg) : true;
}

/* After this the secrets among the fields are only in the cluster's copy of the provider,
 * sealed. */
static bool seal_fields(struct create *c)
{
	const struct secret_of of = secrets_of(c->a, NULL, c->who.tenant_id, ENTITY_PROVIDER);
	struct json *fields = json_get(c->request, "providerFields");
	LOOM_CLEANUP(json_free)
	struct json *types = json_set(json_new_obj(), json_get_str(c->provider, "providertype"),
	                              json_copy(c->type));
	for (size_t i = 0; i < json_len(fields); i++) {
		if (secret_is_declared(c->type, json_key_at(fields, i)))
			json_set_str(fields, json_key_at(fields, i), SECRET_MASK);
	}
	if (of.later)
		c->generation = 0;
	int rc = secrets_seal(&of, c->provider, NULL, types, NULL, &c->err);
	if (rc && !err_is_refusal(rc))
		api_reply_db(c->req, rc);
	return rc && err_is_refusal(rc) ? refuse(c, rc, "%s", c->err.msg) : !rc;
}

/* {"missingFields": [{"key": {..}}]}: the fields missing for each alternative. */
static void refuse_missing(struct http_req *req, const struct json *missing)
{
	if (!http_wants_problem(req)) {
		http_reply_json(req, 400, missing);
		return;
	}
	LOOM_CLEANUP_STR char *text = json_text(missing);
	LOOM_CLEANUP_STR char *words = loom_asprintf("providerFields: %s", text);
	LOOM_CLEANUP(json_free) struct json *faults = json_new_arr();
	const struct json *sets = json_get(missing, "missingFields");
	for (size_t i = 0; i < json_len(sets); i++) {
		for (size_t k = 0; k < json_len(json_at(sets, i)); k++) {
			LOOM_CLEANUP(buf_fini) struct buf at = BUF_INIT(16384);
			schema_pointer_add(&at, "providerFields");
			schema_pointer_add(&at, json_key_at(json_at(sets, i), k));
			struct json *f = json_set_str(json_new_obj(), "pointer", buf_str(&at));
			json_push(faults, json_set_str(f, "detail", "is missing"));
		}
	}
	http_reply_faults(req, 400, faults, words);
}

static bool check_fields(struct create *c)
{
	const struct json *fields = json_get(c->request, "providerFields");
	LOOM_CLEANUP(strs_fini) struct strs over = { 0 };
	providerfields_over(c->type, fields, &over);
	request_warn(c->req, REQUEST_PASSED_OVER, &over);
	LOOM_CLEANUP(json_free) struct json *missing = NULL;
	if (providerfields_apply(c->type, fields, c->provider, &missing)) {
		refuse_missing(c->req, missing);
		return false;
	}
	return seal_fields(c);
}

/* Runs all checks; false when answered. */
static bool prepare(struct create *c)
{
	c->who = *request_who(c->req);
	c->request = request_take_body(c->req);
	if (!check_body(c))
		return false;
	int rc = db_read(c->a->db, documents_read, c);
	if (rc == ENTITY_E_NONE)
		return refuse(c, 404, "%s %s does not exist%s.", entity_label(c->missing),
		              c->missing_name,
		              c->missing == ENTITY_PROVIDERTYPE
		                      ? ": no provisioner that has this plug-in has registered yet"
		                      : "");
	if (err_is_refusal(rc))
		return refuse(c, err_http_status(rc), "%s", c->err.msg);
	if (rc) {
		api_reply_db(c->req, rc);
		return false;
	}
	return request_permits_cluster(c->req, json_get_str(c->template, "name"),
	                               json_get_str(c->provider, "name")) &&
	       check_size(c) && check_lease(c) && check_config(c) && check_fields(c);
}

static struct cluster *new_cluster(const struct create *c, int64_t now)
{
	struct cluster *k = loom_calloc(1, sizeof(*k));
	const struct json *defaults = json_get(c->template, "defaults");
	const struct json *services = json_get(c->request, "services");
	const struct json *config = json_get(c->request, "config");
	const char *description = json_get_str(c->request, "description");
	*k = (struct cluster){ .id = c->id,
		               .tenant_id = loom_strdup(c->who.tenant_id),
		               .owner_id = loom_strdup(c->who.user),
		               .name = loom_strdup(json_get_str(c->request, "name")),
		               .own_name = loom_strdup(json_get_str(c->request, "name")),
		               .description = loom_strdup(description ? description : ""),
		               .status = CLUSTER_PENDING,
		               .create_time = now,
		               .expire_time = c->lease_ms ? now + c->lease_ms : 0,
		               .asked_nodes = json_get_int(c->request, "numMachines", 0),
		               .next_job = 1 };
	k->brief = json_set(json_new_obj(), "provider", entity_brief(c->provider));
	json_set(k->brief, "clusterTemplate", entity_brief(c->template));
	k->services = json_copy(json_len(services) ? services : json_get(defaults, "services"));
	if (!k->services)
		k->services = json_new_arr();
	if (json_len(json_get(c->request, "labels")))
		k->labels = json_copy(json_get(c->request, "labels"));
	k->request = json_copy(c->request);
	k->template = json_copy(c->template);
	k->provider = json_copy(c->provider);
	k->sealed = c->generation;
	k->config = json_copy(config && !json_is(config, JSON_NULL) ? config
	                                                            : json_get(defaults, "config"));
	if (!k->config)
		k->config = json_new_obj();
	return k;
}

/* The numbers are those that led to the refusal: a second count might find room. */
static int over_quota(struct create *c, const struct quota *q)
{
	LOOM_CLEANUP_STR char *why = quota_words(q);
	return outcome_refuse(&c->done, 409,
	                      "Creating the cluster would cause cluster or node quotas to be "
	                      "violated. Now %s.",
	                      why);
}

static int name_taken(struct create *c, int64_t other)
{
	char id[ID_MAX];
	id_cluster(id, other);
	return outcome_refuse(
		&c->done, 409,
		"name '%.64s' is that of cluster %s; take another, or delete that one first",
		json_get_str(c->request, "name"), id);
}

static int insert(struct db *db, struct create *c)
{
	int64_t now, job;
	int rc = db_now(db, &now);
	if (rc)
		return rc;
	LOOM_CLEANUP(cluster_free) struct cluster *k = new_cluster(c, now);
	struct quota q;
	int64_t other;
	rc = cluster_named(db, k->tenant_id, k->name, &other);
	if (!rc && other)
		return name_taken(c, other);
	LOOM_CLEANUP_STR char *full = NULL;
	if (!rc)
		rc = unfinished_room(db, k->tenant_id, c->a->cfg.max_unfinished_jobs, &full);
	if (rc == JOB_E_MANY)
		return outcome_refuse(&c->done, 429, "%s", full);
	if (!rc)
		rc = cluster_insert(db, k, &q);
	if (rc == TENANT_E_NONE)
		return outcome_refuse(&c->done, 404, "%s", err_name(rc));
	if (rc) /* a duplicate: another took the name meanwhile, and is found in the next run */
		return rc == CLUSTER_E_QUOTA ? over_quota(c, &q) : rc == DB_E_DUP ? DB_E_RETRY : rc;
	cluster_event(k, "cluster",
	              json_set_str(json_new_obj(), "status", cluster_status_name(k->status)), now);
	LOOM_CLEANUP(job_params_fini)
	struct job_params params = { 0 };
	tracing_keep(c->req, &params);
	rc = job_add(db, k, "solve_layout", &params, now, &job);
	if (!rc)
		rc = cluster_save(db, k);
	return rc ? rc : outcome_done(&c->done, k->id, k->event_seq);
}

/* Safe to run twice: the id shows whether an earlier commit succeeded whose reply was lost. */
static int create_tx(struct db *db, void *arg)
{
	struct create *c = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *there = NULL;
	int rc = cluster_get(db, c->id, &there);
	if (!rc)
		return outcome_done(&c->done, there->id, there->event_seq);
	if (rc != CLUSTER_E_NONE)
		return rc;
	return insert(db, c);
}

static void reply(struct create *c, const struct answer *made)
{
	if (c->done.status != 200) {
		refuse(c, c->done.status, "%s", c->done.msg);
		return;
	}
	if (c->done.seq)
		peers_committed(c->a, c->done.cluster, c->who.tenant_id, c->done.seq, true);
	repeat_reply(c->req, made);
}

static void record(struct create *c)
{
	char id[ID_MAX];
	int rc = cluster_next_id(c->a->db, c->a->cfg.id_start, c->a->cfg.id_step, &c->id);
	id_cluster(id, c->id);
	c->made = json_set_str(json_new_obj(), "id", id);
	LOOM_CLEANUP_STR char *place = loom_asprintf("/v2/clusters/%s", id);
	const struct answer made = { .location = place, .body = c->made };
	audit_object(c->req, "clusters/%08lld", (long long)c->id);
	audit_change(c->req, NULL, c->request);
	if (!rc && fault_enabled("ack") && c->id % 5 == 0)
		rc = outcome_done(&c->done, c->id, 0);
	else if (!rc)
		rc = repeat_outcome_tx(c->req, create_tx, c, &c->done, &made);
	if (rc)
		api_reply_db(c->req, rc);
	else if (fault_enabled("refusal") && c->id % 5 == 1)
		refuse(c, 503, "the database is away; try again");
	else
		reply(c, &made);
}

void clusters_create(struct http_req *req, void *ctx)
{
	struct create c = { .a = ctx, .req = req };
	if (prepare(&c))
		record(&c);
	create_fini(&c);
}

static void plan_answered(int error, const void *m, void *arg)
{
	struct http_req *req = arg;
	const struct msg_answer *p = m;
	int status = peers_status(error, p);
	if (error)
		http_reply_problem(req, 503, "no scheduler answers; try again");
	else if (status == 200 && p->plan)
		http_reply_json(req, 200, p->plan);
	else
		http_reply_problem(req, status == 200 ? 503 : status, "%s",
		                   p->message ? p->message : "refused");
}

static void plan_ask(struct http_req *req, void *arg)
{
	struct create *c = arg;
	const struct msg_plan m = { .tenant = c->who.tenant_id,
		                    .request = c->request,
		                    .template = c->template,
		                    .provider = c->provider };
	peers_ask(c->a, MSG_PLAN, &m, 15000, plan_answered, req);
	create_fini(c);
	loom_free(c);
}

void clusters_plan(struct http_req *req, void *ctx)
{
	struct create *c = loom_calloc(1, sizeof(*c));
	*c = (struct create){ .a = ctx, .req = req, .plan_only = true };
	if (prepare(c)) {
		http_defer(req, plan_ask, c);
		return;
	}
	create_fini(c);
	loom_free(c);
}
