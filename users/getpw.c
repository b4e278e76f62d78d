/* getpw: whose a local part is, as the system's user table has it.
 *
 * Prints six NUL-terminated fields: user, uid, gid, home directory, dash,
 * extension.  Of the names that end before a "-" or at the end of the local
 * part the longest that is a user decides, if he is not root and his home
 * directory exists and is his.  Nobody: the alias user, dash "-", the local
 * part as extension.
 *
 * Dynamic, for the sake of NSS: users may come from a directory server.
 *
 * Runs as: a user without rights.  Reads: the user table, conf-users.
 * Writes: nothing.  Trusts: the user table.  Trusted by: lspawn.
 */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_PERM = 100, EXIT_TEMP = 111, LONGEST_NAME = 32 };

static void
die(char const *what)
{
	fprintf(stderr, "getpw: fatal: unable to %s: %s\n", what,
	    strerror(errno));
	exit(EXIT_TEMP);
}

static void
print(struct passwd const *p, char const *home, char const *dash,
    char const *ext)
{
	printf("%s%c%lu%c%lu%c%s%c%s%c%s%c", p->pw_name, 0,
	    (unsigned long)p->pw_uid, 0, (unsigned long)p->pw_gid, 0, home, 0,
	    dash, 0, ext, 0);
	if (fflush(stdout) == EOF || ferror(stdout))
		die("write the answer");
}

/* A file server that is away is not a user who is gone. */
static int
owns_home(struct passwd const *p)
{
	struct stat st;

	if (stat(p->pw_dir, &st) == 0)
		return st.st_uid == p->pw_uid;
	if (errno != ENOENT && errno != ENOTDIR && errno != EACCES &&
	    errno != ELOOP && errno != ENAMETOOLONG)
		die("examine a home directory");
	return 0;
}

static struct passwd *
user(char const *local, size_t n)
{
	char name[LONGEST_NAME + 1];
	struct passwd *p;
	size_t i;

	if (n == 0 || n > LONGEST_NAME)
		return 0;
	for (i = 0; i < n; i++)
		name[i] = tolower((unsigned char)local[i]);
	name[n] = 0;
	errno = 0;
	p = getpwnam(name);
	if (!p && errno && errno != ENOENT && errno != ESRCH &&
	    errno != EBADF && errno != EPERM)
		die("read the user table");
	return p && p->pw_uid && owns_home(p) ? p : 0;
}

static int
as_user(char const *local)
{
	size_t n = strlen(local), i;
	struct passwd *p;

	for (i = n;; i--) {
		if ((i == n || local[i] == '-') && (p = user(local, i))) {
			print(p, p->pw_dir, local[i] ? "-" : "",
			    local[i] ? local + i + 1 : "");
			return 1;
		}
		if (!i)
			return 0;
	}
}

/* The user that conf-users names for the role alias. */
static int
alias_name(char const *home, char *name)
{
	char path[4096], line[256], role[32];
	FILE *f;
	int found = 0;

	if (snprintf(path, sizeof path, "%s/conf-users", home) >=
	    (int)sizeof path) {
		errno = ENAMETOOLONG;
		die("open conf-users");
	}
	f = fopen(path, "re");
	if (!f)
		die("open conf-users");
	while (!found && fgets(line, sizeof line, f))
		found = sscanf(line, "%31s %32s", role, name) == 2 &&
		    !strcmp(role, "alias");
	fclose(f);
	return found;
}

static void
as_alias(char const *local)
{
	char name[LONGEST_NAME + 1], path[4096];
	char const *home = getenv("POSTERN_HOME");
	struct passwd *p = 0;

	if (!home || !*home)
		home = CONF_HOME;
	if (alias_name(home, name)) {
		errno = 0;
		p = getpwnam(name);
	}
	if (!p) {
		errno = errno ? errno : ENOENT;
		die("find the user of role alias");
	}
	if (snprintf(path, sizeof path, "%s/alias", home) >=
	    (int)sizeof path) {
		errno = ENAMETOOLONG;
		die("name the home of alias");
	}
	print(p, path, "-", local);
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("getpw: usage: getpw local\n", stderr);
		return EXIT_PERM;
	}
	if (!as_user(argv[1]))
		as_alias(argv[1]);
	return 0;
}
