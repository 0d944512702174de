/* SPDX-License-Identifier: Apache-2.0 */
/* loom-api, the REST interface. */
#include "services/api/api.h"
#include "services/api/catalog/rotate.h"

int main(int argc, char **argv)
{
	struct api a = { 0 };
	const struct config_table tables[] = {
		{ api_config_keys, &a.cfg },          { http_config_keys, &a.cfg.http },
		{ tls_config_keys, &a.cfg.tls },      { db_config_keys, &a.cfg.db },
		{ keyring_config_keys, &a.cfg.keys }, { bus_config_keys, &a.cfg.bus },
		{ coord_config_keys, &a.cfg.coord },  { NULL, NULL },
	};
	const struct service_command rotate = { "--rotate-keys", "--rotate-keys[=data]",
		                                "seal the tenants' keys with the newest master "
		                                "key; data: make new ones, too, and seal all anew",
		                                rotate_keys };
	const struct service_def def = {
		.name = "loom-api",
		.summary =
			"The REST face of Loom: authenticates, validates, reads, and records intent.",
		.tables = tables,
		.ctx = &a,
		.check = api_check,
		.start = api_start,
		.drain = api_drain,
		.stop = api_stop,
		.ready = api_ready,
		.notes = api_notes,
		.command = &rotate,
	};
	return service_run(&def, argc, argv);
}
