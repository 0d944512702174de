/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share_push - sends the original's provisioners the number of workers to run for each tenant, by a
 * call to their own port (REST spec 11). The numbers are in the database
 * (model/worker/worker_share.h). Every API looks for due calls every few seconds; one API makes
 * each call, with no lock held. A call that fails is repeated with growing waits, as long as the
 * provisioner is registered.
 */
#ifndef LOOM_API_SHARE_PUSH_H
#define LOOM_API_SHARE_PUSH_H

#include "services/api/api.h"

void share_push_start(struct api *a); /* loop thread */
void share_push_stop(struct api *a);  /* after the last worker has ended */
void share_push_soon(struct api *a);  /* a call is due; any thread */

#endif
