/* SPDX-License-Identifier: Apache-2.0 */
/* tracing - reports a request to the collector when it is answered. */
#include "services/api/request/tracing.h"

#include "common/base/clock.h"
#include "services/api/api.h"
#include "services/api/request/audit.h"

static bool is_traced(const struct api *a, const struct http_req *req)
{
	const struct http_route *row = http_matched(req);
	if (row->run & HTTP_HEALTH)
		return false;
	return *http_trace_parent(req) || audit_is_change(api_routes_rule(a->routes, row));
}

void tracing_answered(struct http_req *req, int status, void *api)
{
	const struct api *a = api;
	struct spans *spans = service_spans(a->service);
	const struct http_route *row = http_matched(req);
	if (!spans || !is_traced(a, req))
		return;
	int64_t now = clock_wall_us();
	LOOM_CLEANUP_STR char *name = loom_asprintf("%s %s", row->method, row->pattern);
	const struct log_field fields[] = { LOG_S("http.request.method", http_method(req)),
		                            LOG_S("http.route", row->pattern),
		                            LOG_S("url.path", http_path(req)),
		                            LOG_I("http.response.status_code", status),
		                            LOG_S("client.address", http_peer(req)),
		                            LOG_S("loom.request", http_id(req)),
		                            { 0 } };
	spans_add(spans, &(struct span){ .at = http_trace(req),
	                                 .parent = http_trace_parent(req),
	                                 .state = http_trace_state(req),
	                                 .name = name,
	                                 .kind = SPAN_SERVER,
	                                 .start_us = now - http_age_us(req),
	                                 .end_us = now,
	                                 .fields = fields,
	                                 .failed = status >= 500 });
}

void tracing_keep(const struct http_req *req, struct job_params *p)
{
	char text[TRACE_TEXT];
	trace_text(http_trace(req), text);
	job_params_set(&p->trace, text);
	job_params_set(&p->trace_state, http_trace_state(req));
}
