/* SPDX-License-Identifier: Apache-2.0 */
/* Serves the page's files, with ETags so that they are fetched once. */
#include "static.h"

#include "services/ui-gateway/bundle.h"

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/net/http_gzip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE  ((size_t)8 << 20)
#define MAX_DEPTH 8

struct site_file {
	const char *type;   /* literal */
	char *data, *small; /* small: compressed; NULL if that saves nothing */
	size_t len, small_len;
	char tag[36]; /* quoted */
};

struct site {
	struct map *files; /* path -> struct site_file */
};

static void file_free(void *p)
{
	struct site_file *f = p;
	loom_free(f->data);
	loom_free(f->small);
	loom_free(f);
}

const char *site_type(const char *name)
{
	static const struct {
		const char *ext, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".ico", "image/x-icon" },
		{ ".woff2", "font/woff2" },
		{ ".json", "application/json" },
		{ ".webmanifest", "application/manifest+json" },
		{ ".txt", "text/plain; charset=utf-8" },
	};
	for (size_t i = 0; i < LOOM_COUNT(types); i++) {
		if (str_ends(name, types[i].ext))
			return types[i].type;
	}
	return NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_all(int fd, size_t len, char **ret)
{
	LOOM_CLEANUP_STR char *data = loom_malloc(len + 1);
	size_t got = 0;
	while (got < len) {
		ssize_t n = read(fd, data + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		got += (size_t)n;
	}
	data[len] = '\0';
	*ret = loom_take(data);
	return 0;
}

static void make_tag(struct site_file *f)
{
	unsigned char hash[16];
	if (crypto_generichash(hash, sizeof(hash), (const unsigned char *)f->data, f->len, NULL,
	                       0) != 0)
		loom_assert(!"hash");
	f->tag[0] = '"';
	sodium_bin2hex(f->tag + 1, 33, hash, sizeof(hash));
	f->tag[33] = '"';
}

/* Takes data, which ends with a NUL. The name's extension is known. */
static void put_file(struct site *s, const char *path, char *data, size_t len)
{
	struct site_file *f = loom_calloc(1, sizeof(*f));
	f->type = site_type(path);
	f->data = data;
	f->len = len;
	f->small = gzip_helps(f->type) ? gzip_make(data, len, GZIP_BEST, &f->small_len) : NULL;
	make_tag(f);
	map_set(s->files, path, f);
}

static int add_file(struct site *s, int dir, const char *name, const char *path,
                    struct loom_err *err)
{
	const char *type = site_type(name);
	if (!type)
		return 0;
	LOOM_CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_set(err, 0, "%s: %s", path, strerrordesc_np(errno));
	if ((size_t)st.st_size > MAX_FILE)
		return err_set(err, 0, "%s: larger than %zu bytes", path, MAX_FILE);
	char *data = NULL;
	int rc = read_all(fd, (size_t)st.st_size, &data);
	if (rc)
		return err_set(err, 0, "%s: %s", path, strerrordesc_np(-rc));
	put_file(s, path, data, (size_t)st.st_size);
	return 0;
}

static int add_dir(struct site *s, int fd, const char *path, int depth, struct loom_err *err);

static int add_entry(struct site *s, int dir, const char *parent, const char *name, int depth,
                     struct loom_err *err)
{
	struct stat st;
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", parent, name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_set(err, 0, "%s: %s", path, strerrordesc_np(errno));
	if (S_ISREG(st.st_mode))
		return add_file(s, dir, name, path, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(err, 0, "%s: %s", path, strerrordesc_np(errno));
	return add_dir(s, fd, path, depth + 1, err);
}

/* Takes fd. */
static int add_dir(struct site *s, int fd, const char *path, int depth, struct loom_err *err)
{
	DIR *dir = depth > MAX_DEPTH ? NULL : fdopendir(fd);
	if (!dir) {
		int rc = err_set(err, 0, "%s: %s", path,
		                 depth > MAX_DEPTH ? "too deep" : strerrordesc_np(errno));
		loom_close(fd);
		return rc;
	}
	int rc = 0;
	const struct dirent *e;
	while (!rc && (e = readdir(dir))) /* NOLINT(concurrency-mt-unsafe) */ {
		if (e->d_name[0] != '.')
			rc = add_entry(s, dirfd(dir), path, e->d_name, depth, err);
	}
	closedir(dir);
	return rc;
}

/* ---- one script ------------------------------------------------------------------------------ */

static const char *read_module(const void *arg, const char *name)
{
	const struct site *s = arg;
	LOOM_CLEANUP_STR char *path = loom_asprintf("/js/%s", name);
	const struct site_file *f = map_get(s->files, path);
	return f ? f->data : NULL;
}

/* Bundles replace the scripts under their old addresses, so that a page of an older version, or of
 * another gateway, still finds them. */
static void bundle_site(struct site *s)
{
	static const char *const entries[] = { "main.js", "hubworker.js" };
	char *scripts[LOOM_COUNT(entries)] = { 0 };
	struct loom_err err = { 0 };
	bool whole = true;
	for (size_t i = 0; whole && i < LOOM_COUNT(entries); i++) {
		scripts[i] = bundle_modules(read_module, s, entries[i], &err);
		whole = scripts[i];
	}
	for (size_t i = 0; i < LOOM_COUNT(entries); i++) {
		LOOM_CLEANUP_STR char *path = loom_asprintf("/js/%s", entries[i]);
		if (whole)
			put_file(s, path, scripts[i], strlen(scripts[i]));
		else
			loom_free(scripts[i]);
	}
	if (!whole) {
		log_warn("the page's modules are served one by one", LOG_S("reason", err.msg));
		return;
	}
	const struct site_file *index = map_get(s->files, "/index.html");
	char *page = bundle_page(index->data);
	put_file(s, "/index.html", page, strlen(page));
}

int site_load(const char *dir, bool bundle, struct site **ret, struct loom_err *err)
{
	LOOM_CLEANUP(site_destroy) struct site *s = loom_calloc(1, sizeof(*s));
	s->files = map_create(file_free);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, 0, "web_dir %s: %s", dir, strerrordesc_np(errno));
	int rc = add_dir(s, fd, "", 0, err);
	if (rc)
		return rc;
	if (!map_get(s->files, "/index.html"))
		return err_set(err, 0, "web_dir %s: there is no index.html in it", dir);
	if (bundle)
		bundle_site(s);
	*ret = loom_take(s);
	return 0;
}

void site_destroy(struct site *s)
{
	if (!s)
		return;
	map_destroy(s->files);
	loom_free(s);
}

size_t site_count(const struct site *s)
{
	return map_count(s->files);
}

/* ---- serving --------------------------------------------------------------------------------- */

bool site_tag_matches(const char *if_none_match, const char *tag)
{
	size_t n = strlen(tag);
	const char *at = if_none_match;
	while (at && *at) {
		at += strspn(at, " \t,");
		if (*at == '*')
			return true;
		if (str_starts(at, "W/"))
			at += 2;
		if (strncmp(at, tag, n) == 0 && strchr(" \t,", at[n]))
			return true;
		at += strcspn(at, ",");
	}
	return false;
}

void site_serve(const struct site *s, struct http_req *req)
{
	const char *path = http_path(req);
	const struct site_file *f = map_get(s->files, str_eq(path, "/") ? "/index.html" : path);
	if (!f) {
		http_reply_text(req, 404, "There is no page %s here.\n", path);
		return;
	}
	/* Weak: it names the content, compressed or not. */
	LOOM_CLEANUP_STR char *tag = loom_asprintf("W/%s", f->tag);
	http_reply_header(req, "ETag", tag);
	http_reply_header(req, "Cache-Control", "no-cache");
	if (f->small)
		http_reply_header(req, "Vary", "Accept-Encoding");
	if (site_tag_matches(http_header(req, "If-None-Match"), f->tag)) {
		http_reply_empty(req, 304);
	} else if (f->small && gzip_accepted(http_header(req, "Accept-Encoding"))) {
		http_reply_header(req, "Content-Encoding", "gzip");
		http_reply(req, 200, f->type, f->small, f->small_len);
	} else {
		http_reply(req, 200, f->type, f->data, f->len);
	}
}
