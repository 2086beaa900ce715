//! Awkward inputs of small networks.

use super::{Params, padded};
use crate::config::activation::{Activation, Saved};
use crate::config::loss::{Criterion, Loss, TargetKind};
use crate::config::optimizer::{Clip, Optimizer, Rule};
use crate::kernels::cases::{Case, Data, GUARD, Generator};
use crate::kernels::{Format, StepAt, row_loss, update, word};

/// What a case is made of.
#[derive(Clone)]
struct Network<'a> {
    rows: u32,
    widths: &'a [u32],
    criterion: Criterion,
    labels: bool,
    format: Option<Format>,
    optimizer: Optimizer,
    phi: Activation,
    steps: u32,
    /// About so large.
    weights: f32,
    gradients: f32,
}

impl Network<'_> {
    fn case(&self, g: &mut Generator) -> Case {
        let Self {
            rows,
            widths,
            format,
            ..
        } = *self;
        let cols = widths[widths.len() - 1];
        let pairs = widths.windows(2);
        let count = pairs.map(|w| padded(w[0] * w[1]) + padded(w[1])).sum();
        let rule = Rule {
            clip: Clip {
                norm: None,
                value: (rows == 33).then_some(0.01),
            },
            ..Rule::from(self.optimizer)
        };
        let identity = &Activation::Identity;
        let loss = row_loss::Params::new(&self.criterion, identity, rows, cols, self.labels);
        let update = update::Params::new(&rule, count);
        let start = u32::from(format.is_some()) * 2;
        let held = if format.is_some() { rows / 2 + 9 } else { rows };
        let [x, order] = g.batch((rows, widths[0]), format, start);
        let order = match format {
            Some(_) => g.order(start + self.steps * rows, held),
            None => order,
        };
        let targets = if self.labels {
            g.labels(held, cols)
        } else {
            g.fractions(held * cols).into_words()
        };
        let weights = g.scaled(count, self.weights);
        let [state0, state1] = g.states(update.formula.states(), count, self.gradients);
        // Padding has no gradient: it must stay as it is.
        let mut grads = vec![0.0; count as usize];
        let mut at = 0;
        for w in widths.windows(2) {
            for n in [w[0] * w[1], w[1]] {
                let tensor = &mut grads[at as usize..][..n as usize];
                tensor.fill(f32::from_bits(GUARD));
                at += padded(n);
            }
        }
        let mut ledger = g.ledger();
        if let Data::Floats(ledger) = &mut ledger {
            ledger[word::BATCHES] = 3.0;
        }
        let reads = vec![x.into_words(), order, targets];
        let history = g.untouched(7);
        let writes = vec![weights, grads.into(), state0, state1, ledger, history];
        let p = Params::new(widths, format, loss, update, 7);
        // After two refused updates, as the ledger says.
        Case::new(p, reads, writes).through(&self.phi).at(StepAt {
            step: 5,
            steps: self.steps,
            start,
            slot: 3,
            grad_scale: f64::from(self.gradients) / f64::from(rows),
            lr: self.optimizer.lr(),
            shrink: self.optimizer.shrink(),
            ..StepAt::default()
        })
    }
}

pub(super) fn cases(g: &mut Generator) -> Vec<Case> {
    let optimizers = Optimizer::examples();
    let formats = [
        None,
        Some(Format::F32),
        Some(Format::F16),
        Some(Format::U8 { scale: 0.0625 }),
    ];
    let shapes: [(u32, &[u32]); 4] = [
        (1, &[1, 2]),
        (5, &[3, 7, 2]),
        (33, &[17, 9, 5, 6]),
        // More rows than invocations, and every layer that there can be.
        (259, &[2, 1, 1, 2, 1, 1, 1, 1, 2]),
    ];
    let shapes = g.shapes(&shapes, (32, &[64, 32, 10]));
    let (rows, widths) = *shapes.get(1).unwrap_or(&shapes[0]);
    let identity = &Activation::Identity;
    let mut criteria: Vec<(Criterion, bool)> = Vec::new();
    for loss in Loss::table()
        .into_iter()
        .filter(|loss| loss.check(identity).is_ok())
    {
        criteria.push((loss.mean(), false));
        criteria.extend((loss.targets() == TargetKind::Classes).then_some((loss.mean(), true)));
    }
    let base = Network {
        rows,
        widths,
        criterion: Loss::CrossEntropy.mean(),
        labels: true,
        format: None,
        optimizer: optimizers[0],
        phi: Activation::Tanh,
        steps: 1,
        // A size that keeps activations in their range.
        weights: 0.5,
        gradients: 1.0,
    };
    let mut networks = Vec::new();
    let hidden = Activation::table()
        .into_iter()
        .filter(|phi| phi.saved() == Saved::Output);
    for (i, phi) in hidden.enumerate() {
        let (criterion, labels) = criteria[i % criteria.len()];
        let optimizer = optimizers[i % optimizers.len()];
        networks.push(Network {
            phi,
            criterion,
            labels,
            optimizer,
            ..base.clone()
        });
    }
    let criterion = base.criterion.label_smoothing(0.1);
    networks.push(Network {
        criterion,
        ..base.clone()
    });
    for optimizer in &optimizers {
        let two = Network {
            format: Some(Format::F32),
            optimizer: *optimizer,
            steps: 2,
            ..base.clone()
        };
        // So small that eps is most of the divisor.
        networks.push(Network {
            gradients: 1e-6,
            ..two.clone()
        });
        networks.push(two);
    }
    for (rows, widths) in shapes {
        for (i, &(criterion, labels)) in criteria.iter().enumerate() {
            for (j, optimizer) in optimizers.iter().enumerate() {
                networks.push(Network {
                    rows,
                    widths,
                    criterion,
                    labels,
                    format: formats[(i + j) % formats.len()],
                    optimizer: *optimizer,
                    ..base.clone()
                });
            }
        }
    }
    networks.iter().map(|network| network.case(g)).collect()
}
