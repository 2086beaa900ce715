//! What the Rust programs share: the requests, the numbers that training starts from, and the clock. `common.py` is its twin.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub const LEARNING_RATE: f64 = 0.01;

/// Steps between the two losses that a program reports, the same everywhere, so that the losses must agree.
const CHECKED_STEPS: usize = 10;

/// Numbers of the stream that a layer may take, half of them for its bias; the stream's first such block is the batch.
const BLOCK: u32 = 1 << 26;

/// A network and a batch size.
#[derive(Clone, PartialEq)]
pub struct Task {
    pub widths: Vec<usize>,
    pub rows: usize,
}

impl Task {
    pub fn inputs(&self) -> Vec<f32> {
        uniform(0, self.rows * self.widths[0], 1.0)
    }

    pub fn labels(&self) -> impl Iterator<Item = usize> {
        let classes = self.widths[self.widths.len() - 1];
        (0..self.rows).map(move |row| row * 31 % classes)
    }

    /// Of each layer: inputs, outputs, the weight (outputs, inputs) and the bias, distributed as PyTorch and Burn do.
    pub fn layers(&self) -> impl Iterator<Item = (usize, usize, Vec<f32>, Vec<f32>)> {
        let blocks = (1..).map(|block| block * BLOCK);
        blocks.zip(self.widths.windows(2)).map(|(first, pair)| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let bound = 1.0 / (inputs as f64).sqrt();
            let weight = uniform(first, outputs * inputs, bound);
            let bias = uniform(first + BLOCK / 2, outputs, bound);
            (inputs, outputs, weight, bias)
        })
    }
}

/// Numbers in ±bound from an integer hash: the same bits in every program, whatever its random generator.
fn uniform(first: u32, count: usize, bound: f64) -> Vec<f32> {
    let numbers = (first..).take(count).map(|i| {
        let x = i.wrapping_mul(0x9e37_79b1);
        let x = (x ^ (x >> 16)).wrapping_mul(0x45d9_f3b5);
        let x = x ^ (x >> 16);
        (bound * (2.0 * (f64::from(x) / 4_294_967_296.0) - 1.0)) as f32
    });
    numbers.collect()
}

/// A network in training.
pub trait Training {
    /// So many training steps, each from a batch in host memory, and the wait for the last.
    fn steps(&mut self, count: usize) -> Result<()>;

    /// The loss of the batch.
    fn loss(&mut self) -> Result<f64>;
}

/// A program of the comparison.
pub struct Program<'a> {
    pub name: &'a str,
    pub version: String,
    pub device: String,
    pub open: &'a dyn Fn(&Task) -> Result<Box<dyn Training>>,
}

/// A network in training, with its losses before and after the checked steps.
struct Session {
    task: Task,
    training: Box<dyn Training>,
    losses: [f64; 2],
}

impl Program<'_> {
    /// Answers the request of the command line, or with `--serve` those on standard input, a line each.
    pub fn run(&self, arguments: &[String]) -> Result<()> {
        let mut session = None;
        if !arguments.iter().any(|argument| argument == "--serve") {
            return self.answer(&mut session, arguments);
        }
        for line in std::io::stdin().lock().lines() {
            let words: Vec<String> = line?.split_whitespace().map(String::from).collect();
            self.answer(&mut session, &words)?;
        }
        Ok(())
    }

    fn answer(&self, session: &mut Option<Session>, words: &[String]) -> Result<()> {
        let network = option(words, "--network")?;
        let widths = network.split('-').map(str::parse);
        let task = Task {
            widths: widths.collect::<std::result::Result<_, _>>()?,
            rows: option(words, "--batch")?.parse()?,
        };
        let seconds = option(words, "--seconds")?.parse()?;
        if session.as_ref().is_none_or(|session| session.task != task) {
            // Two networks at a time might not fit the device.
            *session = None;
            *session = Some(self.start(&task, seconds)?);
        }
        let session = session.as_mut().ok_or("no session")?;
        let (step, steps) = measure(seconds, session)?;
        let answer = serde_json::json!({
            "program": self.name,
            "network": network,
            "batch": task.rows,
            "ms": 1e3 * step,
            "steps": steps,
            "loss_before": session.losses[0],
            "loss_after": session.losses[1],
            "version": self.version,
            "device": self.device,
        });
        println!("{answer}");
        Ok(std::io::stdout().flush()?)
    }

    /// Starts training, and warms up as it will be measured: kernels compile and are tuned in the first steps, and again where
    /// steps follow each other without a wait.
    fn start(&self, task: &Task, seconds: f64) -> Result<Session> {
        let mut training = (self.open)(task)?;
        let before = training.loss()?;
        training.steps(CHECKED_STEPS)?;
        let mut session = Session {
            task: task.clone(),
            losses: [before, training.loss()?],
            training,
        };
        measure(seconds, &mut session)?;
        Ok(session)
    }
}

/// Seconds a step and the number of steps, in groups long enough that the wait at their end does not count.
fn measure(seconds: f64, session: &mut Session) -> Result<(f64, usize)> {
    let once = time(0.0, 1, session)?.0;
    let group = ((0.25 * seconds / once) as usize).clamp(1, 1000);
    time(seconds, group, session)
}

/// Seconds a step and the number of steps, in groups with a wait at the end of each, until `seconds` have passed.
fn time(seconds: f64, group: usize, session: &mut Session) -> Result<(f64, usize)> {
    let start = Instant::now();
    let mut steps = 0;
    while steps == 0 || start.elapsed().as_secs_f64() < seconds {
        session.training.steps(group)?;
        steps += group;
    }
    Ok((start.elapsed().as_secs_f64() / steps as f64, steps))
}

/// The word after `name`.
pub fn option<'a>(words: &'a [String], name: &str) -> Result<&'a str> {
    let place = words.iter().position(|word| word == name);
    let value = place.and_then(|i| words.get(i + 1));
    Ok(value.ok_or(format!("{name} VALUE is missing"))?)
}

/// Name and version of each package as the text of a Cargo.lock has it.
pub fn versions(lock: &str, packages: &[&str]) -> String {
    let version = |package| {
        let key = format!("name = \"{package}\"\nversion = \"");
        let rest = lock.split(&key).nth(1);
        let version = rest.and_then(|rest| rest.split('"').next());
        format!("{package} {}", version.unwrap_or("?"))
    };
    let versions: Vec<String> = packages.iter().map(version).collect();
    versions.join(", ")
}
