use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::activation::Activation;
use crate::scalar::Scalar;

params! {
    rows: u32,
    /// Add to the loss since the last update.
    accumulate: u32,
}

pub(crate) struct LossSum;

impl Twin for LossSum {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "loss_sum",
        source: include_str!("../../shaders/loss_sum.wgsl"),
        family: Family::Rows,
        operands: &[read("loss"), write("ledger")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
    };

    fn work(_: &Params) -> Work {
        // One workgroup with all its lanes on one row, whatever the number of losses: the order of the sum is fixed.
        Work::Rows { rows: 1, cols: 256 }
    }

    /// ledger[0] += Σ loss if finite, else ledger[1] += 1;  ledger[2] (+)= Σ loss;
    /// ledger[3] += 1 when a new sum begins after one that was not finite.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [loss] = floats(reads);
        let [ledger] = written(writes);
        let total = F::sum(loss[..p.rows as usize].iter().copied());
        if total.value().is_finite() {
            ledger[0] += total;
        } else {
            ledger[1] += F::of(1.0);
        }
        ledger[2] = if p.accumulate != 0 {
            total + ledger[2]
        } else {
            if !ledger[2].value().is_finite() {
                ledger[3] += F::of(1.0);
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
                let writes = vec![g.ledger()];
                let call = super::Call::LossSum(Params { rows, accumulate });
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
