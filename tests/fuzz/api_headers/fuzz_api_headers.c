/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of headers, each a line: of traces, of versions (If-Match), of proxies (X-Forwarded-For).
 * What is passed on to others is as they must have it, and an address fits into its column.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "common/base/trace.h"
#include "common/model/precondition.h"
#include "services/api/request/audit.h"

#include <string.h>

static void check_printable(const char *text)
{
	for (; *text; text++)
		loom_assert((unsigned char)*text >= ' ' && (unsigned char)*text < 0x7f);
}

static void check_trace(const char *value)
{
	struct trace t, again;
	char text[TRACE_TEXT];
	if (!trace_parse(value, &t))
		return;
	trace_text(&t, text);
	loom_assert(trace_parse(text, &again) && str_eq(t.id, again.id));
	loom_assert(str_eq(t.span, again.span) && t.sampled == again.sampled);
}

static void check_state(const char *const *values, size_t n)
{
	LOOM_CLEANUP_STR char *state = trace_state(values, n);
	if (!state)
		return;
	loom_assert(*state && strlen(state) <= TRACE_STATE_MAX);
	check_printable(state);
	const char *one = state;
	LOOM_CLEANUP_STR char *again = trace_state(&one, 1);
	loom_assert(str_eq(state, again));
}

static void check_versions(const char *value)
{
	const struct precondition match = { .match = value }, none = { .none_match = value };
	if (!precondition_well_formed(value))
		return;
	loom_assert(!precondition_met(&match, NULL) && precondition_met(&none, NULL));
	/* A weak tag is the same version only for If-None-Match. */
	if (!strstr(value, "W/"))
		loom_assert(precondition_met(&match, "\"7\"") != precondition_met(&none, "\"7\""));
	(void)precondition_has(&none, "\"7\"");
}

static void check_from(const char *value)
{
	static const char *const trusted[] = { "", "10.0.0.0/8 ::1/128", "0.0.0.0/0 ::/0" };
	for (size_t i = 0; i < LOOM_COUNT(trusted); i++) {
		char from[64] = "";
		audit_from(trusted[i], "10.0.0.1:80", value, from);
		loom_assert(*from && strnlen(from, sizeof(from)) < sizeof(from));
		check_printable(from);
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, size);
	LOOM_CLEANUP(strs_fini) struct strs lines = { 0 };
	for (const char *at = text; lines.n < 16;) {
		size_t n = strcspn(at, "\n");
		LOOM_CLEANUP_STR char *one = loom_strndup(at, n);
		strs_add(&lines, one);
		if (!at[n])
			break;
		at += n + 1;
	}
	for (size_t i = 0; i < lines.n; i++) {
		check_trace(lines.v[i]);
		check_versions(lines.v[i]);
		check_from(lines.v[i]);
	}
	check_state((const char *const *)lines.v, lines.n);
	return 0;
}
