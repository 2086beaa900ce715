//! `wgrad verify`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wgrad::activation::Activation;
use wgrad::verify::{self, KernelOptions, KernelProgress, Report};
use wgrad::{Adam, Dataset, Loss, Matrix, Mlp, Trainer};

use crate::failure::{Failure, usage};
use crate::options::Widths;
use crate::progress::Working;
use crate::{model, output, setup};

const EXAMPLES: &str = "\
Examples:
  wgrad verify                               # the kernels and a small network, on the best GPU
  wgrad verify --device cpu
  wgrad verify --hidden 512,512 --no-kernels # the gradients of this network alone
  wgrad verify model.safetensors --json

Every kernel is run on awkward shapes and each element compared with an f64 reference within its
rounding bound; then a training step of the network, op by op and tensor by tensor. Exit code 0
if all passed, 1 if not.";

/// Checks this device's kernels and a network's gradients against the f64 reference
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A model, a checkpoint or a run's folder, whose gradients are checked
    #[arg(conflicts_with = "kernel")]
    model: Option<PathBuf>,
    /// Hidden widths of the network that is checked where no model is given
    #[arg(
        long,
        value_name = "WIDTHS",
        default_value = "32,16",
        conflicts_with_all = ["model", "kernel"]
    )]
    hidden: Widths,
    /// Activation of its hidden layers [default: relu]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "kernel"])]
    activation: Option<String>,
    /// Where: gpu, cpu, auto, or a name or number as `wgrad devices` lists it
    #[arg(long, default_value = "gpu")]
    device: String,
    /// Only this kernel
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Leave the kernels out: seconds instead of minutes on a slow device
    #[arg(long, conflicts_with = "kernel")]
    no_kernels: bool,
    /// What contents are drawn from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// List every check, not just those that failed; JSON has them all
    #[arg(long, short, conflicts_with = "json")]
    verbose: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Rows of the batch.
const ROWS: usize = 16;

pub fn run(a: &Arguments) -> Result<(), Failure> {
    if a.hidden.0.is_empty() && a.activation.is_some() {
        let why = "it is for hidden layers, and with --hidden none there are none: leave it out";
        return usage(format!("--activation would do nothing: {why}"));
    }
    let chosen = setup::device(&a.device)?;
    let mut reports = Vec::new();
    if !a.no_kernels && !a.json {
        output::note(format_args!("kernels on {} …", chosen.device));
    }
    let working = Working::new(a.json);
    if !a.no_kernels {
        let options = KernelOptions {
            kernel: a.kernel.clone(),
            seed: a.seed,
            ..KernelOptions::default()
        };
        let told = |p: &KernelProgress<'_>| working.kernels(p);
        let report = verify::kernels_with_progress(&chosen.device, &options, told);
        reports.push(report?);
    }
    if a.kernel.is_none() {
        let adam = Adam::default();
        let mut trainer = match &a.model {
            Some(path) => model::open(path)?
                .0
                .model()?
                .trainer(&chosen.device, adam)?,
            None => {
                let phi: Activation = a.activation.as_deref().unwrap_or("relu").parse()?;
                let mut network = Mlp::new(24);
                for &width in &a.hidden.0 {
                    network = network.dense(width, phi.clone());
                }
                let network = network.dense(10, Activation::Identity);
                Trainer::new(&chosen.device, &network, Loss::CrossEntropy, adam, a.seed)?
            }
        };
        let batch = batch(&trainer, a.seed)?;
        working.on(format!("a training step of {}", trainer.network()));
        reports.push(verify::gradients(&mut trainer, &batch)?);
    }
    drop(working);
    let passed = reports.iter().all(Report::passed);
    if a.json {
        output::json(&json!({ "passed": passed, "reports": reports }))?;
    } else {
        for report in &reports {
            tell(report, a.verbose)?;
        }
    }
    if passed {
        return Ok(());
    }
    let failed: usize = reports.iter().map(|r| r.failures().count()).sum();
    let advice = "take another --device, or another driver";
    let what = format!("{failed} check(s) failed on {}", chosen.device);
    Err(Failure::Check(format!(
        "{what}: what it computes is not what it should be; {advice}"
    )))
}

fn tell(report: &Report, verbose: bool) -> Result<(), Failure> {
    if verbose {
        return output::line(report);
    }
    output::line(format_args!("{}\non {}", report.title, report.device))?;
    let elements: usize = report.checks.iter().map(|check| check.elements).sum();
    let failed: Vec<_> = report.failures().collect();
    for check in &failed {
        let (name, place, is, should) = (&check.name, &check.place, check.device, check.reference);
        let note = check.note.as_ref().map(|note| format!(" ({note})"));
        let within = format!("within {:.1e}{}", check.bound, note.unwrap_or_default());
        let element = format!("element {place} is {is}, should be {should}, {within}");
        output::line(format_args!("  FAILED {name}: {element}"))?;
    }
    let passed = report.checks.iter().filter(|c| c.passed);
    let nearest = match passed.max_by(|a, b| a.ratio().total_cmp(&b.ratio())) {
        Some(check) => {
            let percent = 100.0 * check.ratio();
            format!("; nearest to its bound: {}, at {percent:.0} %", check.name)
        }
        None => String::new(),
    };
    let verdict = if report.passed() { "passed" } else { "FAILED" };
    let (all, elements) = (report.checks.len(), output::count(elements as u64));
    let right = all - failed.len();
    output::line(format_args!(
        "{verdict}: {right} of {all} checks, {elements} elements{nearest}"
    ))
}

/// Rows of numbers in ±1, with targets that suit the loss.
fn batch(trainer: &Trainer, seed: u64) -> Result<Dataset, Failure> {
    let network = trainer.network();
    let (inputs, outputs) = (network.inputs(), network.outputs());
    // A sequence that repeats after 2^64 numbers (Steele and Vigna's SplitMix64).
    let mut state = seed;
    let mut unit = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    };
    let x = (0..ROWS * inputs).map(|_| 2.0 * unit() - 1.0).collect();
    let x = Matrix::new(inputs, x)?;
    Ok(match trainer.criterion().loss {
        Loss::CrossEntropy | Loss::OutputCrossEntropy | Loss::KlDivergence => {
            Dataset::classes(x, (0..ROWS).map(|r| (r % outputs) as u32).collect())?
        }
        _ => {
            let targets = (0..ROWS * outputs).map(|_| unit()).collect();
            Dataset::values(x, Matrix::new(outputs, targets)?)?
        }
    })
}
