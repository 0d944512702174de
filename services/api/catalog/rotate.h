/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotate - loom-api --rotate-keys: seals the tenants' keys with the newest master key, and
 * everything that is not sealed with its tenant's present key with that one; then reports which
 * keys seal what. --rotate-keys=data makes new keys for all tenants first. May run beside live
 * services, and may be interrupted and run again. One thread, blocking.
 */
#ifndef LOOM_API_ROTATE_H
#define LOOM_API_ROTATE_H

/* ctx: a struct api whose configuration is read. Returns the exit code; reports to stdout, errors
 * to stderr. */
int rotate_keys(void *ctx, const char *value);

#endif
