//! The update, a segment at a time.

use super::{Op, Plan, View};
use crate::config::optimizer::Rule;
use crate::kernels::update;

impl Plan {
    /// One update a segment; before it, if the rule takes norms, the norm of the whole gradient.
    pub fn update(&self, rule: &Rule) -> Vec<Op> {
        let segments = self.layout.segments.len();
        let mut ops = Vec::new();
        if rule.takes_norms() {
            self.norm(rule.clip, &mut ops);
        }
        ops.extend(self.layout.segments.iter().enumerate().map(|(s, &len)| {
            let [state0, state1] = self.state(rule, s);
            let weight = self.whole(self.weights + s, 0);
            Op::new(
                update::Params::new(rule, len as u32),
                vec![self.whole(self.grads + s, 0)],
                vec![weight, state0, state1, self.ledger_view()],
            )
            .part_of(Self::part_number(segments, s))
        }));
        ops
    }

    /// The state of a segment; placeholders for what the optimiser has not.
    pub(super) fn state(&self, rule: &Rule, segment: usize) -> [View; 2] {
        let segments = self.layout.segments.len();
        let slots = rule.optimizer.slots();
        [(0, self.placeholder), (1, self.placeholder2)].map(|(slot, placeholder)| {
            let state = self.states + slot * segments + segment;
            self.whole(if slot < slots { state } else { placeholder }, 0)
        })
    }
}
