/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the address of the configuration, by loopback if that means all addresses. */
#include "common/service/service_probe.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/net/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 3000 };

/* The keys of the port that serves /readyz; a service has one of them. */
static const char *const listen_keys[] = { "external_listen", "admin_listen", "listen" };

static char *text_of(const struct config_table *tables, const char *name)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			if (k->type == CFG_STR && str_eq(k->name, name))
				return *(char **)((char *)t->base + k->offset);
		}
	}
	return NULL;
}

/* Trusts the service's own certificate whatever the address, and uses it as client certificate. */
static struct http_trust own_trust(const struct config_table *tables)
{
	return (struct http_trust){ .ca = text_of(tables, "tls_certificate"),
		                    .certificate = text_of(tables, "tls_certificate"),
		                    .key = text_of(tables, "tls_key"),
		                    .pinned = true };
}

static const char *listens_on(const struct config_table *tables)
{
	for (size_t i = 0; i < LOOM_COUNT(listen_keys); i++) {
		const char *found = text_of(tables, listen_keys[i]);
		if (found)
			return found;
	}
	return NULL;
}

static const char *reached_by(const char *host)
{
	if (str_eq(host, "0.0.0.0") || str_eq(host, "*") || str_eq(host, ""))
		return "127.0.0.1";
	return str_eq(host, "[::]") ? "[::1]" : host;
}

int service_probe(const char *name, const struct config_table *tables)
{
	const char *listen = listens_on(tables);
	const char *colon = listen ? strrchr(listen, ':') : NULL;
	struct loom_err err = { 0 };
	if (!colon) {
		fprintf(stderr, "%s: not ready: no address to ask at\n", name);
		return EXIT_FAILURE;
	}
	LOOM_CLEANUP_STR char *host = loom_strndup(listen, (size_t)(colon - listen));
	const struct http_trust own = own_trust(tables);
	bool tls = !str_blank(own.ca);
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s://%s:%s/readyz", tls ? "https" : "http",
	                                           reached_by(host), colon + 1);
	struct http_call call = {
		.method = "GET", .url = url, .trust = &own, .timeout_ms = TIMEOUT_MS
	};
	int rc = http_call(NULL, &call, &err);
	bool well = !rc && call.status == 200;
	if (well)
		printf("%s: ready\n", name);
	else
		fprintf(stderr, "%s: not ready: %s\n", name, rc ? err.msg : buf_str(&call.answer));
	http_call_fini(&call);
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}
