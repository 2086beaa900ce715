//! GPU against the CPU path on the same work: the peak of each, every op of a training step, whole steps with upload, compute
//! and read-back apart, and where the GPU starts to win. The devices are measured in turns, in one run.
//!
//! `cargo bench --bench compare`, or the binary alone on another machine. Options: `--seconds S` (for each figure, 0.5),
//! `--adapter NAME`, `--json FILE`.

use std::error::Error;
use std::process::ExitCode;

use serde::Serialize;
use wgrad::profile::{self, OpTime, Peak, StepTime};
use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};

/// Widths and batch, smallest first.
const NETWORKS: [(&[usize], usize); 5] = [
    (&[64, 32, 10], 32),
    (&[784, 128, 10], 64),
    (&[784, 512, 512, 10], 128),
    (&[1024, 1024, 1024, 1024], 256),
    (&[4096, 4096, 4096, 4096], 4096),
];

/// The only network too large for a software adapter.
const LARGEST: usize = 4096;

/// Turns that each figure is measured in; the median counts.
const TURNS: usize = 3;

#[derive(Serialize)]
struct NetworkResult {
    name: String,
    gpu: StepTime,
    cpu: StepTime,
    ops: Vec<(OpTime, OpTime)>,
}

#[derive(Serialize)]
struct Results {
    gpu: String,
    cpu: String,
    software: bool,
    gpu_peak: Peak,
    cpu_peak: Peak,
    kernels: Vec<(OpTime, OpTime)>,
    networks: Vec<NetworkResult>,
}

struct Options {
    seconds: f64,
    json: Option<String>,
    gpu: Device,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let (mut seconds, mut json, mut adapter) = (0.5, None, None);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                // What cargo bench passes on.
                "--bench" => {}
                "--seconds" => {
                    let value = value()?;
                    let parsed = value
                        .parse()
                        .ok()
                        .filter(|s: &f64| *s >= 0.0 && s.is_finite());
                    seconds =
                        parsed.ok_or(format!("--seconds takes a number ≥ 0, not {value:?}"))?;
                }
                "--json" => json = Some(value()?),
                "--adapter" => adapter = Some(value()?),
                other => {
                    return Err(format!(
                        "unknown option {other}; there are --seconds S, --adapter NAME and --json FILE"
                    )
                    .into());
                }
            }
        }
        let gpu = match adapter {
            Some(name) => Device::gpu_named(&name)?,
            None => Device::gpu()?,
        };
        Ok(Self { seconds, json, gpu })
    }
}

/// A batch of numbers in (−1, 1) with labels.
fn batch(inputs: usize, outputs: usize, rows: usize) -> Result<Dataset, wgrad::Error> {
    let numbers = (0..rows * inputs).map(|i| (i * 7919 % 1999) as f32 / 1000.0 - 1.0);
    let labels = (0..rows).map(|r| (r * 31 % outputs) as u32);
    Dataset::classes(Matrix::new(inputs, numbers.collect())?, labels.collect())
}

fn trainer(device: &Device, widths: &[usize]) -> Result<Trainer, wgrad::Error> {
    let mut network = Mlp::new(widths[0]);
    for (l, &width) in widths.iter().enumerate().skip(1) {
        let last = l + 1 == widths.len();
        network = network.dense(width, if last { Identity } else { Relu });
    }
    Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 1)
}

fn name(widths: &[usize], rows: usize) -> String {
    let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
    format!("{} ({rows})", widths.join("-"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median_step(turns: &[StepTime]) -> StepTime {
    let of = |f: fn(&StepTime) -> f64| median(turns.iter().map(f).collect());
    StepTime {
        step: of(|t| t.step),
        compute: of(|t| t.compute),
        upload: of(|t| t.upload),
        readback: of(|t| t.readback),
    }
}

fn measure(
    options: &Options,
    widths: &[usize],
    rows: usize,
) -> Result<NetworkResult, Box<dyn Error>> {
    let batch = batch(widths[0], widths[widths.len() - 1], rows)?;
    let gpu = trainer(&options.gpu, widths)?;
    let cpu = trainer(&Device::cpu(), widths)?;
    let seconds = options.seconds;
    let (mut gpu_turns, mut cpu_turns) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        gpu_turns.push(profile::step_time(&gpu, &batch, seconds / TURNS as f64)?);
        cpu_turns.push(profile::step_time(&cpu, &batch, seconds / TURNS as f64)?);
    }
    let (_, gpu_ops) = profile::step(&gpu, &batch, seconds / 4.0)?;
    let (_, cpu_ops) = profile::step(&cpu, &batch, seconds / 4.0)?;
    Ok(NetworkResult {
        name: name(widths, rows),
        gpu: median_step(&gpu_turns),
        cpu: median_step(&cpu_turns),
        ops: gpu_ops.into_iter().zip(cpu_ops).collect(),
    })
}

/// A duration in a unit that suits it.
fn duration(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-3 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// An op's rate of whichever of arithmetic and memory traffic it is nearer to the peak of, and its share of that.
fn rate(op: &OpTime, peak: &Peak) -> String {
    let share = 100.0 * op.share(peak);
    if op.flops as f64 / peak.flops > op.bytes as f64 / peak.bytes {
        let rate = op.flops as f64 / op.seconds / 1e9;
        format!("{rate:.3} GFLOP/s, {share:.0} %")
    } else {
        let rate = op.bytes as f64 / op.seconds / 1e9;
        format!("{rate:.3} GB/s, {share:.0} %")
    }
}

fn print_ops(title: &str, ops: &[(OpTime, OpTime)], gpu_peak: &Peak, cpu_peak: &Peak) {
    println!("\n## {title}\n");
    println!("| op | GPU | rate, of peak | CPU | rate, of peak | GPU speed-up |");
    println!("|---|---|---|---|---|---|");
    for (gpu, cpu) in ops {
        println!(
            "| {} | {} | {} | {} | {} | {:.3}× |",
            gpu.name,
            duration(gpu.seconds),
            rate(gpu, gpu_peak),
            duration(cpu.seconds),
            rate(cpu, cpu_peak),
            cpu.seconds / gpu.seconds,
        );
    }
}

/// The best of some turns: a peak is what the device can, not what others let it do.
fn peak(device: &Device, seconds: f64) -> Result<Peak, wgrad::Error> {
    let mut best = Peak {
        flops: 0.0,
        bytes: 0.0,
    };
    for _ in 0..TURNS {
        let turn = profile::peak(device, seconds / TURNS as f64)?;
        best.flops = best.flops.max(turn.flops);
        best.bytes = best.bytes.max(turn.bytes);
    }
    Ok(best)
}

fn print_steps(results: &Results) {
    println!("\n## Training steps (ReLU, cross-entropy, SGD; batch in brackets)\n");
    println!("| network | GPU step | compute | upload | read-back | CPU step | GPU speed-up |");
    println!("|---|---|---|---|---|---|---|");
    for result in &results.networks {
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.3}× |",
            result.name,
            duration(result.gpu.step),
            duration(result.gpu.compute),
            duration(result.gpu.upload),
            duration(result.gpu.readback),
            duration(result.cpu.step),
            result.cpu.step / result.gpu.step,
        );
    }
    let wins = results.networks.iter().find(|r| r.gpu.step < r.cpu.step);
    match wins {
        Some(first) => println!("\nThe GPU starts to win at {}.", first.name),
        None => println!("\nThe GPU wins at none of these: train on the CPU path here."),
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let cpu = Device::cpu();
    println!(
        "# GPU against the CPU path\n\nGPU: {}  \nCPU: {cpu}",
        options.gpu
    );
    let gpu_peak = peak(&options.gpu, options.seconds)?;
    let cpu_peak = peak(&cpu, options.seconds)?;
    println!("\n| peak, measured | GPU | CPU |\n|---|---|---|");
    println!(
        "| f32 arithmetic | {:.1} GFLOP/s (multiply-add chains) | {:.1} GFLOP/s (gemm, 1024³) |",
        gpu_peak.flops / 1e9,
        cpu_peak.flops / 1e9
    );
    println!(
        "| copy of 64 MiB | {:.1} GB/s | {:.1} GB/s |",
        gpu_peak.bytes / 1e9,
        cpu_peak.bytes / 1e9
    );
    let mut results = Results {
        gpu: options.gpu.to_string(),
        cpu: cpu.to_string(),
        software: options.gpu.is_software(),
        gpu_peak,
        cpu_peak,
        kernels: Vec::new(),
        networks: Vec::new(),
    };
    println!(
        "\nA share of peak is of arithmetic or of the copy, whichever an op is nearer to. What fits a cache beats the copy."
    );
    let gpu_kernels = profile::kernels(&options.gpu, options.seconds / 4.0)?;
    let cpu_kernels = profile::kernels(&cpu, options.seconds / 4.0)?;
    // The two that measure the peak are no part of training, and their twins are no contest.
    let contest = |(gpu, _): &(OpTime, OpTime)| !matches!(&*gpu.name, "multiply_add" | "copy");
    let pairs = gpu_kernels.into_iter().zip(cpu_kernels);
    results.kernels = pairs.filter(contest).collect();
    print_ops("Every kernel", &results.kernels, &gpu_peak, &cpu_peak);
    for (widths, rows) in NETWORKS {
        if results.software && widths[0] >= LARGEST {
            println!("\nSkipped on a software adapter: {}.", name(widths, rows));
            continue;
        }
        let result = measure(&options, widths, rows)?;
        print_ops(&result.name, &result.ops, &gpu_peak, &cpu_peak);
        results.networks.push(result);
    }
    print_steps(&results);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&results)?)?;
    }
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
