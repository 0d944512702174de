/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/secure.h"

#include "common/base/str.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct secure secure;

static char *file(const char *name)
{
	return loom_asprintf("%s/%s", secure.dir, name);
}

void secure_on(void)
{
	strcpy(secure.dir, "/tmp/loom-tls-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(secure.dir));
	secure.ca = pki_new(NULL, "authority", -60, 3600);
	struct pki own = pki_new(&secure.ca, "server", -60, 3600);
	secure.cfg = (struct tls_config){ file("cert.pem"), file("key.pem"), loom_strdup("") };
	pki_write(&own, secure.cfg.certificate, secure.cfg.key);
	pki_free(&own);
	secure.by_tls = true;
}

void secure_off(void)
{
	unlink(secure.cfg.certificate);
	unlink(secure.cfg.key);
	rmdir(secure.dir);
	loom_free(secure.cfg.certificate);
	loom_free(secure.cfg.key);
	loom_free(secure.cfg.client_ca);
	pki_free(&secure.ca);
	secure = (struct secure){ 0 };
}
