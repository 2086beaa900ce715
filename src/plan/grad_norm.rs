//! The norm of a gradient.

use super::{Op, Plan, View};
use crate::config::activation::Activation;
use crate::config::optimizer::Clip;
use crate::kernels::{Call, grad_norm, grad_squares, part_length};

impl Plan {
    /// The norm of each of the latest gradients; the trainer knows which is where.
    pub fn norms_view(&self) -> View {
        self.whole(self.norms, 0)
    }

    /// The norm of the gradient: squares in parts, segment by segment, and then their sum.
    pub(super) fn norm(&self, clip: Clip, scale: f64, ops: &mut Vec<Op>) {
        let segments = self.layout.segments.len();
        let op = |call, reads, writes, part| {
            Op::new(call, Activation::Identity, reads, writes).part_of(part)
        };
        let mut first = 0;
        for (s, &len) in self.layout.segments.iter().enumerate() {
            let length = part_length(len);
            ops.push(op(
                Call::GradSquares(grad_squares::Params {
                    count: len as u32,
                    length: length as u32,
                    first,
                    scale,
                }),
                vec![self.whole(self.grads + s, 0)],
                vec![self.whole(self.squares, 0)],
                Self::part_number(segments, s),
            ));
            first += len.div_ceil(length) as u32;
        }
        ops.push(op(
            Call::GradNorm(grad_norm::Params {
                count: first,
                slot: 0,
                clip: u32::from(clip.norm.is_some()),
                max_norm: clip.norm.unwrap_or(0.0),
                scale,
            }),
            vec![self.whole(self.squares, 0)],
            vec![self.ledger_view(), self.norms_view()],
            None,
        ));
    }
}
