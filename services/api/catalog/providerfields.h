/* SPDX-License-Identifier: Apache-2.0 */
/*
 * providerfields - what a user may add to a provider's settings (REST spec 5.3): fields declared as
 * `user`, or as `admin` with `override`; others are dropped. Pure.
 */
#ifndef LOOM_API_PROVIDERFIELDS_H
#define LOOM_API_PROVIDERFIELDS_H

#include "common/base/str.h"
#include "common/json/json.h"

/* Merges the accepted fields into provider's `provisioner`. 0, or 400 with *ret_missing owned: the
 * original's {"missingFields":[..]}, one object for each alternative. A mask (secret.h) leaves what
 * the provider has. fields may be NULL. */
LOOM_MUST_CHECK int providerfields_apply(const struct json *type, const struct json *fields,
                                         struct json *provider, struct json **ret_missing);

/* Adds the paths of the dropped fields to ret: "providerFields.regoin". Only the first few. */
void providerfields_over(const struct json *type, const struct json *fields, struct strs *ret);

#endif
