//! Is this GPU worth it? GPU against the CPU path on the same work: the peak of each, every kernel and every form of the matrix
//! products, whole steps and epochs, what each optimisation buys, where the GPU starts to win, and how time and memory grow.
//! The devices are measured in turns, in one run.
//!
//! `cargo bench --bench compare`, or the binary alone on another machine; `--help` lists the options.

mod ablation;
mod measure;
mod options;
mod plots;
mod progress;
mod report;
mod sweep;

use std::error::Error;
use std::process::ExitCode;

use serde::Serialize;
use wgrad::profile::{self, FormTime, OpTime, Peak, StepTime};
use wgrad::{AdapterChoice, AdapterDescription, Device, DeviceOptions};

use ablation::{Ablation, ablation};
use measure::{Network, Times, median, times};
use options::Options;
use progress::Progress;
use report::duration;
use sweep::{Sweep, sweeps};

/// Forms of the products at one size.
#[derive(Serialize)]
struct Forms {
    size: String,
    times: Vec<FormTime>,
}

/// A network on both devices.
#[derive(Serialize)]
struct Rates {
    network: String,
    gpu: Times,
    cpu: Times,
}

/// Where the time of a step goes.
#[derive(Serialize)]
struct Parts {
    network: String,
    gpu: StepTime,
    cpu: StepTime,
    ops: Vec<(OpTime, OpTime)>,
}

/// Everything that was measured.
#[derive(Serialize)]
struct Results {
    gpu: String,
    adapter: AdapterDescription,
    cpu: String,
    /// Whether the GPU is a program on the CPU.
    software: bool,
    quick: bool,
    seconds_each: f64,
    turns: usize,
    gpu_peak: Peak,
    cpu_peak: Peak,
    kernels: Vec<(OpTime, OpTime)>,
    forms: Vec<Forms>,
    rates: Vec<Rates>,
    parts: Vec<Parts>,
    ablations: Vec<Ablation>,
    sweeps: Vec<Sweep>,
    /// What was left out or failed, and why.
    skipped: Vec<String>,
}

/// Networks that are measured in every respect, smallest first.
fn networks(results: &Results) -> Vec<Network> {
    let mut networks = vec![
        Network::new(&[64, 32, 10], 32),
        Network::new(&[784, 128, 10], 64),
    ];
    if !results.quick {
        networks.push(Network::new(&[784, 512, 512, 10], 128));
        networks.push(Network::square(1024, 3, 256));
        if !results.software {
            networks.push(Network::square(4096, 3, 4096));
        }
    }
    networks
}

/// Narrow networks, of which only the rates are measured.
fn narrow_networks(results: &Results) -> Vec<Network> {
    let (widths, batches): (&[usize], &[usize]) = if results.quick {
        (&[16], &[128])
    } else {
        (&[16, 32, 64], &[128, 16_384])
    };
    let of = |rows: &usize| {
        let rows = *rows;
        widths.iter().map(move |&w| Network::square(w, 4, rows))
    };
    batches.iter().flat_map(of).collect()
}

/// The best of some turns: a peak is what the device can, not what others let it do.
fn peak(device: &Device, options: &Options) -> Result<Peak, wgrad::Error> {
    let mut best = Peak {
        flops: 0.0,
        bytes: 0.0,
    };
    for _ in 0..options.turns {
        let turn = profile::peak(device, options.seconds / options.turns as f64)?;
        best.flops = best.flops.max(turn.flops);
        best.bytes = best.bytes.max(turn.bytes);
    }
    Ok(best)
}

fn kernels(
    gpu: &Device,
    cpu: &Device,
    options: &Options,
) -> Result<Vec<(OpTime, OpTime)>, wgrad::Error> {
    let gpu = profile::kernels(gpu, options.seconds / 4.0)?;
    let cpu = profile::kernels(cpu, options.seconds / 4.0)?;
    // The two that measure the peak are no part of training, and their twins are no contest.
    let contest = |(gpu, _): &(OpTime, OpTime)| !matches!(&*gpu.name, "multiply_add" | "copy");
    Ok(gpu.into_iter().zip(cpu).filter(contest).collect())
}

fn forms(gpu: &Device, sizes: [u32; 3], options: &Options) -> Result<Forms, wgrad::Error> {
    let [rows, inputs, outputs] = sizes;
    Ok(Forms {
        size: format!("{rows}×{inputs}×{outputs}"),
        times: profile::forms(gpu, rows, inputs, outputs, options.seconds / 4.0)?,
    })
}

fn rates(network: &Network, options: &Options) -> Result<Rates, wgrad::Error> {
    let gpu = options.open(DeviceOptions::default())?;
    let times = times(&[&gpu, &Device::cpu()], network, options)?;
    Ok(Rates {
        network: network.name(),
        gpu: times[0],
        cpu: times[1],
    })
}

fn median_step(turns: &[StepTime]) -> StepTime {
    let of = |f: fn(&StepTime) -> f64| median(turns.iter().map(f).collect());
    // One turn in which the GPU's clock was wrong spoils the median.
    let clock = turns.iter().map(|t| t.clock).max_by_key(|c| *c as u8);
    StepTime {
        step: of(|t| t.step),
        compute: of(|t| t.compute),
        clock: clock.unwrap_or(turns[0].clock),
        upload: of(|t| t.upload),
        readback: of(|t| t.readback),
    }
}

fn parts(network: &Network, options: &Options) -> Result<Parts, wgrad::Error> {
    let batch = network.batch()?;
    let gpu = network.trainer(&options.open(DeviceOptions::default())?)?;
    let cpu = network.trainer(&Device::cpu())?;
    let (mut gpu_turns, mut cpu_turns) = (Vec::new(), Vec::new());
    let each = options.seconds / options.turns as f64;
    for _ in 0..options.turns {
        gpu_turns.push(profile::step_time(&gpu, &batch, each)?);
        cpu_turns.push(profile::step_time(&cpu, &batch, each)?);
        let slow = |turns: &[StepTime]| turns.iter().map(|t| t.step).sum::<f64>() > options.limit();
        if slow(&gpu_turns) || slow(&cpu_turns) {
            break;
        }
    }
    let gpu_ops = profile::ops(&gpu, &batch, options.seconds / 4.0)?;
    let cpu_ops = profile::ops(&cpu, &batch, options.seconds / 4.0)?;
    Ok(Parts {
        network: network.name(),
        gpu: median_step(&gpu_turns),
        cpu: median_step(&cpu_turns),
        ops: gpu_ops.into_iter().zip(cpu_ops).collect(),
    })
}

impl Results {
    /// What was measured; where that failed, the failure is noted and the run goes on.
    fn attempt<T>(
        &mut self,
        progress: &Progress,
        what: &str,
        measure: impl FnOnce() -> Result<T, wgrad::Error>,
    ) -> Option<T> {
        progress.at(what);
        match measure() {
            Ok(measured) => Some(measured),
            Err(error) => {
                let failure = format!("{what}: {error}");
                progress.at(&failure);
                self.skipped.push(failure);
                None
            }
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(mut options) = Options::parse()? else {
        return Ok(());
    };
    let progress = Progress::new();
    let gpu = options.open(DeviceOptions::default())?;
    let Some(adapter) = gpu.adapter() else {
        unreachable!("it was opened as a GPU")
    };
    // From now on the same one.
    options.adapter = Some(AdapterChoice::Index(adapter.index));
    let cpu = Device::cpu();
    progress.at(&format!("{gpu}: peak"));
    let gpu_peak = peak(&gpu, &options)?;
    progress.at(&format!("{cpu}: peak"));
    let cpu_peak = peak(&cpu, &options)?;
    let mut results = Results {
        gpu: gpu.to_string(),
        adapter,
        cpu: cpu.to_string(),
        software: gpu.is_software(),
        quick: options.quick,
        seconds_each: options.seconds,
        turns: options.turns,
        gpu_peak,
        cpu_peak,
        kernels: Vec::new(),
        forms: Vec::new(),
        rates: Vec::new(),
        parts: Vec::new(),
        ablations: Vec::new(),
        sweeps: Vec::new(),
        skipped: Vec::new(),
    };
    report::head(&results);
    let measured = results.attempt(&progress, "every kernel", || kernels(&gpu, &cpu, &options));
    results.kernels = measured.unwrap_or_default();
    report::kernels(&results);

    let mut sizes = vec![if options.quick {
        [64, 128, 128]
    } else {
        [256, 512, 512]
    }];
    if !results.software && !results.quick {
        let large = [4096; 3];
        let least = 2.0 * large.map(f64::from).iter().product::<f64>() / gpu_peak.flops;
        if least < options.limit() / 5.0 {
            sizes.push(large);
        } else {
            let why = format!(
                "every form at {large:?}: {} each at the least",
                duration(least)
            );
            results.skipped.push(why);
        }
    }
    for size in sizes {
        let what = format!("every form at {size:?}");
        let measured = results.attempt(&progress, &what, || forms(&gpu, size, &options));
        results.forms.extend(measured);
    }
    drop(gpu);
    report::forms(&results);

    // A step of these may take longer than where sizes grow: each was asked for.
    let limit = 10.0 * options.limit();
    let mut measured_ones = Vec::new();
    let full = networks(&results);
    for network in full.iter().chain(&narrow_networks(&results)) {
        let what = format!("steps and epochs: {}", network.name());
        // A larger network keeps a device busy no worse than a smaller one.
        let known = results.rates.last().zip(measured_ones.last());
        let expected = known.map_or(0.0, |(rates, last): (&Rates, &Network)| {
            f64::max(rates.gpu.step, rates.cpu.step) * network.work() / last.work()
        });
        if expected > limit {
            let why = format!("{what}: a step would take about {}", duration(expected));
            progress.at(&why);
            results.skipped.push(why);
            continue;
        }
        let measured = results.attempt(&progress, &what, || rates(network, &options));
        if let Some(measured) = measured {
            results.rates.push(measured);
            measured_ones.push(network.clone());
        }
    }
    report::rates(&results);

    let was_measured = |results: &Results, network: &&Network| {
        results.rates.iter().any(|r| r.network == network.name())
    };
    let full: Vec<&Network> = full.iter().filter(|n| was_measured(&results, n)).collect();
    for network in &full {
        let what = format!("parts of a step: {}", network.name());
        let measured = results.attempt(&progress, &what, || parts(network, &options));
        results.parts.extend(measured);
    }
    report::parts(&results);

    let few = if options.quick { 1 } else { 4 };
    for network in full.iter().take(few) {
        let what = format!("what each optimisation buys: {}", network.name());
        let measured = results.attempt(&progress, &what, || ablation(network, &options));
        results.ablations.extend(measured);
    }
    report::ablations(&results);

    results.sweeps = sweeps(&options, &progress);
    report::sweeps(&results);
    report::verdict(&results, progress.seconds());

    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&results)?)
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if let Some(folder) = &options.plots {
        plots::draw(&results, folder)?;
    }
    progress.at("done");
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
