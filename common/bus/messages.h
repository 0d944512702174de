/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages - all that services say to each other over the bus, or by mail: a struct for each, and
 * one table (messages.c) that says how it is written and read. See message.h for the rules by which
 * versions live together, and common/README.md for how to add one.
 */
#ifndef LOOM_BUS_MESSAGES_H
#define LOOM_BUS_MESSAGES_H

#include "common/bus/message.h"

enum messages {
	/* to a scheduler, answered */
	MSG_PING,    /* nothing, nothing: a sign of life */
	MSG_TAKE,    /* msg_take, msg_tasks: a worker asks for tasks, and may wait */
	MSG_FINISH,  /* msg_finish, msg_answer: a task's result, which may bring the next tasks */
	MSG_CONTROL, /* msg_control, msg_answer: pause, resume, abort, delete */
	MSG_PLAN,    /* msg_plan, msg_answer: what a create would make */
	MSG_CHANGE,  /* msg_change, msg_answer: what an operation would change */
	/* notices to schedulers */
	MSG_UNTAKE,  /* msg_untake: who waited has gone */
	MSG_JOB,     /* nothing: a job wants planning */
	MSG_READY,   /* nothing: tasks may be handed out */
	MSG_DROPPED, /* nothing: a provisioner was dropped; what it held is over */
	/* notices to APIs */
	MSG_EVENT, /* msg_event: clusters have new events */
	MSG_LOG,   /* msg_log: a task's log has grown */
	MSG_COUNT
};
extern const struct message_type messages[MSG_COUNT];

struct msg_none {
	struct message head;
};

struct msg_take {
	struct message head;
	const char *id, *provisioner, *worker, *tenant;
	int64_t max;     /* tasks */
	int64_t wait_ms; /* from now on */
	int64_t held_ms; /* since the worker asked */
	bool lease;      /* the worker renews its leases by heartbeats */
	bool claim;      /* it wants a secret of each task */
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

/* What a worker sends of its task: the keys are those of the REST interface. */
struct msg_finish {
	struct message head;
	const char *task, *provisioner, *worker, *tenant;
	int64_t attempt;   /* 0: a worker of the original's, which knows none */
	int64_t status;    /* 0 is success */
	bool retry;        /* it may be tried again */
	bool lost;         /* the worker was late and knows it */
	const char *claim; /* the secret of its task; NULL: it knows none */
	const struct json *result, *ipaddresses;
	const char *hostname, *message, *out, *err;
	int64_t next;     /* tasks that the worker asks for with it */
	bool lease;       /* as in msg_take */
	const char *take; /* the API's id of that; NULL: its answer could not be passed on */
	int64_t held_ms;  /* as in msg_take */
};

struct msg_control {
	struct message head;
	int64_t cluster, job; /* an abort is of that job; 0: of the newest */
	const char *verb, *user;
};

struct msg_plan {
	struct message head;
	const char *tenant;
	const struct json *request, *template, *provider; /* resolved */
};

struct msg_change {
	struct message head;
	int64_t cluster;
	const struct json *params; /* of the job that would do it */
};

/* What a request came to. */
struct msg_answer {
	struct message head;
	int64_t status;            /* HTTP */
	const char *message;       /* why not */
	const struct json *plan;   /* of a create or a change */
	const char *action, *hash; /* of a change */
	int64_t revision;          /* of the cluster that it was made for */
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

#endif
