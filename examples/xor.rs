//! The smallest network that needs its hidden layer: exclusive or, which no single layer can learn.
//!
//! ```sh
//! cargo run --release --example xor
//! ```

use wgrad::{Activation::*, Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer};

fn main() -> wgrad::Result<()> {
    let x = Matrix::from_rows(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])?;
    let data = Dataset::classes(x, vec![0, 1, 1, 0])?;

    let network = Mlp::new(2).dense(8, Tanh).dense(2, Identity); // two logits
    let adam = Adam {
        lr: 0.05,
        ..Adam::default()
    };
    let device = Device::auto()?;
    println!("on {device}");
    let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, adam, 7)?;
    for step in 1..=200 {
        trainer.step(&data)?; // all four rows are one batch
        if step % 50 == 0 {
            println!("step {step}: loss {:.4}", trainer.take_loss()?);
        }
    }

    let logits = trainer.predict(data.inputs())?;
    for r in 0..data.rows() {
        let (x, z) = (data.inputs().row(r), logits.row(r));
        println!("{} xor {} = {}", x[0], x[1], u32::from(z[1] > z[0]));
    }
    assert_eq!(trainer.evaluate(&data)?.accuracy, Some(1.0));
    Ok(())
}
