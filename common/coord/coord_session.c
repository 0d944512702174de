/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens and closes sessions with ZooKeeper. Opening one looks up the names of the servers, which
 * takes long where no name server answers, so a thread of its own does it. Who closes the session
 * meanwhile does not wait for that thread: it closes what it has made. The library would look the
 * names up again at each turn of its own thread, and lose the session where that takes long; so it
 * does only when it has lost the connection.
 */
#include "common/coord/coord_private.h"

#include <errno.h>

void coord_session_unref(struct coord_session *s)
{
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	(void)pthread_mutex_destroy(&s->lock);
	loom_free(s->quorum);
	loom_free(s);
}

bool coord_session_post(struct coord_session *s, loop_fn fn, void *arg)
{
	(void)pthread_mutex_lock(&s->lock);
	bool posted = !s->given_up;
	if (posted) {
		atomic_fetch_add(&s->refs, 1);
		loop_post(s->loop, fn, arg);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return posted;
}

/* A thread of its own. */
static void *open_work(void *arg)
{
	struct coord_session *s = arg;
	zhandle_t *zh = zookeeper_init(s->quorum, s->on_event, s->asked_ms, NULL, s, 0);
	int error = errno;
	if (zh)
		(void)zoo_set_servers_resolution_delay(zh, -1);
	(void)pthread_mutex_lock(&s->lock);
	s->error = error;
	s->made = s->given_up ? NULL : zh;
	(void)pthread_mutex_unlock(&s->lock);
	if (!coord_session_post(s, s->opened, s) && zh && !s->made)
		(void)zookeeper_close(zh);
	coord_session_unref(s);
	return NULL;
}

struct coord_session *coord_session_open(struct coord *c, watcher_fn on_event, loop_fn opened)
{
	struct coord_session *s = loom_calloc(1, sizeof(*s));
	pthread_t thread;
	s->refs = 2;
	s->loop = c->loop;
	s->quorum = loom_strdup(c->quorum);
	s->asked_ms = (int)c->asked_ms;
	s->coord = c;
	s->on_event = on_event;
	s->opened = opened;
	(void)pthread_mutex_init(&s->lock, NULL);
	if (pthread_create(&thread, NULL, open_work, s))
		(void)open_work(s); /* without threads it has to be here */
	else
		(void)pthread_detach(thread);
	return s;
}

void coord_session_close(struct coord_session *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->given_up = true;
	zhandle_t *zh = s->made;
	(void)pthread_mutex_unlock(&s->lock);
	if (zh)
		(void)zookeeper_close(zh); /* joins the library's threads */
}
