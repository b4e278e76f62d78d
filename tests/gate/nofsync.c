/* nofsync PROGRAM [ARGUMENT ...]: runs a program, and what it runs, in a world
 * where each sync says that it is done and does nothing: what a power-cut test
 * must not survive.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ELEMENTS(a) (sizeof (a) / sizeof *(a))

static int
install(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync_file_range, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_syncfs, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO)
	};
	struct sock_fprog program = { ELEMENTS(code), code };

	/* as root; without, no_new_privs would have to be set */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "nofsync: usage: nofsync program "
		    "[ argument ... ]\n");
		return 100;
	}
	if (install() == 0)
		execvp(argv[1], argv + 1);
	fprintf(stderr, "nofsync: fatal: unable to run %s: %s\n", argv[1],
	    strerror(errno));
	return 111;
}
