/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a plugin's answer field by field, and builds the finish message from it. */
#include "result.h"

#include "common/base/str.h"
#include "common/base/text.h"
#include "common/operation/task_result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	BAD = 1,
	EXIT_GIVE_UP = 100,
	STATUS_FAILED = 1,
	STATUS_MAX = 999,
	MESSAGE_MAX = 1024,
	WORDS_MAX = 200,
	MS = 1000,
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static int check_answer(const struct json *v, struct loom_err *err)
{
	int64_t status;
	if (!json_is(v, JSON_OBJECT))
		return err_set(err, BAD, "it is not a JSON object");
	if (!json_is(json_get(v, "status"), JSON_NULL) &&
	    (!json_int(json_get(v, "status"), &status) || status < 0 || status > STATUS_MAX))
		return err_set(err, BAD, "status is not a number from 0 to %d", STATUS_MAX);
	return task_result_check(v, err);
}

/* The usable part of an unusable answer. The name of what a provider has created must be kept, or
 * nobody can delete it. */
static struct json *usable_part(const struct json *v)
{
	const struct json *result = json_get(v, "result");
	LOOM_CLEANUP(json_free) struct json *part = json_new_obj();

	if (json_is(result, JSON_OBJECT))
		(void)json_set(part, "result", json_copy(result));
	return task_result_check(part, NULL) ? NULL : loom_take(part);
}

int result_parse(const char *text, size_t len, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	bool blank = true;

	for (size_t i = 0; i < len && blank; i++)
		blank = text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t';
	if (blank) {
		*ret = json_new_obj();
		return 0;
	}
	int rc = json_parse(text, len, RUN_RESULT_MAX, &v, err);
	if (rc)
		return rc;
	task_result_tidy(v);
	rc = check_answer(v, err);
	*ret = rc ? usable_part(v) : loom_take(v);
	return rc;
}

/* ---- adding up --------------------------------------------------------------------------------
 */

void outcome_init(struct outcome *o, const struct redact *redact)
{
	*o = (struct outcome){ .redact = redact };
	for (int i = 0; i < RUN_STREAMS_; i++)
		o->tail[i] = BUF_INIT((size_t)2 * RESULT_TAIL);
}

void outcome_fini(struct outcome *o)
{
	json_free(o->result);
	json_free(o->addresses);
	loom_free(o->hostname);
	loom_free(o->message);
	for (int i = 0; i < RUN_STREAMS_; i++)
		buf_fini(&o->tail[i]);
	*o = (struct outcome){ 0 };
}

void outcome_output(struct outcome *o, enum run_stream stream, const char *data, size_t len)
{
	struct buf *b = &o->tail[stream];
	if (len > RESULT_TAIL) {
		data += len - RESULT_TAIL;
		len = RESULT_TAIL;
	}
	if (b->len + len > RESULT_TAIL)
		buf_drain(b, b->len + len - RESULT_TAIL);
	buf_add(b, data, len);
}

static void set_message(struct outcome *o, const char *message)
{
	char fit[MESSAGE_MAX + 1];
	text_fit(redact_text(o->redact, message), fit, sizeof(fit));
	loom_free(o->message);
	o->message = loom_strdup(fit);
}

static void merge_result(struct outcome *o, const struct json *from)
{
	if (!json_is(from, JSON_OBJECT))
		return;
	LOOM_CLEANUP(json_free) struct json *clean = redact_json(o->redact, from, "ssh-auth");
	if (!o->result)
		o->result = json_new_obj();
	for (size_t i = 0; i < json_len(clean); i++)
		(void)json_set(o->result, json_key_at(clean, i),
		               json_copy(json_value_at(clean, i)));
}

/* Positive with err when the merged results are too large. */
static int merge_answer(struct outcome *o, const struct json *answer, struct loom_err *err)
{
	const char *hostname = json_get_str(answer, "hostname");
	const char *message = json_get_str(answer, "message");
	merge_result(o, json_get(answer, "result"));
	if (json_is(json_get(answer, "ipaddresses"), JSON_OBJECT)) {
		json_free(o->addresses);
		o->addresses = json_copy(json_get(answer, "ipaddresses"));
	}
	if (hostname) {
		loom_free(o->hostname);
		o->hostname = loom_strdup(hostname);
	}
	if (!str_blank(message))
		set_message(o, message);
	LOOM_CLEANUP_STR char *all = o->result ? json_text(o->result) : NULL;
	if (!all || strlen(all) <= 2 * (size_t)RUN_RESULT_MAX)
		return 0;
	json_free(loom_take(o->result));
	return err_set(err, BAD, "it makes the results longer than %u bytes", 2 * RUN_RESULT_MAX);
}

void outcome_fail(struct outcome *o, bool never_retry, const char *message)
{
	o->failed = true;
	o->never_retry = o->never_retry || never_retry;
	if (!o->status)
		o->status = STATUS_FAILED;
	if (message)
		set_message(o, message);
}

/* Whether a byte is none of those that a character begins with. */
static bool inside_char(char byte)
{
	return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The end of the last line with words in it; NULL when there is none. Returns owned. */
static char *last_line(const struct buf *b)
{
	const char *text = buf_str(b);
	size_t end = b->len;
	while (end && (unsigned char)text[end - 1] <= ' ')
		end--;
	size_t begin = end;
	while (begin && text[begin - 1] != '\n' && text[begin - 1] != '\r' &&
	       end - begin < WORDS_MAX)
		begin--;
	while (begin < end && inside_char(text[begin]))
		begin++;
	return end == begin ? NULL : text_utf8(loom_strndup(text + begin, end - begin));
}

/* Adds the last line of the output: a plugin that reports no reason has usually printed it. Takes
 * and returns owned. */
static char *with_last_words(const struct outcome *o, char *failure)
{
	LOOM_CLEANUP_STR char *words = last_line(&o->tail[RUN_STDERR]);
	if (!words)
		words = last_line(&o->tail[RUN_STDOUT]);
	if (!words || !failure)
		return failure;
	char *both = loom_asprintf("%s: %s", failure, words);
	loom_free(failure);
	return both;
}

/* Why the process failed; NULL if it did not. Returns owned. */
static char *process_failure(const struct run_end *end, int64_t timeout_ms)
{
	if (end->timed_out)
		return loom_asprintf("the plugin was stopped at its time limit of %" PRId64 " s",
		                     timeout_ms / MS);
	if (end->signo)
		return loom_asprintf("the plugin was killed by signal %d", end->signo);
	if (end->exit_code == EXIT_GIVE_UP)
		return loom_strdup("the plugin gave up");
	if (end->exit_code != 0)
		return loom_asprintf("the plugin failed with exit code %d", end->exit_code);
	return NULL;
}

static int parse_end(const struct run_end *end, struct json **ret, struct loom_err *err)
{
	if (end->result_too_large)
		return err_set(err, BAD, "it is longer than %u bytes", RUN_RESULT_MAX);
	return result_parse(end->result, end->result_len, ret, err);
}

void outcome_add(struct outcome *o, const struct run_end *end, int64_t timeout_ms)
{
	LOOM_CLEANUP(json_free) struct json *answer = NULL;
	LOOM_CLEANUP_STR char *failure = process_failure(end, timeout_ms);
	struct loom_err err = { 0 };
	int bad = parse_end(end, &answer, &err);

	if (answer && merge_answer(o, answer, bad ? NULL : &err))
		bad = BAD;
	if (failure) {
		/* The plugin's own message is better, except when it was killed. */
		bool said = !bad && !str_blank(json_get_str(answer, "message")) &&
		            !end->timed_out && !end->signo;
		o->status = bad ? 0 : json_get_int(answer, "status", 0);
		if (!said && end->exit_code > 0)
			failure = with_last_words(o, failure);
		outcome_fail(o, end->exit_code == EXIT_GIVE_UP, said ? NULL : failure);
	} else if (bad) {
		LOOM_CLEANUP_STR char *why =
			loom_asprintf("the plugin's result is not usable: %s", err.msg);
		outcome_fail(o, false, why);
	}
}

static void write_tail(const struct buf *tail, const char *key, struct json *finish)
{
	const char *text = buf_str(tail);
	size_t skip = 0;
	/* Start at a character's first byte. */
	while (skip < tail->len && skip < 4 && inside_char(text[skip]))
		skip++;
	(void)json_set(finish, key, json_new_strn(text + skip, tail->len - skip));
}

void outcome_write(const struct outcome *o, struct json *finish)
{
	(void)json_set_int(finish, "status", o->status);
	(void)json_set(finish, "result", o->result ? json_copy(o->result) : json_new_obj());
	(void)json_set_str(finish, "message", o->message);
	if (!o->failed) {
		(void)json_set(finish, "ipaddresses", json_copy(o->addresses));
		(void)json_set_str(finish, "hostname", o->hostname);
		return;
	}
	if (o->never_retry)
		(void)json_set_bool(finish, "retry", false);
	write_tail(&o->tail[RUN_STDOUT], "stdout", finish);
	write_tail(&o->tail[RUN_STDERR], "stderr", finish);
}
