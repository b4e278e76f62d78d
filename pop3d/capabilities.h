/* capabilities: what CAPA says before and after a login (RFC 2449 5) */
#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#define CAPABILITIES "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n" \
	"PIPELINING\r\nEXPIRE NEVER\r\nUTF8\r\nIMPLEMENTATION postern\r\n"

#endif
