/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of tenants and types of plug-ins (REST spec 3 and 4). */
#include "common/operation/schemas.h"

#include "common/base/clock.h"
#include "common/base/str.h"

#include <string.h>
#include <strings.h>

#define REQUIRED SCHEMA_REQUIRED
#define FILLED   SCHEMA_FILLED

/* clang-format off */
#define COMMON \
	{ "name", &schema_name, FILLED, NULL }, \
	{ "label", &schema_text, 0, NULL }, \
	{ "description", &schema_text, 0, NULL }, \
	{ "icon", &schema_text, 0, NULL }, \
	{ "version", &schema_number, 0, "Counted by the server; ignored on input." }
#define OBJECT(about, ...) \
	{ .type = SCHEMA_OBJECT, .doc = about, .fields = (const struct schema_field[]){ __VA_ARGS__, { 0 } } }
#define DOCUMENT(title, about, ...) \
	{ .type = SCHEMA_OBJECT, .name = title, .doc = about, \
	  .fields = (const struct schema_field[]){ COMMON, __VA_ARGS__, { 0 } } }

/* ---- parts ----------------------------------------------------------------------------------- */

static bool is_duration(const struct json *v)
{
	int64_t ms;
	return !clock_parse_ms(json_str(v), &ms) && ms >= 0;
}

/* "7d" or milliseconds, but not "5ms", which the original does not know. */
static bool is_lease(const struct json *v)
{
	const char *s = json_str(v);
	int64_t ms;
	return s && !clock_parse_ms(s, &ms) && ms >= 0 && ms <= SCHEMA_LEASE_MAX && !str_ends(s, "ms");
}

/* Refuses other schemes ("javascript:"), in any spelling that a browser accepts; no scheme is
 * allowed. */
static bool is_web_link(const struct json *v)
{
	const char *url = json_str(v);
	while (*url && (unsigned char)*url <= ' ')
		url++;
	size_t n = strcspn(url, ":/?#%");
	return url[n] != ':' || (n == 4 && strncasecmp(url, "http", n) == 0) ||
	       (n == 5 && strncasecmp(url, "https", n) == 0);
}

static bool is_service(const struct json *v)
{
	return json_is(v, JSON_OBJECT) ? json_get_str(v, "name") != NULL : json_str(v) != NULL;
}

static bool is_mode(const struct json *v)
{
	const char *s = json_str(v);
	size_t n = strspn(s, "01234567");
	return !s[n] && (n == 3 || n == 4);
}

static bool is_passphrase(const struct json *v)
{
	size_t n = json_str_len(v);
	return n >= 12 && n <= 1024 && n == strlen(json_str(v));
}

static bool is_secret_name(const struct json *v)
{
	return schema_is_name(v) && *json_str(v) != '.';
}

static const char *const actions[] = { "install", "remove", "initialize", "configure", "start", "stop",
				       NULL };
static const char *const steps[] = { "create", "confirm", "bootstrap", "install", "remove", "initialize",
				     "configure", "start", "stop", "delete", NULL };
static const char *const events[] = { "start", "success", "failure", "lease_warning", "lease_expired",
				      NULL };
static const char *const formats[] = { "file", "archive", NULL };
static const char *const audiences[] = { "admin", "user", NULL };

static const struct schema duration = { .type = SCHEMA_STRING, .ok = is_duration,
	.must = "a duration, as 500ms or 30s" };
static const struct schema lease = { .type = SCHEMA_ANY, .ok = is_lease, .pattern = "^[0-9]+[smhd]?$",
	.must = "milliseconds, or a number with s, m, h or d, as 7d" };
static const struct schema tries = { .type = SCHEMA_INTEGER, .min = 1, .max = SCHEMA_WHOLE_MAX };
static const struct schema retry = OBJECT("How often a step is tried, and how long is waited between.",
	{ "tries", &tries, 0, "3 unless given." },
	{ "base", &duration, 0, "The first wait." },
	{ "cap", &duration, 0, "The longest wait." });

static const struct schema url = { .type = SCHEMA_STRING, .ok = is_web_link,
	.must = "of http or https only" };
static const struct schema link = OBJECT(NULL,
	{ "label", &schema_text, 0, NULL },
	{ "url", &url, REQUIRED, "May hold macros, as http://%host.self%/." });
static const struct schema links = { .type = SCHEMA_ARRAY, .items = &link, .max = SCHEMA_NAMES_MAX };

/* ---- providers, hardware and image types ----------------------------------------------------- */

static const struct schema creates = { .type = SCHEMA_INTEGER, .min = 1, .max = SCHEMA_WHOLE_MAX };
static const struct schema calls = { .type = SCHEMA_ANY, .doc = "A whole number, or a fraction below 1." };
static const struct schema limits = { .type = SCHEMA_OBJECT, .others = SCHEMA_CLOSED,
	.doc = "What may be asked of the provider at once.",
	.fields = (const struct schema_field[]){
		{ "concurrentCreates", &creates, 0, NULL }, { "callsPerSecond", &calls, 0, NULL }, { 0 } } };

const struct schema schema_provider = DOCUMENT("Provider", "Where machines come from.",
	{ "providertype", &schema_text, FILLED, "The name of a type of providers." },
	{ "provisioner", &schema_map, 0, "Settings for its plug-in." },
	{ "limits", &limits, 0, NULL });

static const struct schema providermap = { .type = SCHEMA_MAP, .items = &schema_strings, .max = SCHEMA_NAMES_MAX,
	.must = "an object from provider names to what they call it" };
const struct schema schema_hardwaretype = DOCUMENT("HardwareType", "A size of machines.",
	{ "providermap", &providermap, REQUIRED, "For each provider: flavor." });
const struct schema schema_imagetype = DOCUMENT("ImageType", "What machines start from.",
	{ "providermap", &providermap, REQUIRED, "For each provider: image, sshuser." });

/* ---- services -------------------------------------------------------------------------------- */

static const struct schema depends = OBJECT(NULL,
	{ "requires", &schema_names, 0, NULL },
	{ "uses", &schema_names, 0, NULL });
static const struct schema dependencies = OBJECT("What a service needs and gives.",
	{ "provides", &schema_names, REQUIRED, NULL },
	{ "conflicts", &schema_names, REQUIRED, NULL },
	{ "install", &depends, 0, NULL },
	{ "runtime", &depends, 0, NULL });
static const struct schema action = OBJECT(NULL,
	{ "type", &schema_text, FILLED, "The name of a type of automators." },
	{ "fields", &schema_strings, 0, NULL },
	{ "retry", &retry, 0, NULL });
static const struct schema service_actions = { .type = SCHEMA_MAP, .words = actions, .items = &action };
static const struct schema service_provisioner = OBJECT(NULL,
	{ "actions", &service_actions, REQUIRED, NULL });
const struct schema schema_service = DOCUMENT("Service", "What runs on machines, and how it gets there.",
	{ "dependencies", &dependencies, 0, NULL },
	{ "provisioner", &service_provisioner, 0, NULL },
	{ "links", &links, 0, NULL });

/* ---- templates ------------------------------------------------------------------------------- */

static const struct schema default_service = { .type = SCHEMA_ANY, .ok = is_service,
	.must = "a name, or an object with a name" };
static const struct schema default_services = { .type = SCHEMA_ARRAY, .items = &default_service,
	.max = SCHEMA_NAMES_MAX };
static const struct schema defaults = OBJECT("What a cluster has that does not say otherwise.",
	{ "services", &default_services, 0, NULL },
	{ "provider", &schema_text, 0, NULL },
	{ "hardwaretype", &schema_text, 0, NULL },
	{ "imagetype", &schema_text, 0, NULL },
	{ "dnsSuffix", &schema_text, 0, NULL },
	{ "config", &schema_map, 0, NULL });
static const struct schema compatibility = OBJECT("What may be used; an empty list is all.",
	{ "hardwaretypes", &schema_names, 0, NULL },
	{ "imagetypes", &schema_names, 0, NULL },
	{ "services", &schema_names, 0, NULL });

static const struct schema set = { .type = SCHEMA_ARRAY, .items = &schema_text, .min = 1,
	.max = SCHEMA_NAMES_MAX };
static const struct schema sets = { .type = SCHEMA_ARRAY, .items = &set, .max = SCHEMA_NAMES_MAX };
static const struct schema layout = OBJECT("Sets of services on one machine.",
	{ "mustcoexist", &sets, 0, NULL },
	{ "cantcoexist", &sets, 0, NULL });
static const struct schema quantities = OBJECT("How many machines have it.",
	{ "min", &schema_whole, 0, NULL },
	{ "max", &schema_whole, 0, NULL });
static const struct schema of_service = OBJECT(NULL,
	{ "quantities", &quantities, REQUIRED, NULL },
	{ "hardwaretypes", &schema_names, 0, NULL },
	{ "imagetypes", &schema_names, 0, NULL });
static const struct schema of_services = { .type = SCHEMA_MAP, .items = &of_service,
	.max = SCHEMA_NAMES_MAX };
static const struct schema size = OBJECT("How many machines a cluster has.",
	{ "min", &tries, 0, NULL },
	{ "max", &schema_whole, 0, NULL });
static const struct schema constraints = OBJECT("What a layout must satisfy.",
	{ "layout", &layout, 0, NULL },
	{ "services", &of_services, 0, NULL },
	{ "size", &size, 0, NULL });

static const struct schema leaseduration = OBJECT("How long clusters live; 0 is forever.",
	{ "initial", &lease, 0, NULL },
	{ "max", &lease, 0, NULL },
	{ "step", &lease, 0, NULL });
static const struct schema event = { .type = SCHEMA_STRING, .words = events };
static const struct schema event_list = { .type = SCHEMA_ARRAY, .items = &event, .min = 1, .max = 16 };
static const struct schema secret_name = { .type = SCHEMA_STRING, .ok = is_secret_name,
	.must = "the name of a secret" };
static const struct schema callback = OBJECT("Whom to tell of a cluster.",
	{ "url", &schema_text, FILLED, NULL },
	{ "events", &event_list, REQUIRED, NULL },
	{ "secretRef", &secret_name, 0, NULL },
	{ "veto", &schema_flag, 0, NULL });
static const struct schema callbacks = { .type = SCHEMA_ARRAY, .items = &callback, .max = 16 };
static const struct schema retries = { .type = SCHEMA_MAP, .words = steps, .items = &retry };
static const struct schema administration = OBJECT(NULL,
	{ "leaseduration", &leaseduration, 0, NULL },
	{ "callbacks", &callbacks, 0, NULL },
	{ "retries", &retries, 0, NULL },
	{ "replacements", &schema_whole, 0, "How many machines of a job others may take the place of." });

#define TEMPLATE \
	{ "defaults", &defaults, 0, NULL }, { "compatibility", &compatibility, 0, NULL }, \
	{ "constraints", &constraints, 0, NULL }, { "administration", &administration, 0, NULL }, \
	{ "links", &links, 0, NULL }
static const struct schema extends = OBJECT(NULL, { "name", &schema_text, FILLED, NULL });
static const struct schema include = OBJECT(NULL, { "name", &schema_text, REQUIRED, NULL });
static const struct schema includes = { .type = SCHEMA_ARRAY, .items = &include, .max = 64 };
static const struct schema immutable = { .type = SCHEMA_BOOLEAN };
const struct schema schema_clustertemplate = DOCUMENT("ClusterTemplate", "What clusters are made from.",
	TEMPLATE,
	{ "extends", &extends, 0, "The template that it adds to." },
	{ "includes", &includes, 0, "Partial templates." });
const struct schema schema_partialtemplate = DOCUMENT("PartialTemplate",
	"What templates have in common.",
	TEMPLATE,
	{ "immutable", &immutable, REQUIRED, "Whether what it configures may be set again." });

/* ---- types of plug-ins ----------------------------------------------------------------------- */

static const struct schema field = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	.fields = (const struct schema_field[]){
		{ "label", &schema_text, FILLED, NULL },
		{ "type", &schema_text, FILLED, NULL },
		{ "tip", &schema_text, 0, NULL },
		{ "default", &schema_any, 0, NULL },
		{ "override", &schema_flag, 0, NULL },
		{ "sensitive", &schema_flag, 0, NULL },
		{ "host", &schema_flag, 0, "Whether it names something of the provisioner's host." },
		{ "options", &schema_names, 0, NULL }, { 0 } } };
static const struct schema field_map = { .type = SCHEMA_MAP, .items = &field };
static const struct schema required = { .type = SCHEMA_ARRAY, .items = &schema_names };
static const struct schema parameters_of = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	.fields = (const struct schema_field[]){
		{ "fields", &field_map, 0, NULL },
		{ "required", &required, 0, "Sets of fields of which one must be given." }, { 0 } } };
static const struct schema parameters = { .type = SCHEMA_MAP, .words = audiences,
	.items = &parameters_of };
static const struct schema format = { .type = SCHEMA_STRING, .words = formats };
static const struct schema mode = { .type = SCHEMA_STRING, .ok = is_mode, .pattern = "^[0-7]{3,4}$",
	.must = "3 or 4 octal digits" };
static const struct schema resource_type = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	.fields = (const struct schema_field[]){
		{ "format", &format, REQUIRED, NULL }, { "permissions", &mode, 0, NULL }, { 0 } } };
static const struct schema resource_types = { .type = SCHEMA_MAP, .items = &resource_type };
#define PLUGIN_TYPE(title, about) DOCUMENT(title, about, \
	{ "parameters", &parameters, 0, "For administrators and for users." }, \
	{ "resourceTypes", &resource_types, 0, NULL })
const struct schema schema_providertype = PLUGIN_TYPE("ProviderType", "A plug-in that makes machines.");
const struct schema schema_automatortype = PLUGIN_TYPE("AutomatorType", "A plug-in that runs services.");

static const char *const resource_statuses[] = { "inactive", "staged", "active", "recalled", NULL };
static const struct schema resource_status = { .type = SCHEMA_STRING, .words = resource_statuses };
const struct schema schema_plugin_resource = {
	.type = SCHEMA_OBJECT, .name = "PluginResource", .doc = "A version of a tenant's file for a plug-in.",
	.fields = (const struct schema_field[]){
		{ "name", &schema_name, REQUIRED, NULL },
		{ "version", &schema_number, REQUIRED, NULL },
		{ "status", &resource_status, REQUIRED, "Of these, active and recalled ones are live." },
		{ 0 } } };

/* ---- all of a tenant ------------------------------------------------------------------------- */

#define LIST(of) static const struct schema list_##of = { .type = SCHEMA_ARRAY, .items = &schema_##of }
LIST(provider);
LIST(hardwaretype);
LIST(imagetype);
LIST(service);
LIST(clustertemplate);
LIST(partialtemplate);
static const struct schema passphrase = { .type = SCHEMA_STRING, .secret = true, .ok = is_passphrase,
	.must = "12 to 1024 bytes" };
const struct schema schema_passphrase = { .type = SCHEMA_OBJECT, .name = "Passphrase",
	.fields = (const struct schema_field[]){
		{ "passphrase", &passphrase, REQUIRED, "What the secrets are sealed with." }, { 0 } } };
static const struct schema sealed_secrets = { .type = SCHEMA_OBJECT, .name = "SealedSecrets",
	.doc = "Secrets of documents, sealed with a passphrase.",
	.fields = (const struct schema_field[]){
		{ "kdf", &schema_text, REQUIRED, NULL },
		{ "salt", &schema_text, REQUIRED, NULL },
		{ "sealed", &schema_text, REQUIRED, NULL }, { 0 } } };
const struct schema schema_catalog = { .type = SCHEMA_OBJECT, .name = "Catalog",
	.doc = "All documents of a tenant.", .must = "a JSON object, as GET /v2/export answers",
	.fields = (const struct schema_field[]){
		{ "providers", &list_provider, 0, NULL },
		{ "hardwaretypes", &list_hardwaretype, 0, NULL },
		{ "imagetypes", &list_imagetype, 0, NULL },
		{ "services", &list_service, 0, NULL },
		{ "clustertemplates", &list_clustertemplate, 0, NULL },
		{ "partialtemplates", &list_partialtemplate, 0, NULL },
		{ "secrets", &sealed_secrets, 0, "As POST /v2/export gave them." },
		{ "passphrase", &passphrase, 0, "What they are sealed with." }, { 0 } } };
/* clang-format on */
