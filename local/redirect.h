/* redirect: queue the message on descriptor 0 once more. */
#ifndef LOCAL_REDIRECT_H
#define LOCAL_REDIRECT_H

/* To those addresses, up to a null pointer, with $DTLINE in front.  Exits with
 * code, and a line "PROG: qp N"; or with 100 or 111 and the reason.
 */
extern void redirect(char const *sender, char const *const *to, int code)
    __attribute__((noreturn));

/* The variable's value; exits 100 if it is not set. */
extern char const *redirect_variable(char const *name);

#endif
