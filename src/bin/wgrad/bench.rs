//! `wgrad bench`.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use wgrad::activation::Activation;
use wgrad::{Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer, profile};

use crate::failure::{Failure, usage};
use crate::{output, setup};

const EXAMPLES: &str = "\
Examples:
  wgrad bench
  wgrad bench --widths 64,1024,4096 --batch 512 --seconds 2
  wgrad bench --json

A training step of a network WIDTH-WIDTH-WIDTH-WIDTH with ReLU, cross-entropy and Adam: the GPU
against the CPU path, both of this library. `cargo bench --bench compare` measures far more.";

/// Whether the GPU is worth it: training steps on GPU and CPU, for some widths
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Widths of the networks
    #[arg(
        long,
        value_name = "WIDTHS",
        value_delimiter = ',',
        default_value = "32,128,512,1024"
    )]
    widths: Vec<usize>,
    /// Rows of a batch
    #[arg(long, value_name = "ROWS", default_value_t = 128)]
    batch: usize,
    /// Seconds that each measurement takes
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// The GPU: gpu or auto for the best, or a name or number as `wgrad devices` lists it
    #[arg(long, default_value = "gpu")]
    device: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Steps of one width.
#[derive(Serialize)]
struct Comparison {
    width: usize,
    parameters: u64,
    gpu_seconds: Option<f64>,
    cpu_seconds: f64,
    /// CPU time over GPU time.
    speedup: Option<f64>,
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    if a.widths.contains(&0) || a.batch == 0 || !(a.seconds > 0.0 && a.seconds <= 3600.0) {
        return usage("--widths and --batch must be 1 or more, and --seconds above 0");
    }
    if a.device == "cpu" {
        return usage(
            "--device cpu would do nothing: the CPU is measured anyway, beside a GPU: give gpu, or a name or number as \
             `wgrad devices` lists it",
        );
    }
    let gpu = match setup::device(&a.device) {
        // auto may have found none.
        Ok(chosen) => Some(chosen.device).filter(|device| device.adapter().is_some()),
        Err(Failure::Library(wgrad::Error::NoAdapter { .. })) if a.device == "gpu" => None,
        Err(failure) => return Err(failure),
    };
    let cpu = Device::cpu();
    if !a.json {
        let name = gpu.as_ref().map_or("none".into(), Device::to_string);
        output::line(format_args!("GPU  {name}"))?;
        if gpu.as_ref().is_some_and(Device::is_software) {
            let what = "a software adapter: its times are the CPU's, and say nothing about a GPU";
            output::line(format_args!("     {what}"))?;
        }
        output::line(format_args!("CPU  {cpu}\n"))?;
        output::line(format_args!("a training step of {} rows", a.batch))?;
        output::line("width   parameters         GPU         CPU   GPU is")?;
    }
    let mut rows = Vec::new();
    for &width in &a.widths {
        let row = measure(width, a, gpu.as_ref(), &cpu)?;
        if !a.json {
            let ms = |s: f64| format!("{:.3} ms", 1e3 * s);
            let faster = match row.speedup {
                Some(x) if x >= 1.0 => format!("{x:.1}× as fast"),
                Some(x) => format!("{:.1}× slower", 1.0 / x),
                None => "–".into(),
            };
            let (gpu, cpu) = (row.gpu_seconds.map_or("–".into(), ms), ms(row.cpu_seconds));
            let parameters = output::count(row.parameters);
            output::line(format_args!(
                "{width:>5}  {parameters:>11}  {gpu:>10}  {cpu:>10}   {faster}"
            ))?;
        }
        rows.push(row);
    }
    if a.json {
        let gpu = gpu.map(|gpu| json!({ "name": gpu.to_string(), "software": gpu.is_software() }));
        let cpu = cpu.to_string();
        output::json(&json!({ "gpu": gpu, "cpu": cpu, "batch": a.batch, "steps": rows }))?;
    }
    Ok(())
}

fn measure(
    width: usize,
    a: &Arguments,
    gpu: Option<&Device>,
    cpu: &Device,
) -> Result<Comparison, Failure> {
    let network = (0..2).fold(Mlp::new(width), |n, _| n.dense(width, Activation::Relu));
    let network = network.dense(width, Activation::Identity);
    let cpu_seconds = step(cpu, &network, a.batch, a.seconds)?;
    let of_gpu = gpu.map(|gpu| step(gpu, &network, a.batch, a.seconds));
    let gpu_seconds = of_gpu.transpose()?;
    Ok(Comparison {
        width,
        parameters: network.parameters(),
        speedup: gpu_seconds.map(|gpu| cpu_seconds / gpu),
        gpu_seconds,
        cpu_seconds,
    })
}

/// Seconds of a training step of so many rows from the host.
pub fn step(device: &Device, network: &Mlp, rows: usize, seconds: f64) -> Result<f64, Failure> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let number = |i: usize| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0;
    let x = Matrix::new(inputs, (0..rows * inputs).map(number).collect())?;
    let batch = Dataset::classes(x, (0..rows).map(|r| (r % outputs) as u32).collect())?;
    let mut trainer = Trainer::new(device, network, Loss::CrossEntropy, Adam::default(), 7)?;
    // The kernels are compiled, and where that is done, chosen.
    trainer.step(&batch)?;
    trainer.take_loss()?;
    Ok(profile::step_time(&trainer, &batch, seconds)?.step)
}
