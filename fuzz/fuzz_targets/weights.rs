#![no_main]

use std::cell::RefCell;

use wgrad::{Activation::*, Device, Loss, Mlp, Sgd, Tensors, Trainer};

thread_local! {
    static TRAINER: RefCell<Trainer> = RefCell::new({
        let network = Mlp::new(2).dense(3, Tanh).dense(3, Identity);
        let sgd = Sgd::default();
        Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, sgd, 7).expect("a network")
    });
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(tensors) = Tensors::from_bytes(bytes) else {
        return;
    };
    for tensor in &tensors {
        assert_eq!(tensor.data.len(), tensor.shape.iter().product::<usize>());
    }
    TRAINER.with_borrow_mut(|trainer| {
        let before = trainer.weights().expect("weights");
        if trainer.set_weights(&tensors).is_err() {
            assert!(trainer.weights().expect("weights") == before);
        }
    });
});
