/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - what the clusters of a tenant come to, read once and given to all who watch them. There is
 * one for the tenant and one for each of its users who may only see their own clusters. Loop
 * thread.
 *
 * Giving takes the loop's time, which others need: after a round it rests, so that all of it stays
 * a small part, however many readers there are and however much happens. What happens meanwhile to
 * one cluster is told once.
 */
#ifndef LOOM_API_FEED_H
#define LOOM_API_FEED_H

#include "common/base/ids.h"
#include "services/api/auth.h"

/* The summary of a cluster that has changed, as JSON. */
struct feed_news {
	char id[ID_MAX];
	char *text;
};

/* Embedded in whoever reads it. */
struct feed_reader {
	struct feed *feed; /* NULL: of none */
	struct feed_reader *next;
	/* Some news, and the same as events, ready to be sent. May leave. */
	void (*give)(struct feed_reader *r, const struct feed_news *v, size_t n,
	             const struct buf *events);
};
/* Gets a summary of each cluster that changes from now on. */
void feed_join(struct feed_reader *r, struct api *a, const struct identity *who);
void feed_leave(struct feed_reader *r); /* a reader of none: nothing */
/* A notice: the cluster has news. */
void feeds_event(struct api *a, int64_t cluster, const char *tenant_id);
/* A notice may have been lost: looks at all that is under way. */
void feeds_poll(struct api *a);

#endif
