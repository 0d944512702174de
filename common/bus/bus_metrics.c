/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of the bus. */
#include "common/bus/bus_private.h"

#include <pthread.h>

#define COUNTER(n, h)                                            \
	{                                                        \
		.name = (n), .help = (h), .kind = METRIC_COUNTER \
	}
#define GAUGE(n, h)                                            \
	{                                                      \
		.name = (n), .help = (h), .kind = METRIC_GAUGE \
	}

struct metric bus_metrics[BUS_M_COUNT] = {
	[BUS_M_SENT] = COUNTER("loom_bus_sent_total", "Messages sent to other services."),
	[BUS_M_RECEIVED] = COUNTER("loom_bus_received_total", "Messages received and understood."),
	[BUS_M_UNSEALED] = COUNTER("loom_bus_unsealed_total",
	                           "Messages dropped: not sealed with the cluster key."),
	[BUS_M_MALFORMED] = COUNTER("loom_bus_malformed_total", "Messages dropped: malformed."),
	[BUS_M_ASTRAY] =
		COUNTER("loom_bus_astray_total", "Messages dropped: made for another process."),
	[BUS_M_STALE] = COUNTER("loom_bus_stale_total", "Messages dropped: outdated challenge."),
	[BUS_M_REPLAYED] = COUNTER("loom_bus_replayed_total", "Messages dropped: seen before."),
	[BUS_M_REQUESTS] = COUNTER("loom_bus_requests_total", "Requests made."),
	[BUS_M_TIMEOUTS] = COUNTER("loom_bus_timeouts_total", "Requests not answered in time."),
	[BUS_M_UNREACHABLE] =
		COUNTER("loom_bus_unreachable_total", "Requests whose peer was away or died."),
	[BUS_M_RESETS] = COUNTER("loom_bus_resets_total",
	                         "Connections replaced because the peer was silent."),
	[BUS_M_PENDING] = GAUGE("loom_bus_pending", "Requests awaiting an answer."),
	[BUS_M_PEERS] = GAUGE("loom_bus_peers", "Peers with a socket."),
	[BUS_M_SKEW] = GAUGE("loom_bus_clock_skew_milliseconds",
	                     "Largest difference of a peer's wall clock to ours."),
	[BUS_M_REQUEST_MS] = { .name = "loom_bus_request_ms",
	                       .help = "Time from request to answer.",
	                       .kind = METRIC_HISTOGRAM_MS },
};

static void register_metrics(void)
{
	metrics_register(bus_metrics + 1, BUS_M_COUNT - 1);
}

void bus_metrics_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, register_metrics);
}
