/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a request for a new cluster and expands it from no nodes.
 * Only this way of reading the services is special: a new cluster has none yet.
 */
#include "services/scheduler/placement/solve.h"

#include "services/scheduler/placement/relayout.h"

/* A service is a name or an object with a name. Without any, the template's defaults apply. */
static void read_services(const struct solve_input *in, struct strs *ret)
{
	const struct json *list = json_get(in->request, "services");
	if (!json_len(list))
		list = json_path(in->template, "defaults/services");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_at(list, i);
		const char *name = json_is(e, JSON_OBJECT) ? json_get_str(e, "name") : json_str(e);
		if (name)
			strs_add(ret, name);
	}
}

int solve(const struct solve_input *in, struct layout **ret, struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs services = { 0 };
	LOOM_CLEANUP(relayout_free) struct relayout *found = NULL;
	const struct relayout_input ask = {
		.operation = RELAYOUT_CREATE,
		.template = in->template,
		.provider = in->provider,
		.hardwaretypes = in->hardwaretypes,
		.imagetypes = in->imagetypes,
		.services = in->services,
		.request = in->request,
		.cluster_id = in->cluster_id,
		.cluster_name = in->cluster_name,
		.named = &services,
		.count = json_get_int(in->request, "numMachines", 0),
	};
	read_services(in, &services);
	int rc = relayout_find(&ask, &found, err);
	if (rc)
		return rc;
	*ret = loom_calloc(1, sizeof(**ret));
	**ret = found->added;
	(*ret)->services = found->services;
	found->added = (struct layout){ 0 };
	found->services = (struct strs){ 0 };
	return 0;
}
