/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_list - the processes with a role, as ZooKeeper last listed them; sends notices to all
 * others. Loop thread.
 */
#ifndef LOOM_SERVICE_PEER_LIST_H
#define LOOM_SERVICE_PEER_LIST_H

#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "common/coord/coord.h"

struct peer_list {
	struct bus *bus;       /* borrowed; NULL: no notices are sent */
	struct strs ids;       /* all, including this process */
	struct strs addresses; /* bus addresses of the others */
};

/* For coord_watch(); arg is the list. */
void peer_list_changed(const struct coord_member *m, size_t n, void *arg);
void peer_list_notify(const struct peer_list *l, enum messages type, const void *m);
void peer_list_fini(struct peer_list *l);

#endif
