//! The update, a segment at a time.

use super::{Op, Plan};
use crate::config::activation::Activation;
use crate::config::optimizer::Rule;

impl Plan {
    /// One update a segment, at step `step` from 1, with gradients that were summed over rows that weigh so much together; before
    /// it, if the rule takes norms, the norm of the whole gradient.
    pub fn update(&self, rule: &Rule, step: u64, weight: f64) -> Vec<Op> {
        let grad_scale = self.criterion.batch_scale(weight);
        let segments = self.layout.segments.len();
        let optimizer = &rule.optimizer;
        let mut ops = Vec::new();
        if rule.takes_norms() {
            self.norm(rule.clip, grad_scale, &mut ops);
        }
        let updates = self.layout.segments.iter().enumerate().map(|(s, &len)| {
            let mut writes = vec![self.whole(self.weights + s, 0)];
            for slot in 0..optimizer.slots() {
                writes.push(self.whole(self.states + slot * segments + s, 0));
            }
            writes.push(self.ledger_view());
            Op::new(
                optimizer.call(len as u32, step, grad_scale, rule.clip),
                Activation::Identity,
                vec![self.whole(self.grads + s, 0)],
                writes,
            )
            .part_of(Self::part_number(segments, s))
        });
        ops.extend(updates);
        ops
    }
}
