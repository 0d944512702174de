/* SPDX-License-Identifier: Apache-2.0 */
/* loom-provisioner: takes tasks from the server and carries them out with plugins. */
#include "provisioner.h"

static struct provisioner_settings arg_settings;

int main(int argc, char **argv)
{
	struct provisioner *p = provisioner_create(&arg_settings);
	const struct config_table tables[] = { { provisioner_keys, &arg_settings }, { 0 } };
	const struct service_def def = {
		.name = "loom-provisioner",
		.summary = "takes tasks from the server and carries them out with plugins",
		.tables = tables,
		.ctx = &p,
		.start = provisioner_start,
		.drain = provisioner_drain,
		.stop = provisioner_stop,
		.ready = provisioner_ready,
		.drain_ms = INT64_C(172800000), /* drain_timeout (at most a day) decides */
	};
	int code = service_run(&def, argc, argv);

	provisioner_destroy(p);
	return code;
}
