//! The command-line tool.

mod adapter;
mod bench;
mod data;
mod devices;
mod evaluate;
mod export;
mod failure;
mod folder;
mod input;
mod inspect;
#[cfg(test)]
mod messages;
mod model;
mod options;
mod output;
mod outputs;
mod plots;
mod predict;
mod progress;
mod report;
mod setup;
mod train;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::{At, Failure};

const AFTER: &str = "\
Begin with:
  wgrad train data.csv --target label --out model.safetensors
  wgrad predict model.safetensors new.csv

Exit codes:
  0  done
  1  a check failed, or training became non-finite
  2  wrong options
  3  wrong data, or a file that cannot be read or written
  4  no such device, or the device failed
130  interrupted; where a run was going on, it was saved";

/// Train multi-layer perceptrons on any GPU, or on the CPU, from files to files.
#[derive(Debug, Parser)]
#[command(name = "wgrad", version, after_help = AFTER, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Arguments>),
    Predict(predict::Arguments),
    Evaluate(evaluate::Arguments),
    Inspect(inspect::Arguments),
    Export(export::Arguments),
    Devices(devices::Arguments),
    Verify(verify::Arguments),
    Bench(bench::Arguments),
    Report(adapter::Arguments),
    /// Prints completions for a shell
    ///
    /// For bash: wgrad completions bash > ~/.local/share/bash-completion/completions/wgrad
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Train(arguments) => train::run(*arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Report(arguments) => adapter::run(&arguments),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "wgrad", &mut text);
            output::write(&text)
        }
    }
}

fn main() -> ExitCode {
    // clap tells of wrong usage with exit code 2, and of help and version with 0.
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        // Nothing can be said where the terminal is gone.
        let _ = error.print();
        std::process::exit(error.exit_code());
    });
    let at = match cli.command {
        Command::Train(_) => At::Train,
        Command::Inspect(_) | Command::Export(_) | Command::Devices(_) => At::Elsewhere,
        Command::Completions { .. } => At::Elsewhere,
        _ => At::Device,
    };
    match run(cli) {
        // Whoever read the output has closed it and has what was wanted.
        Ok(()) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(at);
            ExitCode::from(failure.code())
        }
    }
}
