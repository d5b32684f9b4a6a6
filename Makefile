# memento's build. `make run` and `make test` are all a newcomer needs; `make help` lists the rest.
#
# MODE picks the flavour and its own object folder: release, asan (address + undefined), tsan, fuzz (clang), plant
# (with switches for known mistakes that the crash tests must find).

MODE    ?= release
FILTER  ?= *
PREFIX  ?= /usr/local
DESTDIR ?=
CXX     ?= g++
BUILD   := build/$(MODE)
BIN     := $(if $(filter release,$(MODE)),bin,$(BUILD)/bin)

# A plain `make` uses every core; a -j of one's own wins.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# GCC 12 sees overlaps in `"literal" + std::string` that are not there (PR105651).
WARNINGS := -Wall -Wextra -Wconversion -Werror $(if $(filter fuzz,$(MODE)),,-Wno-restrict)
FLAGS_release := -O3
# With its checks GCC 12 sees uninitialized values in <regex> that are not there (PR105562).
FLAGS_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Wno-maybe-uninitialized
FLAGS_fuzz    := -O1 -fsanitize=fuzzer-no-link,address
FLAGS_plant   := -O3 -DMEMENTO_PLANT
# GCC says that ThreadSanitizer does not follow fences: mailboxes and statistics use them, no test under it does.
FLAGS_tsan    := -O1 -fsanitize=thread -Wno-tsan
# -g1: line tables and frames, for backtraces and profiles; with -g as much time again goes into what only a debugger reads.
CXXFLAGS += -std=c++20 -g1 -fno-omit-frame-pointer $(WARNINGS) $(FLAGS_$(MODE)) -I. -MMD -MP
LDFLAGS  += $(FLAGS_$(MODE))
# Lua compiled as C++: its errors are exceptions, so that frames of ours that they leave are unwound.
LUA      := -l:liblua5.1-c++.a -l:liblua5.1-cjson.a -l:liblua5.1-bitop.a -llzf
LDLIBS   := -lxxhash -lpthread -lcrypto -luv $(LUA)
# A compiler cache is used where there is one.
CACHE    := $(shell command -v ccache)
COMPILE   = $(CACHE) $(CXX) $(CXXFLAGS)

# The objects of all sources below a folder; programs' own main files and what has programs of its own left out.
objects = $(patsubst %.cc,$(BUILD)/obj/%.o,$(filter-out %/main.cc %/floor.cc %/keyspace_benchmark.cc %/recovery_benchmark.cc,$(sort $(shell find $(1) -name '*.cc'))))
main    = $(BUILD)/obj/$(1)/main.o

SHM       := $(call objects,shm)
CONF      := $(call objects,conf)
WORKER    := $(call objects,worker)
MASTER    := $(call objects,master)
BUS       := $(call objects,bus)
ARCHIVER  := $(call objects,archiver)
CLI       := $(call objects,cli)
# What the client shares with the server: the command table, what of a request is secret, and the splitting of a line; what reads a
# data folder.
CLI_PARTS := $(call objects,worker/command worker/wire) $(call objects,shm/os) $(addprefix $(BUILD)/obj/shm/archive/,backup.o frame_bytes.o journal_end.o journal_folder.o journal_reader.o manifest_file.o snapshot_file.o)
BENCHMARK := $(call objects,benchmark)
SERVER    := $(MASTER) $(ARCHIVER) $(BUS) $(WORKER) $(CONF) $(SHM)
TESTS     := $(filter-out $(BUILD)/obj/tests/crash/% $(BUILD)/obj/tests/fuzz/% $(BUILD)/obj/tests/data/shim/% %/simulator_plant_test.o,$(call objects,tests))
CRASH     := $(call objects,tests/crash) $(BUILD)/obj/tests/shm/journal/replay_model.o
# The rules between nodes in virtual time.
SIMULATOR := $(filter-out %_test.o,$(call objects,tests/simulator)) $(call objects,bus/core)
# The rooms' own tests, which start no server; of those the shared memory's alone.
SHM_TESTS  := $(call objects,tests/shm)
UNIT_TESTS := $(SHM_TESTS) $(call objects,tests/archiver tests/bus tests/master tests/worker) $(filter-out %/simulator_plant_test.o,$(call objects,tests/simulator)) $(addprefix $(BUILD)/obj/tests/,integration/test_server.o reserved_port.o)

# The tests of the crash tests and of the simulator run beside the ordinary build only.
PLANT_TESTS := $(if $(filter release,$(MODE)),build/plant/bin/memento-plant-tests)

FUZZERS := $(patsubst tests/fuzz/%.cc,%,$(wildcard tests/fuzz/*_fuzz.cc))

PROGRAMS := $(BIN)/memento $(BIN)/memento-cli $(BIN)/memento-benchmark

.PHONY: all memento memento-cli memento-benchmark run test crash-test simulate kill-test reboot-test power-cut-test script-test cluster-test bench bench-keyspace bench-recovery bench-instructions unit-test asan tsan fuzz fuzzers layout tidy format clean install help
all memento memento-cli memento-benchmark:
	@$(MAKE) $(PARALLEL) --no-print-directory $(if $(filter all,$@),$(PROGRAMS),$(BIN)/$@)

$(BIN)/memento: $(call main,master) $(SERVER)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# For the tests of an upgrade: the server with another layout of the segment.
OTHER := $(BUILD)/other-layout
$(OTHER)/shm/format/layout.h: shm/format/layout.h
	@mkdir -p $(@D)
	sed 's/\(kLayoutVersion =\) [0-9]*/\1 4294967295/' $< > $@

$(OTHER)/segment.o: shm/segment.cc $(OTHER)/shm/format/layout.h
	$(CACHE) $(CXX) -I$(OTHER) $(CXXFLAGS) -c -o $@ $<

$(BIN)/memento-other-layout: $(OTHER)/segment.o $(call main,master) $(filter-out %/shm/segment.o,$(SERVER))
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/memento-cli: $(call main,cli) $(CLI) $(CLI_PARTS)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -ledit -lncursesw -ltinfo

$(BIN)/memento-benchmark: $(call main,benchmark) $(BENCHMARK) $(addprefix $(BUILD)/obj/cli/net/,client.o passwords.o) $(filter %/shm/keyspace/hash.o,$(SHM))
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/floor: $(BUILD)/obj/benchmark/floor.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/keyspace_benchmark: $(BUILD)/obj/benchmark/keyspace_benchmark.o $(BUILD)/obj/benchmark/key_distribution.o $(SHM)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lbenchmark

$(BIN)/recovery_benchmark: $(BUILD)/obj/benchmark/recovery_benchmark.o $(SHM)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/memento-tests: $(TESTS) $(SERVER) $(CLI) $(BENCHMARK) | $(BIN)/libmemento-disk-shim.so
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -ledit -lncursesw -ltinfo -lgtest -lgtest_main

# A bad disk for servers under test.
SHIM := $(wildcard tests/data/shim/*) $(wildcard tests/data/power/disk_log.*)
$(BIN)/libmemento-disk-shim.so: $(SHIM)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -fPIC -shared -o $@ $(filter %.cc,$(SHIM))

$(BIN)/memento-unit-tests: $(UNIT_TESTS) $(SERVER) $(BUILD)/obj/cli/net/client.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lgtest -lgtest_main

$(BIN)/memento-shm-tests: $(SHM_TESTS) $(SHM) $(addprefix $(BUILD)/obj/tests/,integration/test_server.o reserved_port.o) $(BUILD)/obj/cli/net/client.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lgtest -lgtest_main

# What has threads, for ThreadSanitizer.
$(BIN)/memento-thread-tests: $(SHM_TESTS) $(call objects,tests/archiver) $(SHM) $(ARCHIVER) $(CONF) $(addprefix $(BUILD)/obj/tests/,integration/test_server.o reserved_port.o) $(BUILD)/obj/cli/net/client.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lgtest -lgtest_main

$(BIN)/memento-crash-tests: $(filter-out %/plant_test.o,$(CRASH)) $(filter-out $(MASTER),$(SERVER))
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lgtest -lgtest_main

$(BIN)/memento-plant-tests: $(filter-out %/crash_test.o %/script_scenarios.o,$(CRASH)) $(SIMULATOR) $(BUILD)/obj/tests/simulator/simulator_plant_test.o $(CONF) $(SHM)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lgtest -lgtest_main

$(BIN)/memento-simulator: $(call main,tests/simulator) $(SIMULATOR) $(CONF) $(SHM)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Code that runs once, or waits for people: what -O3 adds to its compilation no run gives back.
$(BUILD)/obj/tests/%.o $(BUILD)/obj/cli/%.o $(BUILD)/obj/conf/%.o $(BUILD)/obj/master/%.o: CXXFLAGS += -O1
$(BUILD)/obj/benchmark/options.o: CXXFLAGS += -O1

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

run:
	@conf/install-packages build
	@$(MAKE) $(PARALLEL) --no-print-directory all
	@echo "memento is starting; in another terminal type: $(BIN)/memento-cli 127.0.0.1 6737"
	@$(BIN)/memento

test: export SUITE_LIMIT_S ?= 1200
test:
	@conf/install-packages build test
	@conf/install-packages clients || echo "clients: those that are not installed will be skipped"
	@tests/clients/install build/clients
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(addprefix $(BIN)/,memento-tests memento-crash-tests memento-other-layout)
	@$(if $(PLANT_TESTS),$(MAKE) $(PARALLEL) --no-print-directory MODE=plant $(PLANT_TESTS))
	@MEMENTO_BIN=$(abspath $(BIN)) tests/run '$(FILTER)' $(BIN)/memento-tests $(BIN)/memento-crash-tests $(PLANT_TESTS)

# The rooms' own tests: those of shm, bus and worker that start no server.
unit-test tsan: export SUITE_LIMIT_S ?= 1200
unit-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(BIN)/memento-unit-tests
	@tests/run '$(FILTER)' $(BIN)/memento-unit-tests

# The proof by enumeration, again and again with other states sampled and other random histories. DURATION_S= sets
# its length; SEED= repeats a round.
crash-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(BIN)/memento-crash-tests
	@MEMENTO_CRASH_DURATION_S=$(or $(DURATION_S),600) MEMENTO_CRASH_SEED=$(SEED) tests/run 'CrashLong.*' $(BIN)/memento-crash-tests

# The rules between nodes under faults in virtual time, seed after seed, for DURATION_S= of CPU; SEED= alone is that one,
# NODES= sets how many. MODE=plant has switches for known mistakes.
simulate:
	@conf/install-packages build
	@$(MAKE) $(PARALLEL) --no-print-directory $(BIN)/memento-simulator
	@$(BIN)/memento-simulator --seed $(or $(SEED),$(shell date +%s)) --nodes $(or $(NODES),0) $(if $(SEED),$(if $(DURATION_S),,--seeds 1)) --duration-s $(or $(DURATION_S),60)

# SEED= repeats a run's choices, DURATION_S= sets its length.
kill-test: export DURATION_S ?= 600
kill-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/memento-tests
	@MEMENTO_BIN=$(abspath $(BIN)) tests/run 'KillStorm.*' $(BIN)/memento-tests

# All processes killed and memory lost, under load; REBOOTS= as often, and as many deaths of the archiver.
reboot-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/memento-tests
	@MEMENTO_BIN=$(abspath $(BIN)) REBOOTS=$(or $(REBOOTS),1000) tests/run 'Reboot.*' $(BIN)/memento-tests

# The power lost at any moment of a server's life, on DISKS= disks as POSIX permits them; SEED= repeats a run's choices.
power-cut-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/memento-tests
	@MEMENTO_BIN=$(abspath $(BIN)) DISKS=$(or $(DISKS),2000) SEED=$(SEED) tests/run 'PowerCut.*' $(BIN)/memento-tests

# Scripts from a grammar on redis-server and on memento; COUNT= of them in either protocol, SEED= repeats a run.
script-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/memento-tests
	@MEMENTO_BIN=$(abspath $(BIN)) MEMENTO_COMMANDS=$(or $(COUNT),50000) $(if $(SEED),MEMENTO_SEED=$(SEED)) tests/run 'DifferentialScripts.*:DifferentialLibraries.*' $(BIN)/memento-tests

# Kills, stops and cuts of a cluster's nodes; ROUNDS= of each.
cluster-test:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/memento-tests
	@MEMENTO_BIN=$(abspath $(BIN)) MEMENTO_CLUSTER_ROUNDS=$(or $(ROUNDS),30) tests/run 'Cluster*' $(BIN)/memento-tests

bench:
	@conf/install-packages build bench
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/floor
	@benchmark/run

bench-keyspace:
	@conf/install-packages build bench
	@$(MAKE) $(PARALLEL) --no-print-directory $(BIN)/keyspace_benchmark
	@$(BIN)/keyspace_benchmark --benchmark_filter='$(or $(filter-out *,$(FILTER)),all)'

bench-recovery:
	@conf/install-packages build bench
	@$(MAKE) $(PARALLEL) --no-print-directory $(BIN)/recovery_benchmark
	@$(BIN)/recovery_benchmark

# Instructions a request; QUICK=1 for memento alone, RECORD=1 to write its figures down.
bench-instructions:
	@conf/install-packages build bench
	@$(MAKE) $(PARALLEL) --no-print-directory $(PROGRAMS) $(BIN)/floor
	@benchmark/instructions

asan: export LSAN_OPTIONS = suppressions=$(abspath tests/lsan.supp):print_suppressions=0
asan:
	@$(MAKE) $(PARALLEL) --no-print-directory MODE=asan test

# Workers as threads over one keyspace, and the archiver's threads: ThreadSanitizer cannot see across processes.
tsan:
	@conf/install-packages build test
	@$(MAKE) $(PARALLEL) --no-print-directory MODE=tsan build/tsan/bin/memento-thread-tests
	@tests/run '*Threads.*' build/tsan/bin/memento-thread-tests

# Each parser with random bytes for FUZZ_SECONDS, from the corpus in tests/fuzz. What it finds beyond that stays in build/.
FUZZ_SECONDS ?= 60
fuzz:
	@conf/install-packages build fuzz
	@$(MAKE) $(PARALLEL) --no-print-directory MODE=fuzz CXX=clang++ fuzzers
	@mkdir -p $(FUZZERS:%=build/fuzz/found/%)
	@for fuzzer in $(FUZZERS:_fuzz=); do echo "== $$fuzzer"; build/fuzz/bin/$${fuzzer}_fuzz -max_total_time=$(FUZZ_SECONDS) \
		-max_len=4096 -timeout=20 -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/$$fuzzer- \
		build/fuzz/found/$${fuzzer}_fuzz tests/fuzz/corpus/$$fuzzer || exit 1; done

fuzzers: $(FUZZERS:%=$(BIN)/%)

$(BIN)/%_fuzz: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(BUS) $(WORKER) $(CONF) $(SHM) $(addprefix $(BUILD)/obj/cli/show/,reply.o format.o)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

FOLDERS := archiver benchmark bus cli conf master shm tests worker

# Who includes whom, what the READMEs name, how long files are, what bus/core may not use, and the layout of the text.
layout:
	@.ci/check-rooms
	@.ci/check-readmes
	@.ci/check-sizes
	@.ci/check-core
	@conf/install-packages layout
	@find $(FOLDERS) -name '*.cc' -o -name '*.h' | xargs clang-format --dry-run -Werror

# layout, and what compilers do not look for.
tidy: layout
	@conf/install-packages build test bench tidy
	@find $(filter-out tests,$(FOLDERS)) -name '*.cc' | xargs -P $(shell nproc) -n 1 .ci/check-file

# Writes what layout wants of the text.
format:
	@conf/install-packages layout
	@find $(FOLDERS) -name '*.cc' -o -name '*.h' | xargs clang-format -i

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/share/doc/memento
	install -m 644 README.md CHANGELOG.md LICENSE conf/memento.conf conf/memento.service $(DESTDIR)$(PREFIX)/share/doc/memento
	install -m 644 $(wildcard */*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 cli/memento-cli.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/memento-cli
	install -D -m 644 cli/_memento-cli $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_memento-cli
	install -m 644 $(wildcard */*.8) $(DESTDIR)$(PREFIX)/share/man/man8

clean:
	rm -rf build bin

help:
	@echo "make run        build, and start the server in the foreground on 127.0.0.1:6737"
	@echo "make test       build, and run all tests; FILTER='Daemon.*' for some"
	@echo "make crash-test operations killed at every instruction for 10 minutes; DURATION_S=3600 SEED=1 for other runs"
	@echo "make simulate   nodes' rules under faults in virtual time for a minute; DURATION_S=3600 SEED=1 NODES=5 for other runs"
	@echo "make kill-test  kill processes under load for 10 minutes; DURATION_S=3600 SEED=1 for other runs"
	@echo "make reboot-test  kill all processes and lose memory under load; REBOOTS=1000"
	@echo "make power-cut-test  lose the power at any moment, on disks as they may be then; DISKS=2000 SEED=1 for other runs"
	@echo "make script-test  random scripts on redis-server and on memento; COUNT=50000 SEED=1 for other runs"
	@echo "make cluster-test  kill, stop and cut off a cluster's nodes under load; ROUNDS=100 of each"
	@echo "make            build bin/memento, bin/memento-cli, bin/memento-benchmark"
	@echo "make bench      measure against a bare epoll loop, redis and memcached (half an hour; QUICK=1: four minutes)"
	@echo "make bench-instructions  count the instructions of a request by callgrind"
	@echo "make bench-keyspace  the keyspace alone, in-process; FILTER=Small for some"
	@echo "make bench-recovery  from a journal on disk into memory"
	@echo "make asan       tests with AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make tsan       the keyspace under threads, and the archiver's threads, with ThreadSanitizer"
	@echo "make fuzz       random bytes for each parser, FUZZ_SECONDS=60 each"
	@echo "make layout     check who includes whom, the READMEs, and the layout of the text; make format mends the latter"
	@echo "make tidy       layout, and clang-tidy"
	@echo "make install    into PREFIX=/usr/local under DESTDIR="
	@echo "make clean      remove bin/ and build/"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
