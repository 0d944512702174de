/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the sentence and status that a refusal carries. */
#include "common/base/err.h"

#include <stdio.h>
#include <string.h>

int err_set(struct loom_err *err, int status, const char *fmt, ...)
{
	char text[sizeof(err->msg)];
	va_list ap;
	if (err) {
		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		memcpy(err->msg, text, strlen(text) + 1);
		err->status = status;
	}
	return status > 0 ? status : 1;
}
