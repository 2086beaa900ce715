//! Handwritten digits: trains on 80 % of the UCI optical digits and tests on the rest.
//!
//! `cargo run --release --example digits` takes the best GPU; `-- --cpu` the CPU path, `-- --adapter NAME` an adapter
//! whose name contains NAME, `-- --epochs N` another number of epochs. Fails if the held-out accuracy stays under 97 %.

mod setting;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use setting::{BATCH, EPOCHS, SEED};
use wgrad::{Device, verify};

struct Arguments {
    device: Device,
    epochs: u64,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut arguments = std::env::args().skip(1);
        let (mut device, mut epochs) = (None, EPOCHS);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--cpu" => device = Some(Device::cpu()),
                "--adapter" => device = Some(Device::gpu_named(&value()?)?),
                "--epochs" => {
                    let value = value()?;
                    epochs = value
                        .parse()
                        .map_err(|_| format!("--epochs takes a whole number, not {value:?}"))?;
                }
                _ => {
                    return Err(format!(
                        "unknown argument {argument}; there are --cpu, --adapter NAME and --epochs N"
                    )
                    .into());
                }
            }
        }
        let device = match device {
            Some(device) => device,
            None => Device::gpu()?,
        };
        Ok(Self { device, epochs })
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let Arguments { device, epochs } = Arguments::parse()?;
    let (train, test) = setting::split()?;
    let mut trainer = setting::trainer(&device)?;
    let network = trainer.network();
    println!("device   {device}");
    println!("network  {network}, {} parameters", network.parameters());
    println!(
        "data     {} digits to train on, {} to test on\n",
        train.rows(),
        test.rows()
    );

    let steps = train.batches(BATCH)?.len() as u64;
    let bar = ProgressBar::new(epochs * steps).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} steps, {eta} left",
    )?);
    let start = Instant::now();
    for epoch in 0..epochs {
        for batch in train.batches(BATCH)?.shuffled(SEED + epoch) {
            trainer.step(&batch)?;
            bar.inc(1);
        }
        let loss = trainer.take_loss()?;
        let tested = trainer.evaluate(&test)?;
        let accuracy = 100.0 * tested.accuracy.unwrap_or_default();
        let line = format!(
            "epoch {:2}  training loss {loss:.5}  held-out loss {:.5}, accuracy {accuracy:.2} %",
            epoch + 1,
            tested.loss
        );
        // Without a terminal there is no bar to print above.
        if bar.is_hidden() {
            println!("{line}");
        } else {
            bar.println(line);
        }
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let tested = trainer.evaluate(&test)?;
    println!(
        "\n{} steps of {BATCH} rows in {seconds:.1} s on {device}",
        trainer.steps()
    );
    println!("held-out {tested}\n");

    let report = verify::gradients(&mut trainer, &test.head(BATCH))?;
    println!("{report}");
    let good = tested.accuracy.is_some_and(|accuracy| accuracy >= 0.97);
    if !good {
        println!("the held-out accuracy is under 97 %");
    }
    Ok(good && report.passed())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
