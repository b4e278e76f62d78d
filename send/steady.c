#include "send/steady.h"

int
steady_look(struct steady *s, uint64_t wall, uint64_t running)
{
	int64_t differ;
	int jumped = 0;

	if (!s->set)
		s->offset = (int64_t)wall - (int64_t)running;
	s->set = 1;
	differ = (int64_t)wall - ((int64_t)running + s->offset);
	if (differ <= STEADY_JUMP && differ >= -STEADY_JUMP) {
		s->offset += differ;
		s->since = 0;
	} else if (!s->since) {
		s->since = running ? running : 1;
		jumped = 1;
	} else if (running - s->since >= STEADY_BELIEVE) {
		s->offset += differ;
		s->since = 0;
	}
	s->wall = wall;
	s->now = running + s->offset;
	return jumped;
}

uint64_t
steady_age(struct steady const *s, uint64_t birth)
{
	uint64_t a = s->wall > birth ? s->wall - birth : 0;
	uint64_t b = s->now > birth ? s->now - birth : 0;

	return a < b ? a : b;
}
