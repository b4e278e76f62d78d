/* wildmat: shell-like patterns: * any bytes, ? one, [a-z] one of these,
 * [^a-z] none of these, \ the next one as it is.  Case of ASCII letters does
 * not matter.  Work is bounded by pattern times text.
 */
#ifndef WILDMAT_H
#define WILDMAT_H

extern int wildmat(char const *text, char const *pattern);	/* 1, 0 */

#endif
