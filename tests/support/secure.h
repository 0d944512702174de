/* SPDX-License-Identifier: Apache-2.0 */
/* secure - whether the server under test speaks TLS: cases of one program run plain and by TLS. */
#ifndef TESTS_SUPPORT_SECURE_H
#define TESTS_SUPPORT_SECURE_H

#include "common/net/tls.h"
#include "tests/support/pki.h"

#include <stdbool.h>

struct secure {
	bool by_tls;
	struct pki ca;
	struct tls_config cfg; /* files in a folder of their own */
	char dir[64];
};
extern struct secure secure; /* of this program */

/* Unchecked fixtures: from here on by TLS, until here. */
void secure_on(void);
void secure_off(void);

#endif
