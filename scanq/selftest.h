/* selftest: would the connected clamd find what it should? */
#ifndef SELFTEST_H
#define SELFTEST_H

/* Shows it the EICAR test file, plain, in base64, in archives, and nested,
 * and tells the results on descriptor 1.  enable: where they are good, and
 * control/virusscan says off, it will say required.  alert: where they are
 * bad, the administrator gets mail.  EXIT_DONE; EXIT_TEMP: it misses what it
 * must find, or cannot be asked.
 */
extern int selftest(int enable, int alert);

#endif
