//! The norm of a gradient.

use super::{Op, Plan, View};
use crate::config::optimizer::Clip;
use crate::kernels::{grad_norm, grad_squares, part_length};

impl Plan {
    /// The norm of each of the latest gradients; the trainer knows which is where.
    pub fn norms_view(&self) -> View {
        self.whole(self.norms, 0)
    }

    /// The norm of the gradient: squares in parts, segment by segment, and then their sum.
    pub(super) fn norm(&self, clip: Clip, ops: &mut Vec<Op>) {
        let segments = self.layout.segments.len();
        let squares = self.whole(self.squares, 0);
        let mut first = 0;
        for (s, &len) in self.layout.segments.iter().enumerate() {
            let length = part_length(len);
            let p = grad_squares::Params {
                count: len as u32,
                length: length as u32,
                first,
            };
            let op = Op::new(p, vec![self.whole(self.grads + s, 0)], vec![squares]);
            ops.push(op.part_of(Self::part_number(segments, s)));
            first += len.div_ceil(length) as u32;
        }
        let p = grad_norm::Params {
            count: first,
            clip: u32::from(clip.norm.is_some()),
            max_norm: clip.norm.unwrap_or(0.0),
        };
        let writes = vec![self.ledger_view(), self.norms_view()];
        ops.push(Op::new(p, vec![squares], writes));
    }
}
