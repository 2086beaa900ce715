#![no_main]

mod seal;

use std::sync::LazyLock;

use wgrad::fit::FitState;
use wgrad::{Checkpoint, Device, Matrix, Trainer};

static DEVICE: LazyLock<Device> = LazyLock::new(Device::cpu);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Checkpoint::from_bytes(bytes);
    let Some(bytes) = seal::sealed(bytes) else {
        return;
    };
    let Ok(checkpoint) = Checkpoint::from_bytes(&bytes) else {
        return;
    };
    let written = checkpoint.to_bytes();
    let again = Checkpoint::from_bytes(&written).expect("what was written is read");
    assert!(again.to_bytes() == written);
    let _ = FitState::of(&checkpoint);
    let _ = checkpoint.model();
    if let Ok(mut trainer) = Trainer::resume_elsewhere(&DEVICE, &checkpoint) {
        let inputs = checkpoint.network().inputs();
        let _ = trainer.take_losses();
        let _ = trainer.take_grad_norms();
        let _ = Matrix::new(inputs, vec![0.5; inputs]).and_then(|x| trainer.predict(&x));
        let _ = trainer.apply();
        let _ = trainer.checkpoint().map(|checkpoint| checkpoint.to_bytes());
    }
});
