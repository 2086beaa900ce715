//! Training steps in Burn: `--device wgpu` (the best adapter, or the one CUBECL_WGPU_DEFAULT_DEVICE names) or `--device flex`,
//! its CPU backend.

#[path = "../../common.rs"]
mod common;

use burn::module::{Module, Param};
use burn::nn::{Linear, loss::CrossEntropyLoss};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::relu};
use common::{LEARNING_RATE, Program, Result, Task, Training};

#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
}

impl Network {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (l, layer)| {
            let z = layer.forward(x);
            if l == last { z } else { relu(z) }
        })
    }
}

struct Burn {
    device: Device,
    /// Whether the device's memory is the host's, so that a batch there need not be brought anywhere.
    host: bool,
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    criterion: CrossEntropyLoss,
    inputs: TensorData,
    labels: TensorData,
    resident: (Tensor<2>, Tensor<1, Int>),
}

impl Burn {
    fn new(device: &Device, host: bool, task: &Task) -> Self {
        let device = device.clone().autodiff();
        let layers = task.layers().map(|(inputs, outputs, weight, bias)| {
            // Burn keeps a weight as (inputs, outputs).
            let transposed = (0..inputs * outputs)
                .map(|k| weight[k % outputs * inputs + k / outputs])
                .collect();
            let weight = TensorData::new::<f32, _>(transposed, [inputs, outputs]);
            let bias = TensorData::new(bias, [outputs]);
            Linear {
                weight: Param::from_tensor(Tensor::from_data(weight, &device)),
                bias: Some(Param::from_tensor(Tensor::from_data(bias, &device))),
            }
        });
        let layers = layers.collect();
        let inputs = TensorData::new(task.inputs(), [task.rows, task.widths[0]]);
        let labels: Vec<i32> = task.labels().map(|label| label as i32).collect();
        let labels = TensorData::new(labels, [task.rows]);
        Self {
            host,
            network: Some(Network { layers }),
            optimizer: SgdConfig::new().init(),
            criterion: CrossEntropyLoss::new(None, &device),
            resident: (
                Tensor::from_data(inputs.clone(), &device),
                Tensor::from_data(labels.clone(), &device),
            ),
            inputs,
            labels,
            device,
        }
    }

    fn step(&mut self) -> Result<()> {
        let (x, labels) = if self.host {
            self.resident.clone()
        } else {
            (
                Tensor::from_data(self.inputs.clone(), &self.device),
                Tensor::from_data(self.labels.clone(), &self.device),
            )
        };
        let network = self.network.take().ok_or("no network")?;
        let loss = self.criterion.forward(network.forward(x), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(LEARNING_RATE, network, gradients));
        Ok(())
    }
}

impl Training for Burn {
    fn steps(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.step()?;
        }
        self.device
            .sync()
            .map_err(|error| format!("{error:?}").into())
    }

    fn loss(&mut self) -> Result<f64> {
        let network = self.network.as_ref().ok_or("no network")?;
        let (x, labels) = self.resident.clone();
        let loss = self.criterion.forward(network.forward(x), labels);
        Ok(f64::from(loss.into_scalar::<f32>()))
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, device, description) = match common::option(&arguments, "--device")? {
        "wgpu" => {
            let (device, setup) = Device::wgpu_options().init_with_setup()?;
            let info = setup.adapter.get_info();
            let description = format!(
                "{} ({:?}, {}, {} {})",
                info.name, info.device_type, info.backend, info.driver, info.driver_info
            );
            ("burn-wgpu", device, description)
        }
        "flex" => {
            let threads = std::thread::available_parallelism()?;
            let description = format!("CPU, flex, {threads} threads");
            ("burn-flex", Device::flex(), description)
        }
        other => return Err(format!("--device takes wgpu or flex, not {other}").into()),
    };
    let host = name == "burn-flex";
    let program = Program {
        name,
        version: common::versions(include_str!("../Cargo.lock"), &["burn", "cubecl", "wgpu"]),
        device: description,
        open: &|task| Ok(Box::new(Burn::new(&device, host, task))),
    };
    program.run(&arguments)
}
