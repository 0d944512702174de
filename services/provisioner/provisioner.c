/* SPDX-License-Identifier: Apache-2.0 */
/* Assembles the parts of a provisioner, and stops them when it drains. */
#include "provisioner.h"

#include "agent.h"
#include "common/base/log.h"
#include "files.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BAD = 1,
	POOL_THREADS = 2,
	POOL_QUEUE = 1024,
	LOCK_WAIT_MS = 5000,        /* for an earlier process that is about to end */
	UNDELIVERED_WAIT_MS = 5000, /* for results at the end; the spool keeps the rest */
	KILL_WAIT_MS = 7000,        /* for plugins that were told to stop */
	LEAVE_WAIT_MS = 5000,       /* for the server to be told */
	HOST_MAX = 256,
};

struct provisioner {
	const struct provisioner_settings *settings;
	struct service *service;
	char *id, *place, *work_dir, *host;
	int lock;
	struct strs left; /* task folders of earlier processes */
	struct plugins *plugins;
	struct spool *spool;
	struct pool *pool;
	struct removals *removals;
	struct http_server *admin;
	struct wire *wire;
	struct report *report;
	struct workers *workers;
	struct agent *agent;
	struct loop_timer *drain_timer; /* until running tasks are stopped */
	struct loop_timer *leave_timer; /* until it leaves with results undelivered */
	bool draining, leave_armed, leaving;
};

#define KEY(type, field, def, min, max, flags, doc)                                               \
	{                                                                                         \
#field, type, offsetof(struct provisioner_settings, field), def, min, max, flags, \
			doc                                                                       \
	}

const struct config_key provisioner_keys[] = {
	KEY(CFG_STR, admin_listen, "127.0.0.1:55056", 0, 0, 0,
	    "address of /livez /readyz /metrics, and the address registered"),
	KEY(CFG_STR, server_uri, "http://127.0.0.1:55055", 0, 0, 0, "the server's internal port"),
	KEY(CFG_INT, capacity, "10", 1, 1000, 0, "tasks to run at the same time"),
	KEY(CFG_STR, plugin_dir, LOOM_DATADIR "/plugins", 0, 0, 0,
	    "folder with providers/ and automators/"),
	KEY(CFG_STR, work_dir, "/var/lib/loom/provisioner", 0, 0, 0,
	    "folder for undelivered results, task folders and plugins' own data"),
	KEY(CFG_STR, provisioner_id, "", 0, 0, 0,
	    "name of this provisioner; empty: host, process and a random number"),
	KEY(CFG_STR, tenant, "*", 0, 0, 0, "id of the tenant to work for; * is all"),
	KEY(CFG_STR, token_file, "", 0, 0, 0,
	    "file with the token for the server; read again when the server refuses it"),
	KEY(CFG_DURATION, drain_timeout, "60s", 0, 86400000, CFG_RELOAD,
	    "how long running tasks may continue after SIGTERM"),
	{ 0 },
};

static const struct http_route routes[] = { SERVICE_ROUTES, { 0 } };

struct provisioner *provisioner_create(const struct provisioner_settings *settings)
{
	struct provisioner *p = loom_calloc(1, sizeof(*p));
	p->settings = settings;
	p->lock = -1;
	return p;
}

void provisioner_destroy(struct provisioner *p)
{
	if (!p)
		return;
	loom_close(p->lock);
	strs_fini(&p->left);
	loom_free(p->id);
	loom_free(p->place);
	loom_free(p->work_dir);
	loom_free(p->host);
	loom_free(p);
}

/* ---- starting ---------------------------------------------------------------------------------
 */

static int make_folder(const struct provisioner *p, const char *name, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", p->work_dir, name);
	int rc = files_make_dir(path);
	return rc ? err_set(err, BAD, "%s: %s", path, strerrordesc_np(-rc)) : 0;
}

static int make_plugin_folders(const struct provisioner *p, struct loom_err *err)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < plugins_count(p->plugins); i++) {
		const struct plugin *plugin = plugins_at(p->plugins, i);
		LOOM_CLEANUP_STR char *name =
			loom_asprintf("plugins/%s/%s", plugin_folder(plugin), plugin_name(plugin));
		rc = make_folder(p, name, err);
	}
	return rc;
}

/* This folder on this machine since it was started: a process that is started again has the same
 * place, a copy of the machine has not. */
static char *place_of(int lock)
{
	char boot[64] = "";
	struct stat st = { 0 };
	LOOM_CLEANUP_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot, sizeof(boot) - 1);
	boot[strcspn(boot, "\n")] = '\0';
	(void)fstat(lock, &st);
	return loom_asprintf("%s %" PRIu64 " %" PRIu64, n > 0 ? boot : "", (uint64_t)st.st_dev,
	                     (uint64_t)st.st_ino);
}

/* Locks work_dir: two processes would remove each other's task folders. */
static int prepare_work_dir(struct provisioner *p, struct loom_err *err)
{
	const char *dir = p->settings->work_dir;
	int rc = files_make_dir(dir);
	char *absolute = rc ? NULL : realpath(dir, NULL);
	if (!absolute)
		return err_set(err, BAD, "work_dir %s: %s", dir, strerrordesc_np(rc ? -rc : errno));
	p->work_dir = loom_strdup(absolute);
	free(absolute); /* NOLINT: realpath's own memory */
	LOOM_CLEANUP_STR char *lock = loom_asprintf("%s/lock", p->work_dir);
	rc = files_lock(lock, LOCK_WAIT_MS, &p->lock);
	if (rc == -EWOULDBLOCK)
		return err_set(err, BAD, "another provisioner uses work_dir %s", dir);
	if (rc)
		return err_set(err, BAD, "%s: %s", lock, strerrordesc_np(-rc));
	p->place = place_of(p->lock);
	LOOM_CLEANUP_STR char *scratch = loom_asprintf("%s/scratch", p->work_dir);
	if ((rc = make_folder(p, "scratch", err)) || (rc = make_plugin_folders(p, err)))
		return rc;
	rc = files_names(scratch, &p->left);
	if (rc)
		log_warn("old task folders cannot be removed", LOG_S("path", scratch),
		         LOG_S("error", strerrordesc_np(-rc)));
	LOOM_CLEANUP_STR char *spool = loom_asprintf("%s/spool", p->work_dir);
	rc = spool_open(spool, &p->spool);
	return rc ? err_set(err, BAD, "%s: %s", spool, strerrordesc_np(-rc)) : 0;
}

/* Without looking at files. */
static int check_values(const struct provisioner *p, struct loom_err *err)
{
	const char *id = p->settings->provisioner_id;
	for (const struct config_key *key = provisioner_keys; key->name; key++) {
		const char *const *value = (const void *)((const char *)p->settings + key->offset);
		if (key->type == CFG_STR && *key->def && str_blank(*value))
			return err_set(err, BAD, "%s is empty", key->name);
	}
	if (!str_starts(p->settings->server_uri, "http://") &&
	    !str_starts(p->settings->server_uri, "https://"))
		return err_set(err, BAD, "server_uri must begin with http:// or https://");
	if (!str_blank(id) && !str_is_name(id))
		return err_set(err, BAD,
		               "provisioner_id \"%s\" is not a name (letters, digits, _ . -)", id);
	return 0;
}

int provisioner_check(void *ctx, struct loom_err *err)
{
	const struct provisioner *p = *(struct provisioner **)ctx;
	int rc = check_values(p, err);
	if (!rc)
		rc = http_server_listen_check("admin_listen", p->settings->admin_listen, err);
	return rc ? rc : tls_config_check(&p->settings->tls, err);
}

static int check_settings(struct provisioner *p, struct loom_err *err)
{
	const char *id = p->settings->provisioner_id;
	int rc = check_values(p, err);
	if (!rc)
		rc = http_trust_check(&p->settings->trust, err);
	if (!rc)
		p->id = loom_strdup(str_blank(id) ? service_id(p->service) : id);
	return rc;
}

static int start_admin(struct provisioner *p, struct loom_err *err)
{
	const char *listen = p->settings->admin_listen;
	const char *colon = strrchr(listen, ':');
	char name[HOST_MAX] = "localhost";
	int rc;
	p->admin = http_server_create(service_loop(p->service), p->pool, routes, p, NULL);
	rc = http_server_tls(p->admin, &p->settings->tls, err);
	if (rc)
		return rc;
	rc = http_server_listen(p->admin, listen);
	if (rc)
		return err_set(err, BAD, "admin_listen %s: %s", listen,
		               http_server_listen_words(rc));
	p->host = loom_strndup(listen, colon ? (size_t)(colon - listen) : strlen(listen));
	if (!*p->host || str_eq(p->host, "0.0.0.0") || str_eq(p->host, "[::]") ||
	    str_eq(p->host, "*")) {
		(void)gethostname(name, sizeof(name) - 1);
		loom_free(p->host);
		p->host = loom_strdup(name);
	}
	return 0;
}

static void maybe_leave(struct provisioner *p);

static void on_slots(void *arg)
{
	struct provisioner *p = arg;
	if (p->draining)
		maybe_leave(p);
	else
		agent_slots_changed(p->agent);
}

static void on_unregistered(void *arg)
{
	struct provisioner *p = arg;
	agent_unregistered(p->agent);
}

static size_t ask_next(void *arg)
{
	struct provisioner *p = arg;
	return agent_ask_next(p->agent);
}

static void on_next(const struct report_next *next, void *arg)
{
	struct provisioner *p = arg;
	agent_next_came(p->agent, next);
}

static void on_drain_timeout(void *arg);
static void leave(void *arg);

static int make_parts(struct provisioner *p, struct loom_err *err)
{
	struct loop *l = service_loop(p->service);
	p->wire = wire_create(l, p->settings->server_uri, &p->settings->trust,
	                      p->settings->token_file, err);
	if (!p->wire)
		return BAD;
	p->report = report_create(&(struct report_config){ .loop = l,
	                                                   .pool = p->pool,
	                                                   .wire = p->wire,
	                                                   .spool = p->spool,
	                                                   .provisioner = p->id,
	                                                   .on_unregistered = on_unregistered,
	                                                   .ask_next = ask_next,
	                                                   .on_next = on_next,
	                                                   .arg = p });
	p->workers =
		workers_create(&(struct workers_config){ .loop = l,
	                                                 .removals = p->removals,
	                                                 .wire = p->wire,
	                                                 .report = p->report,
	                                                 .plugins = p->plugins,
	                                                 .provisioner = p->id,
	                                                 .tenant = p->settings->tenant,
	                                                 .work_dir = p->work_dir,
	                                                 .capacity = (size_t)p->settings->capacity,
	                                                 .spans = service_spans(p->service),
	                                                 .on_change = on_slots,
	                                                 .arg = p });
	p->agent = agent_create(&(struct agent_config){ .loop = l,
	                                                .wire = p->wire,
	                                                .plugins = p->plugins,
	                                                .id = p->id,
	                                                .place = p->place,
	                                                .host = p->host,
	                                                .port = http_server_port(p->admin),
	                                                .tenant = p->settings->tenant,
	                                                .capacity = p->settings->capacity });
	p->drain_timer = loop_timer_create(l, "drain", on_drain_timeout, p);
	p->leave_timer = loop_timer_create(l, "leave", leave, p);
	return 0;
}

static void remove_left(struct provisioner *p)
{
	LOOM_CLEANUP_STR char *scratch = loom_asprintf("%s/scratch", p->work_dir);
	removals_add_all(p->removals, scratch, &p->left);
}

int provisioner_start(struct service *s, void *ctx, struct loom_err *err)
{
	struct provisioner *p = *(struct provisioner **)ctx;
	int rc;
	p->service = s;
	metrics_register(stats, STATS_);
	if ((rc = check_settings(p, err)) ||
	    (rc = plugins_load(p->settings->plugin_dir, &p->plugins, err)) ||
	    (rc = prepare_work_dir(p, err)))
		return rc;
	p->pool = pool_create(service_loop(s), POOL_THREADS, POOL_QUEUE);
	p->removals = removals_create(service_loop(s));
	remove_left(p);
	rc = start_admin(p, err);
	if (rc)
		return rc;
	rc = make_parts(p, err);
	if (rc)
		return rc;
	rc = report_resend(p->report);
	if (rc)
		return err_set(err, BAD, "spool: %s", strerrordesc_np(-rc));
	agent_start(p->agent, p->workers);
	log_info("connecting", LOG_S("id", p->id), LOG_S("server", p->settings->server_uri),
	         LOG_I("capacity", p->settings->capacity),
	         LOG_I("plugins", (int64_t)plugins_count(p->plugins)));
	return 0;
}

bool provisioner_ready(struct service *s, void *ctx, struct loom_err *err)
{
	struct provisioner *p = *(struct provisioner **)ctx;
	(void)s;
	if (agent_registered(p->agent))
		return true;
	if (agent_is_twin(p->agent))
		(void)err_set(err, 0,
		              "another process runs as provisioner %s: give this one another"
		              " provisioner_id, or none",
		              p->id);
	else
		(void)err_set(err, 0, "not registered with %s", p->settings->server_uri);
	return false;
}

/* ---- ending -----------------------------------------------------------------------------------
 */

static void on_left(void *arg)
{
	struct provisioner *p = arg;
	service_drained(p->service);
}

static void leave(void *arg)
{
	struct provisioner *p = arg;
	if (p->leaving)
		return;
	p->leaving = true;
	loop_timer_disarm(p->drain_timer);
	loop_timer_disarm(p->leave_timer);
	agent_leave(p->agent, on_left, p);
}

/* Leaves when no task is open, or a little later if only deliveries are. */
static void maybe_leave(struct provisioner *p)
{
	if (!workers_busy(p->workers)) {
		leave(p);
	} else if (!workers_running(p->workers) && !p->leave_armed) {
		p->leave_armed = true;
		loop_timer_arm(p->leave_timer, UNDELIVERED_WAIT_MS);
	}
}

/* Stops the running tasks: the server hands them out again when their leases end. */
static void on_drain_timeout(void *arg)
{
	struct provisioner *p = arg;
	p->leave_armed = true;
	loop_timer_arm(p->leave_timer, KILL_WAIT_MS);
	workers_lost_all(p->workers, "the provisioner ends");
}

void provisioner_drain(struct service *s, void *ctx)
{
	struct provisioner *p = *(struct provisioner **)ctx;
	(void)s;
	log_info("no more tasks are taken", LOG_I("open", workers_busy(p->workers)));
	p->draining = true;
	agent_stop_taking(p->agent);
	service_drain_within(p->service, p->settings->drain_timeout + KILL_WAIT_MS + LEAVE_WAIT_MS);
	loop_timer_arm(p->drain_timer, p->settings->drain_timeout);
	maybe_leave(p);
}

/* Also called after a failed start. */
void provisioner_stop(struct service *s, void *ctx)
{
	struct provisioner *p = *(struct provisioner **)ctx;
	(void)s;
	loop_timer_destroy(p->drain_timer);
	loop_timer_destroy(p->leave_timer);
	agent_destroy(p->agent);
	workers_destroy(p->workers);
	removals_destroy(p->removals);
	if (p->pool)
		pool_destroy(p->pool);
	if (p->admin)
		http_server_destroy(p->admin);
	report_destroy(p->report);
	wire_destroy(p->wire);
	spool_close(p->spool);
	plugins_free(p->plugins);
}
