/* SPDX-License-Identifier: Apache-2.0 */
/* loom-ui-gateway, the web gateway. */
#include "gateway.h"

int main(int argc, char **argv)
{
	struct gateway g = { 0 };
	const struct config_table tables[] = {
		{ gateway_config_keys, &g.cfg },   { provider_config_keys, &g.cfg.provider },
		{ http_config_keys, &g.cfg.http }, { tls_config_keys, &g.cfg.tls },
		{ http_trust_keys, &g.cfg.trust }, { NULL, NULL },
	};
	const struct service_def def = {
		.name = "loom-ui-gateway",
		.summary = "Serves the web app and passes its requests on to loom-api.",
		.tables = tables,
		.ctx = &g,
		.check = gateway_check,
		.start = gateway_start,
		.drain = gateway_drain,
		.stop = gateway_stop,
		.ready = gateway_ready,
	};
	return service_run(&def, argc, argv);
}
