/* crc32c: the Castagnoli CRC of RFC 3720 appendix B.4. */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0; the CRC of a followed by b is
 * crc32c(crc32c(0, a), b).
 */
extern uint32_t crc32c(uint32_t crc, char const *s, size_t n);

#endif
