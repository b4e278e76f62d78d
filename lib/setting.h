/* setting: control files and roles, for programs with the distribution's
 * libraries, which do without skalibs: see lib/control.h and lib/role.h.
 */
#ifndef SETTING_H
#define SETTING_H

#include <stdio.h>

#include "lib/role.h"

enum { SETTING_LINE = 512 };

/* 1 *f is open; 0 no such file; -1 with errno. */
extern int setting_open(char const *file, FILE **f);

/* The next line that says something, without blanks at its end.  1, 0 */
extern int setting_next(FILE *f, char line[SETTING_LINE]);

/* The first one of a file.  1; 0 there is none; -1 with errno. */
extern int setting_line(char const *file, char line[SETTING_LINE]);

/* Uid and group of a user.  1; 0 no such user; -1 with errno. */
extern int setting_user(char const *name, struct role *out);

/* Of a role of conf-users.  1; 0 no such role; -1; *user is its user's name,
 * for setting_user.
 */
extern int setting_role(char const *role, char user[SETTING_LINE]);

#endif
