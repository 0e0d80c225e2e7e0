//! What an operator meets: the first start, the configuration, the command line, the way down.

mod command_line;
mod configuration;
mod first_run;
mod stopping;
mod sweeping;
