#include "lib/setting.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

int
setting_open(char const *file, FILE **f)
{
	*f = fopen(file, "re");
	if (*f)
		return 1;
	return errno == ENOENT ? 0 : -1;
}

int
setting_next(FILE *f, char line[SETTING_LINE])
{
	size_t n;

	while (fgets(line, SETTING_LINE, f)) {
		n = strlen(line);
		while (n && strchr(" \t\r\n", line[n-1]))
			n--;
		line[n] = 0;
		if (n && line[0] != '#')
			return 1;
	}
	return 0;
}

int
setting_line(char const *file, char line[SETTING_LINE])
{
	FILE *f;
	int r = setting_open(file, &f);

	if (r != 1)
		return r;
	r = setting_next(f, line);
	fclose(f);
	return r;
}

int
setting_user(char const *name, struct role *out)
{
	struct passwd *p;

	errno = 0;
	p = getpwnam(name);
	if (!p)
		return errno && errno != ENOENT ? -1 : 0;
	out->uid = p->pw_uid;
	out->gid = p->pw_gid;
	return 1;
}

int
setting_role(char const *role, char user[SETTING_LINE])
{
	char line[SETTING_LINE], *name;
	size_t n = strlen(role);
	FILE *f;
	int r = setting_open("conf-users", &f);

	if (r != 1)
		return -1;
	r = 0;
	while (!r && setting_next(f, line)) {
		if (strncmp(line, role, n) || !line[n] ||
		    !strchr(" \t", line[n]))
			continue;
		name = line + n + strspn(line + n, " \t");
		name[strcspn(name, " \t")] = 0;
		memmove(user, name, strlen(name) + 1);
		r = 1;
	}
	fclose(f);
	return r;
}
