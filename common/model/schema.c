/* SPDX-License-Identifier: Apache-2.0 */
/* schema - the statements of each migration. Append only: a released one never changes. */
#include "common/model/schema.h"

#include "common/model/cluster/cluster_terms.h"
#include "common/model/keys/data_key.h"

#define TABLE_END " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"

static const char *const first[] = {
	"CREATE TABLE IF NOT EXISTS tenant ("
	" id VARCHAR(64) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL, description MEDIUMTEXT,"
	" workers INT NOT NULL DEFAULT 0, max_clusters INT NOT NULL DEFAULT 2147483647,"
	" max_nodes INT NOT NULL DEFAULT 2147483647, UNIQUE KEY (name))" TABLE_END,

	"INSERT IGNORE INTO tenant (id, name) VALUES ('superadmin', 'superadmin')",

	/* Templates, providers, services, plug-in types ...: every write is a new version. */
	"CREATE TABLE IF NOT EXISTS entity ("
	" tenant_id VARCHAR(64) NOT NULL, kind VARCHAR(24) NOT NULL, name VARCHAR(255) NOT NULL,"
	" version INT NOT NULL, doc MEDIUMTEXT NOT NULL, create_time BIGINT NOT NULL,"
	" PRIMARY KEY (tenant_id, kind, name, version))" TABLE_END,

	"CREATE TABLE IF NOT EXISTS counter ("
	" name VARCHAR(32) NOT NULL PRIMARY KEY, value BIGINT NOT NULL)" TABLE_END,

	/* event_seq and next_job are counters of this cluster, incremented under its row lock.
	 * brief has what lists show of template and provider, so that a list reads no large column.
	 * lease_warned is the expire_time that a warning was given for; expiry_tries and _retry
	 * space out failing deletions of an expired cluster. */
	"CREATE TABLE IF NOT EXISTS cluster ("
	" id BIGINT NOT NULL PRIMARY KEY, tenant_id VARCHAR(64) NOT NULL,"
	" owner_id VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL, description MEDIUMTEXT,"
	" status VARCHAR(16) NOT NULL, message MEDIUMTEXT, create_time BIGINT NOT NULL,"
	" expire_time BIGINT NOT NULL DEFAULT 0, num_nodes INT NOT NULL DEFAULT 0,"
	" asked_nodes INT NOT NULL, last_node INT NOT NULL DEFAULT 0, latest_job INT NOT NULL, next_job INT NOT NULL,"
	" event_seq BIGINT NOT NULL DEFAULT 0, brief MEDIUMTEXT NOT NULL, services MEDIUMTEXT NOT NULL,"
	" request MEDIUMTEXT NOT NULL, template MEDIUMTEXT NOT NULL, provider MEDIUMTEXT NOT NULL,"
	" config MEDIUMTEXT NOT NULL, service_docs MEDIUMTEXT,"
	" lease_warned BIGINT NOT NULL DEFAULT 0, expiry_tries INT NOT NULL DEFAULT 0,"
	" expiry_retry BIGINT NOT NULL DEFAULT 0, KEY expiry (status, expire_time, lease_warned),"
	" KEY by_tenant (tenant_id, create_time, id), KEY by_status (tenant_id, status))" TABLE_END,

	/* phase: plan (a scheduler must solve or plan it), run (driven by task results), end.
	 * owner, epoch and lease_until fence the planning. params has the request; then_action is
	 * submitted when the job has failed (a create that rolls back is deleted). */
	"CREATE TABLE IF NOT EXISTS job ("
	" cluster_id BIGINT NOT NULL, num INT NOT NULL, tenant_id VARCHAR(64) NOT NULL,"
	" action VARCHAR(40) NOT NULL, status VARCHAR(16) NOT NULL, phase VARCHAR(8) NOT NULL,"
	" owner VARCHAR(255), epoch INT NOT NULL DEFAULT 0, lease_until BIGINT NOT NULL,"
	" tasks_total INT NOT NULL DEFAULT 0, tasks_done INT NOT NULL DEFAULT 0,"
	" create_time BIGINT NOT NULL, end_time BIGINT NOT NULL DEFAULT 0, message MEDIUMTEXT,"
	" params MEDIUMTEXT, then_action VARCHAR(40), cancel BOOLEAN NOT NULL DEFAULT FALSE,"
	" PRIMARY KEY (cluster_id, num), KEY claim (phase, lease_until))" TABLE_END,

	"CREATE TABLE IF NOT EXISTS node ("
	" id CHAR(36) NOT NULL PRIMARY KEY, cluster_id BIGINT NOT NULL, num INT NOT NULL,"
	" hostname VARCHAR(255) NOT NULL, hardwaretype VARCHAR(255) NOT NULL,"
	" imagetype VARCHAR(255) NOT NULL, flavor VARCHAR(255) NOT NULL,"
	" image VARCHAR(255) NOT NULL, sshuser VARCHAR(64) NOT NULL, services MEDIUMTEXT NOT NULL,"
	" automators MEDIUMTEXT NOT NULL, ipaddresses TEXT NOT NULL, results MEDIUMTEXT NOT NULL,"
	" states MEDIUMTEXT NOT NULL,"
	" UNIQUE KEY by_cluster (cluster_id, num))" TABLE_END,

	/* attempt counts claims and is the fence; done_attempt is the last one whose result was
	   applied; failures and losses count towards giving up. */
	"CREATE TABLE IF NOT EXISTS task ("
	" cluster_id BIGINT NOT NULL, job_num INT NOT NULL, num INT NOT NULL,"
	" tenant_id VARCHAR(64) NOT NULL, node_id CHAR(36) NOT NULL, node_num INT NOT NULL,"
	" name VARCHAR(16) NOT NULL, service VARCHAR(255) NOT NULL, stage INT NOT NULL,"
	" state VARCHAR(12) NOT NULL, unmet INT NOT NULL, attempt INT NOT NULL DEFAULT 0,"
	" done_attempt INT NOT NULL DEFAULT 0, failures INT NOT NULL DEFAULT 0,"
	" losses INT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0,"
	" lease_ms BIGINT NOT NULL DEFAULT 0, lease_until BIGINT NOT NULL DEFAULT 0,"
	" provisioner_id VARCHAR(255), worker_id VARCHAR(255),"
	" submit_time BIGINT NOT NULL DEFAULT 0, status_time BIGINT NOT NULL DEFAULT 0,"
	" status_code INT, message TEXT, PRIMARY KEY (cluster_id, job_num, num),"
	" KEY claim (state, not_before, tenant_id), KEY lease (state, lease_until),"
	" KEY by_node (node_id, state))" TABLE_END,

	/* Numbers below 0 are groups: edges lead from members to their group, and from a group to
	 * tasks that wait for all members. */
	"CREATE TABLE IF NOT EXISTS task_edge ("
	" cluster_id BIGINT NOT NULL, job_num INT NOT NULL, from_num INT NOT NULL,"
	" to_num INT NOT NULL, PRIMARY KEY (cluster_id, job_num, from_num, to_num),"
	" KEY by_to (cluster_id, job_num, to_num))" TABLE_END,

	/* Failed attempts; the present attempt is in its task's row. */
	"CREATE TABLE IF NOT EXISTS task_failure ("
	" cluster_id BIGINT NOT NULL, job_num INT NOT NULL, task_num INT NOT NULL,"
	" attempt INT NOT NULL, node_id CHAR(36) NOT NULL, submit_time BIGINT NOT NULL,"
	" status_time BIGINT NOT NULL, status_code INT NOT NULL, message TEXT, stdout TEXT,"
	" stderr TEXT, PRIMARY KEY (cluster_id, job_num, task_num, attempt),"
	" KEY by_node (node_id))" TABLE_END,

	"CREATE TABLE IF NOT EXISTS task_log ("
	" cluster_id BIGINT NOT NULL, job_num INT NOT NULL, task_num INT NOT NULL,"
	" attempt INT NOT NULL, pos BIGINT NOT NULL, data MEDIUMBLOB NOT NULL,"
	" PRIMARY KEY (cluster_id, job_num, task_num, attempt, pos))" TABLE_END,

	"CREATE TABLE IF NOT EXISTS event ("
	" cluster_id BIGINT NOT NULL, seq BIGINT NOT NULL, type VARCHAR(16) NOT NULL,"
	" data MEDIUMTEXT NOT NULL, PRIMARY KEY (cluster_id, seq))" TABLE_END,

	/* The outbox of callbacks. target: hash of URL, secret and tenant. not_before is the order
	 * of claims; older services advance it by the time of their claim. */
	"CREATE TABLE IF NOT EXISTS callback ("
	" id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, delivery CHAR(36) NOT NULL,"
	" tenant_id VARCHAR(64) NOT NULL, cluster_id BIGINT NOT NULL, job_num INT NOT NULL,"
	" kind VARCHAR(16) NOT NULL, target CHAR(32) NOT NULL, url VARCHAR(2048) NOT NULL,"
	" secret VARCHAR(300) NOT NULL, as_then MEDIUMTEXT NOT NULL, state VARCHAR(8) NOT NULL,"
	" attempts INT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL,"
	" create_time BIGINT NOT NULL, last_time BIGINT NOT NULL DEFAULT 0,"
	" last_status INT NOT NULL DEFAULT 0, last_error TEXT,"
	" KEY claim (state, not_before), KEY by_order (cluster_id, target, state, id),"
	" KEY by_target (target, state, not_before), KEY by_tenant (tenant_id, id))" TABLE_END,

	"CREATE TABLE IF NOT EXISTS provisioner ("
	" id VARCHAR(255) NOT NULL PRIMARY KEY, host VARCHAR(255) NOT NULL, port INT NOT NULL,"
	" capacity INT NOT NULL, live TEXT NOT NULL, heartbeat BIGINT NOT NULL,"
	" KEY (heartbeat))" TABLE_END,
	NULL,
};

/* The task of a provider call has a gate: "create:NAME" or "call:NAME" of the provider. */
static const char *const second[] = {
	"ALTER TABLE task ADD COLUMN IF NOT EXISTS gate VARCHAR(300) NOT NULL DEFAULT ''",
	"UPDATE task t JOIN cluster c ON c.id=t.cluster_id"
	" SET t.gate=CONCAT(IF(t.name='CREATE', 'create:', 'call:'),"
	" JSON_VALUE(c.brief, '$.provider.name'))"
	" WHERE t.state IN ('blocked','ready','running') AND t.gate=''"
	" AND t.name IN ('CREATE','CONFIRM','DELETE')"
	" AND JSON_VALUE(c.brief, '$.provider.name') IS NOT NULL",
	/* Queues of ready tasks, found without reading other queues; and the tasks that each tenant
	 * has running. */
	"ALTER TABLE task ADD INDEX IF NOT EXISTS shares"
	" (state, tenant_id, gate, cluster_id, not_before)",
	/* The queues that exist: jobs that hand out tasks. */
	"ALTER TABLE job ADD COLUMN IF NOT EXISTS provider VARCHAR(255) NOT NULL DEFAULT '',"
	" ADD INDEX IF NOT EXISTS handing (phase, status, tenant_id, provider, cluster_id)",
	"UPDATE job j JOIN cluster c ON c.id=j.cluster_id"
	" SET j.provider=COALESCE(JSON_VALUE(c.brief, '$.provider.name'), '')"
	" WHERE j.phase='run' AND j.provider=''",

	/* calls: begin times of the last calls in the window, "ms:how many", separated by commas.
	 * Whoever begins a call locks the row, so that the count holds until commit. */
	"CREATE TABLE IF NOT EXISTS provider_limit ("
	" tenant_id VARCHAR(64) NOT NULL, provider VARCHAR(255) NOT NULL,"
	" creates INT NOT NULL, calls_max INT NOT NULL, window_ms INT NOT NULL,"
	" calls MEDIUMTEXT NOT NULL, changes BIGINT NOT NULL DEFAULT 0,"
	" PRIMARY KEY (tenant_id, provider))" TABLE_END,

	/* The tenants for which a provisioner has recently asked for tasks. */
	"CREATE TABLE IF NOT EXISTS provisioner_tenant ("
	" provisioner_id VARCHAR(255) NOT NULL, tenant_id VARCHAR(64) NOT NULL,"
	" seen BIGINT NOT NULL, PRIMARY KEY (provisioner_id, tenant_id))" TABLE_END,

	/* A task that failed at one provisioner and then succeeded at another. */
	"CREATE TABLE IF NOT EXISTS provisioner_strike ("
	" provisioner_id VARCHAR(255) NOT NULL, cluster_id BIGINT NOT NULL,"
	" job_num INT NOT NULL, task_num INT NOT NULL, failed_time BIGINT NOT NULL,"
	" time BIGINT NOT NULL, done_by VARCHAR(255) NOT NULL, message TEXT,"
	" PRIMARY KEY (provisioner_id, cluster_id, job_num, task_num), KEY (time))" TABLE_END,

	/* No row means trusted. Outlives the provisioner's registration. probe_*: the attempt that
	 * tests whether it works again; probe_attempt 0: none. */
	"CREATE TABLE IF NOT EXISTS quarantine ("
	" provisioner_id VARCHAR(255) NOT NULL PRIMARY KEY, since BIGINT NOT NULL,"
	" next_probe BIGINT NOT NULL, failed_probes INT NOT NULL DEFAULT 0,"
	" good_probes INT NOT NULL DEFAULT 0, reason TEXT NOT NULL,"
	" probe_cluster BIGINT NOT NULL DEFAULT 0, probe_job INT NOT NULL DEFAULT 0,"
	" probe_task INT NOT NULL DEFAULT 0, probe_attempt INT NOT NULL DEFAULT 0)" TABLE_END,

	"ALTER TABLE task_failure ADD COLUMN IF NOT EXISTS provisioner_id VARCHAR(255),"
	" ADD INDEX IF NOT EXISTS by_provisioner (provisioner_id, status_time)",
	/* Who paused the job, and when. */
	"ALTER TABLE job ADD COLUMN IF NOT EXISTS held_by VARCHAR(255),"
	" ADD COLUMN IF NOT EXISTS held_time BIGINT NOT NULL DEFAULT 0",
	/* A tenant's targets for callbacks about its clusters; the secret is sealed, '' for
	 * none. */
	"CREATE TABLE IF NOT EXISTS callback_target ("
	" tenant_id VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, doc MEDIUMTEXT NOT NULL,"
	" secret VARCHAR(1000) NOT NULL, PRIMARY KEY (tenant_id, name))" TABLE_END,

	/* Clients' names for their requests, so that none is executed twice. */
	"CREATE TABLE IF NOT EXISTS request_key ("
	" tenant_id VARCHAR(64) NOT NULL, user VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL,"
	" hash CHAR(64) NOT NULL, cluster_id BIGINT NOT NULL, create_time BIGINT NOT NULL,"
	" PRIMARY KEY (tenant_id, user, name), KEY (create_time))" TABLE_END,

	/* The data of a tenant's quota, readable from the index alone. */
	"ALTER TABLE cluster ADD INDEX IF NOT EXISTS quota"
	" (tenant_id, status, num_nodes, asked_nodes)",

	/* For each group of tasks (task_edge) how many are not complete, separated by blanks. */
	"ALTER TABLE job ADD COLUMN IF NOT EXISTS waits MEDIUMTEXT",
	NULL,
};

/* Each change of a task's state writes to all its indexes. So an unused one is dropped, and that of
 * a node's tasks is reduced to tasks that wait for nothing. */
static const char *const third[] = {
	"ALTER TABLE task DROP INDEX IF EXISTS claim, DROP INDEX IF EXISTS by_node,"
	" ADD INDEX IF NOT EXISTS on_node (node_id, state, unmet)",
	NULL,
};

/* Each change of a task's state moved its entry in the index of its node's tasks. Now the index has
 * only columns that do not change; a job has a few dozen tasks per node, among which the open ones
 * are searched. */
static const char *const fourth[] = {
	"ALTER TABLE task DROP INDEX IF EXISTS on_node,"
	" ADD INDEX IF NOT EXISTS of_node (node_id, job_num)",
	NULL,
};

/* Requests to schedulers while the bus does not work. owner '': not claimed. */
static const char *const fifth[] = {
	"CREATE TABLE IF NOT EXISTS mail ("
	" id CHAR(32) NOT NULL PRIMARY KEY, verb VARCHAR(32) NOT NULL, body MEDIUMTEXT NOT NULL,"
	" owner VARCHAR(255) NOT NULL, answer MEDIUMTEXT, wait_until BIGINT NOT NULL,"
	" KEY unclaimed (owner, id), KEY expiry (wait_until))" TABLE_END,
	NULL,
};

/* The latest end of a callback's delivery. Few are in progress at a time, so there is an index of
 * those; who claims one locks the counter's row, so that the count holds. */
static const char *const sixth[] = {
	"ALTER TABLE callback ADD COLUMN IF NOT EXISTS busy_until BIGINT NOT NULL DEFAULT 0,"
	" ADD INDEX IF NOT EXISTS busy (busy_until, tenant_id, target)",
	"INSERT IGNORE INTO counter (name, value) VALUES ('callback claims', 0)",
	NULL,
};

/* Labels of clusters: {"key":"value"} (labels.h). */
static const char *const seventh[] = {
	"ALTER TABLE cluster ADD COLUMN IF NOT EXISTS labels MEDIUMTEXT NOT NULL DEFAULT '{}'",
	NULL,
};

/* The generation at which a row's secrets were sealed (sealing.h). */
static const char *const eighth[] = {
	"ALTER TABLE entity ADD COLUMN IF NOT EXISTS sealed BIGINT NOT NULL DEFAULT 0,"
	" ADD INDEX IF NOT EXISTS sealing (kind, sealed)",
	"ALTER TABLE cluster ADD COLUMN IF NOT EXISTS sealed BIGINT NOT NULL DEFAULT 0,"
	" ADD INDEX IF NOT EXISTS sealing (status, sealed)",
	"INSERT IGNORE INTO counter (name, value) VALUES ('secrets', 1)",
	NULL,
};

/* Provisioners dropped recently, and when: they hold no tasks any more. Includes those dropped
 * before the migration. */
static const char *const ninth[] = {
	"CREATE TABLE IF NOT EXISTS provisioner_drop ("
	" provisioner_id VARCHAR(255) NOT NULL PRIMARY KEY, time BIGINT NOT NULL)" TABLE_END,
	"INSERT IGNORE INTO provisioner_drop (provisioner_id, time)"
	" SELECT DISTINCT provisioner_id, CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED) FROM task"
	" WHERE state='running' AND provisioner_id NOT IN (SELECT id FROM provisioner)",
	NULL,
};

/* The secret of the claim under which a task runs; '': its worker has none. */
static const char *const tenth[] = {
	"ALTER TABLE task ADD COLUMN IF NOT EXISTS claim CHAR(32) NOT NULL DEFAULT ''",
	NULL,
};

/* Names of a tenant's living clusters are unique: own_name becomes NULL when a cluster ends. If
 * several had the same name before, the oldest reserves it. Old services create clusters without a
 * reservation, and do not free the name of one that ends; cluster_named() does that. It is no
 * generated column, because with an index on a virtual one a crashed MariaDB may fail to recover
 * (mariadbd --wsrep-recover never ends, in the purge, and takes all memory). */
static const char *const eleventh[] = {
	"ALTER TABLE cluster ADD COLUMN IF NOT EXISTS own_name VARCHAR(255)",
	/* Applies to all rows: when it is run again another one may be the oldest. */
	"UPDATE cluster c LEFT JOIN (SELECT MIN(id) AS id FROM cluster WHERE status<>'terminated'"
	" GROUP BY tenant_id, name) f ON f.id=c.id SET c.own_name=IF(f.id IS NULL, NULL, c.name)",
	"ALTER TABLE cluster ADD UNIQUE INDEX IF NOT EXISTS living (tenant_id, own_name)",
	NULL,
};

/* Each tenant's jobs to plan, oldest first; the next tenant is found without reading the others'
 * jobs. */
static const char *const twelfth[] = {
	"ALTER TABLE job ADD INDEX IF NOT EXISTS planning (phase, status, tenant_id, lease_until)",
	NULL,
};

/* The hash of a claim's secret (claim.h). Older services write and check only `claim`, and leave
 * this column unchanged; they treat a row without `claim` as one without a secret. */
static const char *const thirteenth[] = {
	"ALTER TABLE task ADD COLUMN IF NOT EXISTS claim_hash VARCHAR(64) NOT NULL DEFAULT ''",
	NULL,
};

/* Users and tokens. Only a token's hash is stored; expire_time 0 is never. */
static const char *const fourteenth[] = {
	"CREATE TABLE IF NOT EXISTS account ("
	" tenant_id VARCHAR(64) NOT NULL, name VARCHAR(255) NOT NULL, role VARCHAR(16) NOT NULL,"
	" password VARCHAR(255) NOT NULL DEFAULT '', changed BIGINT NOT NULL,"
	" PRIMARY KEY (tenant_id, name))" TABLE_END,
	"CREATE TABLE IF NOT EXISTS token ("
	" id CHAR(16) NOT NULL PRIMARY KEY, hash CHAR(64) NOT NULL, tenant_id VARCHAR(64) NOT NULL,"
	" user VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL, kind VARCHAR(12) NOT NULL,"
	" scopes VARCHAR(1000) NOT NULL, create_time BIGINT NOT NULL,"
	" expire_time BIGINT NOT NULL DEFAULT 0, used_time BIGINT NOT NULL DEFAULT 0,"
	" UNIQUE KEY (hash), KEY of_account (tenant_id, user, create_time),"
	" KEY expiry (expire_time))" TABLE_END,
	/* Tenant of the token shown at registration; '': a token for all tenants, or none. */
	"ALTER TABLE provisioner ADD COLUMN IF NOT EXISTS tenant_id VARCHAR(64) NOT NULL DEFAULT ''",
	NULL,
};

/* Targets that did not answer receive nothing until then; their callbacks stay as they are.
 * by_target finds the next target; older services need the index `claim` for that, which stays
 * until there are none. */
static const char *const fifteenth[] = {
	"CREATE TABLE IF NOT EXISTS callback_silence ("
	" target CHAR(32) NOT NULL PRIMARY KEY, until BIGINT NOT NULL, KEY (until))" TABLE_END,
	NULL,
};

/* Answers to requests with keys. Older services write only those about clusters. */
static const char *const sixteenth[] = {
	"ALTER TABLE request_key"
	" ADD COLUMN IF NOT EXISTS route VARCHAR(300) NOT NULL DEFAULT 'POST /v2/clusters',"
	" ADD COLUMN IF NOT EXISTS status INT NOT NULL DEFAULT 200,"
	" ADD COLUMN IF NOT EXISTS location VARCHAR(600),"
	" ADD COLUMN IF NOT EXISTS answer MEDIUMTEXT,"
	" ADD COLUMN IF NOT EXISTS sealed BOOLEAN NOT NULL DEFAULT FALSE",
	NULL,
};

/* The audit log (audit.h). Rows are inserted into the first table and moved to the second, which is
 * the chain; rows of neither are ever changed. */
#define AUDIT_ROW                                                                                    \
	" tenant_id VARCHAR(64) NOT NULL, home VARCHAR(64) NOT NULL, user VARCHAR(255) NOT NULL,"    \
	" token VARCHAR(16) NOT NULL, role VARCHAR(16) NOT NULL, peer VARCHAR(64) NOT NULL,"         \
	" request VARCHAR(64) NOT NULL, action VARCHAR(255) NOT NULL, object VARCHAR(255) NOT NULL," \
	" status INT NOT NULL, count BIGINT NOT NULL, before_doc MEDIUMTEXT, after_doc MEDIUMTEXT"
static const char *const seventeenth[] = {
	"CREATE TABLE IF NOT EXISTS audit_new ("
	" id CHAR(32) NOT NULL PRIMARY KEY, time BIGINT NOT NULL," AUDIT_ROW ")" TABLE_END,
	"CREATE TABLE IF NOT EXISTS audit ("
	" seq BIGINT NOT NULL PRIMARY KEY, hash CHAR(64) NOT NULL, seal CHAR(64) NOT NULL,"
	" seal_key CHAR(16) NOT NULL, id CHAR(32) NOT NULL, time BIGINT NOT NULL," AUDIT_ROW ","
	" UNIQUE KEY (id), KEY by_time (time), KEY of_tenant (tenant_id, time),"
	" KEY of_user (tenant_id, user, time), KEY of_object (tenant_id, object, time))" TABLE_END,
	"INSERT IGNORE INTO counter (name, value) VALUES ('audit', 0)",
	NULL,
};

/* Indexes for lists of clusters in each order, and by owner and status. */
static const char *const eighteenth[] = {
	"ALTER TABLE cluster"
	" ADD INDEX IF NOT EXISTS of_owner (tenant_id, owner_id, create_time, id),"
	" ADD INDEX IF NOT EXISTS of_status (tenant_id, status, create_time, id),"
	" ADD INDEX IF NOT EXISTS by_name (tenant_id, name, id, owner_id)",
	NULL,
};

/* Wrong passwords (signin.h). */
static const char *const nineteenth[] = {
	"CREATE TABLE IF NOT EXISTS signin (slot INT UNSIGNED NOT NULL PRIMARY KEY,"
	" wrong BIGINT NOT NULL, free_time BIGINT NOT NULL, tried_time BIGINT NOT NULL,"
	" KEY old (tried_time))" TABLE_END,
	NULL,
};

/* The original's provisioners are told how many workers to run for each tenant (worker_share.h). */
static const char *const twentieth[] = {
	"ALTER TABLE provisioner ADD COLUMN IF NOT EXISTS told TINYINT NOT NULL DEFAULT 0",
	"CREATE TABLE IF NOT EXISTS worker_share ("
	" provisioner_id VARCHAR(255) NOT NULL, tenant_id VARCHAR(64) NOT NULL,"
	" workers INT NOT NULL, changes BIGINT NOT NULL, told BIGINT NOT NULL DEFAULT 0,"
	" tries INT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0,"
	" PRIMARY KEY (provisioner_id, tenant_id), KEY (tenant_id))" TABLE_END,
	"INSERT IGNORE INTO counter (name, value) VALUES ('workers', 0)",
	NULL,
};

/* The claim that a callback was last in: callbacks for one target are claimed together, and the
 * first one is busy. Older services claim one callback, and identify a claim by its attempts. */
static const char *const twenty_first[] = {
	"ALTER TABLE callback ADD COLUMN IF NOT EXISTS claim BIGINT NOT NULL DEFAULT 0",
	NULL,
};

/* Documents stored by the original's clients: node_record.h, profile.h. */
static const char *const twenty_second[] = {
	"CREATE TABLE IF NOT EXISTS node_record ("
	" tenant_id VARCHAR(64) NOT NULL, id VARCHAR(255) NOT NULL, owner_id VARCHAR(255) NOT NULL,"
	" doc MEDIUMTEXT NOT NULL, PRIMARY KEY (tenant_id, id))" TABLE_END,
	"CREATE TABLE IF NOT EXISTS profile ("
	" tenant_id VARCHAR(64) NOT NULL, user VARCHAR(255) NOT NULL, doc MEDIUMTEXT NOT NULL,"
	" PRIMARY KEY (tenant_id, user))" TABLE_END,
	NULL,
};

/* A provisioner's Loom version; '': it did not report one. */
static const char *const twenty_third[] = {
	"ALTER TABLE provisioner ADD COLUMN IF NOT EXISTS version VARCHAR(64) NOT NULL DEFAULT ''",
	NULL,
};

/* Files for plug-ins (plugin_resource.h). All texts of the key are ASCII, so that it fits. A
 * content is 'coming', 'whole' or 'dropped'; only dropped and unfinished ones are ever searched. */
#define ASCII " CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
static const char *const twenty_fourth[] = {
	"CREATE TABLE IF NOT EXISTS plugin_resource ("
	" tenant_id VARCHAR(64)" ASCII ", kind VARCHAR(16)" ASCII ", plugin VARCHAR(255)" ASCII ","
	" type VARCHAR(255)" ASCII ", name VARCHAR(255)" ASCII ", version INT NOT NULL,"
	" content CHAR(32)" ASCII ", live BOOLEAN NOT NULL DEFAULT FALSE,"
	" slated BOOLEAN NOT NULL DEFAULT FALSE, deleted BOOLEAN NOT NULL DEFAULT FALSE,"
	" PRIMARY KEY (tenant_id, kind, plugin, type, name, version), KEY (content))" TABLE_END,
	"CREATE TABLE IF NOT EXISTS plugin_content ("
	" id CHAR(32)" ASCII " PRIMARY KEY, state VARCHAR(8)" ASCII
	", size BIGINT NOT NULL DEFAULT 0,"
	" sha256 CHAR(64)" ASCII " DEFAULT '', alive_until BIGINT NOT NULL,"
	" KEY unfinished (state, alive_until))" TABLE_END,
	"CREATE TABLE IF NOT EXISTS plugin_piece ("
	" content CHAR(32)" ASCII ", num INT NOT NULL, data MEDIUMBLOB NOT NULL,"
	" PRIMARY KEY (content, num))" TABLE_END,
	NULL,
};

/* The tenants' keys (data_key.h). own: the tenant, while this is its present key. */
static const char *const twenty_fifth[] = {
	"CREATE TABLE IF NOT EXISTS data_key ("
	" id CHAR(16)" ASCII " PRIMARY KEY, tenant_id VARCHAR(64) NOT NULL, own VARCHAR(64),"
	" master CHAR(16)" ASCII ", sealed VARCHAR(255)" ASCII ", generation BIGINT NOT NULL,"
	" create_time BIGINT NOT NULL, retire_time BIGINT NOT NULL DEFAULT 0,"
	" UNIQUE KEY (own), KEY of_tenant (tenant_id), KEY of_master (master, id))" TABLE_END,
	NULL,
};

/* Files for plug-ins are sealed, too: name of the key; '': not sealed. */
static const char *const twenty_sixth[] = {
	"ALTER TABLE plugin_piece ADD COLUMN IF NOT EXISTS seal_key CHAR(16)" ASCII " DEFAULT '',"
	" ADD INDEX IF NOT EXISTS sealing (seal_key)",
	NULL,
};

/* Finished jobs in the order of their end, so that kept ones are skipped (history.h). */
static const char *const twenty_seventh[] = {
	"ALTER TABLE job ADD INDEX IF NOT EXISTS ended (phase, end_time)",
	NULL,
};

/* Tenants' own roles, and their holders. */
static const char *const twenty_eighth[] = {
	"CREATE TABLE IF NOT EXISTS own_role ("
	" tenant_id VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, base VARCHAR(16) NOT NULL,"
	" doc MEDIUMTEXT NOT NULL, changed BIGINT NOT NULL,"
	" PRIMARY KEY (tenant_id, name))" TABLE_END,
	"ALTER TABLE account ADD COLUMN IF NOT EXISTS own_role VARCHAR(64) NOT NULL DEFAULT ''",
	"ALTER TABLE token ADD COLUMN IF NOT EXISTS own_role VARCHAR(64) NOT NULL DEFAULT ''",
	NULL,
};

const struct db_migration schema_migrations[] = {
	{ 1, "first tables", first, 0 },
	{ 2, "limits, shares, quarantine", second, 0 },
	{ 3, "indexes of tasks", third, 0 },
	{ 4, "index of a machine's tasks", fourth, 0 },
	{ 5, "requests by way of the database", fifth, 0 },
	{ 6, "callbacks under way", sixth, 0 },
	{ 7, "labels of clusters", seventh, 0 },
	{ 8, "sealed secrets", eighth, 0 },
	{ 9, "provisioners that were dropped", ninth, 0 },
	{ 10, "claims with secrets", tenth, 0 },
	{ 11, "names of living clusters", eleventh, 0 },
	{ 12, "whose job is planned next", twelfth, 0 },
	{ 13, "claims' secrets are hashed", thirteenth, 0 },
	{ 14, "accounts and tokens", fourteenth, 0 },
	{ 15, "targets of callbacks that are silent", fifteenth, 0 },
	{ 16, "answers to requests with keys", sixteenth, 0 },
	{ 17, "audit log", seventeenth, 0 },
	{ 18, "orders of lists of clusters", eighteenth, 0 },
	{ 19, "wrong passwords", nineteenth, 0 },
	{ 20, "workers of the original's provisioners", twentieth, 0 },
	{ 21, "callbacks claimed together", twenty_first, 0 },
	{ 22, "nodes and profiles that clients keep", twenty_second, 0 },
	{ 23, "versions of provisioners", twenty_third, 0 },
	{ 24, "files for plug-ins", twenty_fourth, 0 },
	{ 25, "keys of tenants", twenty_fifth, 0 },
	{ DATA_KEY_SCHEMA, "sealed files for plug-ins", twenty_sixth, 0 },
	{ 27, "finished jobs by their end", twenty_seventh, 0 },
	{ 28, "roles of tenants' own", twenty_eighth, 0 },
	{ 29, "what clusters are found by", cluster_terms_schema, 0 },
	{ 0, NULL, NULL, 0 },
};
