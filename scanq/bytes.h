/* bytes: numbers in file formats. */
#ifndef BYTES_H
#define BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t
bytes_little(char const *s, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | (unsigned char)s[n];
	return v;
}

#endif
