/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: the address on which a process listens, a free port; and connecting to peers. */
#include "common/bus/bus.h"

#include "common/base/str.h"
#include "common/bus/bus_private.h"

#include <arpa/inet.h>
#include <limits.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <nanomsg/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIND_TRIES = 20 }; /* for a free port: another program may take it first */

/* tcp://HOST:PORT to an IPv4 address. HOST '*' stands for the address of this machine's own name,
 * for example of a container, whose address is known only once it runs. */
static int parse_listen(const char *listen, struct sockaddr_in *ret, struct loom_err *err)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(listen, ':');
	struct addrinfo *found;
	int64_t port;
	if (!str_starts(listen, "tcp://") || colon < listen + 7 || str_to_int(colon + 1, &port) ||
	    port < 0 || port > 65535)
		return err_set(err, 500, "bus_listen %s is not tcp://HOST:PORT", listen);
	LOOM_CLEANUP_STR char *host = loom_strndup(listen + 6, (size_t)(colon - listen - 6));
	char own[HOST_NAME_MAX + 1] = "";
	if (str_eq(host, "*") && gethostname(own, sizeof(own) - 1))
		return err_set(err, 500, "bus_listen %s: this machine has no name", listen);
	int rc = getaddrinfo(own[0] ? own : host, NULL, &hints, &found);
	if (rc)
		return err_set(err, 500, "bus_listen %s: %s", listen, gai_strerror(rc));
	memcpy(ret, found->ai_addr, sizeof(*ret));
	freeaddrinfo(found);
	ret->sin_port = htons((uint16_t)port);
	if (ret->sin_addr.s_addr == htonl(INADDR_ANY))
		return err_set(err, 500, "bus_listen %s: name an address that peers can reach",
		               listen);
	return 0;
}

/* A port that is free right now; 0 if there is none. */
static in_port_t free_port(struct sockaddr_in addr)
{
	socklen_t len = sizeof(addr);
	LOOM_CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	addr.sin_port = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		return 0;
	return addr.sin_port;
}

int bus_bind(int sock, const char *listen, char address[BUS_ADDRESS_MAX], struct loom_err *err)
{
	struct sockaddr_in addr = { 0 };
	char host[INET_ADDRSTRLEN];
	int rc = parse_listen(listen, &addr, err);
	bool pick = !rc && !addr.sin_port;
	if (rc)
		return rc;
	(void)inet_ntop(AF_INET, &addr.sin_addr, host, sizeof(host));
	for (int i = 0; i < (pick ? BIND_TRIES : 1); i++) {
		if (pick)
			addr.sin_port = free_port(addr);
		(void)snprintf(address, BUS_ADDRESS_MAX, "tcp://%s:%u", host,
		               (unsigned)ntohs(addr.sin_port));
		if (nn_bind(sock, address) >= 0)
			return 0;
	}
	return err_set(err, 500, "bus_listen %s: %s", listen, nn_strerror(nn_errno()));
}

bool bus_connect(const char *address, int *sock, int *ret_fd)
{
	int reconnect = 50, reconnect_max = 1000, at_once = 1;
	size_t n = sizeof(*ret_fd);
	*sock = nn_socket(AF_SP, NN_PUSH);
	if (*sock < 0)
		return false;
	(void)nn_setsockopt(*sock, NN_SOL_SOCKET, NN_RECONNECT_IVL, &reconnect, sizeof(reconnect));
	(void)nn_setsockopt(*sock, NN_SOL_SOCKET, NN_RECONNECT_IVL_MAX, &reconnect_max,
	                    sizeof(reconnect_max));
	/* Traffic is one-way: a delayed small message would wait for the peer's delayed
	 * acknowledgement. */
	(void)nn_setsockopt(*sock, NN_TCP, NN_TCP_NODELAY, &at_once, sizeof(at_once));
	return nn_connect(*sock, address) >= 0 &&
	       nn_getsockopt(*sock, NN_SOL_SOCKET, NN_SNDFD, ret_fd, &n) >= 0;
}
