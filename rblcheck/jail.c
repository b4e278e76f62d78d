#include "rblcheck/jail.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW(call) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), \
	RETURN(SECCOMP_RET_ALLOW)

#ifdef ARCH
static struct sock_filter const filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
#ifdef SYS_poll
	ALLOW(poll),
#endif
	ALLOW(ppoll),
	ALLOW(recvfrom),
	ALLOW(sendto),
	ALLOW(read),
	ALLOW(write),
	ALLOW(writev),
	ALLOW(close),
	ALLOW(connect),
	ALLOW(getrandom),
	ALLOW(fcntl),		/* O_NONBLOCK */
	ALLOW(setsockopt),	/* IPV6_V6ONLY */
	ALLOW(clock_gettime),	/* where there is no vdso */
	ALLOW(brk),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(restart_syscall),
	ALLOW(exit),
	ALLOW(exit_group),
	/* sockets of these two families alone */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_KILL_PROCESS)
};
#endif

int
jail(void)
{
#ifdef ARCH
	struct sock_fprog prog = {
		sizeof filter / sizeof *filter, (struct sock_filter *)filter
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
#else
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
#endif
}
