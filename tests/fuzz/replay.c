/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer: on every file of the folders it is given, whole and cut
 * short at each byte. The bytes stand in a block of just their size, so that a sanitizer sees one
 * read too many.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_BYTES = 1 << 20, CUT_BYTES = 8192 };

static void run(const unsigned char *data, size_t size)
{
	unsigned char *exact = loom_malloc(size ? size : 1);
	memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	loom_free(exact);
}

static int replay_file(const char *path)
{
	static unsigned char data[INPUT_BYTES];
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	size_t size = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	(void)fprintf(stderr, "%s\n", path);
	run(data, size);
	for (size_t n = 0; n < size && n < CUT_BYTES; n++)
		run(data, n);
	return 0;
}

/* How many files of the folder were run; -1 when one could not be read. */
static int replay_folder(const char *folder)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, alphasort);
	int files = 0;
	if (n < 0) {
		perror(folder);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && files >= 0)
			files = replay_file(path) ? -1 : files + 1;
		free(names[i]);
	}
	free(names);
	return files;
}

int main(int argc, char **argv)
{
	int total = 0;
	for (int i = 1; i < argc; i++) {
		int files = replay_folder(argv[i]);
		if (files < 0)
			return EXIT_FAILURE;
		total += files;
	}
	if (!total) {
		(void)fprintf(stderr, "replay: no inputs; usage: %s FOLDER...\n", argv[0]);
		return EXIT_FAILURE;
	}
	(void)printf("%d inputs\n", total);
	return EXIT_SUCCESS;
}
