/* SPDX-License-Identifier: Apache-2.0 */
/* The REST face of Loom. */
#include "services/api/api.h"

int main(int argc, char **argv)
{
	struct api a = { 0 };
	const struct config_table tables[] = {
		{ api_config_keys, &a.cfg },         { http_config_keys, &a.cfg.http },
		{ db_config_keys, &a.cfg.db },       { bus_config_keys, &a.cfg.bus },
		{ coord_config_keys, &a.cfg.coord }, { NULL, NULL },
	};
	const struct service_def def = {
		.name = "loom-api",
		.summary =
			"The REST face of Loom: authenticates, validates, reads, and records intent.",
		.tables = tables,
		.ctx = &a,
		.start = api_start,
		.drain = api_drain,
		.stop = api_stop,
		.ready = api_ready,
		.notes = api_notes,
	};
	return service_run(&def, argc, argv);
}
