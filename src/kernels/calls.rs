//! What a user says of the optimiser and the loss, as calls of their kernels.

use super::{
    Call, adam, binary_cross_entropy, cross_entropy, huber, momentum, rmsprop, sgd,
    softmax_cross_entropy, squared_error,
};
use crate::config::activation::Activation;
use crate::config::loss::{Criterion, Loss};
use crate::config::optimizer::{Clip, Optimizer};

impl Optimizer {
    /// The kernel that updates a segment of `count` parameters at step `step` (from 1).
    pub(crate) fn call(&self, count: u32, step: u64, grad_scale: f64, clip: Clip) -> Call {
        let scale_from_ledger = u32::from(clip.norm.is_some());
        let clip_value = clip.value.unwrap_or(0.0);
        // Beyond 2³² steps both corrections have long been 1.
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        let adam_call = |lr: f64, betas: (f64, f64), eps, l1, l2, shrink| {
            // At least −104, where e^x is nothing beside 1: ln 0 is no number for a GPU.
            let ln = |beta: f64| beta.ln().max(-104.0);
            Call::Adam(adam::Params {
                count,
                step,
                lr,
                beta1: betas.0,
                ln_beta1: ln(betas.0),
                one_minus_beta1: 1.0 - betas.0,
                beta2: betas.1,
                ln_beta2: ln(betas.1),
                one_minus_beta2: 1.0 - betas.1,
                eps,
                l2,
                shrink,
                grad_scale,
                scale_from_ledger,
                l1,
                clip_value,
            })
        };
        match *self {
            Optimizer::Sgd(c) if c.momentum == 0.0 => Call::Sgd(sgd::Params {
                count,
                lr: c.lr,
                weight_decay: c.weight_decay,
                grad_scale,
                scale_from_ledger,
                l1: c.l1,
                clip_value,
            }),
            Optimizer::Sgd(c) => Call::Momentum(momentum::Params {
                count,
                lr: c.lr,
                momentum: c.momentum,
                one_minus_dampening: 1.0 - c.dampening,
                weight_decay: c.weight_decay,
                grad_scale,
                scale_from_ledger,
                l1: c.l1,
                clip_value,
                nesterov: u32::from(c.nesterov),
                step,
            }),
            Optimizer::RmsProp(c) => Call::RmsProp(rmsprop::Params {
                count,
                lr: c.lr,
                alpha: c.alpha,
                one_minus_alpha: 1.0 - c.alpha,
                eps: c.eps,
                weight_decay: c.weight_decay,
                grad_scale,
                scale_from_ledger,
                l1: c.l1,
                clip_value,
            }),
            Optimizer::Adam(c) => adam_call(c.lr, c.betas, c.eps, c.l1, c.weight_decay, 1.0),
            Optimizer::AdamW(c) => {
                adam_call(c.lr, c.betas, c.eps, c.l1, 0.0, 1.0 - c.lr * c.weight_decay)
            }
        }
    }
}

impl Criterion {
    /// The kernel that writes each row's loss and δ.
    pub(crate) fn call(&self, last: &Activation, rows: u32, cols: u32, labels: bool) -> Call {
        let scale = self.row_scale(cols as usize);
        let labels = u32::from(labels);
        let entropy = u32::from(self.loss == Loss::KlDivergence);
        match self.loss {
            Loss::SquaredError | Loss::Mse => {
                Call::SquaredError(squared_error::Params { rows, cols, scale })
            }
            Loss::Huber { delta } => Call::Huber(huber::Params {
                rows,
                cols,
                scale,
                threshold: delta,
            }),
            Loss::BinaryCrossEntropy => {
                Call::BinaryCrossEntropy(binary_cross_entropy::Params { rows, cols, scale })
            }
            _ if self.loss.takes_logits(last) => {
                Call::SoftmaxCrossEntropy(softmax_cross_entropy::Params {
                    rows,
                    cols,
                    labels,
                    // ln 1 = 0: class indices have no entropy.
                    entropy: entropy * (1 - labels),
                    keep: 1.0 - self.label_smoothing,
                    share: self.label_smoothing / f64::from(cols),
                })
            }
            Loss::CrossEntropy | Loss::OutputCrossEntropy | Loss::KlDivergence => {
                Call::CrossEntropy(cross_entropy::Params {
                    rows,
                    cols,
                    labels,
                    entropy: entropy * (1 - labels),
                })
            }
        }
    }
}
