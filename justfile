# The commands that .ci/run runs, by themselves. `just` alone lists them.

default:
    @{{ just_executable() }} --list

# Format the code.
fmt:
    cargo fmt --all

# Is the code formatted?
fmt-check:
    bash .ci/steps/10-format.sh

# Clippy over everything, warnings refused.
lint:
    bash .ci/steps/20-lints.sh

# Shell scripts: syntax and shellcheck.
lint-shell:
    bash .ci/steps/15-shell.sh

# The code's documentation, warnings refused.
docs:
    bash .ci/steps/25-docs.sh

# Licences, sources and duplicates of dependencies, and those that nothing uses.
deny:
    bash .ci/steps/30-dependencies.sh

# All tests that need nothing but Rust and a C compiler.
test:
    cargo test --workspace

# The same tests with a PostgreSQL that is started for them.
test-postgres *COMMAND='cargo test --workspace':
    .ci/with-postgres {{ COMMAND }}

# The fuzz targets, each for a moment: GRANARY_FUZZ_SECONDS of them.
fuzz:
    bash .ci/steps/49-fuzz.sh

# The release binary, which conformance and clients test.
release:
    bash .ci/steps/50-release.sh

# The load program, optimised.
bench-build:
    cd benches/load && cargo build --release --locked

# The same load on us and on Debian's docker-registry, with ratios: `just bench --gates`.
bench *ARGS: release bench-build
    benches/load/compare {{ ARGS }}

# The clients and the conformance program that are Go modules.
tools:
    bash .ci/steps/55-tools.sh

# The OCI conformance program against the release binary.
conformance: release tools
    .ci/with-postgres tests/clients/conformance.sh

# Real clients against the release binary: all of them, or the one named.
clients CLIENT='*': release tools
    for client in tests/clients/{{ CLIENT }}.sh; do case $client in */lib.sh | */conformance.sh) ;; *) "$client" || exit 1 ;; esac; done

# The commands that the README shows.
readme: release
    .ci/readme README.md

# Everything, as it is checked before a change is accepted.
ci *STAGES:
    bash .ci/run {{ STAGES }}
