/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections by TLS.  libevent's bufferevent does the handshake and the coding; where the server
 * goes past it, to the socket (refusals, bodies that are read as they come), it goes through here.
 * Such a connection has a place and a share from the first, as any other; its handshake has the
 * time that a head may take.
 */
#include "common/net/http_internal.h"
#include "common/net/tls.h"

#include "common/base/log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

int http_server_tls(struct http_server *s, const struct tls_config *cfg, struct loom_err *err)
{
	loom_assert(!s->bound && !s->tls);
	return tls_create(s->loop, cfg, &s->tls, err);
}

struct bufferevent *conn_bufferevent(const struct http_server *s, struct event_base *base)
{
	if (!s->tls)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	return bufferevent_openssl_socket_new(base, -1, tls_accept(s->tls),
	                                      BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

bool conn_shakes(const struct server_conn *c)
{
	char none;
	/* What OpenSSL calls finished is not any more after an error. */
	return c->ssl && !SSL_get_peer_finished(c->ssl, &none, 0);
}

bool http_by_tls(const struct http_req *req)
{
	return req->server->tls;
}

/* ---- one record after the other -------------------------------------------------------------- */

/* libevent may read two records at once, and gives the connection up at once when the second one
 * says that the peer sends no more: the request in the first one would have no answer. So the head
 * of a second one is not there yet, once. */
static long on_bio(BIO *b, int what, const char *data LOOM_UNUSED, size_t len, int argi LOOM_UNUSED,
                   long argl LOOM_UNUSED, int ret, size_t *done LOOM_UNUSED)
{
	struct server_conn *c = (struct server_conn *)(void *)BIO_get_callback_arg(b);
	bool head = len == SSL3_RT_HEADER_LENGTH;
	if (what == (BIO_CB_READ | BIO_CB_RETURN) && ret > 0 && !head)
		c->record_read = true;
	if (what != BIO_CB_READ || !head || !c->record_read || conn_shakes(c))
		return ret;
	c->record_read = false;
	BIO_set_retry_read(b);
	return -1;
}

void conn_pace(struct server_conn *c)
{
	BIO *b = c->ssl ? SSL_get_rbio(c->ssl) : NULL;
	if (!b)
		return;
	BIO_set_callback_ex(b, on_bio);
	BIO_set_callback_arg(b, (char *)c);
}

/* ---- past the bufferevent -------------------------------------------------------------------- */

/* What the return value of OpenSSL means, as that of recv() and send(). */
static ssize_t as_socket(const struct server_conn *c, int n)
{
	int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, n);
	ERR_clear_error(); /* or it is taken for that of another connection */
	if (n > 0)
		return n;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return -1;
}

ssize_t conn_recv(struct server_conn *c, void *to, size_t len)
{
	if (!c->ssl)
		return recv(c->fd, to, len, MSG_DONTWAIT);
	c->record_read = false;
	return as_socket(c, SSL_read(c->ssl, to, len > INT_MAX ? INT_MAX : (int)len));
}

bool conn_has_more(const struct server_conn *c)
{
	return c->ssl && SSL_pending(c->ssl) > 0;
}

/* libevent waits for the socket, which does not know of what OpenSSL has read ahead. */
void conn_stir(const struct server_conn *c)
{
	struct event *reads = &c->bev->ev_read;
	if (conn_has_more(c) && event_pending(reads, EV_READ, NULL))
		event_active(reads, EV_READ, 0);
}

ssize_t conn_send(const struct server_conn *c, const void *data, size_t len)
{
	if (!c->ssl)
		return send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!conn_shakes(c))
		return as_socket(c, SSL_write(c->ssl, data, (int)len));
	errno = ENOTCONN;
	return -1;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Who came without TLS is told so, in what it speaks. */
static void refuse_plain(const struct server_conn *c)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Length: 39\r\n"
				   "Connection: close\r\n\r\n"
				   "this port speaks TLS: ask by https://.\n";
	if (send(c->fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("refusal not sent", LOG_S("error", strerrordesc_np(errno)));
}

static void handshake_failed(const struct server_conn *c)
{
	unsigned long first = 0;
	/* They come last first; among them libevent puts codes of its own, of no library. */
	for (unsigned long e; (e = bufferevent_get_openssl_error(c->bev));)
		first = ERR_GET_LIB(e) ? e : first;
	int why = ERR_GET_REASON(first);
	/* Who only looks whether somebody listens has done nothing wrong. */
	if ((!first || why == SSL_R_UNEXPECTED_EOF_WHILE_READING) && !c->refused)
		return;
	tls_count_refused();
	const char *text = first ? ERR_reason_error_string(first) : c->reason;
	log_debug("TLS handshake failed", LOG_S("peer", c->peer_name), LOG_S("reason", text));
	if (why == SSL_R_HTTP_REQUEST)
		refuse_plain(c);
	if (first) /* else who has sent more already would not see why */
		conn_linger(c);
}

void conn_farewell(const struct server_conn *c)
{
	if (!c->ssl)
		return;
	if (conn_shakes(c))
		handshake_failed(c);
	else if (!evbuffer_get_length(bufferevent_get_output(c->bev)))
		(void)SSL_shutdown(c->ssl); /* so that the peer knows that it was the end */
	ERR_clear_error();
	BIO_set_callback_ex(SSL_get_rbio(c->ssl), NULL);
}
