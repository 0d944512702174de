/* SPDX-License-Identifier: Apache-2.0 */
/* A page without scripts, in the style of the web app. */
#include "services/ui-gateway/login_page.h"

#include <string.h>

#define PAGE_MOST ((size_t)16 << 10)
#define TEXT_MOST 600 /* bytes of each text */

static void add_text(struct buf *b, const char *text)
{
	static const struct {
		char c;
		const char *as;
	} escapes[] = { { '&', "&amp;" },
		        { '<', "&lt;" },
		        { '>', "&gt;" },
		        { '"', "&quot;" },
		        { '\'', "&#39;" } };
	size_t n = strnlen(text, TEXT_MOST);
	for (size_t i = 0; i < n; i++) {
		const char *as = NULL;
		for (size_t k = 0; k < LOOM_COUNT(escapes); k++)
			as = escapes[k].c == text[i] ? escapes[k].as : as;
		if (as)
			buf_adds(b, as);
		else
			buf_addc(b, (unsigned char)text[i] < ' ' ? ' ' : text[i]);
	}
}

void login_page(struct http_req *req, int status, const char *what, const char *todo)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(PAGE_MOST);
	buf_adds(&b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	             "<meta name=\"color-scheme\" content=\"light dark\">\n"
	             "<title>Not logged in · Loom</title>\n"
	             "<link rel=\"stylesheet\" href=\"/css/base.css\">\n"
	             "<link rel=\"stylesheet\" href=\"/css/parts.css\">\n</head>\n"
	             "<body>\n<main id=\"main\"><section class=\"empty\">\n"
	             "<h1>You are not logged in</h1>\n<p role=\"alert\">");
	add_text(&b, what);
	buf_adds(&b, "</p>\n<p class=\"muted\">");
	add_text(&b, todo);
	buf_adds(
		&b,
		"</p>\n<p><a class=\"button primary\" href=\"/login\">Log in again</a> "
		"<a class=\"button\" href=\"/\">Back to Loom</a></p>\n<p class=\"muted\">Request <code>");
	add_text(&b, http_id(req));
	buf_adds(&b, "</code></p>\n</section></main>\n</body>\n</html>\n");
	http_reply(req, status, "text/html; charset=utf-8", buf_str(&b), b.len);
}
