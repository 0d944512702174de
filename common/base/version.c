/* SPDX-License-Identifier: Apache-2.0 */
/* version - the only file that depends on version and commit, so that a new commit recompiles
 * nothing else. */
#include "common/base/version.h"

#ifndef LOOM_VERSION /* make VERSION=... */
#define LOOM_VERSION "0.1.0"
#endif

#ifndef LOOM_COMMIT /* `git archive` puts it here (.gitattributes) */
#define LOOM_COMMIT "$Format:%H$"
#endif

const char loom_version[] = LOOM_VERSION;
const char loom_commit[] = LOOM_COMMIT;
