/* Landlock and seccomp by their system calls: Debian 12's headers know less
 * than the kernels that we meet, and libseccomp is a dynamic library.
 */
#include "lib/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h, as of Linux 6.12; the numbers are the same everywhere */
enum {
	LANDLOCK_CREATE = 444,
	LANDLOCK_ADD = 445,
	LANDLOCK_RESTRICT = 446,
	LANDLOCK_VERSION = 1,	/* flag of LANDLOCK_CREATE */
	LANDLOCK_BENEATH = 1,	/* types of LANDLOCK_ADD */
	LANDLOCK_PORT = 2
};

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE = 1 << 4 | 1 << 5,
	FS_MAKE = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12,
	FS_MAKE_DEVICE = 1 << 6 | 1 << 11,
	FS_REFER = 1 << 13,	/* ABI 2: rename between directories */
	FS_TRUNCATE = 1 << 14,	/* ABI 3 */
	FS_IOCTL = 1 << 15,	/* ABI 5: of devices */
	FS_ON_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE,
	NET_BIND = 1 << 0,	/* ABI 4 */
	NET_CONNECT = 1 << 1,
	SCOPE_ABSTRACT = 1 << 0,	/* ABI 6 */
	SCOPE_SIGNAL = 1 << 1
};

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scope;
};

struct beneath {
	uint64_t rights;
	int32_t fd;
} __attribute__((packed));

struct port {
	uint64_t rights;
	uint64_t port;		/* in the order of this machine */
};

/* missing features, a bit each */
enum {
	NO_LANDLOCK = 1,
	NO_TCP = 2,
	NO_SCOPE = 4,
	NO_SECCOMP = 8
};
static int missing;

char const *
sandbox_missing(void)
{
	static char const *const name[] = {
		"landlock", "landlock's tcp rules", "landlock's scopes",
		"seccomp"
	};
	static char text[80];
	size_t i;

	text[0] = 0;
	for (i = 0; i < sizeof name / sizeof *name; i++) {
		if (!(missing & 1 << i))
			continue;
		if (text[0])
			strncat(text, ", ", sizeof text - strlen(text) - 1);
		strncat(text, name[i], sizeof text - strlen(text) - 1);
	}
	return text;
}

int
sandbox_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? -1 : 1;
}

static int
landlock_abi(void)
{
	long r = syscall(LANDLOCK_CREATE, (void *)0, 0, LANDLOCK_VERSION);

	return r == -1 ? 0 : (int)r;
}

/* What a kernel of this ABI does not know it refuses: hand it only its own
 * part of the structure.
 */
static int
landlock_create(struct ruleset const *set, int abi)
{
	size_t n = abi < 4 ? sizeof set->fs : abi < 6 ?
	    sizeof set->fs + sizeof set->net : sizeof *set;

	return (int)syscall(LANDLOCK_CREATE, set, n, 0);
}

static int
landlock_restrict(int fd)
{
	int r = (int)syscall(LANDLOCK_RESTRICT, fd, 0);
	int e = errno;

	close(fd);
	errno = e;
	return r == -1 ? -1 : 1;
}

static uint64_t
rights_of(int rights)
{
	uint64_t all = 0;

	if (rights & (SANDBOX_READ | SANDBOX_EXEC))
		all |= FS_READ_FILE | FS_READ_DIR;
	if (rights & SANDBOX_EXEC)
		all |= FS_EXECUTE;
	if (rights & SANDBOX_WRITE)
		all |= FS_WRITE_FILE | FS_REMOVE | FS_MAKE | FS_REFER |
		    FS_TRUNCATE;
	return all;
}

static int
allow_beneath(int set, struct sandbox_path const *p, uint64_t known)
{
	struct beneath rule;
	struct stat st;
	int r = -1;

	rule.fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.fd == -1)
		return errno == ENOENT || errno == ENOTDIR ? 1 : -1;
	rule.rights = rights_of(p->rights) & known;
	if (fstat(rule.fd, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			rule.rights &= FS_ON_FILES;
		r = (int)syscall(LANDLOCK_ADD, set, LANDLOCK_BENEATH, &rule, 0);
	}
	close(rule.fd);
	return r == -1 ? -1 : 1;
}

int
sandbox_paths(struct sandbox_path const *paths, size_t n)
{
	struct ruleset set = { 0, 0, 0 };
	int abi = landlock_abi();
	size_t i;
	int fd;

	/* under ABI 1 no file can change its directory, and ours do */
	if (abi < 2) {
		missing |= NO_LANDLOCK;
		return 0;
	}
	set.fs = FS_ON_FILES | FS_READ_DIR | FS_REMOVE | FS_MAKE |
	    FS_MAKE_DEVICE | FS_REFER;
	if (abi < 3)
		set.fs &= ~(uint64_t)FS_TRUNCATE;
	if (abi >= 5)
		set.fs |= FS_IOCTL;
	fd = landlock_create(&set, abi);
	if (fd == -1)
		return -1;
	for (i = 0; i < n; i++) {
		if (allow_beneath(fd, paths + i, set.fs) == -1) {
			close(fd);
			return -1;
		}
	}
	return landlock_restrict(fd);
}

static int
allow_refer(int set)
{
	struct sandbox_path const all = { "/", SANDBOX_WRITE };

	return allow_beneath(set, &all, FS_REFER);
}

static int
allow_ports(int set, uint16_t const *ports, size_t n)
{
	struct port rule = { NET_CONNECT, 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		rule.port = ports[i];
		if (syscall(LANDLOCK_ADD, set, LANDLOCK_PORT, &rule, 0) == -1)
			return -1;
	}
	return 1;
}

int
sandbox_forbid(int what, uint16_t const *ports, size_t n)
{
	struct ruleset set = { 0, 0, 0 };
	int abi = landlock_abi();
	int lacks = 0;
	int fd;

	if (what & SANDBOX_BIND)
		set.net |= NET_BIND;
	if (what & SANDBOX_CONNECT)
		set.net |= NET_CONNECT;
	if (what & SANDBOX_SIGNAL)
		set.scope |= SCOPE_SIGNAL | SCOPE_ABSTRACT;
	if (abi < 4 && set.net) {
		lacks |= NO_TCP;
		set.net = 0;
	}
	if (abi < 6 && set.scope) {
		lacks |= NO_SCOPE;
		set.scope = 0;
	}
	missing |= lacks;
	if (!set.net && !set.scope)
		return !lacks;
	/* A ruleset that does not speak of FS_REFER forbids every rename
	 * between directories: this one has nothing against it. */
	set.fs = FS_REFER;
	fd = landlock_create(&set, abi);
	if (fd == -1)
		return -1;
	if (allow_refer(fd) == -1 ||
	    (set.net & NET_CONNECT && allow_ports(fd, ports, n) == -1)) {
		close(fd);
		return -1;
	}
	return landlock_restrict(fd) == -1 ? -1 : !lacks;
}

int
sandbox_capabilities(uint64_t keep)
{
	unsigned long i;

	/* the kernel knows the last one: it refuses what lies behind it */
	for (i = 0; i < 64; i++) {
		if (keep >> i & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == -1)
			return errno == EINVAL && i ? 1 : -1;
	}
	return 1;
}

/* seccomp */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum {
	FILTER_SIZE = 192,
	MORE_CALLS = 40,	/* of sandbox_only; two instructions each */
	X32_BIT = 0x40000000,
	NEW_NAMESPACE = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
	    CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET,
	ALLOW_SPECULATION = 4	/* SECCOMP_FILTER_FLAG_SPEC_ALLOW */
};

static int const denied[] = {
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_swapon, SYS_swapoff,
	SYS_reboot, SYS_kexec_load, SYS_init_module, SYS_finit_module,
	SYS_delete_module, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd,
	SYS_add_key, SYS_request_key, SYS_keyctl, SYS_unshare, SYS_setns,
	SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime,
	SYS_acct, SYS_quotactl, SYS_sethostname, SYS_setdomainname,
	SYS_syslog, SYS_vhangup, SYS_name_to_handle_at, SYS_open_by_handle_at,
	SYS_fanotify_init, SYS_move_pages, SYS_migrate_pages,
#ifdef __x86_64__
	SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load,
#endif
	425, 426, 427,		/* io_uring_setup, _enter, _register */
	428, 429, 430, 431, 432, 433, /* open_tree, move_mount, fsopen, ... */
	438,			/* pidfd_getfd */
	442, 443, 447		/* mount_setattr, quotactl_fd, memfd_secret */
};

static int const pure[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_close,
	SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall,
	SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, SYS_clock_gettime
};

static int const stream[] = {
	SYS_ppoll, SYS_getrandom, SYS_futex, SYS_getpid, SYS_gettimeofday,
	SYS_shutdown,
#ifdef __x86_64__
	SYS_poll, SYS_time,
#endif
};

struct filter {
	struct sock_filter op[FILTER_SIZE];
	unsigned short n;
};

static void
emit(struct filter *f, unsigned short code, uint32_t k, uint8_t yes, uint8_t no)
{
	struct sock_filter op;

	op.code = code;
	op.jt = yes;
	op.jf = no;
	op.k = k;
	f->op[f->n++] = op;
}

static void
emit_load(struct filter *f, size_t offset)
{
	emit(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
emit_return(struct filter *f, uint32_t verdict)
{
	emit(f, BPF_RET | BPF_K, verdict, 0, 0);
}

/* if the accumulator is k (or, JSET, has a bit of k): verdict */
static void
emit_verdict(struct filter *f, unsigned short test, uint32_t k,
    uint32_t verdict)
{
	emit(f, (unsigned short)(BPF_JMP | BPF_K | test), k, 0, 1);
	emit_return(f, verdict);
}

/* the low half of an argument of call nr: "if (bits & mask) verdict; else
 * allow", after a jump over all of this for every other call
 */
static void
emit_flags(struct filter *f, int nr, int arg, uint32_t mask, uint32_t verdict)
{
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 4);
	emit_load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)arg);
	emit_verdict(f, BPF_JSET, mask, verdict);
	emit_return(f, SECCOMP_RET_ALLOW);
}

/* Another architecture's calls have other numbers: none of them. */
static int
emit_start(struct filter *f, uint32_t verdict)
{
#ifdef ARCHITECTURE
	f->n = 0;
	emit_load(f, offsetof(struct seccomp_data, arch));
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	emit_return(f, verdict);
	emit_load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	emit(f, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	emit_return(f, verdict);
#endif
	return 1;
#else
	(void)f;
	(void)verdict;
	return 0;
#endif
}

static int
install(struct filter *f, unsigned int flags)
{
	struct sock_fprog prog;

	prog.len = f->n;
	prog.filter = f->op;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog) == 0)
		return 1;
	if (errno != ENOSYS && errno != EINVAL)
		return -1;
	missing |= NO_SECCOMP;
	return 0;
}

/* Packet, crypto, virtual machine and other exotic sockets are where kernels
 * have their holes.
 */
static void
emit_sockets(struct filter *f, uint32_t verdict)
{
	static int const good[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	size_t i, n = sizeof good / sizeof *good;

	emit(f, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, (uint8_t)(2 * n + 2));
	emit_load(f, offsetof(struct seccomp_data, args));
	for (i = 0; i < n; i++)
		emit_verdict(f, BPF_JEQ, (uint32_t)good[i], SECCOMP_RET_ALLOW);
	emit_return(f, verdict);
}

/* TIOCSTI types on a terminal on behalf of another */
static void
emit_ioctl(struct filter *f, uint32_t verdict)
{
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4);
	emit_load(f, offsetof(struct seccomp_data, args) + 8);
	emit_verdict(f, BPF_JEQ, TIOCSTI, verdict);
	emit_return(f, SECCOMP_RET_ALLOW);
}

int
sandbox_syscalls(void)
{
	uint32_t no = SECCOMP_RET_ERRNO | EPERM;
	struct filter f;
	size_t i;

	if (!emit_start(&f, no)) {
		missing |= NO_SECCOMP;
		return 0;
	}
	for (i = 0; i < sizeof denied / sizeof *denied; i++)
		emit_verdict(&f, BPF_JEQ, (uint32_t)denied[i], no);
	/* clone3 keeps its flags out of a filter's sight; callers that hear
	 * ENOSYS take clone */
	emit_verdict(&f, BPF_JEQ, 435, SECCOMP_RET_ERRNO | ENOSYS);
	emit_flags(&f, SYS_clone, 0, NEW_NAMESPACE, no);
	emit_sockets(&f, no);
	emit_ioctl(&f, no);
	emit_return(&f, SECCOMP_RET_ALLOW);
	return install(&f, ALLOW_SPECULATION);
}

static int
only(int const *more, size_t n, uint32_t no)
{
	struct filter f;
	size_t i;

	if (!emit_start(&f, no)) {
		missing |= NO_SECCOMP;
		return 0;
	}
	if (n > MORE_CALLS) {
		errno = E2BIG;
		return -1;
	}
	for (i = 0; i < sizeof pure / sizeof *pure; i++)
		emit_verdict(&f, BPF_JEQ, (uint32_t)pure[i], SECCOMP_RET_ALLOW);
	for (i = 0; i < n; i++)
		emit_verdict(&f, BPF_JEQ, (uint32_t)more[i], SECCOMP_RET_ALLOW);
	emit_flags(&f, SYS_mmap, 2, PROT_EXEC, no);
	emit_flags(&f, SYS_mprotect, 2, PROT_EXEC, no);
	emit_return(&f, no);
	return install(&f, 0);
}

int
sandbox_pure(void)
{
	return only(0, 0, SECCOMP_RET_KILL_PROCESS);
}

int
sandbox_only(int const *calls, size_t n)
{
	return only(calls, n, SECCOMP_RET_KILL_PROCESS);
}

int
sandbox_stream(void)
{
	return only(stream, sizeof stream / sizeof *stream,
	    SECCOMP_RET_ERRNO | EPERM);
}
