//! Profiles say something true of whatever device they run on. How fast it is, no test can know.

use std::time::Instant;

use crate::common;
use wgrad::profile::{self, Clock};
use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};

fn trainer(device: &Device) -> (Trainer, Dataset) {
    let network = Mlp::new(12).dense(8, Relu).dense(4, Identity);
    let trainer = Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 1).unwrap();
    let x = Matrix::new(12, common::numbers(12 * 16, 1)).unwrap();
    let batch = Dataset::classes(x, (0..16).map(|r| r % 4).collect()).unwrap();
    (trainer, batch)
}

#[test]
fn parts_of_a_step_take_time_by_a_clock_that_can_be_right() {
    for device in [common::gpu(), Device::cpu()] {
        let (trainer, batch) = trainer(&device);
        let start = Instant::now();
        let time = profile::step_time(&trainer, &batch, 0.01).unwrap();
        let all = start.elapsed().as_secs_f64();
        for part in [time.step, time.compute, time.upload, time.readback] {
            assert!(part >= 0.0 && part < all, "{device}: {time:?}");
        }
        assert!(time.compute > 0.0, "{device}: {time:?}");
        if device.adapter().is_none() {
            assert_eq!(time.clock, Clock::Host);
        }
    }
}

#[test]
fn every_kernel_is_timed() {
    for device in [common::gpu(), Device::cpu()] {
        let times = profile::kernels(&device, 0.0).unwrap();
        for kernel in wgrad::kernels::ALL {
            let found = times.iter().find(|t| t.name.starts_with(kernel.name));
            let time = found.unwrap_or_else(|| panic!("{} on {device}", kernel.name));
            assert!(time.seconds > 0.0, "{} on {device}", kernel.name);
        }
    }
}

#[test]
fn every_form_that_a_gpu_can_run_is_timed_for_each_product() {
    let gpu = common::gpu();
    let times = profile::forms(&gpu, 16, 24, 32, 0.0).unwrap();
    for kernel in [
        "dense_forward",
        "dense_backward_input",
        "dense_backward_params",
    ] {
        for form in gpu.forms() {
            let found = times
                .iter()
                .find(|t| t.kernel == kernel && t.choice.form == form && t.choice.parts == 1);
            let time = found.unwrap_or_else(|| panic!("{kernel} in {}", form.name));
            assert!(time.flops >= 2 * 16 * 24 * 32);
            assert!(time.seconds > 0.0);
        }
    }
    assert!(
        profile::forms(&Device::cpu(), 16, 24, 32, 0.0)
            .unwrap()
            .is_empty()
    );
}
