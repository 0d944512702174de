/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrow - callers whom roles of their tenant's own narrow (common/model/identity/own_role.h): what
 * the table of routes lets through for their base is looked at again. Which permissions count for
 * all that is asked; which templates and providers for changes of clusters. What is seen follows
 * the base alone. Each request reads its roles anew, so a change of one counts at once. Worker
 * threads.
 */
#ifndef LOOM_API_NARROW_H
#define LOOM_API_NARROW_H

#include "common/model/identity/own_role.h"
#include "services/api/request/auth.h"

enum { NARROW_MOST = 2 }; /* the user's and the token's */

struct narrow {
	size_t n;
	struct {
		const char *name; /* borrowed from the identity */
		struct own_role role;
	} by[NARROW_MOST];
};
void narrow_fini(struct narrow *n);

/* false after answering. */
bool narrow_read(struct api *a, struct http_req *req, const struct identity *who,
                 struct narrow *ret);
/* Do the roles permit the call? false after answering 403. */
bool narrow_permits(const struct narrow *n, struct http_req *req, const struct route *r);
/* The same for a change of a cluster: may it be one of this template and provider? */
bool narrow_permits_cluster(const struct narrow *n, struct http_req *req, const struct route *r,
                            const char *template, const char *provider);

#endif
