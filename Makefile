# postern: what each program is made of.  A folder is a link domain: its
# programs link its own objects, lib/, and one of the foreign libraries.
#
#	make                 all programs, static, with musl
#	make LIBC=glibc      the same with the distribution's libraries
#	make check           what tests need, all tests; last line: N passed, N failed
#	make install         into DESTDIR and the directory that conf-home names
#	make instcheck       compares the installed files with conf-files
#	make deb             a Debian package; make deb-check tries it in a chroot
#	make gate-quick      power cuts, crashes, errors, damage: under a minute
#	make gate            all of them, and each mutant: over half an hour
#	make bench           speed, side by side with Postfix

LIBC = musl
DEPS = deps/$(LIBC)
HOME_DIR := $(shell head -n 1 conf-home)

CC.musl := $(shell head -n 1 conf-cc)
LD.musl := $(shell head -n 1 conf-ld)
CC.glibc = cc
LD.glibc = cc -static -no-pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections
LD.dynamic = cc -pie -Wl,-z,relro,-z,now,-z,noexecstack
HARDEN = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Werror
CFLAGS = -std=c99 -O2 -g -fno-pie $(HARDEN) $(WARN) -D_GNU_SOURCE \
	-DCONF_HOME='"$(HOME_DIR)"' -I. -isystem $(DEPS)/include -MMD -MP

PROGRAMS = \
	rules/listen rules/rulesmake rules/rulescheck rules/rulesrun \
	smtpd/smtpd \
	queue/queued queue/queue queue/inject queue/sendmail queue/qread queue/qstat \
	queue/queuectl queue/qmqpd queue/qmqpc queue/qmtpd \
	send/start send/send send/bounce send/lspawn send/rspawn \
	remote/remote remote/stsfetch \
	local/local local/maildirmake local/forward local/condredirect \
	local/except local/bouncesaying local/preline local/autorespond \
	pop3d/popup pop3d/pop3d \
	users/authd users/checkpw users/authctl users/rehash users/true users/rcptcheck users/usersmake \
	users/vadddomain users/vdeldomain users/vadduser users/vdeluser \
	users/vpasswd users/vuserinfo users/vdominfo users/valias \
	users/valiasdomain users/vcatchall users/vmkpasswd users/vmoduser \
	users/clearopensmtp users/vsetuserquota users/vmoddomlimits users/vautorespond users/import \
	rblcheck/rblcheck rblcheck/namecheck rblcheck/clientname \
	scanq/mimewalk scanq/scanq scanq/scanrules \
	tls/tlsrun dkim/dkimsign dmarc/dmarcq \
	tools/confine tools/quarantine tools/relaytest tools/trace tools/mailreport \
	tools/doctor tools/dnsrecords tools/systemtest tools/spamguard
# with libowfat alone: its names and libskarnet's are the same, not its meanings
OWFAT_PROGRAMS = rblcheck/dnsq
# what needs NSS, libcrypt or libssl: dynamic, each off the hot path
DYNAMIC = users/getpw users/pwhash tls/tlsd tls/tlsconnect dkim/dkimd dmarc/dmarcd \
	tools/certinfo
# with libarchive, if it is there: static, for the sandbox of scanq's caller
ARCHIVE_HEADERS = $(wildcard $(addprefix /usr/include/,archive.h bzlib.h lzma.h zlib.h zstd.h))
ARCHIVE_PROGRAMS = $(if $(word 5,$(ARCHIVE_HEADERS)),scanq/archivenames)
SCRIPTS =

all: $(PROGRAMS) $(OWFAT_PROGRAMS) $(DYNAMIC) $(ARCHIVE_PROGRAMS)

# a program of more than one object
SESSION = smtpd/dialogue.o smtpd/argument.o smtpd/transaction.o \
	smtpd/auth.o smtpd/starttls.o smtpd/receive.o smtpd/data.o smtpd/policy.o
smtpd/smtpd: $(SESSION) smtpd/backend.o smtpd/login.o smtpd/program.o
send/send: send/state.o send/schedule.o send/table.o send/line.o send/marks.o send/scan.o \
	send/dest.o send/active.o send/recipients.o send/deliver.o send/bouncer.o send/pace.o send/steady.o \
	send/reasons.o send/memory.o send/found.o send/command.o send/settings.o send/outcome.o send/wish.o
send/bounce: send/notice.o
send/lspawn: send/pool.o
# MIME walker: also of scanq
WALK = scanq/walk.o scanq/layer.o scanq/fields.o scanq/readings.o scanq/entity.o \
	scanq/leaf.o scanq/contents.o scanq/boundary.o scanq/param.o scanq/words.o \
	scanq/filename.o scanq/decode.o scanq/uutext.o scanq/tnef.o scanq/zip.o \
	scanq/tar.o scanq/rar.o scanq/magic.o scanq/window.o scanq/walkout.o \
	scanq/walkname.o scanq/walkwire.o
scanq/mimewalk: $(WALK)
pop3d/pop3d: pop3d/session.o pop3d/maildrop.o pop3d/octets.o pop3d/sizes.o pop3d/place.o
pop3d/popup: pop3d/login.o pop3d/saslplain.o
VUSER = users/vtool.o users/vdomain.o users/mailboxes.o users/removetree.o users/textfile.o users/limits.o
users/vadddomain users/vdeldomain users/valiasdomain: $(VUSER) users/domainlist.o
users/import: $(VUSER) users/domainlist.o users/importnote.o users/importlines.o users/importmail.o users/importdomain.o
users/vmoduser users/vsetuserquota: $(VUSER) users/usermod.o
users/vadduser users/vdeluser users/vpasswd users/vuserinfo users/vdominfo: $(VUSER)
users/valias users/vcatchall users/vmkpasswd users/vmoddomlimits users/vautorespond: $(VUSER)
users/authd: users/login.o users/account.o users/guess.o users/helper.o users/orders.o \
	users/usage.o users/errand.o users/roaming.o users/textfile.o
users/rehash: users/account.o $(VUSER)
users/clearopensmtp: users/roaming.o users/textfile.o
rblcheck/dnsq: rblcheck/asker.o rblcheck/dnspacket.o rblcheck/jail.o rblcheck/resolvers.o \
	lib/clock.o
RBL = rblcheck/answers.o rblcheck/blocked.o rblcheck/lists.o rblcheck/dnsrun.o rblcheck/lookup.o rblcheck/report.o rblcheck/through.o
rblcheck/rblcheck rblcheck/namecheck rblcheck/clientname: $(RBL)
rblcheck/clientname: rblcheck/ident.o
rules/rulesmake: rules/ruleline.o rules/keyset.o
rules/rulescheck: rules/rule.o rules/ruleline.o
rules/rulesrun: rules/rule.o rules/refusal.o
rules/listen: rules/behind.o rules/server.o rules/launch.o rules/balancers.o rules/proxyheader.o rules/judge.o rules/listener.o rules/refusal.o rules/rulesfile.o rules/rule.o rules/peers.o rules/children.o rules/connenv.o rules/connlog.o
queue/inject: queue/header.o queue/complete.o
queue/qread: queue/listing.o
queue/qstat: queue/listing.o
queue/qmqpc: queue/netstring.o
queue/qmqpd queue/qmtpd: queue/netmail.o queue/netstring.o
queue/queuectl: queue/look.o queue/listing.o queue/orders.o queue/show.o queue/moving.o \
	queue/inspect.o queue/tool.o queue/survey.o queue/ordering.o queue/readdress.o queue/freeze.o \
	queue/transfer.o
queue/queued: queue/archive.o queue/worker.o queue/incoming.o queue/envelope.o queue/change.o queue/store.o
local/local: local/delivery.o local/instructions.o local/dotqmail.o \
	local/virtual.o local/mbox.o local/program.o local/environment.o \
	local/resend.o local/body.o local/outcome.o local/mailbag.o
remote/remote: remote/relay.o remote/settings.o remote/hosts.o \
	remote/deadhosts.o remote/server.o remote/auth.o \
	remote/tls.o remote/tlsa.o remote/sts.o remote/stspolicy.o \
	remote/transaction.o remote/content.o remote/wire.o remote/reply.o \
	remote/report.o
local/forward: local/redirect.o
local/condredirect: local/redirect.o local/child.o
local/autorespond: local/answered.o local/autoheader.o
local/except: local/child.o
local/bouncesaying: local/child.o
SCAN = scanq/scan.o scanq/judge.o scanq/ruleset.o scanq/rule.o scanq/pattern.o \
	scanq/clamd.o scanq/clamdreply.o scanq/spamd.o scanq/spamdreply.o \
	scanq/talk.o scanq/leaves.o scanq/archives.o scanq/walkrun.o scanq/intake.o
scanq/scanq: $(SCAN) $(WALK) scanq/outcome.o scanq/report.o scanq/handover.o \
	scanq/ownmail.o scanq/alertlimit.o scanq/selftest.o scanq/testalert.o
scanq/scanrules: scanq/rule.o scanq/ruleset.o scanq/pattern.o scanq/simcontrol.o scanq/walkname.o
tools/relaytest: tools/talk.o
LOGS = tools/logtime.o tools/loglines.o tools/logfiles.o tools/logevent.o tools/logwalk.o tools/tally.o
tools/trace: $(LOGS) tools/timeline.o
tools/spamguard: $(LOGS) tools/guardconf.o tools/guardread.o tools/guardcount.o tools/guardblock.o \
	tools/guardalert.o tools/wildmat.o
tools/mailreport: $(LOGS) tools/figures.o tools/put.o tools/reportwords.o tools/reporttext.o tools/reportpage.o
tools/systemtest: tools/machine.o tools/ask.o tools/talk.o
tools/dnsrecords: tools/machine.o tools/ask.o tools/dkimrecords.o
tools/doctor: tools/finding.o tools/ask.o tools/machine.o tools/checkhost.o \
	tools/checkmail.o tools/checkbox.o tools/checkdns.o tools/dkimrecords.o tools/talk.o

tls/tlsd: tls/worker.do tls/conn.do tls/pump.do tls/keys.do tls/tickets.do tls/settings.do \
	lib/tlshandover.do lib/clock.do lib/log.do lib/packet.do lib/sandbox.do lib/home.do \
	lib/rolebecome.do lib/setting.do lib/keyfile.do lib/signalpipe.do
DKIM = dkim/canon.o dkim/fields.o dkim/signature.o
dkim/dkimsign: $(DKIM) dkim/signer.o
dkim/dkimd: dkim/keys.do \
	lib/clock.do lib/log.do lib/packet.do lib/sandbox.do lib/home.do lib/setting.do \
	lib/keyfile.do lib/signalpipe.do
dmarc/dmarcq: dmarc/forged.o dmarc/result.o dmarc/service.o
dmarc/dmarcd: dmarc/check.do dmarc/dkim.do dmarc/spf.do dmarc/macro.do dmarc/policy.do dmarc/ask.do \
	lib/clock.do lib/log.do lib/packet.do lib/sandbox.do lib/home.do lib/setting.do lib/spawn.do \
	lib/signalpipe.do
users/usersmake: users/assignfile.o users/names.o users/dotfiles.o

LIB = lib/libpostern.a
lib.o := $(patsubst %.c,%.o,$(filter-out lib/cdbfile.c,$(wildcard lib/*.c)))
SKA = $(DEPS)/lib/libskarnet.a
OWFAT = $(DEPS)/lib/libowfat.a

$(PROGRAMS): %: %.o $(LIB)
	@echo link $@
	@$(LD.$(LIBC)) -o $@ $(filter %.o,$^) $(LIB) $(SKA)

$(OWFAT_PROGRAMS): %: %.o
	@echo link $@
	@$(LD.$(LIBC)) -o $@ $^ $(OWFAT)

# with the distribution's libraries: objects of their own, and of lib/ only
# what does without skalibs
%.do: %.c deps/flags
	@echo cc $<
	@cc $(filter-out -isystem $(DEPS)/include -fno-pie,$(CFLAGS)) -fPIE \
	    -MF $*.do.d -MT $@ -c -o $@ $<

$(DYNAMIC): %: %.do
	@echo link $@
	@$(LD.dynamic) -o $@ $^ $(LIBS)
users/pwhash: LIBS = -lcrypt -lmd
tls/tlsd: LIBS = -lssl -lcrypto
dkim/dkimd: LIBS = -lcrypto
dmarc/dmarcd: LIBS = -lspf2 -lopendkim -lopendmarc -lpsl -lcrypto

$(ARCHIVE_PROGRAMS): scanq/archivenames.do scanq/listing.do scanq/unzip.do scanq/contents.do \
		scanq/magic.do scanq/zip.do scanq/tar.do scanq/rar.do scanq/window.do \
		scanq/filename.do scanq/words.do scanq/decode.do scanq/walkout.do \
		scanq/walkwire.do lib/sandbox.do
	@echo link $@
	@$(LD.glibc) -o $@ $^ -l:libarchive.a -llzma -lz -lbz2 -lzstd
tls/tlsconnect: tls/stream.do lib/clock.do lib/sandbox.do
tls/tlsconnect: LIBS = -lssl -lcrypto
tools/certinfo: LIBS = -lcrypto

$(LIB): $(lib.o) lib/cdbfile.lo
	@rm -f $@
	@ar rcs $@ $^

# libcdb and libskarnet both export cdb_*: keep libcdb's to ourselves
lib/cdbfile.lo: lib/cdbfile.o
	@ld -r -o $@.tmp $< $(DEPS)/lib/libcdb.a
	@objcopy --wildcard --keep-global-symbol='cdbfile_*' \
	    --keep-global-symbol='cdbmaker_*' $@.tmp $@
	@rm $@.tmp

%.o: %.c $(DEPS)/done deps/flags
	@echo cc $<
	@$(CC.$(LIBC)) $(CFLAGS) -c -o $@ $<

$(DEPS)/done:
	deps/build $(LIBC)

# everything is compiled anew when the compiler or a flag changes
deps/flags: FORCE
	@echo '$(CC.$(LIBC)) $(CFLAGS)' | cmp -s - $@ || \
	    echo '$(CC.$(LIBC)) $(CFLAGS)' >$@

# a unit test: tests/unit/NAME.c
UNITS := $(patsubst %.c,%,$(wildcard tests/unit/*.c))
UNIT_LIBS = $(LIB) $(SKA)
$(UNITS): %: %.o $(LIB)
	@$(LD.$(LIBC)) -o $@ $(filter %.o,$^) $(UNIT_LIBS)
tests/unit/proxyheader: rules/proxyheader.o
tests/unit/peers: rules/peers.o
tests/unit/dnspacket: rblcheck/dnspacket.o
tests/unit/dnspacket: UNIT_LIBS = $(OWFAT)
tests/unit/dnslists: rblcheck/answers.o rblcheck/blocked.o rblcheck/lists.o rblcheck/through.o
tests/unit/pop3session: pop3d/session.o pop3d/maildrop.o pop3d/octets.o pop3d/sizes.o
tests/unit/smtpsession tests/unit/smtpauth: $(SESSION)
tests/unit/smtpreply: remote/reply.o remote/wire.o remote/server.o remote/auth.o \
	remote/transaction.o remote/content.o remote/report.o
tests/unit/stspolicy: remote/stspolicy.o
tests/unit/tls: remote/tls.o remote/report.o
tests/unit/guess: users/guess.o
tests/unit/dotqmail: local/dotqmail.o
tests/unit/schedule: send/schedule.o
tests/unit/table: send/table.o
tests/unit/steady: send/steady.o
tests/unit/pace: send/pace.o
tests/unit/reasons: send/reasons.o
tests/unit/sendline: send/line.o
tests/unit/notice: send/notice.o
tests/unit/archive: queue/archive.o
tests/unit/dkim: $(DKIM)
tests/unit/dmarc: dmarc/forged.o dmarc/result.o dmarc/macro.o
tests/unit/walk: $(WALK)
tests/unit/pattern: scanq/pattern.o
tests/unit/rule: scanq/rule.o scanq/pattern.o scanq/walkname.o
tests/unit/clamdreply: scanq/clamdreply.o
tests/unit/spamdreply: scanq/spamdreply.o
tests/unit/logreader: tools/logtime.o tools/loglines.o tools/logfiles.o
tests/unit/logevent: tools/logevent.o tools/tally.o
tests/unit/guardcount: tools/guardcount.o tools/tally.o tools/wildmat.o
units: $(UNITS)

# sources of the MIME walker, for tests/fuzz/build
walk-sources:
	@echo $(WALK:.o=.c)

clean:
	rm -f $(PROGRAMS) $(OWFAT_PROGRAMS) $(DYNAMIC) $(ARCHIVE_PROGRAMS) $(UNITS) deps/flags
	rm -f $(GATE_TOOLS)
	rm -f */*.o */*.do */*/*.o */*.lo */*.d */*/*.d */*.a

install: all
	tools/instfiles '$(DESTDIR)' '$(HOME_DIR)'

instcheck:
	tools/instfiles --check '$(DESTDIR)' '$(HOME_DIR)'

check:
	tests/check

VERSION = 0.1
deb: all
	tools/deb $(VERSION)

deb-check: deb
	tests/deb/run postern_$(VERSION)_$$(dpkg --print-architecture).deb

# what the gates and benches are driven with: the distribution's compiler and libfuse3
GATE_TOOLS = tests/gate/recblk tests/gate/nofsync
SLOWDISK = tests/bench/slowdisk
$(GATE_TOOLS) $(SLOWDISK): %: %.c
	@echo cc $<
	@cc -std=c99 -O2 $(WARN) -D_GNU_SOURCE $(GATE_FLAGS) -o $@ $< $(GATE_LIBS)
tests/gate/recblk $(SLOWDISK): GATE_FLAGS = $(shell pkg-config --cflags fuse3)
tests/gate/recblk $(SLOWDISK): GATE_LIBS = $(shell pkg-config --libs fuse3)

gate-tools: $(GATE_TOOLS)

gate-quick: all gate-tools
	tests/gate/run quick

gate: all gate-tools
	tests/gate/run full
	/usr/bin/python3 tests/interop/interop.py 5000

bench: all $(SLOWDISK)
	tests/bench/run
	tests/bench/run --flush 4 --messages 1000 accept maildir
	tests/bench/rules
	tests/bench/users
	tests/bench/tls
	tests/bench/pop3
	tests/bench/scan
	tests/bench/growth
	tests/bench/logins

FORCE:
.PHONY: all units walk-sources check clean install instcheck deb deb-check gate-tools gate-quick gate bench FORCE
.SECONDARY:
-include $(wildcard */*.d */*/*.d)
