#!/bin/sh
# clamd.sh DIR start|stop: a real clamd of Debian's, unpacked below DIR (not
# installed: no service, no user), with three signatures: EICAR by its text
# and by its sum, and Test.Marker for "POSTERN-TEST-MARKER".  Its socket is
# DIR/rt/clamd.sock, and port $CLAMD_PORT of 127.0.0.1 if that is set.  Prints
# nothing; exit 0 if it answers.
set -eu
umask 022
mkdir -p "$1"
cd "$1"
dir=$PWD

unpack() {
	[ ! -x root/usr/sbin/clamd ] || return 0
	mkdir -p deb
	(cd deb && apt-get -qq download clamav-daemon libclamav12) >apt 2>&1
	for d in deb/*.deb; do dpkg -x "$d" root; done
}

configure() {
	mkdir -p db rt
	printf 'Test.Eicar-NDB:0:*:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n' >db/t.ndb
	printf 'Test.Marker:0:*:504f535445524e2d544553542d4d41524b4552\n' >>db/t.ndb
	printf '44d88612fea8a8f36de82e1278abb02f:68:Test.Eicar-HDB\n' >db/t.hdb
	cat >c.conf <<EOT
DatabaseDirectory $dir/db
LocalSocket $dir/rt/clamd.sock
LocalSocketMode 666
Foreground yes
TemporaryDirectory $dir/rt
AlertExceedsMax yes
AlertEncrypted yes
StreamMaxLength 100M
MaxFileSize 100M
SelfCheck 0
EOT
	[ -z "${CLAMD_PORT-}" ] ||
	    printf 'TCPSocket %s\nTCPAddr 127.0.0.1\n' "$CLAMD_PORT" >>c.conf
}

running() { [ -s rt/pid ] && kill -0 "$(cat rt/pid)" 2>/dev/null; }

start() {
	unpack
	configure
	running && return
	rm -f rt/clamd.sock
	LD_LIBRARY_PATH=$(echo root/usr/lib/*-linux-gnu) setsid \
	    root/usr/sbin/clamd -c c.conf >log 2>&1 </dev/null &
	echo $! >rt/pid
	n=0
	until [ -S rt/clamd.sock ]; do
		n=$((n + 1))
		[ $n -lt 200 ] && running || { cat log >&2; exit 1; }
		sleep 0.05
	done
}

stop() {
	! running || kill "$(cat rt/pid)"
	rm -f rt/pid
}

case ${2-} in
start) start ;;
stop) stop ;;
*) echo "usage: clamd.sh dir start|stop" >&2; exit 100 ;;
esac
