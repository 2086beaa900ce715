//! A step of a small network as one op.

use super::{HISTORY, Op, Plan, ResidentData, RowKind};
use crate::config::activation::{Activation, Saved};
use crate::config::optimizer::Rule;
use crate::config::spec::Layer;
use crate::kernels::{row_loss, small_network, update};
use arrayvec::ArrayVec;

impl Plan {
    /// A step of the whole network as one op, where it is small and plain enough for that: parameters in one segment, one
    /// activation for all hidden layers whose derivative comes from its output, an identity output, rows without weights, and no
    /// norms. From the batch that was uploaded, or from data on the device.
    pub fn small_network(
        &self,
        data: Option<&ResidentData>,
        rows: u32,
        room: u64,
        RowKind { labels, weighted }: RowKind,
        rule: &Rule,
    ) -> Option<Op> {
        if weighted || rule.takes_norms() {
            return None;
        }
        let layers = self.network.layers();
        let (last, hidden) = layers.split_last()?;
        let whole =
            self.layout.segments.len() == 1 && self.layout.layers.iter().all(|p| p.len() == 1);
        let phi = hidden
            .first()
            .map_or(Activation::Identity, |l| l.activation.clone());
        let changed = |layer: &Layer| layer.norm.is_some() || layer.residual || layer.drops();
        let plain = !layers.iter().any(changed)
            && last.activation == Activation::Identity
            && phi.saved() == Saved::Output
            && hidden.iter().all(|layer| layer.activation == phi);
        if !whole || !plain || layers.len() > small_network::MAX_LAYERS {
            return None;
        }
        let cols = last.outputs as u32;
        let mut widths = ArrayVec::<u32, { small_network::MAX_LAYERS + 1 }>::new();
        widths.push(self.network.inputs() as u32);
        widths.extend(layers.iter().map(|layer| layer.outputs as u32));
        let p = small_network::Params::new(
            &widths,
            data.map(|data| data.format),
            row_loss::Params::new(&self.criterion, &last.activation, rows, cols, labels),
            update::Params::new(rule, self.layout.segments[0] as u32),
            HISTORY as u32,
        );
        let [state0, state1] = self.state(rule, 0);
        let (x, order, targets) = match data {
            Some(data) => (data.x, data.order, data.targets),
            None => (
                self.x_view(room),
                self.whole(self.no_order, 0),
                self.targets_view(room),
            ),
        };
        let op = Op::new(
            p,
            vec![x, order, targets],
            vec![
                self.whole(self.weights, 0),
                self.whole(self.grads, 0),
                state0,
                state1,
                self.ledger_view(),
                self.history_view(),
            ],
        );
        Some(op.through(&phi))
    }
}
