/* SPDX-License-Identifier: Apache-2.0 */
/* terms - maintains the search terms by which lists find clusters. Loop thread. */
#ifndef LOOM_API_TERMS_H
#define LOOM_API_TERMS_H

#include "services/api/api.h"

void terms_start(struct api *a);
void terms_stop(struct api *a);

#endif
