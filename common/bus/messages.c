/* SPDX-License-Identifier: Apache-2.0 */
/* messages - the table. Bounds apply to sent messages; raise one only a version after all accept
 * it. */
#include "common/bus/messages.h"

#include "common/operation/task_result.h"

enum {
	NAME = 255, /* bytes of a name or an id */
	TEXT = TASK_RESULT_MAX,
	SENTENCE = 4096,   /* bytes of a reason */
	MEMBERS = 100000,  /* of a document; the bus bounds its bytes */
	TOGETHER = 64,     /* tasks for one take */
	CHANGES = 1 << 16, /* in one notice */
	LONGEST_MS = 24 * 3600 * 1000,
};

#define MESSAGE(type, rows)                 \
	{                                   \
		(rows), sizeof(struct type) \
	}

static const struct message_field take[] = {
	MESSAGE_TEXT(struct msg_take, id, "takeId", NAME),
	MESSAGE_TEXT(struct msg_take, provisioner, "provisionerId", NAME, .required = true),
	MESSAGE_TEXT(struct msg_take, worker, "workerId", NAME, .required = true),
	MESSAGE_TEXT(struct msg_take, tenant, "tenantId", NAME, .required = true),
	MESSAGE_INT(struct msg_take, max, "max", 1, TOGETHER, .def = 1),
	MESSAGE_INT(struct msg_take, wait_ms, "waitMs", 0, LONGEST_MS),
	MESSAGE_INT(struct msg_take, held_ms, "heldMs", 0, LONGEST_MS),
	MESSAGE_BOOL(struct msg_take, lease, "lease"),
	MESSAGE_BOOL(struct msg_take, claim, "claim", .since = 2),
	{ 0 },
};

static const struct message_field tasks[] = {
	MESSAGE_TREE(FIELD_TEXTS, struct msg_tasks, tasks, "tasks", TOGETHER),
	MESSAGE_INT(struct msg_tasks, held_ms, "heldMs", 0, INT64_MAX),
	{ 0 },
};

static const struct message_field untake[] = {
	MESSAGE_TEXT(struct msg_untake, id, "takeId", NAME, .required = true),
	{ 0 },
};

static const struct message_field finish[] = {
	MESSAGE_TEXT(struct msg_finish, task, "taskId", NAME, .required = true),
	MESSAGE_TEXT(struct msg_finish, provisioner, "provisionerId", NAME, .required = true),
	MESSAGE_TEXT(struct msg_finish, worker, "workerId", NAME, .required = true),
	MESSAGE_TEXT(struct msg_finish, tenant, "tenantId", NAME),
	MESSAGE_INT(struct msg_finish, attempt, "attempt", 0, INT32_MAX),
	MESSAGE_INT(struct msg_finish, status, "status", INT32_MIN, INT32_MAX, .required = true),
	MESSAGE_BOOL(struct msg_finish, retry, "retry", .def = true),
	MESSAGE_BOOL(struct msg_finish, lost, "lost"),
	MESSAGE_TEXT(struct msg_finish, claim, "claim", NAME, .since = 2),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_finish, result, "result", TEXT),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_finish, ipaddresses, "ipaddresses",
	             TASK_RESULT_ADDRESSES),
	MESSAGE_TEXT(struct msg_finish, hostname, "hostname", TASK_RESULT_TEXT),
	MESSAGE_TEXT(struct msg_finish, message, "message", TEXT),
	MESSAGE_TEXT(struct msg_finish, out, "stdout", TEXT),
	MESSAGE_TEXT(struct msg_finish, err, "stderr", TEXT),
	MESSAGE_INT(struct msg_finish, next, "next", 0, TOGETHER, .since = 2),
	MESSAGE_BOOL(struct msg_finish, lease, "lease", .since = 2),
	MESSAGE_TEXT(struct msg_finish, take, "takeId", NAME, .since = 2),
	MESSAGE_INT(struct msg_finish, held_ms, "heldMs", 0, LONGEST_MS, .since = 2),
	{ 0 },
};

static const struct message_field status[] = {
	MESSAGE_INT(struct msg_answer, status, "status", 200, 599, .required = true),
	MESSAGE_TEXT(struct msg_answer, message, "message", SENTENCE),
	{ 0 },
};

static const struct message_field finished[] = {
	MESSAGE_INT(struct msg_answer, status, "status", 200, 599, .required = true),
	MESSAGE_TEXT(struct msg_answer, message, "message", SENTENCE),
	MESSAGE_TREE(FIELD_TEXTS, struct msg_answer, tasks, "tasks", TOGETHER, .since = 2),
	MESSAGE_INT(struct msg_answer, held_ms, "heldMs", 0, INT64_MAX, .since = 2),
	{ 0 },
};

static const struct message_field control[] = {
	MESSAGE_INT(struct msg_control, cluster, "cluster", 1, INT64_MAX, .required = true),
	MESSAGE_INT(struct msg_control, job, "job", 0, INT64_MAX),
	MESSAGE_TEXT(struct msg_control, verb, "verb", NAME, .required = true),
	MESSAGE_TEXT(struct msg_control, user, "user", NAME, .required = true),
	MESSAGE_TEXT(struct msg_control, tenant, "tenantId", NAME),
	{ 0 },
};

static const struct message_field plan[] = {
	MESSAGE_TEXT(struct msg_plan, tenant, "tenantId", NAME, .required = true),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_plan, request, "request", MEMBERS, .required = true),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_plan, template, "template", MEMBERS),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_plan, provider, "provider", MEMBERS),
	{ 0 },
};

static const struct message_field change[] = {
	MESSAGE_INT(struct msg_change, cluster, "cluster", 1, INT64_MAX, .required = true),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_change, params, "params", MEMBERS, .required = true),
	MESSAGE_TEXT(struct msg_change, tenant, "tenantId", NAME),
	{ 0 },
};

static const struct message_field planned[] = {
	MESSAGE_INT(struct msg_answer, status, "status", 200, 599, .required = true),
	MESSAGE_TEXT(struct msg_answer, message, "message", SENTENCE),
	MESSAGE_TREE(FIELD_OBJECT, struct msg_answer, plan, "plan", MEMBERS),
	MESSAGE_TEXT(struct msg_answer, action, "action", NAME),
	MESSAGE_TEXT(struct msg_answer, hash, "hash", NAME),
	MESSAGE_INT(struct msg_answer, revision, "revision", 0, INT64_MAX),
	{ 0 },
};

static const struct message_field event_of[] = {
	MESSAGE_INT(struct event_of, cluster, "cluster", 0, INT64_MAX),
	MESSAGE_TEXT(struct event_of, tenant, "tenant", NAME),
	MESSAGE_INT(struct event_of, seq, "seq", 0, INT64_MAX),
	{ 0 },
};
static const struct message_shape event_shape = { event_of, sizeof(struct event_of) };

static const struct message_field event[] = {
	MESSAGE_INT(struct msg_event, first.cluster, "cluster", 0, INT64_MAX),
	MESSAGE_TEXT(struct msg_event, first.tenant, "tenant", NAME),
	MESSAGE_INT(struct msg_event, first.seq, "seq", 0, INT64_MAX),
	MESSAGE_LIST(struct msg_event, more, "more", CHANGES, &event_shape),
	{ 0 },
};

static const struct message_field log_grew[] = {
	MESSAGE_TEXT(struct msg_log, task, "task", NAME, .required = true),
	{ 0 },
};

static const struct message_field catalog[] = {
	MESSAGE_TEXT(struct msg_catalog, tenant, "tenant", NAME, .required = true),
	MESSAGE_TEXT(struct msg_catalog, kind, "kind", NAME),
	{ 0 },
};

static const struct message_field none[] = { { 0 } };

static const struct message_field pong[] = {
	MESSAGE_BOOL(struct msg_pong, away, "away", .since = 2),
	{ 0 },
};

#define NOTHING                               \
	{                                     \
		none, sizeof(struct msg_none) \
	}

const struct message_type messages[MSG_COUNT] = {
	[MSG_PING] = { "ping", 2, NOTHING, MESSAGE(msg_pong, pong) },
	[MSG_TAKE] = { "take", 2, MESSAGE(msg_take, take), MESSAGE(msg_tasks, tasks) },
	[MSG_FINISH] = { "finish", 2, MESSAGE(msg_finish, finish), MESSAGE(msg_answer, finished) },
	[MSG_CONTROL] = { "control", 1, MESSAGE(msg_control, control),
	                  MESSAGE(msg_answer, status) },
	[MSG_PLAN] = { "plan", 1, MESSAGE(msg_plan, plan), MESSAGE(msg_answer, planned) },
	[MSG_CHANGE] = { "change", 1, MESSAGE(msg_change, change), MESSAGE(msg_answer, planned) },
	[MSG_UNTAKE] = { "untake", 1, MESSAGE(msg_untake, untake), NOTHING },
	[MSG_JOB] = { "job", 1, NOTHING, NOTHING },
	[MSG_READY] = { "ready", 1, NOTHING, NOTHING },
	[MSG_DROPPED] = { "dropped", 1, NOTHING, NOTHING },
	[MSG_EVENT] = { "event", 1, MESSAGE(msg_event, event), NOTHING },
	[MSG_LOG] = { "log", 1, MESSAGE(msg_log, log_grew), NOTHING },
	[MSG_CATALOG] = { "catalog", 1, MESSAGE(msg_catalog, catalog), NOTHING },
};
