/* stsfetch: the text of a domain's MTA-STS policy (RFC 8461 3.3), fetched by
 * curl, on descriptor 1, and behind it a line with the three digits of the web
 * server's answer, a blank, and the media type that it names.
 *
 * Runs as:    its caller (remote), with fewer rights: it can start curl, read
 *             libraries and certificates, and connect to port 443
 * Reads:      through curl, what a stranger's web server says
 * Writes:     descriptor 1
 * Trusts:     its arguments; curl, for HTTPS
 * Trusted by: its caller, that the text is the domain's
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/stralloc.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "lib/resolve.h"
#include "lib/sandbox.h"

#define CURL "/usr/bin/curl"
#define PATH "/.well-known/mta-sts.txt"
#define SIZE "65536"
enum { HTTPS = 443 };

static void
limit(int what, rlim_t most)
{
	struct rlimit r = { most, most };

	if (setrlimit(what, &r) == -1)
		strerr_diefu1sys(EXIT_TEMP, "set a limit");
}

static void
confine(unsigned int port)
{
	static struct sandbox_path const paths[] = {
		{ CURL, SANDBOX_EXEC }, { "/lib", SANDBOX_EXEC },
		{ "/lib64", SANDBOX_EXEC }, { "/usr/lib", SANDBOX_EXEC },
		{ "/etc/ssl", SANDBOX_READ },
		{ "/etc/ld.so.cache", SANDBOX_READ }
	};
	uint16_t ports = port;
	char const *ca = getenv("SSL_CERT_FILE");
	struct sandbox_path all[sizeof paths / sizeof *paths + 1];
	size_t n = sizeof paths / sizeof *paths;

	memcpy(all, paths, sizeof paths);
	if (ca) {
		all[n].path = ca;
		all[n++].rights = SANDBOX_READ;
	}
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, 64);
	limit(RLIMIT_CPU, 20);
	limit(RLIMIT_DATA, 256 << 20);
	if (sandbox_no_new_privs() == -1 || sandbox_paths(all, n) == -1 ||
	    sandbox_forbid(SANDBOX_BIND | SANDBOX_CONNECT | SANDBOX_SIGNAL,
	    &ports, 1) == -1)
		strerr_diefu1sys(EXIT_TEMP, "confine itself");
}

/* "mta-sts.DOMAIN:PORT" between other texts. */
static void
put(stralloc *s, char const *before, char const *domain, unsigned int port)
{
	char number[UINT_FMT];

	number[uint_fmt(number, port)] = 0;
	if (!stralloc_cats(s, before) || !stralloc_cats(s, "mta-sts.") ||
	    !stralloc_cats(s, domain) || !stralloc_cats(s, ":") ||
	    !stralloc_cats(s, number))
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
}

/* No names are looked up: the caller knows the addresses. */
static void
where(stralloc *url, stralloc *resolve, char const *const *argv,
    unsigned int port)
{
	char const *comma = ":";

	put(url, "https://", argv[1], port);
	put(resolve, "", argv[1], port);
	for (argv += 2; *argv; argv++, comma = ",")
		if (!stralloc_cats(resolve, comma) ||
		    !stralloc_cats(resolve, *argv))
			strerr_diefu1sys(EXIT_TEMP, "allocate memory");
	if (!stralloc_cats(url, PATH) || !stralloc_0(url) ||
	    !stralloc_0(resolve))
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
}

int
main(int argc, char const *const *argv)
{
	stralloc url = STRALLOC_ZERO, resolve = STRALLOC_ZERO;
	char const *port_text = getenv("STSPORT");
	unsigned int port = HTTPS;

	PROG = "stsfetch";
	if (argc < 3 || !resolve_valid(argv[1], strlen(argv[1])))
		strerr_dieusage(EXIT_USAGE, "stsfetch domain address ...");
	if (port_text && (!uint0_scan(port_text, &port) || port > 65535))
		strerr_dief1x(EXIT_USAGE, "$STSPORT is no port");
	where(&url, &resolve, argv, port);
	confine(port);
	char const *const curl[] = { CURL, "-q", "--silent", "--fail",
	    "--globoff", "--proto", "=https", "--tlsv1.2", "--max-redirs", "0",
	    "--max-time", "30", "--connect-timeout", "15", "--max-filesize",
	    SIZE, "--noproxy", "*", "--write-out",
	    "\n%{http_code} %{content_type}",
	    "--resolve", resolve.s, url.s, 0 };
	execv(CURL, (char *const *)curl);
	strerr_diefu2sys(EXIT_TEMP, "run ", CURL);
}
