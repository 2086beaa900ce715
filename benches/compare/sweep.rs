//! How time and memory grow with width, depth and batch, and where the GPU starts to win.

use serde::Serialize;
use wgrad::{Device, DeviceOptions, Error};

use crate::measure::{Network, Times, times};
use crate::options::Options;
use crate::progress::Progress;
use crate::report::duration;

/// One size on both devices, as far as they were measured.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub size: usize,
    pub gpu: Option<Times>,
    pub cpu: Option<Times>,
}

/// Networks of growing size.
#[derive(Debug, Serialize)]
pub struct Sweep {
    /// What grows.
    pub of: &'static str,
    /// The unit of it.
    pub unit: &'static str,
    /// What stays.
    pub fixed: &'static str,
    pub points: Vec<Point>,
    /// Sizes left out, and why.
    pub skipped: Vec<String>,
}

struct Kind {
    of: &'static str,
    unit: &'static str,
    fixed: &'static str,
    sizes: &'static [usize],
    network: fn(usize) -> Network,
}

const KINDS: [Kind; 3] = [
    Kind {
        of: "width",
        unit: "units a layer",
        fixed: "three square layers, batch 256",
        sizes: &[16, 32, 64, 128, 256, 512, 1024, 2048],
        network: |width| Network::square(width, 3, 256),
    },
    Kind {
        of: "depth",
        unit: "layers",
        fixed: "layers of 128, batch 256",
        sizes: &[1, 2, 4, 8, 16, 32, 64],
        network: |depth| Network::square(128, depth, 256),
    },
    Kind {
        of: "batch",
        unit: "rows",
        fixed: "784-512-512-10",
        sizes: &[
            1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
        ],
        network: |rows| Network::new(&[784, 512, 512, 10], rows),
    },
];

impl Sweep {
    /// Where the GPU, timed by `gpu`, is faster than the CPU at its best, in words.
    pub fn crossover(&self, gpu: fn(&Times) -> f64) -> String {
        let both = self.points.iter().filter_map(|point| {
            let (g, c) = (point.gpu.as_ref()?, point.cpu.as_ref()?);
            Some((point.size, c.best() / gpu(g)))
        });
        let both: Vec<(usize, f64)> = both.collect();
        let Some((first, last)) = both.first().zip(both.last()) else {
            return "not measured".into();
        };
        let wins = |(_, ratio): &&(usize, f64)| *ratio > 1.0;
        let lasting = both.iter().rev().take_while(wins).last();
        if let Some((size, ratio)) = lasting {
            return if size == &first.0 {
                format!("at every {} from {size} to {}", self.of, last.0)
            } else {
                format!(
                    "from {} {size} on ({ratio:.2}× there, {:.2}× at {})",
                    self.of, last.1, last.0
                )
            };
        }
        let some: Vec<String> = both.iter().filter(wins).map(|p| p.0.to_string()).collect();
        let best = both.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let (size, ratio) = best.copied().unwrap_or((first.0, first.1));
        if some.is_empty() {
            format!(
                "never, up to {} {} (the nearest is {ratio:.3}× at {size})",
                self.of, last.0
            )
        } else {
            format!(
                "only at {} {}, and no longer at {}",
                self.of,
                some.join(", "),
                last.0
            )
        }
    }
}

/// Seconds that the next size will take at most, from the last.
fn predicted(last: &Option<(Times, f64)>, work: f64) -> f64 {
    last.map_or(0.0, |(times, before)| times.step * work / before)
}

/// Measures every kind of growth. A device whose next step would take too long is left out from there on.
pub fn sweeps(options: &Options, progress: &Progress) -> Vec<Sweep> {
    let mut done = Vec::new();
    for kind in KINDS {
        let mut sweep = Sweep {
            of: kind.of,
            unit: kind.unit,
            fixed: kind.fixed,
            points: Vec::new(),
            skipped: Vec::new(),
        };
        let (mut gpu_last, mut cpu_last) = (None, None);
        let (mut gpu_goes_on, mut cpu_goes_on) = (true, true);
        for &size in kind.sizes {
            let network = (kind.network)(size);
            let work = network.work();
            for (name, goes_on, last) in [
                ("GPU", &mut gpu_goes_on, &gpu_last),
                ("CPU", &mut cpu_goes_on, &cpu_last),
            ] {
                let seconds = predicted(last, work);
                if *goes_on && seconds > options.limit() {
                    *goes_on = false;
                    sweep.skipped.push(format!(
                        "{} {size} and more on the {name}: a step there would take about {}",
                        kind.of,
                        duration(seconds)
                    ));
                }
            }
            if !gpu_goes_on && !cpu_goes_on {
                break;
            }
            progress.at(&format!("growth with {}: {size}", kind.of));
            match point(options, &network, size, gpu_goes_on, cpu_goes_on) {
                Ok(point) => {
                    gpu_last = point.gpu.map(|times| (times, work)).or(gpu_last);
                    cpu_last = point.cpu.map(|times| (times, work)).or(cpu_last);
                    sweep.points.push(point);
                }
                Err(error) => {
                    let what = format!("{} {size} and more: {error}", kind.of);
                    progress.at(&what);
                    sweep.skipped.push(what);
                    break;
                }
            }
        }
        done.push(sweep);
    }
    done
}

fn point(
    options: &Options,
    network: &Network,
    size: usize,
    gpu: bool,
    cpu: bool,
) -> Result<Point, Error> {
    // A device of its own, so that no size finds the time for tuning used up by others, or its memory.
    let on_gpu = gpu
        .then(|| options.open(DeviceOptions::default()))
        .transpose()?;
    let on_cpu = cpu.then(Device::cpu);
    let devices: Vec<&Device> = on_gpu.iter().chain(&on_cpu).collect();
    let mut times = times(&devices, network, options)?.into_iter();
    Ok(Point {
        size,
        gpu: on_gpu.and_then(|_| times.next()),
        cpu: on_cpu.and_then(|_| times.next()),
    })
}
