use super::cases::{self, Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, word, write, written};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    /// Add to the loss since the last update.
    accumulate: u32,
    /// The batch's place in the history.
    slot: u32,
}

pub(crate) struct LossSum;

impl Twin for LossSum {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "loss_sum",
        source: include_str!("../../shaders/loss_sum.wgsl"),
        family: Family::Rows,
        operands: &[read("loss"), write("ledger"), write("history")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[super::LEDGER],
    };

    fn work(_: &Params) -> Work {
        // One workgroup with all its lanes on one row, whatever the number of losses: the order of the sum is fixed.
        Work::Rows { rows: 1, cols: 256 }
    }

    /// ledger[0] += Σ loss and ledger[2] += 1 if finite, moved into ledger[1] every 512 batches, else ledger[3] += 1;
    /// history[slot] = Σ loss;  ledger[6] += 1 when a new window begins after one that was not finite;  ledger[5] (+)= Σ loss.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [loss] = floats(reads);
        let [ledger, history] = written(writes);
        let total = F::sum(loss[..p.rows as usize].iter().copied());
        history[p.slot as usize] = total;
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
        ledger[word::WINDOW] = if p.accumulate != 0 {
            total + ledger[word::WINDOW]
        } else {
            if !ledger[word::WINDOW].value().is_finite() {
                ledger[word::REFUSED] += F::of(1.0);
            }
            total
        };
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: u64::from(p.rows),
            words: u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for rows in g.counts() {
            for accumulate in [0, 1] {
                let reads = vec![g.floats(rows)];
                let mut ledger = g.ledger();
                // Once the first sum is full after this batch.
                if let cases::Data::Floats(ledger) = &mut ledger {
                    ledger[word::BATCHES] += f32::from(accumulate as u8);
                }
                let writes = vec![ledger, g.untouched(5)];
                let slot = 4 * accumulate;
                let call = super::Call::LossSum(Params {
                    rows,
                    accumulate,
                    slot,
                });
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
