/* sandbox: what a process may still do.  Only ever narrows, and survives
 * exec.  A feature that the running kernel lacks is skipped; sandbox_missing
 * tells which, so that the caller can log it once.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stddef.h>
#include <stdint.h>

/* Rights below a path, for Landlock.  Connecting to a unix socket is not
 * among them: its directory's mode decides.
 */
enum {
	SANDBOX_READ = 1,	/* read files, list directories */
	SANDBOX_EXEC = 2,	/* and read */
	SANDBOX_WRITE = 4	/* write, create, remove, link, rename */
};

struct sandbox_path {
	char const *path;	/* a path that does not exist is no error */
	int rights;
};

/* no_new_privs.  1, -1. */
extern int sandbox_no_new_privs(void);

/* From now on only these paths.  1; 0: no Landlock here; -1 with errno. */
extern int sandbox_paths(struct sandbox_path const *paths, size_t n);

/* Forbids for good what is named, but for connections to these n ports.
 * 1; 0: (some of it) not here; -1.
 */
enum {
	SANDBOX_BIND = 1,	/* bind a TCP port */
	SANDBOX_CONNECT = 2,	/* connect to a TCP port */
	SANDBOX_SIGNAL = 4	/* signal a process outside */
};
extern int sandbox_forbid(int what, uint16_t const *ports, size_t n);

/* Root keeps only the capabilities whose bits are set, from its next exec
 * on: they leave the bounding set.  1, -1.
 */
extern int sandbox_capabilities(uint64_t keep);

/* The deny list that every service can live with: no ptrace, mount, module,
 * reboot, namespace, keyring, bpf, perf, io_uring and their like, no sockets
 * but unix, IP and netlink: EPERM.  1; 0: no seccomp here; -1.
 */
extern int sandbox_syscalls(void);

/* Nothing but read, write, close, exit, and memory: everything else kills.
 * For parsers of foreign bytes.  1; 0; -1.
 */
extern int sandbox_pure(void);

/* The same, and these n system calls (SYS_...) with it.  1; 0; -1 (E2BIG). */
extern int sandbox_only(int const *calls, size_t n);

/* That, and to wait, for time, descriptors and random bytes: for a process
 * that passes bytes between descriptors which it has, through a library that
 * may also try for more: everything else is EPERM.
 */
extern int sandbox_stream(void);

extern char const *sandbox_missing(void);	/* "landlock", ..., or "" */

#endif
