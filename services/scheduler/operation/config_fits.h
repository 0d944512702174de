/* SPDX-License-Identifier: Apache-2.0 */
/* config_fits - whether a configuration can be expanded on the nodes that there will be. Pure. */
#ifndef LOOM_SCHEDULER_CONFIG_FITS_H
#define LOOM_SCHEDULER_CONFIG_FITS_H

#include "common/model/cluster/node.h"
#include "services/scheduler/placement/relayout.h"

/* 0, or 400 with err: it names a node (%host.service.S[i]%) that there will not be, so each task
 * that gets it would fail, after others have made and destroyed machines. ns: the present nodes and
 * the new ones; t: which of them go; NULL: none. */
LOOM_MUST_CHECK int config_fits(const struct json *config, const struct nodes *ns,
                                const struct relayout *t, struct loom_err *err);

#endif
