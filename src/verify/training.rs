//! Whole runs: many steps on the device against many steps in f64.

use std::collections::HashMap;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::check::{Check, Report, judge_ops};
use crate::config::init::unit;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::exec::cpu::CpuExecutor;
use crate::kernels::{StepAt, word};
use crate::number::bounded::Bounded;
use crate::number::scalar::Scalar;
use crate::plan::{Mode, Op, Payload, Plan, View};
use crate::trainer::{Trainer, check_training, kind, uploads};
use crate::tune;

/// f64 runs with perturbed weights.
const PERTURBED: usize = 4;

/// Runs a step for each batch on the trainer's device and, apart from it, in f64. Starts from the trainer's present weights
/// with fresh optimiser state, and leaves the trainer as it was.
///
/// - *Each step*, begun in f64 from the very weights and state that the device had, must reach the device's activations, loss,
///   gradients, weights and state within the rounding bound of a step: rigorous.
/// - *The loss curve and the final weights* must be those of an uninterrupted f64 run within a stated bound. A rounding error
///   moves the weights, and so every later gradient; how far that carries depends on the network. It is measured: four
///   more f64 runs have each weight moved after each step, in a random direction, by the rounding bound of that step. The
///   largest distance that these perturbed runs reach from the unperturbed one is the bound. A device whose steps keep to
///   theirs is such a perturbed run; its errors are far smaller than their bounds.
///
/// A bound as large as the numbers themselves proves nothing and counts as failed: use fewer steps.
///
/// # Errors
/// As [`Trainer::step`] if a batch does not fit, [`Error::EmptyData`] without batches.
pub fn training(trainer: &mut Trainer, batches: &[Dataset]) -> Result<Report> {
    for batch in batches {
        check_training(trainer.plan(), batch)?;
    }
    let Some(room) = batches.iter().map(Dataset::rows).max() else {
        return Err(Error::empty("the list of batches"));
    };
    let room = room as u64;
    let weights = trainer.weights()?;
    let buffers = trainer.buffers()?;
    let trainer = &*trainer;
    let (plan, optimizer) = (trainer.plan(), trainer.optimizer());
    plan.check_rows(room)?;
    let most = plan.max_ops(optimizer);
    let mut device = Executor::of_plan(trainer.device(), plan, room, most)?;
    let mut judge = CpuExecutor::<Bounded>::new(&plan.buffers, room)?;
    // The unperturbed run and the perturbed ones.
    let mut runs = (0..=PERTURBED)
        .map(|_| CpuExecutor::<f64>::new(&plan.buffers, room))
        .collect::<Result<Vec<_>>>()?;
    let running = plan.running_views().into_iter().zip(&buffers);
    let running = running.map(|(view, tensor)| (view, &tensor.data[..]));
    for (view, part) in plan.placed(&weights).into_iter().chain(running) {
        let part = Payload::Floats(part);
        device.write(view, part)?;
        judge.write(view, part);
        runs.iter_mut().for_each(|run| run.write(view, part));
    }

    // One word of the ledger is the loss of a batch alone.
    let ledger = plan.ledger_view();
    let loss_view = View {
        offset: ledger.offset + word::WINDOW as u64,
        len: 1,
        ..ledger
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut steps: Option<Check> = None;
    let mut curve = Vec::new();
    let mut envelope = 0.0;
    for (step, batch) in batches.iter().enumerate() {
        let mut bounds: HashMap<View, Vec<Bounded>> = HashMap::new();
        let (ops, forward_ops) = step_ops(plan, trainer, batch, room);
        let at = StepAt {
            // Dropout goes on from mask to mask.
            batch: step as u32,
            ..plan.at(optimizer, step as u64 + 1, batch.total_weight())
        };
        tune::prepare(trainer.device(), &ops)?;
        for (view, payload) in uploads(plan, batch, room) {
            device.write(view, payload)?;
            judge.write(view, payload);
            runs.iter_mut().for_each(|run| run.write(view, payload));
        }
        // In two parts, because the derivative at a pre-activation that is 0 within rounding is either side's: the
        // backward part starts from the device's own activations.
        let (forward, backward) = ops.split_at(forward_ops);
        for part in [forward, backward] {
            let judged = judge_ops(plan, part, &at, &mut device, &mut judge)?;
            merge(&mut steps, judged.check, step);
            bounds.extend(judged.expected);
        }
        runs.iter_mut().for_each(|run| run.submit(&ops, &[at], &[]));
        let own_bound = |view: View| bounds[&view].iter().map(|x| x.err);
        let segments = plan.weight_segments();
        let weight_bounds: Vec<f64> = segments.iter().flat_map(|v| own_bound(*v)).collect();
        for run in &mut runs[1..] {
            perturb(run, &segments, &weight_bounds, &mut rng);
        }

        let loss = |run: &CpuExecutor<f64>| run.floats(loss_view)[0] * at.grad_scale;
        // The loss of this step itself: each row's, and their sum's.
        let rows: f64 = own_bound(plan.losses_view(room)).take(batch.rows()).sum();
        let total = bounds[&plan.ledger_view()][word::WINDOW].err;
        let own = (rows + total) * at.grad_scale;
        for run in &runs[1..] {
            envelope = f64::max(envelope, (loss(run) - loss(&runs[0])).abs());
        }
        let got = judge.floats(loss_view)[0].value * at.grad_scale;
        curve.push((got, loss(&runs[0]), envelope + own));
    }

    let mut checks: Vec<Check> = steps.into_iter().collect();
    checks.push(meaningful(
        Check::of_pairs(
            format!("loss curve of {} steps", batches.len()),
            curve.iter().copied(),
        ),
        curve.iter().map(|(_, reference, _)| *reference),
    ));
    for ((name, _), panels) in plan
        .network
        .tensors()
        .into_iter()
        .zip(&plan.parameter_views(false))
    {
        let results = pollster::block_on(device.read_f64(panels))?.concat();
        let reference = floats(&runs[0], panels);
        let mut bound = 0.0;
        for run in &runs[1..] {
            for (a, b) in floats(run, panels).iter().zip(&reference) {
                bound = f64::max(bound, (a - b).abs());
            }
        }
        let pairs = results.iter().zip(&reference);
        let check = Check::of_pairs(
            format!("{name} after {} steps", batches.len()),
            pairs.map(|(&got, &reference)| (got, reference, bound)),
        );
        checks.push(meaningful(check, reference.into_iter()));
    }
    Ok(Report {
        title: format!(
            "{} steps of {}, {}, {}",
            batches.len(),
            plan.network,
            plan.criterion,
            optimizer.name()
        ),
        device: trainer.device().to_string(),
        checks,
    })
}

/// The ops of a step, and how many of them make up the forward part.
fn step_ops(plan: &Plan, trainer: &Trainer, batch: &Dataset, room: u64) -> (Vec<Op>, usize) {
    let rows = batch.rows() as u32;
    let mut ops = plan.losses(Mode::Training, rows, room, kind(batch));
    let forward = ops.len();
    ops.extend(plan.backward(rows, room, false));
    ops.extend(plan.update(&trainer.rule()));
    (ops, forward)
}

fn floats<F: Scalar>(executor: &CpuExecutor<F>, views: &[View]) -> Vec<F> {
    let parts = views.iter().flat_map(|view| executor.floats(*view));
    parts.copied().collect()
}

/// Moves each number by its bound, up or down.
fn perturb(run: &mut CpuExecutor<f64>, views: &[View], bounds: &[f64], rng: &mut ChaCha8Rng) {
    let mut bounds = bounds.iter();
    for view in views {
        let moved: Vec<f64> = run
            .floats(*view)
            .iter()
            .zip(bounds.by_ref())
            .map(|(w, bound)| {
                if unit(rng) < 0.5 {
                    w - bound
                } else {
                    w + bound
                }
            })
            .collect();
        run.set(*view, moved.into_iter());
    }
}

/// Keeps the worst step.
fn merge(worst: &mut Option<Check>, check: Check, step: usize) {
    let elements = check.elements + worst.as_ref().map_or(0, |worst| worst.elements);
    let largest = f64::max(
        check.largest_bound,
        worst.as_ref().map_or(0.0, |worst| worst.largest_bound),
    );
    let worse = worst
        .as_ref()
        .is_none_or(|worst| worst.passed && (!check.passed || check.ratio() > worst.ratio()));
    if worse {
        let name = format!("each step from the device's own state, worst: step {step}");
        *worst = Some(Check { name, ..check });
    }
    if let Some(worst) = worst {
        worst.elements = elements;
        worst.largest_bound = largest;
    }
}

/// Fails a check whose bound is as large as the numbers it judges.
fn meaningful(mut check: Check, reference: impl Iterator<Item = f64>) -> Check {
    let magnitude = reference.fold(0.0, |m, x| f64::max(m, x.abs()));
    if check.largest_bound > magnitude {
        check.passed = false;
        check.note = Some("the bound has outgrown the numbers: use fewer steps".into());
    }
    check
}
