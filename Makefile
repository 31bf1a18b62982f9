# Every way to build, run and judge the product. A machine needs Rust, make and Python 3.11 or newer.
.PHONY: demo test check fuzz
SECONDS ?= 60

# The main job: one campaign from file to receipt on embedded defaults, e.g. make demo ARGS="--recipients 1000 --exit".
demo:
	cargo run --release -- demo $(ARGS)

# The whole suite; ends with "N passed, N failed, N skipped".
test:
	@tests/run

# Formatting and lints alone, for the minutes before a commit.
check:
	@tests/run format clippy

# The codec against inputs that nobody thought of, SECONDS for each target.
fuzz:
	@tests/fuzz $(SECONDS)
