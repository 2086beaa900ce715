//! A training step of a user's network, op by op and as a whole.

use crate::check::{Check, Report, judge_ops};
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::Executor;
use crate::exec::cpu::CpuExecutor;
use crate::kernels::StepAt;
use crate::number::bounded::Bounded;
use crate::plan::{Mode, Op, Payload, Plan, View};
use crate::trainer::{Trainer, check_training, kind, uploads};
use crate::tune;

/// Verifies a training step of this trainer's network, loss and optimiser, from its present weights, on its device.
///
/// For each op of the step, the f64 twin is fed the very inputs that the device had, and every element of the op's result
/// is compared within the op's own rounding bound: a wrong op is named. Then the gradient of each tensor is compared with
/// an f64 run of the whole plan, within the bound carried through all its ops. The trainer is left as it was. Keep the
/// batch small: the reference is plain f64 loops.
///
/// # Errors
/// As [`Trainer::step`] if the batch does not fit; a wrong result is no error but a failed [`Check`].
pub fn gradients(trainer: &mut Trainer, batch: &Dataset) -> Result<Report> {
    check_training(trainer.plan(), batch)?;
    let weights = trainer.weights()?;
    let buffers = trainer.buffers()?;
    let trainer = &*trainer;
    let (plan, optimizer) = (trainer.plan(), trainer.optimizer());
    let rows = batch.rows() as u64;
    plan.check_rows(rows)?;

    let mut device = Executor::of_plan(trainer.device(), plan, rows, 1)?;
    // Judges each op from the device's inputs; and the whole plan, without looking at the device.
    let mut judge = CpuExecutor::<Bounded>::new(&plan.buffers, rows)?;
    let mut whole = CpuExecutor::<Bounded>::new(&plan.buffers, rows)?;
    let mut feed = |view: View, payload: Payload<'_>| -> Result<()> {
        judge.write(view, payload);
        whole.write(view, payload);
        device.write(view, payload)
    };
    for (view, part) in plan.placed(&weights) {
        feed(view, Payload::Floats(part))?;
    }
    for (view, tensor) in plan.running_views().into_iter().zip(&buffers) {
        feed(view, Payload::Floats(&tensor.data))?;
    }
    for (view, payload) in uploads(plan, batch, rows) {
        feed(view, payload)?;
    }

    let weight = batch.total_weight();
    let at = plan.at(optimizer, 1, weight);
    let ops = plan.gradients(rows as u32, rows, kind(batch), false);
    tune::prepare(trainer.device(), &ops)?;
    let output = plan.output_view(rows);
    let mut checks = Vec::new();
    if plan.differs_in_evaluation() {
        for op in &plan.forward(Mode::Evaluation, rows as u32, rows) {
            let check = judge_op(plan, op, &at, &mut device, &mut judge)?;
            let name = format!("{}, in evaluation", check.name);
            checks.push(Check { name, ..check });
            run_held(op, &at, &device, &mut whole);
        }
        let result = pollster::block_on(device.read_f64(&[output]))?.concat();
        let name = "output in evaluation, whole plan".into();
        checks.push(Check::compare(name, &result, whole.floats(output)));
    }
    for op in &ops {
        checks.push(judge_op(plan, op, &at, &mut device, &mut judge)?);
        run_held(op, &at, &device, &mut whole);
    }
    // Before the update, which leaves them alone.
    let result = pollster::block_on(device.read_f64(&[output]))?.concat();
    let name = "output, whole plan".into();
    checks.push(Check::compare(name, &result, whole.floats(output)));
    checks.extend(check_gradients(trainer, &mut device, &whole, weight)?);
    // Twice, because the first finds no state yet; and a micro-batch on top of the gradients that are there.
    for step in 1..=2 {
        let at = plan.at(optimizer, step, weight);
        for op in &plan.update(&trainer.rule()) {
            let check = judge_op(plan, op, &at, &mut device, &mut judge)?;
            let name = format!("{}, update {step}", check.name);
            checks.push(Check { name, ..check });
        }
    }
    for op in &plan.backward(rows as u32, rows, true) {
        let check = judge_op(plan, op, &at, &mut device, &mut judge)?;
        let name = format!("{}, summed", check.name);
        checks.push(Check { name, ..check });
    }
    Ok(Report {
        title: format!(
            "training step of {}, {}, {}, {rows} rows",
            plan.network,
            plan.criterion,
            optimizer.name()
        ),
        device: trainer.device().to_string(),
        checks,
    })
}

/// Runs an op on the reference with its numbers as the device holds them.
fn run_held(op: &Op, at: &StepAt, device: &Executor, whole: &mut CpuExecutor<Bounded>) {
    let (held, held_at) = device.held(std::slice::from_ref(op), at);
    whole.submit(&held, &[held_at], &[]);
}

fn judge_op(
    plan: &Plan,
    op: &Op,
    at: &StepAt,
    device: &mut Executor,
    judge: &mut CpuExecutor<Bounded>,
) -> Result<Check> {
    let judged = judge_ops(plan, std::slice::from_ref(op), at, device, judge)?;
    Ok(Check {
        name: op.to_string(),
        ..judged.check
    })
}

/// The device's gradients against the whole plan's.
fn check_gradients(
    trainer: &Trainer,
    device: &mut Executor,
    whole: &CpuExecutor<Bounded>,
    weight: f64,
) -> Result<Vec<Check>> {
    let plan = trainer.plan();
    let scale = plan.criterion.batch_scale(weight);
    let mut checks = Vec::new();
    let tensors = plan.network.tensors().into_iter();
    for ((name, _), panels) in tensors.zip(plan.parameter_views(true)) {
        let results = pollster::block_on(device.read_f64(&panels))?;
        let results: Vec<f64> = results.concat().iter().map(|g| g * scale).collect();
        let expected: Vec<Bounded> = panels
            .iter()
            .flat_map(|view| whole.floats(*view))
            .map(|g| Bounded {
                value: g.value * scale,
                err: g.err * scale,
            })
            .collect();
        let tensor = name;
        let name = format!("gradient of {tensor}, whole plan");
        let mut check = Check::compare(name, &results, &expected);
        let taken_away = plan.without_effect().contains(&tensor);
        let magnitude = expected.iter().fold(0.0, |m, g| f64::max(m, g.value.abs()));
        if check.passed && check.largest_bound > magnitude {
            check.note = Some(if taken_away {
                "the mean over the batch takes this bias away: its gradient is 0, but for roundings"
                    .into()
            } else {
                "this bound says little: some pre-activation is 0 within rounding, where φ′ jumps"
                    .into()
            });
        }
        checks.push(check);
    }
    Ok(checks)
}
