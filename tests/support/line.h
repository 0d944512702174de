/* SPDX-License-Identifier: Apache-2.0 */
/* line - a client's connection in tests, plain or by TLS, named by its descriptor. Where it does
 * not say otherwise a failure ends the test. One thread. */
#ifndef TESTS_SUPPORT_LINE_H
#define TESTS_SUPPORT_LINE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

int line_open(int port); /* to 127.0.0.1, not yet by TLS */
/* The handshake: of version `most` at most (0: any), believing ca (NULL: anybody), showing who
 * (NULL: nobody). false when it fails; in TLS 1.3 a server's refusal comes later. */
struct pki;
bool line_tls(int fd, const struct pki *ca, const struct pki *who, int most);
SSL *line_ssl(int fd); /* NULL: plain */
/* As send() and recv(), waiting. */
ssize_t line_send(int fd, const void *data, size_t len);
ssize_t line_recv(int fd, void *to, size_t len);
bool line_readable(int fd, int ms); /* within that time */
void line_end(int fd);              /* sends no more */
void line_close(int fd);

#endif
