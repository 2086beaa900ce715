#![no_main]

mod seal;

use std::sync::LazyLock;

use wgrad::estimator::{FittedClassifier, FittedRegressor};
use wgrad::{Device, Matrix, Model};

static DEVICE: LazyLock<Device> = LazyLock::new(Device::cpu);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Model::from_bytes(bytes);
    let Some(bytes) = seal::sealed(bytes) else {
        return;
    };
    let Ok(model) = Model::from_bytes(&bytes) else {
        return;
    };
    let written = model.to_bytes();
    let again = Model::from_bytes(&written).expect("what was written is read");
    assert!(again.to_bytes() == written);
    let _ = model.to_onnx();
    let inputs = model.network().inputs();
    if let Ok(x) = Matrix::new(inputs, vec![0.5; inputs]) {
        let _ = model.predict(&DEVICE, &x);
        if let Ok(mut classifier) = FittedClassifier::from_model(&model, &DEVICE) {
            let _ = classifier.predict(&x);
            let _ = classifier.predict_proba(&x);
        }
        if let Ok(mut regressor) = FittedRegressor::from_model(&model, &DEVICE) {
            let _ = regressor.predict(&x);
        }
    }
});
