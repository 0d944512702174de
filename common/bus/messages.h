/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages - all messages between services, over the bus or by mail: a struct for each, and one
 * table (messages.c) from which they are written and read. See message.h for compatibility between
 * versions, and common/README.md for how to add a message.
 */
#ifndef LOOM_BUS_MESSAGES_H
#define LOOM_BUS_MESSAGES_H

#include "common/bus/message.h"

enum messages {
	/* to a scheduler, answered */
	MSG_PING,    /* nothing, msg_pong: checks for a sign of life */
	MSG_TAKE,    /* msg_take, msg_tasks: a worker asks for tasks, and may wait */
	MSG_FINISH,  /* msg_finish, msg_answer: a task's result, which may bring the next tasks */
	MSG_CONTROL, /* msg_control, msg_answer: pause, resume, abort, delete */
	MSG_PLAN,    /* msg_plan, msg_answer: preview of a create */
	MSG_CHANGE,  /* msg_change, msg_answer: preview of an operation */
	/* notices to schedulers */
	MSG_UNTAKE,  /* msg_untake: the waiting worker has gone */
	MSG_JOB,     /* nothing: a job needs planning */
	MSG_READY,   /* nothing: tasks may be handed out */
	MSG_DROPPED, /* nothing: a provisioner was dropped, and its tasks are lost */
	/* notices to APIs */
	MSG_EVENT,   /* msg_event: clusters have new events */
	MSG_LOG,     /* msg_log: a task's log has grown */
	MSG_CATALOG, /* msg_catalog: documents were written or deleted */
	MSG_COUNT
};
extern const struct message_type messages[MSG_COUNT];

struct msg_none {
	struct message head;
};

/* Answer to a ping. */
struct msg_pong {
	struct message head;
	bool away; /* it lives, but cannot reach the database: others should be asked */
};

struct msg_take {
	struct message head;
	const char *id, *provisioner, *worker, *tenant;
	int64_t max;     /* tasks */
	int64_t wait_ms; /* how long to wait, from now */
	int64_t held_ms; /* since the worker asked */
	bool lease;      /* the worker renews its leases by heartbeats */
	bool claim;      /* it wants a secret for each task */
};

struct msg_tasks {
	struct message head;
	const struct json *tasks; /* payloads, each as a text that holds its JSON */
	int64_t held_ms;          /* how old the leases may be */
};

struct msg_untake {
	struct message head;
	const char *id;
};

/* The result of a task, from its worker: the keys are those of the REST interface. */
struct msg_finish {
	struct message head;
	const char *task, *provisioner, *worker, *tenant;
	int64_t attempt;   /* 0: a worker of the original, which knows no attempts */
	int64_t status;    /* 0 is success */
	bool retry;        /* the task may be tried again */
	bool lost;         /* the worker was late and knows it */
	const char *claim; /* secret of the task; NULL: unknown to the worker */
	const struct json *result, *ipaddresses;
	const char *hostname, *message, *out, *err;
	int64_t next;     /* further tasks that the worker requests */
	bool lease;       /* as in msg_take */
	const char *take; /* the API's id of this request; NULL: it could not pass the tasks on */
	int64_t held_ms;  /* as in msg_take */
};

struct msg_control {
	struct message head;
	int64_t cluster, job; /* job: which one to abort; 0: the newest */
	const char *verb, *user;
	const char *tenant; /* the tenant whose share of threads it uses; NULL: from an older API */
};

struct msg_plan {
	struct message head;
	const char *tenant;
	const struct json *request, *template, *provider; /* resolved */
};

struct msg_change {
	struct message head;
	int64_t cluster;
	const struct json *params; /* parameters for the job */
	const char *tenant;        /* as in msg_control */
};

/* The answer to a request. */
struct msg_answer {
	struct message head;
	int64_t status;            /* HTTP */
	const char *message;       /* reason of a refusal */
	const struct json *plan;   /* of a create or a change */
	const char *action, *hash; /* of a change */
	int64_t revision;          /* latest job of the cluster when it was planned */
	const struct json *tasks;  /* of a finish: as in msg_tasks; NULL: none */
	int64_t held_ms;           /* of those */
};

struct event_of {
	int64_t cluster, seq;
	const char *tenant;
};

struct msg_event {
	struct message head;
	struct event_of first;
	struct message_list more; /* struct event_of */
};

struct msg_log {
	struct message head;
	const char *task;
};

struct msg_catalog {
	struct message head;
	const char *tenant;
	const char *kind; /* "providers", ...; NULL: any */
};

#endif
