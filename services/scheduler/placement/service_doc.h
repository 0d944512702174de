/* SPDX-License-Identifier: Apache-2.0 */
/* service_doc - reads the definition of a service. Everything is borrowed. Any thread. */
#ifndef LOOM_SCHEDULER_SERVICE_DOC_H
#define LOOM_SCHEDULER_SERVICE_DOC_H

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/json/json.h"

#include <stdbool.h>

/* Name -> definition, from an array of definitions. Destroy the map, not the values. */
struct map *service_doc_map(const struct json *docs);
/* Adds the names in dependencies.PHASE.KIND (install/runtime, requires/uses), each once. */
void service_doc_add_needs(const struct json *doc, const char *phase, const char *kind,
                           struct strs *out);
/* Adds the names that dependencies.provides lists, each once. */
void service_doc_add_provided(const struct json *doc, struct strs *out);
/* Adds the automator types of its actions, each once. */
void service_doc_add_automators(const struct json *doc, struct strs *out);
bool service_doc_has_action(const struct json *doc, const char *action);

#endif
