/* home: where this installation lives.
 *
 * The directory is $POSTERN_HOME if that is set, else what conf-home said
 * when the suite was built, so that several instances run beside one another.
 */
#ifndef HOME_H
#define HOME_H

extern char const *home_path(void);

/* Makes it the current directory.  1, or -1 with errno. */
extern int home_enter(void);

#endif
