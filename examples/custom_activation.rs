//! An activation of your own: x·tanh(ln(1 + eˣ)), called mish (D. Misra, 2019), from a WGSL fragment for the GPU and two Rust
//! functions for the CPU and the reference. It is verified before it is trained with, and so is a slip that is easily made.
//!
//! ```sh
//! cargo run --release --example custom_activation
//! ```

use wgrad::{Activation, Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer, verify};

/// log1p_unit, exp_nonpositive, sigmoid_pair and tanh_accurate are of `shaders/math.wgsl`: WGSL's own functions may be less
/// exact, and overflow.
const MISH: &str = "
fn activate(z: f32) -> f32 {
    let s = max(z, 0.0) + log1p_unit(exp_nonpositive(-abs(z)));
    return z * tanh_accurate(s);
}

fn activate_grad(z: f32) -> f32 {
    let s = max(z, 0.0) + log1p_unit(exp_nonpositive(-abs(z)));
    let t = tanh_accurate(s);
    return t + z * (1.0 - t * t) * sigmoid_pair(z).x;
}
";

fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

fn mish(z: f64) -> f64 {
    z * softplus(z).tanh()
}

fn mish_grad(z: f64) -> f64 {
    let t = softplus(z).tanh();
    t + z * (1.0 - t * t) / (1.0 + (-z).exp())
}

fn main() -> wgrad::Result<()> {
    let mish_activation = Activation::custom("mish", MISH, mish, mish_grad)?;

    // A GPU runs the fragment, be it a software adapter; the CPU path runs the Rust functions.
    let device = match Device::gpu() {
        Err(wgrad::Error::NoAdapter { .. }) => Device::cpu(),
        device => device?,
    };
    let report = verify::activation(&device, &mish_activation)?;
    println!("{report}\n");
    assert!(report.passed());

    // The same with the derivative's second term forgotten, in the fragment and in Rust alike.
    let wrong = MISH.replace("t + z * (1.0 - t * t) * sigmoid_pair(z).x", "t");
    let wrong = Activation::custom("wrong", &wrong, mish, |z| softplus(z).tanh())?;
    let report = verify::activation(&device, &wrong)?;
    println!("{report}\n");
    assert!(!report.passed());

    // Points inside and outside a circle.
    let number = |i: usize| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0;
    let points: Vec<f32> = (0..800).map(number).collect();
    let inside = |p: &[f32]| u32::from(p[0] * p[0] + p[1] * p[1] < 0.6);
    let labels = points.chunks(2).map(inside).collect();
    let (train, test) = Dataset::classes(Matrix::new(2, points)?, labels)?.split(0.8, 7)?;

    let network = Mlp::new(2)
        .dense(16, mish_activation)
        .dense(2, Activation::Identity);
    let adam = Adam {
        lr: 0.01,
        ..Adam::default()
    };
    let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, adam, 7)?;
    for epoch in 0..30 {
        for batch in train.batches(16)?.shuffled(epoch) {
            trainer.step(&batch)?;
        }
    }
    let tested = trainer.evaluate(&test)?;
    println!("held out: {tested}");
    assert!(tested.accuracy > Some(0.9));
    assert!(verify::gradients(&mut trainer, &test.head(16))?.passed());
    Ok(())
}
