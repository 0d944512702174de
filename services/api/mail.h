/* SPDX-License-Identifier: Apache-2.0 */
/* mail - sends requests to a scheduler through the database (common/model/mail.h), while the bus
 * does not work. Loop thread. */
#ifndef LOOM_API_MAIL_H
#define LOOM_API_MAIL_H

#include "services/api/api.h"

struct letter;

/* Calls cb once with the answer; never if none comes. Returns a handle for mail_cancel(). */
struct letter *mail_send(struct api *a, const struct message_type *t, const char *text,
                         int64_t wait_ms, bus_reply_cb cb, void *arg);
void mail_cancel(struct letter *l);

#endif
