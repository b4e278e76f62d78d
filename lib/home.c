#include "lib/home.h"

#include <stdlib.h>
#include <unistd.h>

char const *
home_path(void)
{
	char const *s = getenv("POSTERN_HOME");

	return s && *s ? s : CONF_HOME;
}

int
home_enter(void)
{
	return chdir(home_path()) == -1 ? -1 : 1;
}
