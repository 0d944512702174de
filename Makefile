# SPDX-License-Identifier: Apache-2.0
#
# Every entry point of Loom. `make help` lists them.
#
#   BUILD=DIR   where objects and binaries go (default: build, build-asan, ...)
#   SAN=asan    address and undefined-behaviour sanitizers; SAN=tsan: threads; SAN=fuzz: libFuzzer
#   WERROR=1    warnings are errors
#   BREAKABLE=1 promises can be broken on purpose (see common/base/fault.h); SAN=... implies it
#   VERSION=V   the version that programs and packages say (default: that of common/base/version.c)
#   PREFIX=DIR  where `make install` puts things (default /usr/local); DESTDIR is honoured

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

SAN ?=
BREAKABLE ?= $(if $(SAN),1)
BUILD ?= build$(if $(SAN),-$(SAN))
VERSION ?= $(shell sed -n 's/^\#define LOOM_VERSION "\(.*\)"$$/\1/p' common/base/version.c)
# Builds for tests do without: each commit would link all of them anew.
COMMIT ?= $(if $(SAN),,$(shell git describe --always --abbrev=12 --exclude='*' --dirty=-modified 2>/dev/null || \
	sed -n 's/^\#define LOOM_COMMIT "\([0-9a-f]\{12\}\).*/\1/p' common/base/version.c))
PREFIX ?= /usr/local
BINDIR := $(PREFIX)/bin
DATADIR := $(PREFIX)/share/loom
LIBDIR := $(PREFIX)/lib/loom
INSTALL ?= install

# ---- flags ------------------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := gcc-ar
endif

PKGS := libevent libevent_pthreads libevent_openssl openssl yajl libmariadb nanomsg libsodium libcurl zlib
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lzookeeper_mt -lcjose -lm
# Of what API and scheduler need of the processor a sixth less than with the C library's (deploy/docs/benchmarks.md);
# sanitizers bring their own.
MALLOC_LIBS := $(if $(SAN),,-ljemalloc)
CHECK_CFLAGS := $(shell pkg-config --cflags check 2>/dev/null)
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla \
	-Wcast-qual -Wwrite-strings -Wimplicit-fallthrough -Wswitch-enum
ifneq ($(findstring clang,$(CC)),clang)
WARN += -Wduplicated-cond -Wlogical-op
endif
ifeq ($(WERROR),1)
WARN += -Werror
endif

HARDEN := -fno-common -fstack-protector-strong -fstack-clash-protection
ifeq ($(findstring clang,$(CC)),)
HARDEN += -ftrivial-auto-var-init=zero
endif
ifeq ($(SAN),)
OPT := -O2 -g
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
WARN += -Wnull-dereference
else ifeq ($(SAN),asan)
# -Wnull-dereference and _FORTIFY_SOURCE give false answers together with the sanitizers.
OPT := -O1 -g -fno-omit-frame-pointer
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(SAN),tsan)
OPT := -O1 -g -fno-omit-frame-pointer
SANFLAGS := -fsanitize=thread
else ifeq ($(SAN),fuzz)
OPT := -O1 -g -fno-omit-frame-pointer
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else
$(error SAN=$(SAN) is not known; use SAN=asan, SAN=tsan or SAN=fuzz)
endif

LOOM_CPPFLAGS := -I. -D_GNU_SOURCE -DTHREADED $(if $(filter 1,$(BREAKABLE)),-DLOOM_BREAKABLE) -DLOOM_DATADIR='"$(DATADIR)"' $(PKG_CFLAGS)
LOOM_CFLAGS := -std=gnu17 $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) -fPIE -pthread
LOOM_LDFLAGS := $(SANFLAGS) -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed

COMPILE = $(CC) $(LOOM_CPPFLAGS) $(CPPFLAGS) $(LOOM_CFLAGS) $(CFLAGS)
LINK = $(CC) $(LOOM_CFLAGS) $(CFLAGS) $(LOOM_LDFLAGS) $(LDFLAGS)

# ---- what there is to build -------------------------------------------------------------------

# sources DIR: every .c file under DIR; nothing when DIR does not exist
sources = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

LIB := $(BUILD)/libloom.a
LIB_OBJS := $(call objects,$(call sources,common))

# a folder of services/ that has a main.c makes one binary
SERVICES := $(patsubst services/%/main.c,%,$(wildcard services/*/main.c))
binary_name = $(if $(filter cli,$(1)),loom,loom-$(1))
service_objs = $(call objects,$(call sources,services/$(1)))
BINS := $(foreach s,$(SERVICES),$(BUILD)/bin/$(call binary_name,$(s)))

SUPPORT_OBJS := $(call objects,$(wildcard tests/support/*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
INTEGRATION_TESTS := $(patsubst tests/integration/%.c,$(BUILD)/tests/integration/%,\
	$(wildcard tests/integration/test_*.c))

# tests/fuzz/x/fuzz_x.c with the folder tests/fuzz/x/corpus is a fuzz target
FUZZ_TARGETS := $(patsubst tests/fuzz/%,%,$(patsubst %/,%,$(dir $(wildcard tests/fuzz/*/fuzz_*.c))))
FUZZ_TESTS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%)

# test_api_x.c and fuzz_api_x.c are about services/api: they link that folder's objects
test_service = $(strip $(foreach s,api scheduler provisioner gateway cli,\
	$(if $(filter test_$(s)_% fuzz_$(s)_%,$(1)),$(s:gateway=ui-gateway))))
test_extra = $(if $(1),$(filter-out %/main.o,$(call service_objs,$(1))))

.PHONY: all lib test-binaries fuzz-binaries
all: $(LIB) $(BINS) ## build the library and every program (the default)
lib: $(LIB)
test-binaries: $(UNIT_TESTS) $(INTEGRATION_TESTS) $(FUZZ_TESTS)
fuzz-binaries: $(FUZZ_TESTS)

# ---- rules ------------------------------------------------------------------------------------

export LOOM_BUILD_FLAGS := $(CC) $(LOOM_CPPFLAGS) $(CPPFLAGS) $(LOOM_CFLAGS) $(CFLAGS) $(LOOM_LDFLAGS) $(LDFLAGS)

$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@[[ -f $@ && "$$(<$@)" == "$$LOOM_BUILD_FLAGS" ]] || printf '%s\n' "$$LOOM_BUILD_FLAGS" >$@

# Changes whenever a source comes or goes, so that a removed file leaves the archive too.
$(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@[[ -f $@ && "$$(<$@)" == "$(strip $(LIB_OBJS))" ]] || printf '%s\n' "$(strip $(LIB_OBJS))" >$@

$(BUILD)/obj/tests/%.o: EXTRA_CPPFLAGS = $(CHECK_CFLAGS)

LOOM_IDENTITY := -DLOOM_VERSION='"$(VERSION)"' -DLOOM_COMMIT='"$(or $(COMMIT),unknown)"'
$(BUILD)/identity: FORCE
	@mkdir -p $(@D)
	@[[ -f $@ && "$$(<$@)" == '$(VERSION) $(COMMIT)' ]] || echo '$(VERSION) $(COMMIT)' >$@

$(BUILD)/obj/common/base/version.o: $(BUILD)/identity
$(BUILD)/obj/common/base/version.o: EXTRA_CPPFLAGS = $(LOOM_IDENTITY)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(COMPILE) $(EXTRA_CPPFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJS) $(BUILD)/sources
	@mkdir -p $(@D)
	@echo "  AR    $@"
	@rm -f $@
	@$(AR) rcs $@ $(LIB_OBJS)

define service_rule
$(BUILD)/bin/$(call binary_name,$(1)): $(call service_objs,$(1)) $(LIB)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(LINK) -o $$@ $(call service_objs,$(1)) $(LIB) $(if $(filter api scheduler,$(1)),$(MALLOC_LIBS)) \
		$$(PKG_LIBS) $$(LDLIBS)
endef
$(foreach s,$(SERVICES),$(eval $(call service_rule,$(s))))

# The same services with one more version of the schema, to test upgrades with.
NEXT := $(BUILD)/next/bin
NEXT_OBJ := $(call objects,tests/upgrade/schema_next.c)
define next_rule
$(NEXT)/$(call binary_name,$(1)): $(call service_objs,$(1)) $(NEXT_OBJ) $(LIB)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(LINK) -o $$@ $(NEXT_OBJ) $(call service_objs,$(1)) $(LIB) $$(PKG_LIBS) $$(LDLIBS)
endef
$(foreach s,$(SERVICES),$(eval $(call next_rule,$(s))))
.PHONY: next
next: $(foreach s,$(SERVICES),$(NEXT)/$(call binary_name,$(s)))

# test_rule KIND,NAME
define test_rule
$(BUILD)/tests/$(1)/$(2): $(BUILD)/obj/tests/$(1)/$(2).o $(SUPPORT_OBJS) \
		$(call test_extra,$(call test_service,$(2))) $(LIB)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(LINK) -o $$@ $$(filter %.o,$$^) $(LIB) $$(CHECK_LIBS) $$(PKG_LIBS) $$(LDLIBS)
endef
$(foreach t,$(notdir $(UNIT_TESTS)),$(eval $(call test_rule,unit,$(t))))
$(foreach t,$(notdir $(INTEGRATION_TESTS)),$(eval $(call test_rule,integration,$(t))))

# libFuzzer brings its own main; elsewhere replay.c runs the corpus.
FUZZ_MAIN := $(if $(filter fuzz,$(SAN)),,$(call objects,tests/fuzz/replay.c))
define fuzz_rule
$(BUILD)/tests/fuzz/fuzz_$(1): $(BUILD)/obj/tests/fuzz/$(1)/fuzz_$(1).o $(FUZZ_MAIN) \
		$(call test_extra,$(call test_service,fuzz_$(1))) $(LIB)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(LINK) $(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer) -o $$@ $$(filter %.o,$$^) $(LIB) $$(PKG_LIBS) $$(LDLIBS)
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t))))

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- running ----------------------------------------------------------------------------------

.PHONY: run stop status check test test-dc test-ship images deb dist chaos soak hostile fuzz fuzz-api unit lint format headers bench pairs install uninstall clean help FORCE
FORCE:

run: ## install what is missing, build, start a private stack, make a cluster and prove it
	@+scripts/run

stop: ## stop that stack and clean up after it (PURGE=1: delete its data too)
	@PURGE='$(PURGE)' scripts/stop

status: ## what of the private stack runs
	@scripts/status

check: ## the everyday tests: unit, fuzz corpora, C integration and the core in Python
	@tests/run check

test: ## all tests, on real servers
	@tests/run

test-dc: all next ## a datacenter of three machines, each kind of part broken once, and how long it took
	@scripts/bootstrap test dc
	@cd tests && LOOM_DC_BIN='$(abspath $(BUILD))/bin' LOOM_DC_NEXT='$(abspath $(NEXT))' /usr/bin/python3 -m pytest -m dc -s integration/test_dc.py

test-ship: ## container images, the quick start and the packages in full: what `make test` has no time for
	@scripts/bootstrap deb ship
	@cd tests && /usr/bin/python3 -m pytest -m 'heavy or not heavy' -s ship

images: ## build the container images (NAMES='loom-api loom-haproxy': only these)
	@scripts/images $(NAMES)

deb: ## build Debian packages into build/deb (VERSION=1.2.3: as that version)
	@scripts/bootstrap deb
	@scripts/deb

dist: all ## a source archive with its checksum, and an SPDX list of what ships, in build/dist
	@scripts/bootstrap deb
	@scripts/dist

chaos: all ## random faults in a datacenter under load; SEED=7 MINUTES=60 FAULTS=kill-api,cut-link LOAD=4 (busy processes)
	@scripts/bootstrap test dc
	@SEED='$(SEED)' MINUTES='$(MINUTES)' FAULTS='$(FAULTS)' LOAD='$(LOAD)' tests/chaos/run.py --bin '$(abspath $(BUILD))/bin'

soak: all ## clusters come and go for hours, and no process may grow; MINUTES=480
	@scripts/bootstrap test
	@MINUTES='$(MINUTES)' tests/chaos/soak.py --build '$(abspath $(BUILD))'

hostile: all ## hostile clients beside a good one, which must not notice; MINUTES=60 SEED=1
	@scripts/bootstrap test
	@MINUTES='$(MINUTES)' SEED='$(SEED)' tests/chaos/hostile.py --build '$(abspath $(BUILD))'

fuzz: ## fuzz every parser of foreign bytes for a while, with libFuzzer; SECONDS=60 TARGETS=json,uri
	@scripts/bootstrap fuzz
	@+tests/fuzz/run '$(or $(filter-out 0,$(SECONDS)),60)' '$(or $(TARGETS),$(FUZZ_TARGETS))'

fuzz-api: all ## requests made from /openapi.json by schemathesis, on a private stack; MINUTES=10 SEED=1
	@scripts/bootstrap fuzz-api
	@tests/fuzz/api.py --build '$(abspath $(BUILD))' --minutes '$(or $(MINUTES),10)' --seed '$(or $(SEED),1)'

unit: ## the unit tests only
	@tests/run unit

lint: ## format, style, types, static analysis, dependency law, headers, shell scripts
	@scripts/lint

format: ## rewrite the C sources with clang-format
	@find common services tests \( -name '*.c' -o -name '*.h' \) -print0 2>/dev/null | \
		xargs -0r clang-format-14 -i

# Each header compiles alone.
headers:
	@status=0; for h in $$(find common services -name '*.h' 2>/dev/null | sort); do \
		$(COMPILE) -Werror -Wno-unused-function -fsyntax-only -x c "$$h" || status=1; \
	done; exit $$status

# The load driver solves and plans too, with the scheduler's own code.
BENCH := $(BUILD)/tests/bench/driver
BENCH_OBJS := $(call objects,$(wildcard tests/bench/*.c)) $(filter-out %/main.o,$(call service_objs,scheduler))
$(BENCH): $(BENCH_OBJS) $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(LINK) -o $@ $(BENCH_OBJS) $(LIB) $(PKG_LIBS) $(LDLIBS)

bench: all $(BENCH) ## measure; FIGURES=claim,create: only these; NODES=3: on Galera
	@LOOM_TEST_BUILD='$(BUILD)' tests/bench/run $(if $(FIGURES),--figures '$(FIGURES)') \
		$(if $(NODES),--nodes '$(NODES)')

pairs: all $(BENCH) ## how much faster than another checkout, built; BEFORE=FOLDER ROUNDS=5
	@tests/bench/pairs $(if $(BEFORE),'$(BEFORE)') $(if $(ROUNDS),--rounds '$(ROUNDS)')

# ---- installing -------------------------------------------------------------------------------

# Programs in Python for operators, and what they are made of, below scripts/.
TOOLS := loom-datacenter loom-load-catalog
TOOL_FILES := $(addprefix dclib/,__init__.py alone.py ask.py backup.py certificates.py checks.py doctor.py keys.py packages.py projects.py remote.py render.py \
	restore.py rotate.py settings.py setup.py upgrade.py ways.py) $(addprefix stacklib/,__init__.py client.py)

install: all ## install programs, plugins, catalog and web files under PREFIX
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(DATADIR)'
	$(if $(BINS),$(INSTALL) -m 755 $(BINS) '$(DESTDIR)$(BINDIR)')
	scripts/install-tree services/provisioner/plugins '$(DESTDIR)$(DATADIR)/plugins'
	scripts/install-tree deploy '$(DESTDIR)$(DATADIR)/deploy'
	scripts/install-tree services/ui-gateway/web '$(DESTDIR)$(DATADIR)/web'
	for file in $(TOOL_FILES); do $(INSTALL) -D -m 644 "scripts/$$file" "$(DESTDIR)$(LIBDIR)/scripts/$$file"; done
	for tool in $(TOOLS); do $(INSTALL) -m 755 "scripts/$$tool" '$(DESTDIR)$(LIBDIR)/scripts/' && \
		ln -sf "../lib/loom/scripts/$$tool" '$(DESTDIR)$(BINDIR)/'; done
	ln -sfn ../../share/loom/deploy '$(DESTDIR)$(LIBDIR)/deploy'

uninstall: ## remove what `make install` put there
	rm -f $(foreach b,$(notdir $(BINS)) $(TOOLS),'$(DESTDIR)$(BINDIR)/$(b)')
	rm -rf '$(DESTDIR)$(DATADIR)' '$(DESTDIR)$(LIBDIR)'

clean: ## stop the stack, delete its data and everything built
	@if [[ -d var ]]; then PURGE=1 scripts/stop; fi
	rm -rf build build-* var var-test
	$(if $(filter-out build build-%,$(BUILD)),rm -rf '$(BUILD)')

help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
