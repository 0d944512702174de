/* SPDX-License-Identifier: Apache-2.0 */
/* loom-provisioner: takes tasks from the server and carries them out with plugins. */
#include "provisioner.h"

static struct provisioner_settings arg_settings;

int main(int argc, char **argv)
{
	struct provisioner *p = provisioner_create(&arg_settings);
	const struct config_table tables[] = {
		{ provisioner_keys, &arg_settings },
		{ tls_config_keys, &arg_settings.tls },
		{ http_trust_keys, &arg_settings.trust },
		{ 0 },
	};
	const struct service_def def = {
		.name = "loom-provisioner",
		.summary = "takes tasks from the server and carries them out with plugins",
		.tables = tables,
		.ctx = &p,
		.check = provisioner_check,
		.start = provisioner_start,
		.drain = provisioner_drain,
		.stop = provisioner_stop,
		.ready = provisioner_ready,
	};
	int code = service_run(&def, argc, argv);

	provisioner_destroy(p);
	return code;
}
