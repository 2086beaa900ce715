//! An activation's fragment, functions and derivative.

use crate::check::{Check, Report};
use crate::config::activation::Activation;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::exec::cpu::CpuExecutor;
use crate::exec::device::Device;
use crate::kernels::cases::saved_of;
use crate::kernels::{Call, StepAt, activation as elementwise, activation_grad};
use crate::number::bounded::Bounded;
use crate::plan::{BufferSpec, Op, Payload, View};

/// Arguments tried: |z| up to 20, dense near 0, without the kink at 0 itself.
fn arguments() -> Vec<f32> {
    let one_side = (1..=1000).map(|i| 20.0 * (f64::from(i) / 1000.0).powi(3));
    let both = one_side.flat_map(|z| [-z as f32, z as f32]);
    both.collect()
}

/// Checks an activation on a device: `activate` and `activate_grad` of the fragment against the Rust functions φ and φ′,
/// and φ′ against central differences of φ, at 2000 arguments in [−20, 20]. Meant for [`Activation::custom`], where
/// fragment and functions are the user's. On a CPU the fragment does not run, and the first two checks are of φ and φ′ in f32.
///
/// # Errors
/// [`Error::Argument`] for softmax; of the device; a disagreement is no error but a failed [`Check`].
pub fn activation(device: &Device, phi: &Activation) -> Result<Report> {
    if *phi == Activation::Softmax {
        return Err(Error::argument(
            "the activation to verify",
            "softmax",
            "a function of one number; verify::kernels checks softmax",
        ));
    }
    let z = arguments();
    let n = z.len();
    let count = n as u32;
    let saved = saved_of(phi, z.clone());
    let ones = vec![1.0f32; n];
    let specs = ["z", "ones", "saved", "a", "delta"].map(|name| BufferSpec::fixed(name, n as u64));
    let view = |buffer| View::whole(buffer, n as u64);
    let op = |call: Call, reads, write| Op::new(call, reads, vec![view(write)]).through(phi);
    let at = StepAt::default();
    let ops = [
        op(elementwise::Params { count }.into(), vec![view(0)], 3),
        op(
            activation_grad::Params { count }.into(),
            vec![view(1), view(2)],
            4,
        ),
    ];
    let mut executor = Executor::new(device, &specs, &[], 0, ops.len())?;
    let mut reference = CpuExecutor::<Bounded>::new(&specs, 0)?;
    for (buffer, data) in [&z, &ones, &saved].into_iter().enumerate() {
        executor.write(view(buffer), Payload::Floats(data))?;
        reference.write(view(buffer), Payload::Floats(data));
    }
    executor.submit(&ops, &[at], &[])?;
    reference.submit(&ops, &[at], &[]);
    let results = pollster::block_on(executor.read_f64(&[view(3), view(4)]))?;
    let mut checks = Vec::new();
    // The fragment itself runs on a GPU only.
    let names = match device.adapter() {
        Some(_) => ["activate against φ", "activate_grad against φ′"],
        None => ["φ in f32 against f64", "φ′ in f32 against f64"],
    };
    for (i, what) in names.into_iter().enumerate() {
        let expected = reference.floats(view(3 + i));
        let mut check = Check::compare(what.into(), &results[i], expected);
        if !check.passed {
            check.note = Some(format!("at z = {}", z[check.place]));
        }
        checks.push(check);
    }
    let differences = z.iter().map(|&z| {
        let z = f64::from(z);
        // Small enough to stay on one side of a kink at 0.
        let h = f64::min(1e-4, z.abs() / 20.0);
        let quotient = |h: f64| (phi.apply(z + h) - phi.apply(z - h)) / (2.0 * h);
        let (d1, d2) = (quotient(h), quotient(2.0 * h));
        let rounding = 8.0 * f64::EPSILON * (1.0 + phi.apply(z).abs()) / h;
        (phi.derivative(z), d1, (d2 - d1).abs() + rounding)
    });
    let mut check = Check::of_pairs("φ′ against differences of φ".into(), differences);
    if !check.passed {
        check.note = Some(format!("at z = {}", z[check.place]));
    }
    checks.push(check);
    Ok(Report {
        title: format!("activation {phi}"),
        device: device.to_string(),
        checks,
    })
}
