#include "lib/crc32c.h"

/* Eight bytes a step ("slicing by 8"): table[k][b] is the CRC register after
 * byte b and k zero bytes, polynomial 0x82f63b78 (reflected).  The CRC is
 * linear, so eight constants make a table of 256.  Not the processor's crc32
 * instruction: to ask for it takes a CPUID, which traps in a virtual machine
 * and costs more there than the sum of a usual message.
 */
#define ENTRY(b, k0, k1, k2, k3, k4, k5, k6, k7) \
	(((b) & 1 ? k0 : 0u) ^ ((b) & 2 ? k1 : 0u) ^ \
	((b) & 4 ? k2 : 0u) ^ ((b) & 8 ? k3 : 0u) ^ \
	((b) & 16 ? k4 : 0u) ^ ((b) & 32 ? k5 : 0u) ^ \
	((b) & 64 ? k6 : 0u) ^ ((b) & 128 ? k7 : 0u))
#define FOUR(b, ...) ENTRY(b, __VA_ARGS__), ENTRY((b) + 1, __VA_ARGS__), \
	ENTRY((b) + 2, __VA_ARGS__), ENTRY((b) + 3, __VA_ARGS__)
#define SIXTEEN(b, ...) FOUR(b, __VA_ARGS__), FOUR((b) + 4, __VA_ARGS__), \
	FOUR((b) + 8, __VA_ARGS__), FOUR((b) + 12, __VA_ARGS__)
#define SIXTYFOUR(b, ...) SIXTEEN(b, __VA_ARGS__), \
	SIXTEEN((b) + 16, __VA_ARGS__), SIXTEEN((b) + 32, __VA_ARGS__), \
	SIXTEEN((b) + 48, __VA_ARGS__)
#define TABLE(...) { SIXTYFOUR(0, __VA_ARGS__), SIXTYFOUR(64, __VA_ARGS__), \
	SIXTYFOUR(128, __VA_ARGS__), SIXTYFOUR(192, __VA_ARGS__) }

static uint32_t const table[8][256] = {
	TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf,
	    0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
	TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8,
	    0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
	TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5,
	    0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
	TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6,
	    0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
	TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91,
	    0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
	TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f,
	    0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
	TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53,
	    0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
	TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da,
	    0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint32_t
le32(char const *s)
{
	unsigned char const *u = (unsigned char const *)s;

	return u[0] | u[1] << 8 | u[2] << 16 | (uint32_t)u[3] << 24;
}

uint32_t
crc32c(uint32_t crc, char const *s, size_t n)
{
	uint32_t c = ~crc, d;

	for (; n >= 8; s += 8, n -= 8) {
		c ^= le32(s);
		d = le32(s + 4);
		c = table[7][c & 255] ^ table[6][c >> 8 & 255] ^
		    table[5][c >> 16 & 255] ^ table[4][c >> 24] ^
		    table[3][d & 255] ^ table[2][d >> 8 & 255] ^
		    table[1][d >> 16 & 255] ^ table[0][d >> 24];
	}
	while (n--)
		c = table[0][(c ^ (unsigned char)*s++) & 255] ^ c >> 8;
	return ~c;
}
