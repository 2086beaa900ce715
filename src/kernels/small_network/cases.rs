//! Awkward inputs of small networks.

use super::{SmallNetworkSpec, padded};
use crate::config::activation::{Activation, Saved};
use crate::config::optimizer::{Adam, AdamW, Clip, Optimizer, RmsProp, Sgd};
use crate::kernels::cases::{Case, Data, GUARD, Generator};
use crate::kernels::{Call, Format, RowLoss, word};

pub(super) fn cases(g: &mut Generator) -> Vec<Case> {
    let adam = Adam {
        weight_decay: 0.01,
        l1: 0.02,
        ..Adam::default()
    };
    let momentum = Sgd {
        lr: 0.05,
        momentum: 0.9,
        nesterov: true,
        ..Sgd::default()
    };
    let optimizers = [
        Optimizer::from(Sgd::default()),
        momentum.into(),
        RmsProp::default().into(),
        adam.into(),
        AdamW::default().into(),
    ];
    let formats = [None, Some(Format::F32), Some(Format::F16), Some(Format::U8 { scale: 0.0625 })];
    let shapes: [(u32, &[u32]); 4] = [
        (1, &[1, 2]),
        (5, &[3, 7, 2]),
        (33, &[17, 9, 5, 6]),
        // More rows than invocations, and every layer that there can be.
        (259, &[2, 1, 1, 2, 1, 1, 1, 1, 2]),
    ];
    let losses = [RowLoss::CrossEntropy, RowLoss::SquaredError];
    let hidden = Activation::table()
        .into_iter()
        .filter(|phi| phi.saved() == Saved::Output)
        .collect::<Vec<_>>();
    let mut cases = Vec::new();
    let mut add = |g: &mut Generator,
                   (rows, widths): (u32, &[u32]),
                   row_loss: RowLoss,
                   format: Option<Format>,
                   optimizer: &Optimizer,
                   phi: &Activation,
                   steps: u32| {
        let cols = widths[widths.len() - 1];
        let pairs = widths.windows(2);
        let count = pairs.map(|w| padded(w[0] * w[1]) + padded(w[1])).sum();
        let start = u32::from(format.is_some()) * 2;
        let spec = SmallNetworkSpec {
            rows,
            widths,
            row_loss,
            row_scale: match row_loss {
                RowLoss::CrossEntropy => 1.0,
                RowLoss::SquaredError => 1.0 / f64::from(cols),
            },
            target_words: match row_loss {
                RowLoss::CrossEntropy => 1,
                RowLoss::SquaredError => cols,
            },
            format,
            optimizer,
            clip: Clip {
                norm: None,
                value: (rows == 33).then_some(0.01),
            },
            grad_scale: 1.0 / f64::from(rows),
            count,
            history_length: 7,
        };
        let Call::SmallNetwork(mut call) = spec.call() else {
            unreachable!("the spec makes such calls")
        };
        // After two refused updates, as the ledger says.
        (call.uniform.start, call.uniform.slot, call.uniform.step) = (start, 3, 5);
        call.uniform.steps = steps;
        let [x, order] = g.batch((rows, widths[0]), format, start);
        let order = match format {
            Some(_) => g.order(start + steps * rows, rows / 2 + 9),
            None => order,
        };
        let held = if format.is_some() { rows / 2 + 9 } else { rows };
        let targets = match row_loss {
            RowLoss::CrossEntropy => g.labels(held, cols),
            RowLoss::SquaredError => g.floats(held * cols).into_words(),
        };
        // Weights of a size that keeps activations in their range.
        let weights = g.scaled(count, 0.5);
        let state = |g: &mut Generator, slots: u32| {
            if call.update.slots() >= slots {
                g.fractions(count)
            } else {
                g.untouched(1)
            }
        };
        let states = [state(g, 1), state(g, 2)];
        let [state0, state1] = states;
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
        let writes = vec![
            weights,
            grads.into(),
            state0,
            state1,
            ledger,
            g.untouched(7),
        ];
        let reads = vec![x.into_words(), order, targets];
        cases.push(Case::new(Call::SmallNetwork(call), phi, reads, writes));
    };
    for (i, phi) in hidden.iter().enumerate() {
        let (optimizer, loss) = (&optimizers[i % 5], losses[i % 2]);
        add(g, shapes[1], loss, None, optimizer, phi, 1);
    }
    for optimizer in &optimizers {
        let format = Some(Format::F32);
        add(g, shapes[1], losses[0], format, optimizer, &Activation::Tanh, 2);
    }
    for shape in shapes {
        for loss in losses {
            for (i, optimizer) in optimizers.iter().enumerate() {
                let format = formats[i % formats.len()];
                add(g, shape, loss, format, optimizer, &Activation::Tanh, 1);
            }
        }
    }
    cases
}
