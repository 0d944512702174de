/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_share - the single rule for sharing the places among tenants. */
#include "services/scheduler/webhook/webhook_share.h"

/* This many bytes add one to the weight: at most 64 MiB with callback_at_once's default, 256. */
#define UNIT ((size_t)256 << 10)

int64_t webhook_weight(size_t bytes)
{
	return 1 + (int64_t)(bytes / UNIT);
}

int64_t webhook_share(int64_t at_once, int64_t under_way)
{
	return under_way < at_once ? at_once - under_way : 0;
}
