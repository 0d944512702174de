/* SPDX-License-Identifier: Apache-2.0 */
/* outcome - what a transaction came to: only what its last run decided counts. */
#include "common/model/cluster/outcome.h"

#include "common/base/log.h"
#include "common/base/text.h"

#include <stdarg.h>

enum { REFUSED = 400, LAST_STATUS = 599 };

int outcome_done(struct outcome *o, int64_t cluster, int64_t seq)
{
	*o = (struct outcome){ .status = 200, .cluster = cluster, .seq = seq };
	return 0;
}

int outcome_refuse(struct outcome *o, int status, const char *fmt, ...)
{
	va_list ap;
	loom_assert(status >= REFUSED && status <= LAST_STATUS);
	*o = (struct outcome){ .status = status };
	va_start(ap, fmt);
	text_fit(loom_vasprintf(fmt, ap), o->msg, sizeof(o->msg));
	va_end(ap);
	return status;
}

struct deciding {
	db_tx_fn fn;
	void *arg;
	struct outcome *o;
};

static int run(struct db *db, void *arg)
{
	const struct deciding *d = arg;
	*d->o = (struct outcome){ 0 };
	return d->fn(db, d->arg);
}

int outcome_settle(struct outcome *o, int rc)
{
	bool recorded = !rc && o->status == 200;
	bool refused = rc >= REFUSED && rc == o->status;
	if (recorded || refused)
		return 0;
	*o = (struct outcome){ 0 };
	if (rc && !err_is_refusal(rc))
		return rc;
	log_error("a transaction ended undecided", LOG_I("code", rc));
	return DB_E_FATAL;
}

int outcome_tx(struct db_pool *p, db_tx_fn fn, void *arg, struct outcome *o)
{
	struct deciding d = { fn, arg, o };
	return outcome_settle(o, db_tx(p, run, &d));
}
