//! Training steps in wgrad: `--device gpu` (the best adapter, or the one WGPU_ADAPTER_NAME names) or `--device cpu`.

#[path = "../../common.rs"]
mod common;

use common::{LEARNING_RATE, Program, Result, Task, Training};
use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Tensor, Tensors, Trainer};

struct Wgrad {
    trainer: Trainer,
    batch: Dataset,
}

impl Wgrad {
    fn new(device: &Device, task: &Task) -> Result<Self> {
        let (mut network, mut tensors) = (Mlp::new(task.widths[0]), Vec::new());
        let last = task.widths.len() - 2;
        for (l, (inputs, outputs, weight, bias)) in task.layers().enumerate() {
            network = network.dense(outputs, if l == last { Identity } else { Relu });
            tensors.push(Tensor {
                name: format!("{}.weight", 2 * l),
                shape: vec![outputs, inputs],
                data: weight,
            });
            tensors.push(Tensor {
                name: format!("{}.bias", 2 * l),
                shape: vec![outputs],
                data: bias,
            });
        }
        let sgd = Sgd {
            lr: LEARNING_RATE,
            ..Sgd::default()
        };
        let mut trainer = Trainer::new(device, &network, Loss::CrossEntropy, sgd, 0)?;
        trainer.set_weights(&Tensors::new(tensors))?;
        let labels = task.labels().map(|label| label as u32).collect();
        let batch = Dataset::classes(Matrix::new(task.widths[0], task.inputs())?, labels)?;
        Ok(Self { trainer, batch })
    }
}

impl Training for Wgrad {
    fn steps(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.trainer.step(&self.batch)?;
        }
        // Waits, and reads a few bytes.
        self.trainer.take_loss()?;
        Ok(())
    }

    fn loss(&mut self) -> Result<f64> {
        Ok(self.trainer.evaluate(&self.batch)?.loss)
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, device) = match common::option(&arguments, "--device")? {
        "gpu" => ("wgrad-gpu", Device::gpu()?),
        "cpu" => ("wgrad-cpu", Device::cpu()),
        other => return Err(format!("--device takes gpu or cpu, not {other}").into()),
    };
    let program = Program {
        name,
        version: common::versions(include_str!("../Cargo.lock"), &["wgrad", "wgpu"]),
        device: device.to_string(),
        open: &|task| Ok(Box::new(Wgrad::new(&device, task)?)),
    };
    program.run(&arguments)
}
