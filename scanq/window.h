/* window: lets a parser that needs to look ahead read from a stream.  It sees
 * the bytes in order, some of them again if it has not used them.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <stddef.h>

enum { WINDOW = 8192 };

struct window {
	size_t have;
	char carry[WINDOW];
};

/* Uses some of s[0..n): how many.  Fewer than n means that it needs to see
 * more behind them; it may ask so for up to WINDOW - 1 bytes, and never if
 * last.
 */
typedef size_t window_use(void *ctx, char const *s, size_t n, int last);

extern void window_start(struct window *);
extern void window_feed(struct window *, char const *s, size_t n,
    window_use *use, void *ctx);
extern void window_end(struct window *, window_use *use, void *ctx);

#endif
