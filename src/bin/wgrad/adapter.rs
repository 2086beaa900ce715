//! `wgrad report`: what an adapter is seen to be right at and how fast, in a file that can be sent.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wgrad::activation::Activation::{Identity, Relu};
use wgrad::files::replace;
use wgrad::profile::{self, Peak};
use wgrad::verify::{self, KernelOptions, KernelProgress};
use wgrad::{Device, Mlp};

use crate::failure::{self, Failure, unusable_at, usage};
use crate::progress::Working;
use crate::{bench, folder, output, setup};

const EXAMPLES: &str = "\
Examples:
  wgrad report                                # the best GPU; writes wgrad-report.json
  wgrad report --device 1 --out radeon.json
  wgrad report --table reports/*.json         # a line an adapter

The file has the adapter, its driver and limits, the verdict on every kernel, the peak, what the
tuner chose, and the time of a training step of some networks on GPU and CPU. Nothing else of
this machine is in it.";

/// Judges an adapter: whether every kernel is right on it, and how fast it is, into a file to send
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The GPU: gpu or auto for the best, or a name or number as `wgrad devices` lists it
    #[arg(long, default_value = "gpu", conflicts_with = "table")]
    device: String,
    /// The file to write, which must not be there yet
    #[arg(
        long,
        value_name = "FILE",
        default_value = "wgrad-report.json",
        conflicts_with = "table"
    )]
    out: PathBuf,
    /// Seconds that each measurement takes
    #[arg(long, default_value_t = 1.0, conflicts_with = "table")]
    seconds: f64,
    /// Print a table of the adapters in these reports, as Markdown, and measure nothing
    #[arg(long, value_name = "FILES", num_args = 1..)]
    table: Vec<PathBuf>,
}

/// A report, as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct AdapterReport {
    wgrad: String,
    /// With driver; a software adapter is called one.
    device: String,
    software: bool,
    /// Limits and features.
    details: Value,
    cpu: String,
    kernels: Verdict,
    gpu_peak: Peak,
    cpu_peak: Peak,
    steps: Vec<Step>,
    /// What was chosen for each product, and what the tuner measured.
    choices: Value,
    tuning: Value,
}

/// On the kernel table.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    passed: bool,
    checks: usize,
    elements: usize,
    failures: Vec<Value>,
}

/// A training step of a network.
#[derive(Debug, Serialize, Deserialize)]
struct Step {
    network: String,
    rows: usize,
    gpu_seconds: f64,
    cpu_seconds: f64,
}

/// Widths, and rows of a batch: those of the comparison with other libraries.
const NETWORKS: [(&[usize], usize); 4] = [
    (&[64, 32, 10], 32),
    (&[784, 128, 10], 64),
    (&[784, 512, 512, 10], 128),
    (&[1024, 1024, 1024, 1024], 256),
];

fn name_of(widths: &[usize]) -> String {
    let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
    widths.join("-")
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    if !a.table.is_empty() {
        return table(&a.table);
    }
    if !(a.seconds > 0.0 && a.seconds <= 60.0) {
        return usage("--seconds must be above 0, and 60 at most");
    }
    if a.out.exists() {
        return unusable_at(&a.out, "it is there already: give another name by --out");
    }
    folder::check_out(&a.out)?;
    let device = setup::device(&a.device)?.device;
    let Some(adapter) = device.adapter() else {
        return usage(format!(
            "{device} is no GPU: give --device gpu, or a number or name of one"
        ));
    };
    let details = Device::adapter_details().into_iter();
    let details = details.map(|(other, details)| (other.index, details));
    let details = details.filter(|(index, _)| *index == adapter.index);
    let details = details.map(|(_, details)| json!(details)).next();

    output::note(format_args!(
        "{device}: every kernel, then speed: about two minutes on a GPU"
    ));
    let working = Working::new(false);
    let told = |p: &KernelProgress<'_>| working.kernels(p);
    let report = verify::kernels_with_progress(&device, &KernelOptions::default(), told)?;
    let kernels = Verdict {
        passed: report.passed(),
        checks: report.checks.len(),
        elements: report.checks.iter().map(|check| check.elements).sum(),
        failures: report.failures().map(|check| json!(check)).collect(),
    };
    let cpu = Device::cpu();
    working.on("the peak");
    let gpu_peak = profile::peak(&device, a.seconds)?;
    let cpu_peak = profile::peak(&cpu, a.seconds)?;
    let mut steps = Vec::new();
    for (widths, rows) in NETWORKS {
        let (inputs, outputs) = (widths[0], widths[widths.len() - 1]);
        let hidden = &widths[1..widths.len() - 1];
        let network = hidden
            .iter()
            .fold(Mlp::new(inputs), |n, &width| n.dense(width, Relu));
        let network = network.dense(outputs, Identity);
        let name = name_of(widths);
        working.on(format!("a training step of {name}"));
        steps.push(Step {
            gpu_seconds: bench::step(&device, &network, rows, a.seconds)?,
            cpu_seconds: bench::step(&cpu, &network, rows, a.seconds)?,
            network: name,
            rows,
        });
    }
    drop(working);
    let report = AdapterReport {
        wgrad: env!("CARGO_PKG_VERSION").into(),
        device: device.to_string(),
        software: adapter.software,
        details: details.unwrap_or_default(),
        cpu: cpu.to_string(),
        kernels,
        gpu_peak,
        cpu_peak,
        steps,
        choices: json!(device.choices()),
        tuning: json!(device.tuning_report()),
    };
    let text = serde_json::to_string_pretty(&report);
    let text = text.or_else(|e| unusable_at(&a.out, format_args!("it cannot be JSON: {e}")))?;
    replace(&a.out, text.as_bytes())?;
    output::line(report.summary())?;
    output::line(format_args!("written to {}", a.out.display()))?;
    match report.kernels.passed {
        true => Ok(()),
        false => Err(Failure::Check(format!(
            "{} check(s) failed on {device}: please report it, with the file",
            report.kernels.failures.len()
        ))),
    }
}

impl AdapterReport {
    fn verdict(&self) -> String {
        let Verdict {
            checks, failures, ..
        } = &self.kernels;
        match failures.len() {
            0 => format!("all {checks} checks of the kernels passed"),
            failed => format!("{failed} of {checks} checks of the kernels FAILED"),
        }
    }

    fn summary(&self) -> String {
        let (gpu, cpu) = (&self.gpu_peak, &self.cpu_peak);
        let mut text = format!(
            "{}\n{}\npeak: {:.0} GFLOP/s in f32 (CPU {:.0}), {:.0} GB/s (CPU {:.0})",
            self.device,
            self.verdict(),
            gpu.flops / 1e9,
            cpu.flops / 1e9,
            gpu.bytes / 1e9,
            cpu.bytes / 1e9,
        );
        for step in &self.steps {
            let (gpu, cpu) = (1e3 * step.gpu_seconds, 1e3 * step.cpu_seconds);
            let (network, rows) = (&step.network, step.rows);
            text += &format!("\n{network} ({rows} rows): {gpu:.3} ms a step, CPU {cpu:.3} ms");
        }
        text
    }
}

/// A line an adapter.
fn table(files: &[PathBuf]) -> Result<(), Failure> {
    let steps = NETWORKS.map(|(widths, rows)| (name_of(widths), rows));
    let heads = steps
        .each_ref()
        .map(|(name, rows)| format!("{name} ({rows}), ms"));
    output::line(format_args!(
        "| adapter | wgrad | kernels | GFLOP/s | GB/s | {} |",
        heads.join(" | ")
    ))?;
    output::line(format_args!("|{}", "---|".repeat(5 + heads.len())))?;
    for file in files {
        let report = serde_json::from_str::<AdapterReport>(&failure::read(file)?);
        let report = report
            .or_else(|e| unusable_at(file, format_args!("it is no report of an adapter ({e})")))?;
        let times = steps.each_ref().map(|(name, rows)| {
            let mut of = report.steps.iter();
            let step = of.find(|step| step.network == *name && step.rows == *rows);
            step.map_or("–".into(), |step| {
                format!("{:.3}", 1e3 * step.gpu_seconds)
            })
        });
        output::line(format_args!(
            "| {} | {} | {} | {:.0} | {:.0} | {} |",
            report.device.replace('|', "\\|"),
            report.wgrad,
            report.verdict(),
            report.gpu_peak.flops / 1e9,
            report.gpu_peak.bytes / 1e9,
            times.join(" | ")
        ))?;
    }
    Ok(())
}
