//! Criterion's view of small training steps, GPU and CPU: for seeing whether a change to this crate made them faster or
//! slower. For GPU against CPU, see `compare`.

use criterion::{Criterion, criterion_group, criterion_main};
use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};

fn steps(criterion: &mut Criterion) {
    let devices = [("cpu", Ok(Device::cpu())), ("gpu", Device::gpu())];
    for (inputs, hidden, rows) in [(64, 32, 32), (784, 128, 64)] {
        let mut group = criterion.benchmark_group(format!("{inputs}-{hidden}-10, batch {rows}"));
        group.sample_size(20);
        let numbers = (0..rows * inputs).map(|i| (i * 7919 % 1999) as f32 / 1000.0 - 1.0);
        let x = Matrix::new(inputs, numbers.collect()).expect("whole rows");
        let labels = (0..rows).map(|r| r as u32 % 10).collect();
        let batch = Dataset::classes(x, labels).expect("a batch");
        let network = Mlp::new(inputs).dense(hidden, Relu).dense(10, Identity);
        for (name, device) in &devices {
            let Ok(device) = device else {
                eprintln!("no {name}: its steps are not measured");
                continue;
            };
            let mut trainer = Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 1)
                .expect("a trainer");
            group.bench_function(format!("{name}: {device}"), |bencher| {
                // Ten steps and one read-back, which waits for them.
                bencher.iter(|| {
                    for _ in 0..10 {
                        trainer.step(&batch).expect("a step");
                    }
                    trainer.take_loss().expect("a loss")
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
