use super::cases::{self, Case, Generator};
use super::{StepAt, Twin, Work, declare, word};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    // One workgroup with all its lanes on one row, whatever the number of losses: the order of the sum is fixed.
    "loss_sum" in Rows, work: |p| Work::rows(1, 256);
    params {
        rows: u32,
        /// Add to the loss since the last update.
        accumulate: u32,
    }
    step { slot: u32 }
    reads { loss: f32[p.rows] }
    writes { ledger: f32[word::COUNT as u32], history: f32[1] }
}

impl Twin for Params {
    const SHARED: &'static [&'static str] = &[super::LEDGER];

    /// ledger[0] += Σ loss and ledger[2] += 1 if finite, moved into ledger[1] every 512 batches, else ledger[3] += 1;
    /// history[slot] = Σ loss;  ledger[6] += 1 when a new window begins after one that was not finite;  ledger[5] (+)= Σ loss.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            loss,
            ledger,
            history,
        } = operands;
        let total = F::sum(loss[..self.rows as usize].iter().copied());
        history[at.slot as usize] = total;
        let sum = ledger[word::RECENT] + total;
        if total.value().is_finite() && sum.value().is_finite() {
            ledger[word::RECENT] = sum;
            ledger[word::BATCHES] += F::of(1.0);
            if ledger[word::BATCHES].value() >= 512.0 {
                ledger[word::OLDER] += ledger[word::RECENT];
                ledger[word::RECENT] = F::of(0.0);
                ledger[word::BATCHES] = F::of(0.0);
            }
        } else {
            ledger[word::FAULTS] += F::of(1.0);
        }
        ledger[word::WINDOW] = if self.accumulate != 0 {
            total + ledger[word::WINDOW]
        } else {
            if !ledger[word::WINDOW].value().is_finite() {
                ledger[word::REFUSED] += F::of(1.0);
            }
            total
        };
    }

    fn flops(&self) -> u64 {
        self.rows.into()
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for rows in g.counts() {
            for accumulate in [0, 1] {
                let loss = g.floats(rows);
                let loss = if rows == 17 { loss.spoiled() } else { loss };
                let mut ledger = g.ledger();
                // Once the first sum is full after this batch.
                if let cases::Data::Floats(ledger) = &mut ledger {
                    ledger[word::BATCHES] += f32::from(accumulate as u8);
                }
                let case = g.case(Params { rows, accumulate }).with("loss", loss);
                let case = case.with("ledger", ledger).with("history", g.untouched(5));
                cases.push(case.at(StepAt {
                    slot: 4 * accumulate,
                    ..StepAt::default()
                }));
            }
        }
        cases
    }
}
