//! The report, in Markdown, as it comes in. Every figure of the GPU stands under the adapter's name.

use wgrad::profile::{OpTime, Peak};

use crate::measure::{BATCHES, Times};
use crate::{Rates, Results};

impl Results {
    /// The adapter's name, a software adapter called one.
    pub fn gpu_name(&self) -> String {
        let name = self.adapter.name.replace('|', "/");
        if self.software {
            format!("{name}, software")
        } else {
            name
        }
    }
}

/// A duration in a unit that suits it.
pub fn duration(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-3 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// Three significant digits, or all of those before the point.
fn number(value: f64) -> String {
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 6);
    format!("{value:.*}", digits as usize)
}

/// An op's rate of whichever of arithmetic and memory traffic it is nearer to the peak of, and its share of that.
fn rate(op: &OpTime, peak: &Peak) -> String {
    let share = match op.share(peak) {
        Some(share) => format!("{:.0} %", 100.0 * share),
        None => "from caches".into(),
    };
    if op.flops as f64 / peak.flops > op.bytes as f64 / peak.bytes {
        let rate = op.flops as f64 / op.seconds / 1e9;
        format!("{} GFLOP/s, {share}", number(rate))
    } else {
        let rate = op.bytes as f64 / op.seconds / 1e9;
        format!("{} GB/s, {share}", number(rate))
    }
}

fn table(columns: &[&str]) {
    println!("| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}

fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

pub fn head(results: &Results) {
    let gpu = results.gpu_name();
    println!("# GPU against the CPU path\n");
    println!("GPU: {}  \nCPU: {}\n", results.gpu, results.cpu);
    if results.software {
        println!(
            "**The GPU here is a software adapter**: a program on the same CPU. Its figures say nothing about any real GPU.\n"
        );
    }
    if results.quick {
        println!("**A quick run**: it shows that everything works; its figures mean little.\n");
    }
    println!(
        "Figures are medians of {} turns in which the devices alternate; where one takes long, of fewer. Compare them only within one \
         run, on a machine that does nothing else.\n",
        results.turns
    );
    println!("## Peak, measured\n");
    table(&["", &format!("GPU: {gpu}"), "CPU"]);
    let (gpu, cpu) = (&results.gpu_peak, &results.cpu_peak);
    println!(
        "| f32 arithmetic | {} GFLOP/s (multiply-add chains) | {} GFLOP/s (gemm, 1024³) |",
        number(gpu.flops / 1e9),
        number(cpu.flops / 1e9)
    );
    println!(
        "| copy of 256 MiB | {} GB/s | {} GB/s |",
        number(gpu.bytes / 1e9),
        number(cpu.bytes / 1e9)
    );
    println!(
        "\nA share of the roofline, below, is of arithmetic or of the copy, whichever an op is nearer to. What fits a cache beats \
         the copy, and has no share."
    );
}

fn ops(results: &Results, ops: &[(OpTime, OpTime)]) {
    let gpu = results.gpu_name();
    let of_gpu = format!("GPU: {gpu}");
    table(&[
        "op",
        &of_gpu,
        "GPU's rate, of roofline",
        "CPU",
        "CPU's rate, of roofline",
        "CPU time ÷ GPU time",
    ]);
    for (gpu, cpu) in ops {
        row(&[
            gpu.name.clone(),
            duration(gpu.seconds),
            rate(gpu, &results.gpu_peak),
            duration(cpu.seconds),
            rate(cpu, &results.cpu_peak),
            format!("{}×", number(cpu.seconds / gpu.seconds)),
        ]);
    }
}

pub fn kernels(results: &Results) {
    println!("\n## Every kernel\n");
    ops(results, &results.kernels);
}

pub fn forms(results: &Results) {
    for forms in &results.forms {
        println!("\n## Every form of the matrix products at {}\n", forms.size);
        println!(
            "GPU: {}. Shares are of its multiply-add peak. Forms that it cannot run are missing.\n",
            results.gpu_name()
        );
        table(&["kernel", "form", "time", "rate", "of peak"]);
        let mut times: Vec<_> = forms.times.iter().collect();
        // The kernels in their order, the fastest form first.
        let place = |kernel: &str| forms.times.iter().position(|t| t.kernel == kernel);
        times.sort_by(|a, b| {
            let kernels = place(&a.kernel).cmp(&place(&b.kernel));
            kernels.then(a.seconds.total_cmp(&b.seconds))
        });
        for time in times {
            let flops = time.flops as f64 / time.seconds;
            row(&[
                time.kernel.clone(),
                time.choice.to_string(),
                duration(time.seconds),
                format!("{} GFLOP/s", number(flops / 1e9)),
                format!("{:.1} %", 100.0 * flops / results.gpu_peak.flops),
            ]);
        }
    }
}

pub fn rates(results: &Results) {
    println!("\n## Steps and epochs a second (ReLU, cross-entropy, SGD; batch in brackets)\n");
    println!(
        "GPU: {}. *Steps*: the host brings each batch. *Epochs*: {BATCHES} shuffled batches of a data set that the device keeps; \
         where these would take too long or too much memory, a rate from so many batches as said.\n",
        results.gpu_name()
    );
    table(&[
        "network (batch)",
        "GPU steps/s",
        "CPU steps/s",
        "GPU ÷ CPU",
        "GPU epochs/s",
        "CPU epochs/s",
        "GPU ÷ CPU",
    ]);
    for Rates {
        network, gpu, cpu, ..
    } in &results.rates
    {
        let epochs = |times: &Times| {
            let rate = number(1.0 / times.epoch_step / BATCHES as f64);
            if times.batches == BATCHES {
                rate
            } else {
                format!("{rate} (from {} batches)", times.batches)
            }
        };
        let chunks = if gpu.resident { "" } else { " (in chunks)" };
        row(&[
            network.clone(),
            number(1.0 / gpu.step),
            number(1.0 / cpu.step),
            format!("{}×", number(cpu.step / gpu.step)),
            format!("{}{chunks}", epochs(gpu)),
            epochs(cpu),
            format!("{}×", number(cpu.epoch_step / gpu.epoch_step)),
        ]);
    }
}

pub fn parts(results: &Results) {
    println!("\n## Upload, compute, read-back\n");
    println!(
        "GPU: {}. Within a run of steps they overlap, so that a step may take less than their sum. Read-back is of the loss, which \
         training does only when asked.\n",
        results.gpu_name()
    );
    table(&[
        "network (batch)",
        "GPU step",
        "upload",
        "compute",
        "compute timed by",
        "read-back",
        "CPU step",
    ]);
    for parts in &results.parts {
        row(&[
            parts.network.clone(),
            duration(parts.gpu.step),
            duration(parts.gpu.upload),
            duration(parts.gpu.compute),
            parts.gpu.clock.to_string(),
            duration(parts.gpu.readback),
            duration(parts.cpu.step),
        ]);
    }
    for parts in &results.parts {
        println!("\n### Each op of {}\n", parts.network);
        ops(results, &parts.ops);
    }
}

pub fn ablations(results: &Results) {
    if results.ablations.is_empty() {
        return;
    }
    println!("\n## What each optimisation buys\n");
    println!(
        "GPU: {}. Time with one thing switched off ÷ time with everything on: of a step, and of a step in an epoch.\n",
        results.gpu_name()
    );
    let networks = results.ablations.iter().map(|a| &*a.network);
    table(&[&["switched off"], &networks.collect::<Vec<_>>()[..]].concat());
    let cells = |name: &str, cell: &dyn Fn(&crate::Ablation) -> String| {
        let cells = results.ablations.iter().map(cell);
        row(&[vec![name.to_owned()], cells.collect()].concat());
    };
    cells("nothing: time", &|a| {
        let (step, epoch) = (a.all_on.step, a.all_on.epoch_step);
        format!("{}, {}", duration(step), duration(epoch))
    });
    let ratios = |off: &Times, on: &Times| {
        let (step, epoch) = (off.step / on.step, off.epoch_step / on.epoch_step);
        format!("{step:.2}×, {epoch:.2}×")
    };
    for (i, (name, _)) in results.ablations[0].off.iter().enumerate() {
        cells(name, &|a| ratios(&a.off[i].1, &a.all_on));
    }
    cells("all of these", &|a| ratios(&a.all_off, &a.all_on));
    cells("resident data, many steps a submission", &|a| {
        format!("{:.2}×", a.all_on.step / a.all_on.epoch_step)
    });
    cells("everything: plainest step ÷ best step in an epoch", &|a| {
        format!("{:.2}×", a.all_off.step / a.all_on.epoch_step)
    });
    for ablation in &results.ablations {
        for note in &ablation.notes {
            println!("\nNote on {}: {note}.", ablation.network);
        }
    }
}

pub fn sweeps(results: &Results) {
    let gpu = results.gpu_name();
    for sweep in &results.sweeps {
        println!("\n## Growth with {} ({})\n", sweep.of, sweep.fixed);
        println!("GPU: {gpu}. Time a step; memory is what the training takes on the device.\n");
        table(&[
            sweep.of,
            "GPU step",
            "GPU step of an epoch",
            "CPU step",
            "CPU step of an epoch",
            "CPU ÷ GPU, best of each",
            "memory",
        ]);
        for point in &sweep.points {
            let (gpu, cpu) = (&point.gpu, &point.cpu);
            let cell = |times: &Option<Times>, of: fn(&Times) -> f64| {
                times.as_ref().map_or("–".into(), |t| duration(of(t)))
            };
            let ratio = gpu.as_ref().zip(cpu.as_ref());
            let memory = gpu.as_ref().or(cpu.as_ref()).map_or(0, |t| t.bytes);
            row(&[
                point.size.to_string(),
                cell(gpu, |t| t.step),
                cell(gpu, |t| t.epoch_step),
                cell(cpu, |t| t.step),
                cell(cpu, |t| t.epoch_step),
                ratio.map_or("–".into(), |(g, c)| {
                    format!("{}×", number(c.best() / g.best()))
                }),
                format!("{} MB", number(memory as f64 / 1e6)),
            ]);
        }
        for skipped in &sweep.skipped {
            println!("\nLeft out: {skipped}.");
        }
    }
}

pub fn verdict(results: &Results, seconds: f64) {
    println!("\n## Is it worth it?\n");
    println!("{}, against {}.\n", results.gpu, results.cpu);
    for sweep in &results.sweeps {
        println!(
            "- {} ({}). The GPU beats the CPU step by step: {}. With data that it keeps: {}.",
            sweep.of,
            sweep.fixed,
            sweep.crossover(|t| t.step),
            sweep.crossover(|t| t.epoch_step)
        );
    }
    let ratio = |r: &&Rates| r.cpu.best() / r.gpu.best();
    let rates = results.rates.iter();
    let least = rates.clone().min_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let most = rates.clone().max_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    if let Some((least, most)) = least.zip(most) {
        println!(
            "- Best of the GPU against best of the CPU: {}× at the least ({}), {}× at the most ({}).",
            number(ratio(&least)),
            least.network,
            number(ratio(&most)),
            most.network
        );
        let wins = rates.filter(|r| ratio(r) > 1.0).count();
        println!(
            "- The GPU trains {wins} of the {} networks faster than the CPU path.",
            results.rates.len()
        );
    }
    if results.software {
        println!("- It is a software adapter: use the CPU path.");
    }
    if !results.skipped.is_empty() {
        println!("\nLeft out:\n");
        for skipped in &results.skipped {
            println!("- {skipped}");
        }
    }
    println!("\nMeasured in {seconds:.0} s.");
}
