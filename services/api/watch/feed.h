/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - summaries of a tenant's clusters, read once and given to all readers that watch them.
 * There is one feed for the tenant, and one for each of its users who may only see their own
 * clusters. Loop thread.
 *
 * Giving takes time of the loop. So the feed rests after each round, and takes a small part of that
 * time, however many readers there are and however much happens. Several changes of one cluster
 * during the rest are given as one.
 */
#ifndef LOOM_API_FEED_H
#define LOOM_API_FEED_H

#include "common/base/ids.h"
#include "services/api/request/auth.h"
#include "services/api/watch/feed_late.h"

/* The new summary of a changed cluster. */
struct feed_news {
	char id[ID_MAX];
	struct feed_text *text;
};

/* Embedded in each reader's struct. */
struct feed_reader {
	struct feed *feed; /* NULL: joined none */
	struct feed_reader *next;
	/* Receives changed summaries, also formatted as events for sending. May leave the feed. */
	void (*give)(struct feed_reader *r, const struct feed_news *v, size_t n,
	             const struct buf *events);
};
/* From now on the reader receives the summary of each cluster that changes. */
void feeds_start(void); /* once: metrics */
void feed_join(struct feed_reader *r, struct api *a, const struct identity *who);
void feed_leave(struct feed_reader *r); /* does nothing if it joined none */
/* A notice: something happened to the cluster. */
void feeds_event(struct api *a, int64_t cluster, const char *tenant_id);
/* Notices may have been lost: checks all clusters that are pending. */
void feeds_poll(struct api *a);

#endif
