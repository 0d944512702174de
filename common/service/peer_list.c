/* SPDX-License-Identifier: Apache-2.0 */
/* peer_list - keeps the last list; a notice is encoded once for all. */
#include "common/service/peer_list.h"

#include "common/base/str.h"

void peer_list_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct peer_list *l = arg;
	peer_list_fini(l);
	for (size_t i = 0; i < n; i++) {
		strs_add(&l->ids, m[i].id);
		if (l->bus && !str_eq(m[i].data, bus_address(l->bus)))
			strs_add(&l->addresses, m[i].data);
	}
}

void peer_list_notify(const struct peer_list *l, enum messages type, const void *m)
{
	LOOM_CLEANUP_STR char *text = message_write(&messages[type], m);
	for (size_t i = 0; i < l->addresses.n; i++)
		bus_notify(l->bus, l->addresses.v[i], &messages[type], text);
}

void peer_list_fini(struct peer_list *l)
{
	strs_fini(&l->ids);
	strs_fini(&l->addresses);
	l->ids = l->addresses = (struct strs){ 0 };
}
