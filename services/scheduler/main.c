/* SPDX-License-Identifier: Apache-2.0 */
/* main - runs loom-scheduler. */
#include "services/scheduler/scheduler.h"

int main(int argc, char **argv)
{
	struct scheduler s = { 0 };
	const struct config_table tables[] = {
		{ scheduler_config_keys, &s.cfg },
		{ webhook_config_keys, &s.webhook_cfg },
		{ quarantine_config_keys, &s.quarantine_cfg },
		{ tls_config_keys, &s.cfg.tls },
		{ db_config_keys, &s.cfg.db },
		{ keyring_config_keys, &s.cfg.keys },
		{ bus_config_keys, &s.cfg.bus },
		{ coord_config_keys, &s.cfg.coord },
		{ NULL, NULL },
	};
	const struct service_def def = {
		.name = "loom-scheduler",
		.summary =
			"Solves layouts, plans task graphs, hands out tasks and applies their results.",
		.tables = tables,
		.ctx = &s,
		.check = scheduler_check,
		.start = scheduler_start,
		.drain = scheduler_drain,
		.stop = scheduler_stop,
		.ready = scheduler_ready,
		.notes = scheduler_notes,
	};
	return service_run(&def, argc, argv);
}
