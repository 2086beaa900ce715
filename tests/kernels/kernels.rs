//! The kernel table against its f64 twins, on the GPU with checked and unchecked modules, and on the CPU path.

use crate::common;
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

#[test]
fn progress_tells_of_each_case_before_it_runs() {
    let options = verify::KernelOptions {
        kernel: Some("row_loss".into()),
        ..verify::KernelOptions::default()
    };
    let device = Device::cpu();
    let mut seen = Vec::new();
    let report = verify::kernels_with_progress(&device, &options, |p| {
        assert_eq!(p.kernel, "row_loss");
        assert_eq!((p.kernels_done, p.kernels), (0, 1));
        seen.push((p.cases_done, p.cases));
    })
    .unwrap();
    assert_eq!(report, verify::kernels_with(&device, &options).unwrap());
    let cases = seen.len();
    assert!(cases > 1);
    let expected: Vec<(usize, usize)> = (0..cases).map(|i| (i, cases)).collect();
    assert_eq!(seen, expected);
}
