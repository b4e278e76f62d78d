/* signing: is mail that this process hands over to be signed (dkimsign(8))?
 *
 * It is if it comes from this server's own people: a client that may relay
 * ($RELAYCLIENT) or has logged in ($SMTPAUTHUSER), or a local user, whom no
 * network connection ($TCPREMOTEIP) has brought here, nor a delivery
 * ($DTLINE): what a .qmail file passes on may come from anybody.  $DKIMSIGN
 * "0" says no, whoever it is.  And there is a key: control/dkim exists.
 *
 * Home is the current directory.
 */
#ifndef SIGNING_H
#define SIGNING_H

extern int signing_wanted(void);

/* The program that does it, from the home directory; 0: none is needed. */
extern char const *signing_program(void);

#endif
