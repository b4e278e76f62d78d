/* report: the log line about what the lists have said. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "rblcheck/answers.h"

/* One line, "checked", for one address or name: who said what, and after how
 * many milliseconds; mailreport(8) counts them for each list.  key: "ip" or
 * "name", of subject; verdict: "pass", or what was done; ms: how long it took.
 */
extern void report_answers(struct answers const *a, char const *key,
    char const *subject, char const *verdict, uint64_t ms);

#endif
