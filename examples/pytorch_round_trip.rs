//! Weights to PyTorch and back: trained here, loaded there by `load_state_dict`, trained on there, loaded here. Both compute the
//! same outputs each time.
//!
//! ```sh
//! cargo run --release --example pytorch_round_trip
//! ```
//!
//! It prints the Python and runs it where a Python has torch and safetensors: the one that WGRAD_PYTHON names, or `python3`.

use std::path::Path;
use std::process::Command;

use wgrad::{
    Activation::*, Adam, Dataset, Device, FitOptions, Loss, Matrix, Mlp, Tensor, Tensors, Trainer,
};

/// The modules have the numbers of the tensors' names.
const PYTHON: &str = r#"
import sys, torch
from safetensors.torch import load_file, save_file
from torch import nn

folder = sys.argv[1]
net = nn.Sequential(
    nn.Linear(2, 24), nn.BatchNorm1d(24), nn.GELU(), nn.Dropout(0.1),
    nn.Linear(24, 16), nn.LayerNorm(16), nn.Tanh(),
    nn.Linear(16, 2),
)
net.load_state_dict(load_file(f"{folder}/weights.safetensors"))
data = load_file(f"{folder}/data.safetensors")
x, labels = data["x"], data["labels"].long()

net.eval()
with torch.no_grad():
    before = net(x)
net.train()
adam = torch.optim.Adam(net.parameters(), lr=0.003)
for epoch in range(20):
    loss = nn.functional.cross_entropy(net(x), labels)
    adam.zero_grad()
    loss.backward()
    adam.step()
net.eval()
with torch.no_grad():
    after = net(x)
print(f"PyTorch {torch.__version__}: trained on to a loss of {nn.functional.cross_entropy(after, labels):.4f}")
save_file({"before": before, "after": after}, f"{folder}/outputs.safetensors")
save_file(net.state_dict(), f"{folder}/from_pytorch.safetensors")
"#;

fn main() -> wgrad::Result<()> {
    let points: Vec<f32> = (0..400)
        .map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0)
        .collect();
    let labels: Vec<u32> = points
        .chunks(2)
        .map(|p| u32::from(p[0] * p[0] + p[1] * p[1] < 0.6))
        .collect();
    let x = Matrix::new(2, points)?;
    let data = Dataset::classes(x.clone(), labels.clone())?;
    let network = Mlp::new(2)
        .dense(24, Gelu)
        .batch_norm()
        .dropout(0.1)
        .dense(16, Tanh)
        .layer_norm()
        .dense(2, Identity);
    let device = Device::auto()?;
    println!("{network}\non {device}\n");
    let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 7)?;
    let options = FitOptions {
        epochs: 20,
        ..FitOptions::default()
    };
    trainer.fit(&data, &options)?;
    println!("trained to a loss of {:.4}", trainer.evaluate(&data)?.loss);

    let temporary = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| temporary.path().join(name);
    trainer.save_weights(at("weights.safetensors"))?;
    let tensor = |name: &str, shape: Vec<usize>, data: Vec<f32>| Tensor {
        name: name.into(),
        shape,
        data,
    };
    let rows = x.rows();
    let numbers = labels.iter().map(|&label| label as f32).collect();
    Tensors::new(vec![
        tensor("x", vec![rows, 2], x.data().to_vec()),
        tensor("labels", vec![rows], numbers),
    ])
    .save(at("data.safetensors"))?;

    println!("\nIn Python:\n{PYTHON}");
    if !run_python(temporary.path()) {
        return Ok(());
    }

    let theirs = Tensors::load(at("outputs.safetensors"))?;
    let theirs = |name: &str| theirs.get(name).expect("an output").data.as_slice();
    let ours = trainer.predict(&x)?;
    compare("our weights, in PyTorch and here", theirs("before"), &ours);
    trainer.load_weights(at("from_pytorch.safetensors"))?;
    let ours = trainer.predict(&x)?;
    compare("PyTorch's weights, there and here", theirs("after"), &ours);
    println!("here their loss is {:.4}", trainer.evaluate(&data)?.loss);
    Ok(())
}

/// Whether there was a Python to run it.
fn run_python(folder: &Path) -> bool {
    let python = std::env::var("WGRAD_PYTHON").unwrap_or_else(|_| "python3".into());
    let run = |program: &str| {
        Command::new(&python)
            .args(["-c", program])
            .arg(folder)
            .output()
    };
    if !run("import torch, safetensors.torch").is_ok_and(|found| found.status.success()) {
        println!(
            "not run: {python} has no torch and safetensors; WGRAD_PYTHON may name one that has"
        );
        return false;
    }
    let output = run(PYTHON).expect("python starts");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    true
}

fn compare(what: &str, theirs: &[f32], ours: &Matrix) {
    let pairs = || theirs.iter().zip(ours.data());
    let largest = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let size = theirs.iter().fold(1.0, |size: f32, x| size.max(x.abs()));
    println!("{what}: outputs differ by {largest:.1e} at most, of numbers up to {size:.1}");
    // Roundings come to some millionths; a weight in the wrong place, or a statistic forgotten, to tenths.
    assert!(theirs.len() == ours.data().len() && largest <= 1e-4 * size);
}
