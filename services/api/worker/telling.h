/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telling - sends the original's provisioners the number of workers to run for each tenant, by a
 * call to their own port (REST spec 11). The numbers are in the database
 * (model/worker/worker_share.h). Every API looks for due calls every few seconds; one API makes
 * each call, with no lock held. A call that fails is repeated with growing waits, as long as the
 * provisioner is registered.
 */
#ifndef LOOM_API_TELLING_H
#define LOOM_API_TELLING_H

#include "services/api/api.h"

void telling_start(struct api *a); /* loop thread */
void telling_stop(struct api *a);  /* after the last worker has ended */
void telling_soon(struct api *a);  /* a call is due; any thread */

#endif
