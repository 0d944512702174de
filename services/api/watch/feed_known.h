/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_known - remembers which summary a feed gave last for each cluster. It keeps a hash, so that
 * a cluster takes some hundred bytes however long its summary is. Terminated clusters are dropped,
 * as they do not change any more. One thread at a time.
 */
#ifndef LOOM_API_FEED_KNOWN_H
#define LOOM_API_FEED_KNOWN_H

#include "common/base/map.h"

#include <stddef.h>

struct feed_known;

struct feed_known *feed_known_create(void);
void feed_known_destroy(struct feed_known *k); /* NULL ok */
/* Notes the present summary (JSON) of a cluster. false: it equals the last one. */
LOOM_MUST_CHECK bool feed_known_note(struct feed_known *k, const char *id, const char *summary);
/* Adds the ids of clusters whose last summary was pending to a set, with value as the map's value,
 * borrowed. */
void feed_known_pending(const struct feed_known *k, struct map *set, void *value);
size_t feed_known_count(const struct feed_known *k); /* clusters */

#endif
