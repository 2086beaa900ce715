//! The f64 reference against central differences.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::check::{Check, Report};
use crate::config::init::unit;
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::cpu::CpuExecutor;
use crate::kernels::StepAt;
use crate::plan::{Mode, Plan, RowKind, View};
use crate::trainer::{Trainer, check_training, kind, uploads};

/// Parameters checked in each tensor; all, where it has no more.
const COORDINATES: usize = 200;

/// Step of the differences, for parameters of magnitude 1: small enough for a truncation error near 1e-10, large enough that
/// rounding (1e-16/h) stays in that region. (10 h is the distance kept from kinks: the smaller, the fewer are skipped.)
const STEP: f64 = 1e-5;

/// Holds the gradients of the f64 reference against central differences of its loss, (L(w + h) − L(w − h))/2h, at the
/// trainer's present weights: up to 200 parameters of each tensor, drawn at random. No GPU takes part.
///
/// The bound of a coordinate is |D(2h) − D(h)|, three times the truncation error of D(h), plus the rounding of the losses.
/// A coordinate is skipped, and counted, where moving it by 10 h carries some pre-activation across the kink of its
/// activation. (J. Sadeghi's *numerical check*; in f32 it would prove nothing.)
///
/// # Errors
/// As [`Trainer::step`] if the batch does not fit; a wrong gradient is no error but a failed [`Check`].
pub fn finite_differences(trainer: &mut Trainer, batch: &Dataset) -> Result<Report> {
    check_training(trainer.plan(), batch)?;
    let weights = trainer.weights_f64()?;
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    let mut reference = CpuExecutor::<f64>::new(&plan.buffers, rows)?;
    let views = plan.parameter_views(false);
    for (view, part) in plan.placed(&weights) {
        reference.set(view, part.iter().copied());
    }
    for (view, payload) in uploads(plan, batch, rows) {
        reference.write(view, payload);
    }
    let scale = plan.criterion.batch_scale(batch.total_weight());
    let mut probe = Probe {
        plan,
        reference,
        rows,
        kind: kind(batch),
        scale,
    };
    let loss = probe.loss().abs();
    let backward = plan.backward(rows as u32, rows, false);
    probe.reference.submit(&backward, &[StepAt::default()], &[]);
    let gradients: Vec<Vec<f64>> = plan
        .parameter_views(true)
        .iter()
        .map(|panels| {
            let panels = panels.iter().map(|v| probe.reference.floats(*v));
            panels.flatten().map(|g| g * scale).collect()
        })
        .collect();

    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut checks = Vec::new();
    for (((name, _), panels), gradients) in
        plan.network.tensors().iter().zip(&views).zip(&gradients)
    {
        let n = gradients.len();
        let chosen: Vec<usize> = if n <= COORDINATES {
            (0..n).collect()
        } else {
            let random = (0..COORDINATES).map(|_| (unit(&mut rng) * n as f64) as usize);
            random.collect()
        };
        let mut pairs = Vec::new();
        let mut skipped = 0;
        for i in chosen {
            let Some(view) = element(panels, i) else {
                continue;
            };
            match probe.difference(view, loss) {
                Some((difference, bound)) => pairs.push((difference, gradients[i], bound)),
                None => skipped += 1,
            }
        }
        let mut check = Check::of_pairs(format!("gradient of {name}"), pairs.into_iter());
        check.skipped = skipped;
        if check.elements == 0 {
            check.note =
                Some("every parameter moves something across a kink: use fewer rows".into());
        }
        checks.push(check);
    }
    Ok(Report {
        title: format!(
            "central differences of {}, {}, {rows} rows",
            plan.network, plan.criterion
        ),
        device: "CPU, f64 reference".into(),
        checks,
    })
}

/// Element `i` of a tensor that consists of panels.
fn element(panels: &[View], i: usize) -> Option<View> {
    let mut i = i as u64;
    for view in panels {
        if i < view.len {
            return Some(View {
                offset: view.offset + i,
                len: 1,
                ..*view
            });
        }
        i -= view.len;
    }
    None
}

struct Probe<'a> {
    plan: &'a Plan,
    reference: CpuExecutor<f64>,
    rows: u64,
    kind: RowKind,
    /// On the sum of the rows' losses.
    scale: f64,
}

impl Probe<'_> {
    /// The loss at the present weights.
    fn loss(&mut self) -> f64 {
        let rows = self.rows as u32;
        let ops = self.plan.losses(Mode::Training, rows, self.rows, self.kind);
        self.reference.submit(&ops, &[StepAt::default()], &[]);
        let losses = self.reference.floats(self.plan.losses_view(self.rows));
        losses.iter().sum::<f64>() * self.scale
    }

    /// On which side of its kink each pre-activation is.
    fn sides(&self) -> Vec<bool> {
        let views = self.plan.kinked_views(self.rows).into_iter();
        views
            .flat_map(|view| self.reference.floats(view))
            .map(|&x| x > 0.0)
            .collect()
    }

    /// The central difference along one parameter and its error bound; `None` near a kink.
    fn difference(&mut self, parameter: View, loss: f64) -> Option<(f64, f64)> {
        let w = self.reference.floats(parameter)[0];
        let h = STEP * w.abs().max(1.0);
        let at = |probe: &mut Self, x: f64| {
            probe.reference.set(parameter, std::iter::once(x));
            probe.loss()
        };
        at(self, w + 10.0 * h);
        let above = self.sides();
        at(self, w - 10.0 * h);
        let below = self.sides();
        at(self, w);
        let result = if above == below && above == self.sides() {
            let mut quotient = |h: f64| (at(self, w + h) - at(self, w - h)) / (2.0 * h);
            let (d1, d2) = (quotient(h), quotient(2.0 * h));
            // A few dozen roundings of f64 in each loss.
            let rounding = 64.0 * f64::EPSILON * (1.0 + loss) / h;
            Some((d1, (d2 - d1).abs() + rounding))
        } else {
            None
        };
        self.reference.set(parameter, std::iter::once(w));
        result
    }
}
