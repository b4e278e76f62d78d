/* usermod: change fields of a user's line in vpasswd, or of every user's in a
 * domain.  Ends the program where it fails, as vtool does.
 */
#ifndef USERMOD_H
#define USERMOD_H

struct usermod {
	char const *quota, *gecos, *hash;	/* 0: as it is */
	unsigned long clear_flags;	/* these are taken away */
	unsigned long flags;	/* then these are set */
	int no_cdb;		/* leave the tables for later */
};
#define USERMOD_ZERO { 0, 0, 0, 0, 0, 0 }

/* whom: user@domain, or a domain. */
extern void usermod(char const *whom, struct usermod const *m);

#endif
