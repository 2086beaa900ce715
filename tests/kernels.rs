//! The kernel table against its f64 twins, on the GPU with checked and unchecked modules, and on the CPU path.

mod common;

use wgrad::{Device, DeviceOptions, verify};

fn assert_passes(device: &Device) {
    let report = verify::kernels(device).expect("the kernels run");
    assert!(report.passed(), "{report}");
    // Every kernel of the table took part.
    for kernel in wgrad::kernels::ALL {
        assert!(
            report
                .checks
                .iter()
                .any(|check| check.name.starts_with(kernel.name)),
            "{} was not checked",
            kernel.name
        );
    }
    // And on a GPU, every product in every form that it can run.
    for form in device.forms() {
        for kernel in [
            "dense_forward",
            "dense_backward_input",
            "dense_backward_params",
        ] {
            let mut checks = report.checks.iter();
            assert!(
                checks.any(|c| c.name.starts_with(kernel) && c.name.ends_with(form.name)),
                "{kernel} was not checked in the form {}",
                form.name
            );
        }
    }
    println!("{report}");
}

#[test]
fn every_kernel_keeps_to_its_bound_on_the_gpu() {
    assert_passes(&common::gpu());
}

#[test]
fn every_kernel_keeps_to_its_bound_with_shader_checks() {
    assert_passes(&common::gpu_with(DeviceOptions {
        shader_checks: true,
        ..DeviceOptions::default()
    }));
}

#[test]
fn every_twin_keeps_to_its_bound_in_f32() {
    assert_passes(&Device::cpu());
}

#[test]
fn every_twin_keeps_to_its_bound_in_f64() {
    assert_passes(&Device::reference());
}
