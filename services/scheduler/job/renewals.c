/* SPDX-License-Identifier: Apache-2.0 */
/* renewals - judges what sweeps of the janitor see of the database. */
#include "services/scheduler/job/renewals.h"

/* SLOW_MS is an eighth of the default task_lease_ms: heartbeats that wait this long for the
 * database still renew leases in time. HEARD_MS is more than two heartbeats. */
enum { SLOW_MS = 1000, HEARD_MS = 5000, PATIENCE = 4 };

bool renewals_for(const struct renewals *r, int64_t now, int64_t for_ms)
{
	return !r->away_until || now - r->away_until >= for_ms;
}

void renewals_see(struct renewals *r, const struct renewals_look *look, int64_t lease_ms)
{
	bool doubt = r->write_failed || look->answered - look->asked > SLOW_MS;
	r->write_failed = false;
	bool away = look->failed || look->step > 0;
	/* An outage, or a whole lease without doubt: patience begins again. */
	if (away || (!doubt && renewals_for(r, look->answered, lease_ms)))
		r->doubt_since = 0;
	else if (doubt && !r->doubt_since)
		r->doubt_since = look->asked;
	bool patient = look->answered - r->doubt_since < PATIENCE * lease_ms;
	if (away || (doubt && (patient || look->silence > HEARD_MS)))
		r->away_until = look->answered;
}
