/* SPDX-License-Identifier: Apache-2.0 */
/* Closed standard descriptors are taken, so that nothing else gets their numbers. */
#include "common/base/stdfds.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0, or the number of the step that went wrong; closed: a bit for each descriptor. */
static int try_closed(int closed)
{
	char byte = 'x';
	for (int fd = 0; fd < 3; fd++) {
		if (closed & 1 << fd)
			close(fd);
	}
	stdfds_take();
	if (open("/dev/null", O_RDWR) < 3)
		return 1;
	if (closed & 1 && (read(STDIN_FILENO, &byte, 1) >= 0 || errno != EBADF))
		return 2;
	for (int fd = 1; fd < 3; fd++) {
		if (closed & 1 << fd && (write(fd, &byte, 1) >= 0 || errno != EBADF))
			return 3;
	}
	return 0;
}

START_TEST(closed_ones_are_taken)
{
	int status = -1;
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(try_closed(_i));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("stdfds");
	tcase_add_loop_test(t, closed_ones_are_taken, 0, 8);
	return UNIT_RUN("base_stdfds", t);
}
