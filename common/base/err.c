/* SPDX-License-Identifier: Apache-2.0 */
/* err - the names and statuses of codes, and the sentences of refusals. */
#include "common/base/err.h"

#include "common/base/text.h"

#include <stdarg.h>
#include <string.h>

enum { FIRST_STATUS = 400 };

#define ROW(code, status, words) { code, status, words },
static const struct row {
	int code, status;
	const char *words;
} rows[] = { { ERR_NONE, 200, "ok" }, ERR_REFUSALS(ROW) ERR_FAULTS(ROW) };

static const struct row *row_of(int code)
{
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		if (rows[i].code == code)
			return &rows[i];
	}
	return NULL;
}

static bool is_status(int code)
{
	return code >= FIRST_STATUS && code <= ERR_LAST_STATUS;
}

int err_set(struct loom_err *err, int code, const char *fmt, ...)
{
	const struct row *r = code ? row_of(code) : NULL;
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		char *text = loom_vasprintf(fmt, ap);
		va_end(ap);
		text_fit(text, err->msg, sizeof(err->msg)); /* the database wants UTF-8 */
		err->status = r ? r->status : code;
	}
	return code > 0 ? code : ERR_PLAIN;
}

const char *err_name(int code)
{
	const struct row *r = row_of(code);
	return r ? r->words : "refused";
}

int err_http_status(int code)
{
	const struct row *r = row_of(code);
	return r ? r->status : is_status(code) ? code : 500;
}

bool err_is_refusal(int code)
{
	return code > 0 && code <= ERR_LAST_REFUSAL;
}
