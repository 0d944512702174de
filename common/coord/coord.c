/* SPDX-License-Identifier: Apache-2.0 */
/* Coordination: its life cycle, and functions common to members and elections. Loop thread. */
#include "common/coord/coord.h"

#include "common/base/log.h"
#include "common/base/seal.h"
#include "common/coord/coord_private.h"

#include <sodium.h>
#include <string.h>

const struct config_key coord_config_keys[] = {
	{ "zk_quorum", CFG_STR, offsetof(struct coord_config, quorum), "127.0.0.1:55181", 0, 0, 0,
	  "ZooKeeper servers, host:port,host:port" },
	{ "zk_root", CFG_STR, offsetof(struct coord_config, root), "/loom", 0, 0, 0,
	  "node in ZooKeeper above all nodes of this Loom" },
	{ "zk_session", CFG_DURATION, offsetof(struct coord_config, session_ms), "4s", 1000, 60000,
	  0, "session timeout: how soon a dead process is noticed" },
	{ 0 },
};

struct metric coord_metrics[COORD_M_COUNT] = {
	[COORD_M_CONNECTED] = { .name = "loom_coord_connected",
	                        .help = "1 while connected to ZooKeeper.",
	                        .kind = METRIC_GAUGE },
	[COORD_M_SESSIONS] = { .name = "loom_coord_sessions_total",
	                       .help = "ZooKeeper sessions begun.",
	                       .kind = METRIC_COUNTER },
	[COORD_M_EXPIRED] = { .name = "loom_coord_expired_total",
	                      .help = "ZooKeeper sessions that expired or were refused.",
	                      .kind = METRIC_COUNTER },
	[COORD_M_LEADING] = { .name = "loom_coord_leading",
	                      .help = "Elections this process leads.",
	                      .kind = METRIC_GAUGE },
};

static int read_secret(const char *key_file, char **ret, struct loom_err *err)
{
	struct seal_key key;
	char hex[2 * SEAL_KEY + 1];
	int rc = key_file ? seal_key_init(key_file, "zookeeper", &key, err) : 0;
	if (rc || !key_file || !key.known)
		return rc;
	(void)sodium_bin2hex(hex, sizeof(hex), key.bytes, sizeof(key.bytes));
	*ret = loom_asprintf("loom:%s", hex);
	sodium_memzero(hex, sizeof(hex));
	seal_key_fini(&key);
	return 0;
}

/* Checks "host:port,[::1]:port/below": the client would only repeat "Invalid argument". */
int coord_config_check(const struct coord_config *cfg, struct loom_err *err)
{
	const char *quorum = cfg->quorum;
	const char *at = quorum;
	for (bool more = true; more; at++) {
		size_t n = strcspn(at, ","), part = strcspn(at, ",/");
		LOOM_CLEANUP_STR char *server = loom_strndup(at, part);
		const char *colon = strrchr(server, ':');
		int64_t port;
		if (!colon || colon == server || str_to_int(colon + 1, &port) || port < 1 ||
		    port > 65535)
			return err_set(err, 500, "zk_quorum '%s' is not HOST:PORT,HOST:PORT",
			               quorum);
		at += n;
		more = *at == ',';
	}
	return 0;
}

struct coord *coord_create(struct loop *l, const struct coord_config *cfg, struct loom_err *err)
{
	char *secret = NULL;
	if (coord_config_check(cfg, err) || read_secret(cfg->key_file, &secret, err))
		return NULL;
	struct coord *c = loom_calloc(1, sizeof(*c));
	const char *root = cfg->root + strspn(cfg->root, "/");
	size_t n = strlen(root);
	while (n && root[n - 1] == '/')
		n--;
	c->loop = l;
	c->secret = secret;
	c->quorum = loom_strdup(cfg->quorum);
	/* "loom", "/loom" and "/loom/" are the same; "" is the top itself */
	c->root = loom_asprintf("%s%.*s", n ? "/" : "", (int)n, root);
	c->asked_ms = c->timeout_ms = cfg->session_ms;
	c->lapsed = true; /* until the first contact */
	coord_zk_open(c);
	return c;
}

void coord_destroy(struct coord *c)
{
	if (!c)
		return;
	coord_zk_close(c);
	loop_timer_destroy(c->reopen);
	loop_timer_destroy(c->beat);
	loop_timer_destroy(c->retry);
	loop_timer_destroy(c->lapse);
	coord_members_free(c);
	coord_elections_free(c);
	if (c->secret)
		sodium_memzero(c->secret, strlen(c->secret));
	loom_free(c->secret);
	loom_free(c->quorum);
	loom_free(c->root);
	loom_free(c);
}

bool coord_connected(const struct coord *c)
{
	return c->connected;
}

int64_t coord_lapse_time(const struct coord *c)
{
	return c->last_contact + c->timeout_ms * 2 / 3;
}

/* A session carries out requests in order, so later ones find these nodes. */
void coord_ensure(struct coord *c, const char *dir)
{
	LOOM_CLEANUP_STR char *path = loom_strdup(dir);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		coord_make_dir(c, path);
		*slash = '/';
	}
	coord_make_dir(c, path);
}

void coord_refresh(struct coord *c)
{
	if (!c->has_dirs) {
		coord_members_dirs(c);
		coord_elections_dirs(c);
	}
	c->has_dirs = true;
	coord_members_refresh(c);
	coord_elections_refresh(c);
}

void coord_changed(struct coord *c, const char *path)
{
	coord_members_changed(c, path);
	coord_elections_changed(c, path);
}
