/* SPDX-License-Identifier: Apache-2.0 */
/* version - what this program was built from. Constant; any thread. */
#ifndef LOOM_BASE_VERSION_H
#define LOOM_BASE_VERSION_H

extern const char loom_version[]; /* "0.1.0" */
extern const char loom_commit[];  /* 12 digits, with "-modified" if it was; or "unknown" */

#endif
