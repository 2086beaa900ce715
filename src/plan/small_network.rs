//! A step of a small network as one op.

use super::{HISTORY, Kind, Op, Plan, ResidentData};
use crate::config::activation::{Activation, Saved};
use crate::config::optimizer::Rule;
use crate::config::spec::Layer;
use crate::kernels::small_network::SmallNetworkSpec;
use crate::kernels::{Call, RowLoss, small_network};
use arrayvec::ArrayVec;

impl Plan {
    /// A step of the whole network as one op, where it is small and plain enough for that: parameters in one segment, one
    /// activation for all hidden layers whose derivative comes from its output, an identity output, rows without weights, no norms, and
    /// a loss that small_network computes. From the batch that was uploaded, or from data on the device; see [`Call::at`].
    pub fn small_network(
        &self,
        data: Option<&ResidentData>,
        rows: u32,
        room: u64,
        Kind { labels, weighted }: Kind,
        rule: &Rule,
    ) -> Option<Op> {
        let Rule {
            ref optimizer,
            clip,
            ..
        } = *rule;
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
        let call = self.criterion.call(&last.activation, rows, cols, labels);
        let (row_loss, row_scale) = match call {
            Call::SoftmaxCrossEntropy(p) if p.labels != 0 && p.share == 0.0 => {
                (RowLoss::CrossEntropy, 1.0)
            }
            Call::SquaredError(p) => (RowLoss::SquaredError, p.scale),
            _ => return None,
        };
        let mut widths = ArrayVec::<u32, { small_network::MAX_LAYERS + 1 }>::new();
        widths.push(self.network.inputs() as u32);
        widths.extend(layers.iter().map(|layer| layer.outputs as u32));
        let spec = SmallNetworkSpec {
            rows,
            widths: &widths,
            row_loss,
            row_scale,
            target_words: if labels { 1 } else { cols },
            format: data.map(|data| data.format),
            optimizer,
            clip,
            grad_scale: self.criterion.batch_scale(f64::from(rows)),
            count: self.layout.segments[0] as u32,
            history_length: HISTORY as u32,
        };
        let state = |slot: usize, placeholder: usize| {
            let buffer = if slot < optimizer.slots() {
                self.states + slot
            } else {
                placeholder
            };
            self.whole(buffer, 0)
        };
        let (x, order, targets) = match data {
            Some(data) => (data.x, data.order, data.targets),
            None => (
                self.x_view(room),
                self.whole(self.no_order, 0),
                self.targets_view(room),
            ),
        };
        Some(Op::new(
            spec.call(),
            phi,
            vec![x, order, targets],
            vec![
                self.whole(self.weights, 0),
                self.whole(self.grads, 0),
                state(0, self.placeholder),
                state(1, self.placeholder2),
                self.ledger_view(),
                self.history_view(),
            ],
        ))
    }
}
