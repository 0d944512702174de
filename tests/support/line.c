/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/line.h"
#include "tests/support/pki.h"

#include <arpa/inet.h>
#include <check.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES = 4096 };

static SSL *lines[LINES];

int line_open(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(fd >= 0 && fd < LINES);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

bool line_tls(int fd, const struct pki *ca, const struct pki *who, int most)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	ck_assert_ptr_nonnull(ctx);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, most);
	SSL_CTX_set_security_level(ctx, 0); /* it is the server that is to be strict */
	if (ca) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca->cert);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	if (who) {
		ck_assert_int_eq(SSL_CTX_use_certificate(ctx, who->cert), 1);
		ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, who->key), 1);
	}
	lines[fd] = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(lines[fd], fd);
	bool good = SSL_connect(lines[fd]) == 1;
	ERR_clear_error();
	return good;
}

SSL *line_ssl(int fd)
{
	return lines[fd];
}

ssize_t line_send(int fd, const void *data, size_t len)
{
	if (!lines[fd])
		return send(fd, data, len, MSG_NOSIGNAL);
	ssize_t n = len ? SSL_write(lines[fd], data, (int)len) : 0;
	ERR_clear_error();
	return n;
}

ssize_t line_recv(int fd, void *to, size_t len)
{
	if (!lines[fd])
		return recv(fd, to, len, 0);
	ssize_t n = SSL_read(lines[fd], to, (int)len);
	ERR_clear_error();
	return n;
}

bool line_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return (lines[fd] && SSL_pending(lines[fd])) || poll(&p, 1, ms) == 1;
}

void line_end(int fd)
{
	if (lines[fd])
		SSL_shutdown(lines[fd]);
	else
		shutdown(fd, SHUT_WR);
}

void line_close(int fd)
{
	SSL_free(lines[fd]);
	lines[fd] = NULL;
	close(fd);
}
