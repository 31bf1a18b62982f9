# Every way to build, run and judge the product. A machine needs Rust, make and Python 3.11 or newer.
.PHONY: demo test check bench long fuzz torture sim
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

# The engine against the raw floor and a client library, alternating in one run.
bench:
	cargo build --release -p bench
	target/release/bench dispatch --messages 3000000 --binds 4 --window 100
	target/release/bench dispatch --messages 3000000 --binds 4 --window 100 --receipts
	target/release/bench dispatch --messages 300000 --binds 1 --window 10 --rounds 9 --only floor,engine --json
	target/release/bench dispatch --messages 1000000 --binds 4 --window 10 --rounds 9 --only floor,engine --json

# What takes too long for every commit: ten million recipients, a gigabyte of input, every role against the document.
long:
	cargo build --release --workspace --all-targets
	MC_SCALE=10000000 cargo test --workspace --release --test system -- --nocapture --test-threads 1 scale:: latency::codes
	MC_UPLOAD=10000000 MC_READS=1 MC_CONTRACT=200 \
	  cargo test --workspace --release --test system -- --nocapture --test-threads 1 api::upload api::reads api::contract
	cargo run --release -p engine --example intake_rate -- csv 10000000
	cargo run --release -p engine --example intake_rate -- same 10000000
	$(MAKE) torture ROUNDS=300

# The codec against inputs that nobody thought of, SECONDS for each target.
fuzz:
	@tests/fuzz $(SECONDS)

# kill -9 on a real process in mid-campaign, ROUNDS times; ends with what was lost, repeated and unknown.
torture:
	MC_KILL_ROUNDS=$(or $(ROUNDS),200) cargo test --release -p tests --test system -- --exact --nocapture \
	  kill::a_process_killed_at_any_moment_loses_nobody_and_sends_nothing_twice

# Simulated runs on virtual time, seed by seed from SEED on, SEEDS of them, DAYS (or HOURS) of campaign each; prints each trace.
sim:
	MC_SIM_SEED=$(or $(SEED),1) MC_SIM_SEEDS=$(or $(SEEDS),10) MC_SIM_HOURS=$(if $(DAYS),$$(( $(DAYS) * 24 )),$(or $(HOURS),1)) \
	  cargo test --release -p tests --test system -- --exact --nocapture \
	  simulation::every_seed_keeps_its_promises_in_simulated_time \
	  simulation::every_house_keeps_its_promises_and_comes_to_its_end
