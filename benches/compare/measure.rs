//! Time of training steps on several devices, in turns.

use std::time::Instant;

use serde::Serialize;
use wgrad::{Activation::*, Dataset, Device, Error, Loss, Matrix, Mlp, Sgd, Storage, Trainer};

use crate::options::Options;

/// Batches of an epoch, unless they would take too long or too much memory.
pub const BATCHES: usize = 60;

/// Bytes of a data set at most.
const DATA: usize = 256 << 20;

/// A network of ReLU layers with logits as its output, and a batch size.
#[derive(Debug, Clone)]
pub struct Network {
    pub widths: Vec<usize>,
    pub rows: usize,
}

impl Network {
    pub fn new(widths: &[usize], rows: usize) -> Self {
        Self {
            widths: widths.to_vec(),
            rows,
        }
    }

    /// Layers of one width.
    pub fn square(width: usize, layers: usize, rows: usize) -> Self {
        Self::new(&vec![width; layers + 1], rows)
    }

    pub fn name(&self) -> String {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        format!("{} ({})", widths.join("-"), self.rows)
    }

    /// What a step's time is about proportional to on a device that is busy.
    pub fn work(&self) -> f64 {
        let layers = self.widths.windows(2).map(|w| (w[0] * w[1]) as f64);
        layers.sum::<f64>() * self.rows as f64
    }

    pub fn trainer(&self, device: &Device) -> Result<Trainer, Error> {
        let mut network = Mlp::new(self.widths[0]);
        for (l, &width) in self.widths.iter().enumerate().skip(1) {
            let last = l + 1 == self.widths.len();
            network = network.dense(width, if last { Identity } else { Relu });
        }
        Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 1)
    }

    /// Numbers in (−1, 1) with labels.
    pub fn data(&self, rows: usize) -> Result<Dataset, Error> {
        let (inputs, outputs) = (self.widths[0], self.widths[self.widths.len() - 1]);
        let numbers = (0..rows * inputs).map(|i| (i * 7919 % 1999) as f32 / 1000.0 - 1.0);
        let labels = (0..rows).map(|r| (r * 31 % outputs) as u32);
        Dataset::classes(Matrix::new(inputs, numbers.collect())?, labels.collect())
    }

    pub fn batch(&self) -> Result<Dataset, Error> {
        self.data(self.rows)
    }

    /// Batches of an epoch of which each takes about so long.
    fn batches(&self, seconds: f64, options: &Options) -> usize {
        let in_time = (options.limit() / seconds) as usize;
        let in_memory = DATA / (4 * self.rows * self.widths[0]);
        in_time.max(2).min(in_memory).clamp(1, BATCHES)
    }
}

/// What a device needs to train a network.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Times {
    /// Seconds a step, each batch brought by the host.
    pub step: f64,
    /// Seconds a step of an epoch on data that the device keeps.
    pub epoch_step: f64,
    /// Batches of that epoch.
    pub batches: usize,
    /// Whether the data was on the GPU as a whole.
    pub resident: bool,
    /// Bytes on the device.
    pub bytes: u64,
}

impl Times {
    pub fn best(&self) -> f64 {
        self.step.min(self.epoch_step)
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    0.5 * (values[(n - 1) / 2] + values[n / 2])
}

/// One figure in the making.
#[derive(Default)]
struct Figure {
    /// Calls that fill a turn.
    count: usize,
    spent: f64,
    /// Seconds a call.
    samples: Vec<f64>,
}

impl Figure {
    /// Another turn of `run`, which makes so many calls.
    fn turn(
        &mut self,
        options: &Options,
        mut run: impl FnMut(usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const MOST: usize = 100_000;
        if self.count == 0 {
            run(1)?;
            self.count = 1;
        }
        // A slow device needs no turns to even out the start of its runs, and would take long.
        if !self.samples.is_empty() && self.spent > options.limit() {
            return Ok(());
        }
        let target = options.seconds / options.turns as f64;
        loop {
            let start = Instant::now();
            run(self.count)?;
            let elapsed = start.elapsed().as_secs_f64();
            self.spent += elapsed;
            if elapsed >= 0.5 * target || self.count == MOST {
                self.samples.push(elapsed / self.count as f64);
                return Ok(());
            }
            // Waiting for the last call counts too much in so short a run.
            let calls = (target / elapsed * self.count as f64) as usize;
            self.count = calls
                .clamp(2 * self.count, MOST.max(2 * self.count))
                .min(MOST);
        }
    }
}

/// Measures a network on several devices in turns.
pub fn times(
    devices: &[&Device],
    network: &Network,
    options: &Options,
) -> Result<Vec<Times>, Error> {
    let batch = network.batch()?;
    let mut trainers = Vec::new();
    let mut slowest = 0.0;
    for device in devices {
        let mut trainer = network.trainer(device)?;
        // Compiles and tunes.
        trainer.step(&batch)?;
        trainer.take_loss()?;
        let start = Instant::now();
        trainer.step(&batch)?;
        trainer.take_loss()?;
        slowest = f64::max(slowest, start.elapsed().as_secs_f64());
        trainers.push(trainer);
    }
    let batches = network.batches(slowest, options);
    let data = network.data(network.rows * batches)?;
    let loaded = trainers.iter_mut().map(|t| t.load(&data, Storage::F32));
    let mut loaded = loaded.collect::<Result<Vec<_>, Error>>()?;
    let mut figures: Vec<[Figure; 2]> = devices.iter().map(|_| Default::default()).collect();
    for _ in 0..options.turns {
        let all = trainers.iter_mut().zip(&mut loaded).zip(&mut figures);
        for ((trainer, data), [steps, epochs]) in all {
            steps.turn(options, |count| {
                for _ in 0..count {
                    trainer.step(&batch)?;
                }
                trainer.take_loss().map(drop)
            })?;
            epochs.turn(options, |count| {
                for epoch in 0..count {
                    trainer.epoch(data, network.rows, Some(epoch as u64))?;
                }
                trainer.take_loss().map(drop)
            })?;
        }
    }
    let all = trainers.iter().zip(&loaded).zip(figures);
    Ok(all
        .map(|((trainer, data), [steps, epochs])| Times {
            step: median(steps.samples),
            epoch_step: median(epochs.samples) / batches as f64,
            batches,
            resident: data.is_resident(),
            bytes: trainer.bytes(),
        })
        .collect())
}
