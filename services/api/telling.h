/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telling - tells provisioners of the original how many workers to run for which tenant, by a call
 * to their own port (REST spec 11), as the database says it (model/worker_share.h). Each API looks
 * every few seconds; one at a time does each call, with no lock held. One that does not answer is
 * tried again, later and later, as long as it is registered.
 */
#ifndef LOOM_API_TELLING_H
#define LOOM_API_TELLING_H

#include "services/api/api.h"

void telling_start(struct api *a); /* loop */
void telling_stop(struct api *a);  /* when no worker is left */
void telling_soon(struct api *a);  /* something is due; any thread */

#endif
