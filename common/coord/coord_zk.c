/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ZooKeeper session.
 * The library calls on_event() and the *_done() functions on its own two threads: they copy their
 * arguments and post them. The rest is on the loop.
 *
 * An operation stays in coord->ops until its end has come through the loop. Closing a session joins
 * the library's threads. After that each operation either is in the loop's queue (freed when it
 * comes) or will never be reported (freed at once).
 */
#include "common/coord/coord.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/coord/coord_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { RETRY_MS = 1000 }; /* short compared with a session, and no load for a quorum that is back */

#ifdef __SANITIZE_ADDRESS__
/* When a handle is closed, the library does not free its data about unanswered requests. Every
 * program built with the leak checker that links this file ignores that leak. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libzookeeper_mt.so\n";
}
#endif

struct event_message {
	struct coord_session *session;
	int type, state;
	char *path;
};

/* ---- contact --------------------------------------------------------------------------------- */

static bool rc_is_contact(int rc)
{
	switch (rc) {
	case ZCONNECTIONLOSS:
	case ZOPERATIONTIMEOUT:
	case ZSESSIONEXPIRED:
	case ZINVALIDSTATE:
	case ZCLOSING:
	case ZAUTHFAILED:
	case ZSESSIONMOVED:
	case ZMARSHALLINGERROR:
	case ZBADARGUMENTS:
	case ZSYSTEMERROR:
		return false;
	default:
		return true;
	}
}

static void note_contact(struct coord *c, int64_t sent)
{
	int64_t now = clock_mono_ms();
	if (sent <= c->last_contact)
		return;
	c->last_contact = sent;
	if (coord_lapse_time(c) <= now)
		return;
	loop_timer_arm(c->lapse, coord_lapse_time(c) - now);
	if (c->lapsed) {
		c->lapsed = false;
		coord_elections_refresh(c);
	}
}

static void on_lapse(void *arg)
{
	struct coord *c = arg;
	c->lapsed = true;
	coord_elections_depose(c);
}

static void beat_done(struct coord *c, struct coord_op *op)
{
	(void)op;
	c->beating = false;
}

static void on_beat(void *arg)
{
	struct coord *c = arg;
	if (!c->connected || c->beating)
		return;
	c->beating = true;
	coord_exists(c, c->root[0] ? c->root : "/", false, beat_done, NULL);
}

static void on_retry(void *arg)
{
	struct coord *c = arg;
	c->retrying = false;
	if (c->connected)
		coord_refresh(c);
}

void coord_retry(struct coord *c)
{
	if (!c->retrying)
		loop_timer_arm(c->retry, RETRY_MS);
	c->retrying = true;
}

/* ---- session events -------------------------------------------------------------------------- */

static void reopen(void *arg)
{
	coord_zk_open(arg);
}

static void on_connected(struct coord *c)
{
	const clientid_t *id = zoo_client_id(c->session->zh);
	if (id && id->client_id != c->client_id) {
		c->client_id = id->client_id;
		c->has_dirs = false;
		metric_add(&coord_metrics[COORD_M_SESSIONS], 1);
	}
	c->timeout_ms = zoo_recv_timeout(c->session->zh);
	c->connected = true;
	metric_set(&coord_metrics[COORD_M_CONNECTED], 1);
	log_info("ZooKeeper connected", LOG_I("timeout_ms", c->timeout_ms));
	loop_timer_every(c->beat, c->timeout_ms / 8 + 1);
	coord_refresh(c);
}

static void on_session_state(struct coord *c, int state)
{
	if (state == ZOO_CONNECTED_STATE) {
		on_connected(c);
		return;
	}
	if (c->connected)
		log_warn("ZooKeeper connection lost");
	c->connected = false;
	metric_set(&coord_metrics[COORD_M_CONNECTED], 0);
	if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE) {
		log_warn("ZooKeeper session ended",
		         LOG_S("why", state == ZOO_AUTH_FAILED_STATE ? "refused" : "expired"));
		metric_add(&coord_metrics[COORD_M_EXPIRED], 1);
		coord_elections_depose(c);
		coord_zk_close(c);
		loop_timer_arm(c->reopen, state == ZOO_AUTH_FAILED_STATE ? RETRY_MS : 0);
	}
}

static void take_event(void *arg)
{
	struct event_message *m = arg;
	struct coord *c = m->session->coord;
	if (c && !m->session->zh)
		m->session->early = m->state;
	else if (c && m->type == ZOO_SESSION_EVENT)
		on_session_state(c, m->state);
	else if (c && c->connected && m->path)
		coord_changed(c, m->path);
	coord_session_unref(m->session);
	loom_free(m->path);
	loom_free(m);
}

/* The library's thread. */
static void on_event(zhandle_t *zh, int type, int state, const char *path, void *ctx)
{
	struct coord_session *s = ctx;
	struct event_message *m = loom_calloc(1, sizeof(*m));
	(void)zh;
	*m = (struct event_message){
		.session = s, .type = type, .state = state, .path = loom_strdup(path)
	};
	if (coord_session_post(s, take_event, m))
		return;
	loom_free(m->path);
	loom_free(m);
}

static void zk_once(void)
{
	/* 0 is below the first level: the library's own log lines are not in Loom's format. */
	zoo_set_debug_level((ZooLogLevel)0);
	metrics_register(coord_metrics, COORD_M_COUNT);
}

/* The library has made the session, or could not. */
static void take_opened(void *arg)
{
	struct coord_session *s = arg;
	struct coord *c = s->coord;
	if (c && !s->made) {
		log_warn("ZooKeeper cannot be contacted", LOG_S("quorum", c->quorum),
		         LOG_S("error", strerrordesc_np(s->error)));
		coord_zk_close(c);
		loop_timer_arm(c->reopen, RETRY_MS);
	} else if (c) {
		s->zh = s->made;
		if (c->secret && zoo_add_auth(s->zh, "digest", c->secret, (int)strlen(c->secret),
		                              NULL, NULL) != ZOK)
			log_warn("ZooKeeper authentication could not be started");
		if (s->early)
			on_session_state(c, s->early);
	}
	coord_session_unref(s);
}

void coord_zk_open(struct coord *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, zk_once);
	if (!c->reopen) {
		c->reopen = loop_timer_create(c->loop, "coord reopen", reopen, c);
		c->beat = loop_timer_create(c->loop, "coord beat", on_beat, c);
		c->retry = loop_timer_create(c->loop, "coord retry", on_retry, c);
		c->lapse = loop_timer_create(c->loop, "coord lapse", on_lapse, c);
	}
	c->session = coord_session_open(c, on_event, take_opened);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void op_free(struct coord_op *op)
{
	loom_free(op->data);
	strs_fini(&op->names);
	loom_free(op);
}

static void op_unlink(struct coord *c, struct coord_op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		c->ops = op->next;
	if (op->next)
		op->next->prev = op->prev;
	op->prev = op->next = NULL;
}

void coord_zk_close(struct coord *c)
{
	struct coord_session *s = c->session;
	if (!s)
		return;
	c->session = NULL;
	s->coord = NULL;
	coord_session_close(s);
	while (c->ops) {
		struct coord_op *op = c->ops;
		op_unlink(c, op);
		op->coord = NULL;
		if (!op->posted)
			op_free(op);
	}
	c->connected = c->beating = c->has_dirs = false;
	c->client_id = 0;
	metric_set(&coord_metrics[COORD_M_CONNECTED], 0);
	loop_timer_disarm(c->beat);
	coord_session_unref(s);
	coord_members_reset(c);
	coord_elections_reset(c);
}

static void take_op(void *arg)
{
	struct coord_op *op = arg;
	struct coord *c = op->coord;
	if (c) {
		op_unlink(c, op);
		if (rc_is_contact(op->rc))
			note_contact(c, op->sent);
		if (op->done)
			op->done(c, op);
	}
	op_free(op);
}

/* The library's thread, or the loop when the library refused the operation. */
static void op_end(struct coord_op *op, int rc)
{
	op->rc = rc;
	op->posted = true;
	loop_post(op->loop, take_op, op);
}

/* The library takes operations as const; this returns them as they are. */
static struct coord_op *op_of(const void *data)
{
	union {
		const void *in;
		struct coord_op *out;
	} view = { .in = data };

	return view.out;
}

static void void_done(int rc, const void *data)
{
	op_end(op_of(data), rc);
}

static void string_done(int rc, const char *value, const void *data)
{
	(void)value;
	op_end(op_of(data), rc);
}

static void stat_done(int rc, const struct Stat *stat, const void *data)
{
	struct coord_op *op = op_of(data);
	if (rc == ZOK && stat)
		op->stat = *stat;
	op_end(op, rc);
}

static void data_done(int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
	struct coord_op *op = op_of(data);
	if (rc == ZOK && stat)
		op->stat = *stat;
	if (rc == ZOK)
		op->data = loom_strndup(value ? value : "", len > 0 ? (size_t)len : 0);
	op_end(op, rc);
}

static void strings_done(int rc, const struct String_vector *v, const void *data)
{
	struct coord_op *op = op_of(data);
	for (int32_t i = 0; rc == ZOK && v && i < v->count; i++)
		strs_add(&op->names, v->data[i]);
	op_end(op, rc);
}

static struct coord_op *op_start(struct coord *c, coord_op_fn done, void *target, size_t index)
{
	struct coord_op *op = loom_calloc(1, sizeof(*op));
	*op = (struct coord_op){ .coord = c,
		                 .loop = c->loop,
		                 .done = done,
		                 .target = target,
		                 .index = index,
		                 .sent = clock_mono_ms(),
		                 .next = c->ops };
	if (op->next)
		op->next->prev = op;
	c->ops = op;
	return op;
}

static zhandle_t *handle(const struct coord *c)
{
	loom_assert(c->session);
	return c->session->zh;
}

static void op_started(struct coord_op *op, int rc)
{
	if (rc != ZOK)
		op_end(op, rc);
}

void coord_exists(struct coord *c, const char *path, bool watch, coord_op_fn done, void *target)
{
	struct coord_op *op = op_start(c, done, target, 0);
	op_started(op, zoo_aexists(handle(c), path, watch, stat_done, op));
}

void coord_get(struct coord *c, const char *path, coord_op_fn done, void *target, size_t index)
{
	struct coord_op *op = op_start(c, done, target, index);
	op_started(op, zoo_aget(handle(c), path, 0, data_done, op));
}

void coord_children(struct coord *c, const char *path, bool watch, coord_op_fn done, void *target)
{
	struct coord_op *op = op_start(c, done, target, 0);
	op_started(op, zoo_aget_children(handle(c), path, watch, strings_done, op));
}

/* Changeable by us only, readable by all. Fills entries. */
static struct ACL_vector acl(const struct coord *c, struct ACL entries[2])
{
	if (!c->secret)
		return ZOO_OPEN_ACL_UNSAFE;
	entries[0] = (struct ACL){ ZOO_PERM_ALL, ZOO_AUTH_IDS };
	entries[1] = (struct ACL){ ZOO_PERM_READ, ZOO_ANYONE_ID_UNSAFE };
	return (struct ACL_vector){ 2, entries };
}

/* Nodes above our root may be shared with others. */
static bool is_ours(const struct coord *c, const char *path)
{
	return c->root[0] && str_starts(path, c->root);
}

static void closed(struct coord *c LOOM_UNUSED, struct coord_op *op)
{
	if (op->rc == ZNOAUTH)
		log_warn("a node in ZooKeeper is owned with another key", LOG_S("path", op->data));
}

static void dir_made(struct coord *c, struct coord_op *op)
{
	if (op->rc != ZNODEEXISTS || !c->secret || !c->session || !is_ours(c, op->data))
		return;
	struct ACL entries[2];
	struct ACL_vector ours = acl(c, entries);
	struct coord_op *close_it = op_start(c, closed, NULL, 0);
	close_it->data = loom_strdup(op->data);
	op_started(close_it, zoo_aset_acl(handle(c), op->data, -1, &ours, void_done, close_it));
}

void coord_make_dir(struct coord *c, const char *path)
{
	struct coord_op *op = op_start(c, dir_made, NULL, 0);
	struct ACL entries[2];
	const struct ACL_vector ours = acl(c, entries);
	op->data = loom_strdup(path);
	op_started(op, zoo_acreate(handle(c), path, "", 0,
	                           is_ours(c, path) ? &ours : &ZOO_OPEN_ACL_UNSAFE, 0, string_done,
	                           op));
}

void coord_create_node(struct coord *c, const char *path, const char *data, int mode,
                       coord_op_fn done, void *target)
{
	struct coord_op *op = op_start(c, done, target, 0);
	struct ACL entries[2];
	const struct ACL_vector ours = acl(c, entries);
	op_started(op, zoo_acreate(handle(c), path, data, (int)strlen(data), &ours, mode,
	                           string_done, op));
}

void coord_delete(struct coord *c, const char *path, coord_op_fn done, void *target)
{
	struct coord_op *op = op_start(c, done, target, 0);
	op_started(op, zoo_adelete(handle(c), path, -1, void_done, op));
}

void coord_sync(struct coord *c, const char *path)
{
	struct coord_op *op = op_start(c, NULL, NULL, 0);
	op_started(op, zoo_async(handle(c), path, string_done, op));
}
