# SPDX-License-Identifier: GPL-2.0-or-later
# A thin front of CMake: what to type on a fresh Debian 12. Each of demo and check installs the
# packages it needs (apt-get, as root or through sudo) and says which.

BUILD := build/release
export NESTMIG_HOST_CACHE ?= $(CURDIR)/build/hosts

.PHONY: all demo check unit bench install clean
all: $(BUILD)/build.ninja
	@cmake --build --preset release

demo:
	@tests/setup.sh build hosts
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@cmake --build --preset release --target nestmig nestmig-poke
	@tests/hosts/demo.sh $(BUILD)

check:
	@tests/setup.sh build hosts tests
	@tests/check.sh

# The tests that need no emulated host.
unit: all
	@ctest --preset release

bench:
	@tests/setup.sh build hosts
	@$(MAKE) --no-print-directory all
	@bench/run.sh $(BUILD)

install: all
	@cmake --install $(BUILD)

clean:
	rm -rf build

$(BUILD)/build.ninja:
	@cmake --preset release
