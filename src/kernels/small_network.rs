mod cases;

use super::cases::{Case, Generator};
use super::{
    Format, LEDGER, Read, StepAt, Twin, UPDATE_ELEMENT, Work, area, batch_rows, declare,
    dense_backward_input, dense_backward_params, dense_forward, loss_sum, row_elements, row_loss,
    update, word,
};
use crate::config::activation::Activation;
use crate::config::row_loss::LossFormula;
use crate::config::update::UpdateFormula;
use crate::number::scalar::Scalar;

declare! {
    "small_network" in Network, work: |p| Work::Network { values: p.values() };
    params {
        rows: u32,
        layers: u32,
        /// Inputs, then each layer's outputs; 0 beyond the last.
        width0: u32,
        width1: u32,
        width2: u32,
        width3: u32,
        width4: u32,
        width5: u32,
        width6: u32,
        width7: u32,
        width8: u32,
        /// Of data on the device; 0 for a batch.
        format: u32,
        /// Of data on the device as u8.
        scale: f64,
        /// Targets are a class index a row, else a row of numbers.
        labels: u32,
        history_length: u32,
        /// Elements of the segment.
        count: u32,
        l2: f64,
        l1: f64,
        /// Limit of an element of the gradient, or 0.
        clip_value: f64,
    }
    formulas { update: UpdateFormula, loss: LossFormula }
    step { step: u32, steps: u32, start: u32, slot: u32, grad_scale: f64, lr: f64, shrink: f64 }
    reads {
        data: any[p.rows, row_elements(p.format, p.width0)],
        order: u32[p.rows],
        targets: any[p.rows, p.target_words()],
    }
    writes {
        weight: f32[p.count],
        grad: f32[p.count],
        state0: f32[p.update.states().min(1) as u32, p.count],
        state1: f32[p.update.states().saturating_sub(1) as u32, p.count],
        ledger: f32[word::COUNT as u32],
        history: f32[p.history_length],
    }
}

/// Layers that the kernel can have.
pub(crate) const MAX_LAYERS: usize = 8;

/// Elements of a tensor with its padding: tensors begin on multiples of 64.
fn padded(count: u32) -> u32 {
    count.next_multiple_of(64)
}

impl Params {
    /// A network of these widths, inputs first, with the loss of its output and the update of its one segment. A norm would take
    /// all workgroups: the update has none.
    pub fn new(
        widths: &[u32],
        format: Option<Format>,
        loss: row_loss::Params,
        update: update::Params,
        history_length: u32,
    ) -> Self {
        let width = |i: usize| widths.get(i).copied().unwrap_or(0);
        Self {
            rows: loss.rows,
            layers: widths.len() as u32 - 1,
            width0: width(0),
            width1: width(1),
            width2: width(2),
            width3: width(3),
            width4: width(4),
            width5: width(5),
            width6: width(6),
            width7: width(7),
            width8: width(8),
            format: format.map_or(0, Format::code),
            scale: format.map_or(1.0, Format::scale),
            labels: loss.labels,
            history_length,
            count: update.count,
            l2: update.l2,
            l1: update.l1,
            clip_value: update.clip_value,
            update: update.formula,
            loss: loss.formula,
        }
    }

    fn widths(&self) -> Vec<u32> {
        let all = [
            self.width0,
            self.width1,
            self.width2,
            self.width3,
            self.width4,
            self.width5,
            self.width6,
            self.width7,
            self.width8,
        ];
        all[..=self.layers as usize].to_vec()
    }

    /// Outputs of the last layer.
    fn outputs(&self) -> u32 {
        self.widths()[self.layers as usize]
    }

    /// Words of a row's targets.
    fn target_words(&self) -> u32 {
        if self.labels == 0 { self.outputs() } else { 1 }
    }

    /// Elements of workgroup memory that activations take; no more than no adapter has.
    fn values(&self) -> u32 {
        let columns: u64 = self.widths().iter().copied().map(u64::from).sum();
        let values = columns.saturating_mul(u64::from(self.rows) + 1);
        values.min(1 << 28) as u32
    }

    /// Iterations of all loops that one invocation makes in a step, about; for drivers that stop loops.
    pub fn iterations(&self) -> u64 {
        let rounds = |items: u32| u64::from(items.div_ceil(256));
        let rows = self.rows;
        let mut sum = rounds(rows * self.width0) + rounds(self.count) + 16;
        for pair in self.widths().windows(2) {
            let (inputs, outputs) = (pair[0], pair[1]);
            sum += rounds(rows * outputs.div_ceil(4)) * (u64::from(inputs) + 6);
            sum += rounds((inputs + 1) * outputs.div_ceil(4)) * (u64::from(rows) + 6);
            sum += rounds(rows * inputs.div_ceil(4)) * (u64::from(outputs) + 6);
        }
        sum + rounds(rows) * (3 * u64::from(self.outputs()) + 2)
    }
}

/// Numbers that come by their bits.
fn as_numbers<F: Scalar>(words: &[u32]) -> Vec<F> {
    let number = |word: &u32| F::of(f64::from(f32::from_bits(*word)));
    words.iter().map(number).collect()
}

impl Twin for Params {
    const ACTIVATION: bool = true;
    const SHARED: &'static [&'static str] = &[LEDGER, UPDATE_ELEMENT];

    /// `steps` times the twins of the plan's kernels, one after the other.
    fn run<F: Scalar>(&self, at: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            data,
            order,
            targets,
            weight,
            grad,
            state0,
            state1,
            ledger,
            history,
        } = operands;
        let widths = self.widths();
        let (rows, outputs) = (self.rows, self.outputs());
        let zeros = |n: u32| vec![F::of(0.0); n as usize];
        let identity = Activation::Identity;
        for s in 0..at.steps {
            let start = at.start + s * rows;
            let step = StepAt {
                step: at.step + s,
                slot: (at.slot + s) % self.history_length,
                grad_scale: at.grad_scale,
                lr: at.lr,
                shrink: at.shrink,
                ..StepAt::default()
            };
            let x = match self.format {
                0 => as_numbers(data.words()),
                format => {
                    let size = (rows as usize, self.width0 as usize);
                    batch_rows(data, order, format, start, size, self.scale)
                }
            };
            // Activations of every layer, and where its tensors lie.
            let mut activations = vec![x];
            let mut places = Vec::new();
            let mut place = 0;
            for (l, pair) in widths.windows(2).enumerate() {
                let (inputs, outputs) = (pair[0], pair[1]);
                let bias = place + padded(inputs * outputs);
                places.push((place as usize, bias as usize));
                place = bias + padded(outputs);
                let mut a = zeros(rows * outputs);
                let last = l + 2 == widths.len();
                dense_forward::Params::whole(rows, inputs, outputs).run(
                    step.into(),
                    if last { &identity } else { phi },
                    dense_forward::Operands {
                        x: &activations[l],
                        weight: &weight[places[l].0..],
                        bias: &weight[places[l].1..][..outputs as usize],
                        z: &mut [],
                        a: &mut a,
                    },
                );
                activations.push(a);
            }
            let words: Vec<u32> = (0..rows)
                .flat_map(|r| {
                    let row = match self.format {
                        0 => r,
                        _ => order[(start + r) as usize],
                    };
                    let row = row * self.target_words()..(row + 1) * self.target_words();
                    &targets.words()[row.start as usize..row.end as usize]
                })
                .copied()
                .collect();
            let numbers: Vec<F>;
            let t = if self.labels == 0 {
                numbers = as_numbers(&words);
                Read::Floats(&numbers[..])
            } else {
                Read::Words(&words[..])
            };
            let mut losses = zeros(rows);
            let mut delta = zeros(rows * outputs);
            let output = &activations[activations.len() - 1][..];
            let of_rows = row_loss::Params {
                rows,
                cols: outputs,
                labels: self.labels,
                formula: self.loss,
            };
            of_rows.run(
                step.into(),
                &identity,
                row_loss::Operands {
                    a: output,
                    saved: output,
                    t,
                    loss: &mut losses,
                    delta: &mut delta,
                },
            );
            let sum = loss_sum::Params {
                rows,
                accumulate: 0,
            };
            sum.run(
                step.into(),
                &identity,
                loss_sum::Operands {
                    loss: &losses,
                    ledger: &mut *ledger,
                    history: &mut *history,
                },
            );
            for l in (0..places.len()).rev() {
                let (inputs, outputs) = (widths[l], widths[l + 1]);
                let (weight_at, bias_at) = places[l];
                let (of_weight, of_bias) = grad.split_at_mut(bias_at);
                let size = (inputs * outputs) as usize;
                dense_backward_params::Params::whole(rows, inputs, outputs).run(
                    step.into(),
                    &identity,
                    dense_backward_params::Operands {
                        delta: &delta,
                        x: &activations[l],
                        grad_weight: &mut of_weight[weight_at..][..size],
                        grad_bias: &mut of_bias[..outputs as usize],
                    },
                );
                if l > 0 {
                    let mut before = zeros(rows * inputs);
                    dense_backward_input::Params::whole(rows, inputs, outputs).run(
                        step.into(),
                        phi,
                        dense_backward_input::Operands {
                            delta: &delta,
                            weight: &weight[weight_at..][..size],
                            saved: &activations[l],
                            delta_in: &mut before,
                        },
                    );
                    delta = before;
                }
            }
            let update = update::Params {
                count: self.count,
                l2: self.l2,
                l1: self.l1,
                clip_value: self.clip_value,
                scale_from_ledger: 0,
                formula: self.update,
            };
            update.run(
                step.into(),
                &identity,
                update::Operands {
                    grad: &*grad,
                    weight: &mut *weight,
                    state0: &mut *state0,
                    state1: &mut *state1,
                    ledger: &mut *ledger,
                },
            );
        }
    }

    /// Of one step.
    fn flops(&self) -> u64 {
        let widths = self.widths();
        let products: u64 = widths.windows(2).map(|pair| area(pair[0], pair[1])).sum();
        6 * u64::from(self.rows) * products
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        cases::cases(g)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::loss::Loss;
    use crate::config::optimizer::{Optimizer, Sgd};
    use crate::kernels::declare::Declared;

    #[test]
    fn a_network_too_large_for_u32_takes_more_memory_than_any_adapter_has() {
        let optimizer = Optimizer::from(Sgd::default());
        let loss = Loss::Mse.into();
        let loss = row_loss::Params::new(&loss, &Activation::Identity, 1 << 20, 4096, false);
        let update = update::Params::new(&optimizer.into(), 1 << 24);
        let p = Params::new(&[4096; 2], None, loss, update, 7);
        let Work::Network { values } = Declared::work(&p) else {
            panic!("a network's work");
        };
        assert!(crate::kernels::network_memory(values) >= 1 << 30);
    }
}
