mod cases;

use super::cases::{Case, Generator};
use super::{
    Call, Cost, Family, Format, Kernel, ParamsStruct, Read, RowLoss, Twin, Update, Work, batch_rows,
    dense_backward_input, dense_backward_params, dense_forward, loss_sum, read_words, write,
    written,
};
use crate::config::activation::Activation;
use crate::config::optimizer::{Clip, Optimizer};
use crate::number::scalar::Scalar;

mod uniform {
params! {
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
    /// Place in the order of the first batch's first row.
    start: u32,
    /// Of data on the device as u8.
    scale: f64,
    /// Words of a row's targets.
    target_words: u32,
    /// On each row's loss: 1, or 1/cols for a mean over elements.
    row_scale: f64,
    steps: u32,
    /// Of the first step, from 1, refused steps included.
    step: u32,
    /// The first batch's place in the history.
    slot: u32,
    history_length: u32,
    /// Elements of the segment.
    count: u32,
    lr: f64,
    grad_scale: f64,
    weight_decay: f64,
    momentum: f64,
    one_minus_dampening: f64,
    nesterov: u32,
    alpha: f64,
    one_minus_alpha: f64,
    beta1: f64,
    ln_beta1: f64,
    one_minus_beta1: f64,
    beta2: f64,
    ln_beta2: f64,
    one_minus_beta2: f64,
    eps: f64,
    l2: f64,
    shrink: f64,
    l1: f64,
    clip_value: f64,
}
}
pub(crate) use uniform::Params as Uniform;

/// Layers that the kernel can have.
pub(crate) const MAX_LAYERS: usize = 8;

/// What the kernel computes, from which its parameters and its text follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SmallNetworkSpec<'a> {
    pub rows: u32,
    /// Inputs, then each layer's outputs.
    pub widths: &'a [u32],
    pub row_loss: RowLoss,
    pub row_scale: f64,
    pub target_words: u32,
    pub format: Option<Format>,
    pub optimizer: &'a Optimizer,
    /// By value only: a norm takes all workgroups.
    pub clip: Clip,
    pub grad_scale: f64,
    /// Elements of the segment.
    pub count: u32,
    pub history_length: u32,
}

/// A call with the variant of its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Params {
    pub uniform: Uniform,
    pub update: Update,
    pub row_loss: RowLoss,
}

/// Elements of a tensor with its padding: tensors begin on multiples of 64.
fn padded(count: u32) -> u32 {
    count.next_multiple_of(64)
}

impl SmallNetworkSpec<'_> {
    /// The call of one step.
    pub fn call(&self) -> Call {
        let width = |i: usize| self.widths.get(i).copied().unwrap_or(0);
        let mut p = Uniform {
            rows: self.rows,
            layers: self.widths.len() as u32 - 1,
            width0: width(0),
            width1: width(1),
            width2: width(2),
            width3: width(3),
            width4: width(4),
            width5: width(5),
            width6: width(6),
            width7: width(7),
            width8: width(8),
            format: self.format.map_or(0, Format::code),
            start: 0,
            scale: self.format.map_or(1.0, Format::scale),
            target_words: self.target_words,
            row_scale: self.row_scale,
            steps: 1,
            step: 1,
            slot: 0,
            history_length: self.history_length,
            count: self.count,
            lr: 0.0,
            grad_scale: self.grad_scale,
            weight_decay: 0.0,
            momentum: 0.0,
            one_minus_dampening: 0.0,
            nesterov: 0,
            alpha: 0.0,
            one_minus_alpha: 0.0,
            beta1: 0.0,
            ln_beta1: 0.0,
            one_minus_beta1: 0.0,
            beta2: 0.0,
            ln_beta2: 0.0,
            one_minus_beta2: 0.0,
            eps: 0.0,
            l2: 0.0,
            shrink: 0.0,
            l1: 0.0,
            clip_value: 0.0,
        };
        let update = match self.optimizer.call(self.count, 1, self.grad_scale, self.clip) {
            Call::Sgd(u) => {
                (p.l1, p.clip_value) = (u.l1, u.clip_value);
                (p.lr, p.weight_decay) = (u.lr, u.weight_decay);
                Update::Sgd
            }
            Call::Momentum(u) => {
                (p.l1, p.clip_value) = (u.l1, u.clip_value);
                (p.lr, p.weight_decay, p.momentum) = (u.lr, u.weight_decay, u.momentum);
                (p.one_minus_dampening, p.nesterov) = (u.one_minus_dampening, u.nesterov);
                Update::Momentum
            }
            Call::RmsProp(u) => {
                (p.l1, p.clip_value) = (u.l1, u.clip_value);
                (p.lr, p.weight_decay, p.eps) = (u.lr, u.weight_decay, u.eps);
                (p.alpha, p.one_minus_alpha) = (u.alpha, u.one_minus_alpha);
                Update::RmsProp
            }
            Call::Adam(u) => {
                (p.l1, p.clip_value) = (u.l1, u.clip_value);
                (p.lr, p.eps, p.l2, p.shrink) = (u.lr, u.eps, u.l2, u.shrink);
                (p.beta1, p.ln_beta1, p.one_minus_beta1) = (u.beta1, u.ln_beta1, u.one_minus_beta1);
                (p.beta2, p.ln_beta2, p.one_minus_beta2) = (u.beta2, u.ln_beta2, u.one_minus_beta2);
                Update::Adam
            }
            other => unreachable!("{other:?} is no update"),
        };
        Call::SmallNetwork(Params {
            uniform: p,
            update,
            row_loss: self.row_loss,
        })
    }
}

impl Uniform {
    pub fn widths(&self) -> Vec<u32> {
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

    /// Elements of workgroup memory that activations take; no more than no adapter has.
    pub fn values(&self) -> u32 {
        let columns: u64 = self.widths().iter().copied().map(u64::from).sum();
        let values = columns.saturating_mul(u64::from(self.rows) + 1);
        values.min(1 << 28) as u32
    }

    /// Iterations of all loops that one invocation makes in a step, about; for drivers that stop loops.
    pub fn iterations(&self) -> u64 {
        let rounds = |items: u32| u64::from(items.div_ceil(256));
        let rows = self.rows;
        let widths = self.widths();
        let mut sum = rounds(rows * self.width0) + rounds(self.count) + 16;
        for pair in widths.windows(2) {
            let (inputs, outputs) = (pair[0], pair[1]);
            sum += rounds(rows * outputs.div_ceil(4)) * (u64::from(inputs) + 6);
            sum += rounds((inputs + 1) * outputs.div_ceil(4)) * (u64::from(rows) + 6);
            sum += rounds(rows * inputs.div_ceil(4)) * (u64::from(outputs) + 6);
        }
        sum + rounds(rows) * (3 * u64::from(widths[widths.len() - 1]) + 2)
    }

    /// The optimiser's own call.
    fn update(&self, update: Update, step: u32) -> Call {
        
        match update {
            Update::Sgd => Call::Sgd(super::sgd::Params {
                count: self.count,
                lr: self.lr,
                weight_decay: self.weight_decay,
                grad_scale: self.grad_scale,
                scale_from_ledger: 0,
                l1: self.l1,
                clip_value: self.clip_value,
            }),
            Update::Momentum => Call::Momentum(super::momentum::Params {
                count: self.count,
                lr: self.lr,
                momentum: self.momentum,
                one_minus_dampening: self.one_minus_dampening,
                weight_decay: self.weight_decay,
                grad_scale: self.grad_scale,
                scale_from_ledger: 0,
                l1: self.l1,
                clip_value: self.clip_value,
                nesterov: self.nesterov,
                step,
            }),
            Update::RmsProp => Call::RmsProp(super::rmsprop::Params {
                count: self.count,
                lr: self.lr,
                alpha: self.alpha,
                one_minus_alpha: self.one_minus_alpha,
                eps: self.eps,
                weight_decay: self.weight_decay,
                grad_scale: self.grad_scale,
                scale_from_ledger: 0,
                l1: self.l1,
                clip_value: self.clip_value,
            }),
            Update::Adam => Call::Adam(super::adam::Params {
                count: self.count,
                step,
                lr: self.lr,
                beta1: self.beta1,
                ln_beta1: self.ln_beta1,
                one_minus_beta1: self.one_minus_beta1,
                beta2: self.beta2,
                ln_beta2: self.ln_beta2,
                one_minus_beta2: self.one_minus_beta2,
                eps: self.eps,
                l2: self.l2,
                shrink: self.shrink,
                grad_scale: self.grad_scale,
                scale_from_ledger: 0,
                l1: self.l1,
                clip_value: self.clip_value,
            }),
        }
    }
}

impl ParamsStruct for Params {
    const FIELDS: &'static [(&'static str, super::Field)] = <Uniform as ParamsStruct>::FIELDS;

    fn words(&self, out: &mut Vec<u32>) {
        self.uniform.words(out);
    }

    fn as_device(&self) -> Self {
        Self {
            uniform: self.uniform.as_device(),
            ..*self
        }
    }
}

pub(crate) struct SmallNetwork;

impl Twin for SmallNetwork {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "small_network",
        source: include_str!("../../shaders/small_network.wgsl"),
        family: Family::Network,
        operands: &[
            read_words("data"),
            read_words("order"),
            read_words("targets"),
            write("weight"),
            write("grad"),
            write("state0"),
            write("state1"),
            write("ledger"),
            write("history"),
        ],
        params: <Uniform as ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[super::LEDGER, super::UPDATE_GRADIENT],
    };

    fn work(p: &Params) -> Work {
        Work::Network {
            values: p.uniform.values(),
        }
    }

    fn network(p: &Params) -> Option<(Update, RowLoss)> {
        Some((p.update, p.row_loss))
    }

    /// `steps` times the twins of the plan's kernels, one after the other.
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let (update, row_loss, p) = (p.update, p.row_loss, &p.uniform);
        let [data, order, targets] = reads else {
            unreachable!("operands of another kernel")
        };
        let [weight, grad, state0, state1, ledger, history] = written(writes);
        let widths = p.widths();
        let rows = p.rows as usize;
        let zeros = |n: u32| vec![F::of(0.0); n as usize];
        for s in 0..p.steps {
            let start = p.start + s * p.rows;
            let as_floats;
            let x = match (p.format, data) {
                // A batch's numbers come by their bits.
                (0, Read::Words(words)) => {
                    as_floats = words
                        .iter()
                        .map(|w| F::of(f64::from(f32::from_bits(*w))))
                        .collect::<Vec<F>>();
                    (&as_floats[..]).into()
                }
                (format, data) => {
                    let size = (rows, p.width0 as usize);
                    batch_rows(data, order, format, start, size, p.scale)
                }
            };
            let row_of = |r: usize| match (p.format, order) {
                (0, _) => r,
                (_, Read::Words(order)) => order[start as usize + r] as usize,
                _ => unreachable!("an order holds words"),
            };
            let target = |r: usize, c: usize| {
                let at = row_of(r) * p.target_words as usize + c;
                match targets {
                    Read::Words(words) => words[at],
                    Read::Floats(_) => unreachable!("targets come by their bits"),
                }
            };
            // Activations of every layer, and where its tensors lie.
            let mut activations = vec![x.to_vec()];
            let mut places = Vec::new();
            let mut at = 0;
            let identity = Activation::Identity;
            for (l, pair) in widths.windows(2).enumerate() {
                let (inputs, outputs) = (pair[0], pair[1]);
                let bias = at + padded(inputs * outputs);
                places.push((at as usize, bias as usize));
                at = bias + padded(outputs);
                let call = Call::DenseForward(dense_forward::Params::whole(p.rows, inputs, outputs));
                let mut a = zeros(p.rows * outputs);
                let last = l + 2 == widths.len();
                let reads = [
                    Read::Floats(&activations[l][..]),
                    Read::Words(&[]),
                    Read::Floats(&weight[places[l].0..]),
                    Read::Floats(&weight[places[l].1..][..outputs as usize]),
                ];
                call.run_twin(
                    if last { &identity } else { phi },
                    &reads,
                    &mut [&mut [], &mut a],
                );
                activations.push(a);
            }
            let cols = widths[widths.len() - 1];
            let mut losses = zeros(p.rows);
            let mut delta = zeros(p.rows * cols);
            let output = &activations[activations.len() - 1][..];
            match row_loss {
                RowLoss::CrossEntropy => {
                    let labels: Vec<u32> = (0..rows).map(|r| target(r, 0)).collect();
                    let call = Call::SoftmaxCrossEntropy(super::softmax_cross_entropy::Params {
                        rows: p.rows,
                        cols,
                        labels: 1,
                        entropy: 0,
                        keep: 1.0,
                        share: 0.0,
                    });
                    let reads = [Read::Floats(output), Read::Words(&labels)];
                    call.run_twin(&identity, &reads, &mut [&mut losses, &mut delta]);
                }
                RowLoss::SquaredError => {
                    let places = (0..rows).flat_map(|r| (0..cols as usize).map(move |c| (r, c)));
                    let values: Vec<F> = places
                        .map(|(r, c)| F::of(f64::from(f32::from_bits(target(r, c)))))
                        .collect();
                    let call = Call::SquaredError(super::squared_error::Params {
                        rows: p.rows,
                        cols,
                        scale: p.row_scale,
                    });
                    let reads = [
                        Read::Floats(output),
                        Read::Floats(output),
                        Read::Floats(&values),
                    ];
                    call.run_twin(&identity, &reads, &mut [&mut losses, &mut delta]);
                }
            }
            let call = Call::LossSum(loss_sum::Params {
                rows: p.rows,
                accumulate: 0,
                slot: (p.slot + s) % p.history_length,
            });
            call.run_twin(
                &identity,
                &[Read::Floats(&losses)],
                &mut [&mut **ledger, &mut **history],
            );
            for l in (0..places.len()).rev() {
                let (inputs, outputs) = (widths[l], widths[l + 1]);
                let (weight_at, bias_at) = places[l];
                let call = Call::DenseBackwardParams(dense_backward_params::Params::whole(p.rows, inputs, outputs));
                let (of_weight, of_bias) = grad.split_at_mut(bias_at);
                let size = (inputs * outputs) as usize;
                call.run_twin(
                    &identity,
                    &[
                        Read::Floats(&delta),
                        Read::Floats(&activations[l]),
                        Read::Words(&[]),
                    ],
                    &mut [
                        &mut of_weight[weight_at..][..size],
                        &mut of_bias[..outputs as usize],
                    ],
                );
                if l > 0 {
                    let call = Call::DenseBackwardInput(dense_backward_input::Params::whole(p.rows, inputs, outputs));
                    let mut before = zeros(p.rows * inputs);
                    call.run_twin(
                        phi,
                        &[
                            Read::Floats(&delta),
                            Read::Floats(&weight[weight_at..][..size]),
                            Read::Floats(&activations[l]),
                        ],
                        &mut [&mut before],
                    );
                    delta = before;
                }
            }
            let call = p.update(update, p.step + s);
            let reads = [Read::Floats(&grad[..])];
            let (weight, ledger) = (&mut **weight, &mut **ledger);
            match update {
                Update::Sgd => call.run_twin(&identity, &reads, &mut [weight, ledger]),
                Update::Momentum | Update::RmsProp => {
                    call.run_twin(&identity, &reads, &mut [weight, &mut **state0, ledger]);
                }
                Update::Adam => call.run_twin(
                    &identity,
                    &reads,
                    &mut [weight, &mut **state0, &mut **state1, ledger],
                ),
            }
        }
    }

    fn cost(p: &Params) -> Cost {
        let p = &p.uniform;
        let products: u64 = p
            .widths()
            .windows(2)
            .map(|pair| u64::from(pair[0]) * u64::from(pair[1]))
            .sum();
        let (rows, steps) = (u64::from(p.rows), u64::from(p.steps));
        Cost {
            flops: steps * 6 * rows * products,
            words: steps * (rows * u64::from(p.width0 + p.target_words) + 4 * u64::from(p.count)),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        cases::cases(g)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::optimizer::Sgd;

    #[test]
    fn a_network_too_large_for_u32_takes_more_memory_than_any_adapter_has() {
        let spec = SmallNetworkSpec {
            rows: 1 << 20,
            widths: &[4096, 4096],
            row_loss: RowLoss::SquaredError,
            row_scale: 1.0,
            target_words: 4096,
            format: None,
            optimizer: &Sgd::default().into(),
            clip: Clip::default(),
            grad_scale: 1.0,
            count: 1 << 24,
            history_length: 7,
        };
        let Work::Network { values } = spec.call().work() else {
            panic!("a network's work");
        };
        assert!(crate::kernels::network_memory(values) >= 1 << 30);
    }
}
