//! Where things are: the views of buffers that executors upload to and read.

use super::{Plan, View};
use crate::config::tensor::Tensors;

impl Plan {
    /// Where each part of the parameters goes.
    pub fn placed<'a, T>(&self, tensors: &'a Tensors<T>) -> Vec<(View, &'a [T])> {
        let mut parts = Vec::new();
        for (tensor, panels) in tensors.iter().zip(self.parameter_views(false)) {
            let mut rest = &tensor.data[..];
            for view in panels {
                let (part, others) = rest.split_at(view.len as usize);
                parts.push((view, part));
                rest = others;
            }
        }
        parts
    }

    /// The batch's inputs.
    pub fn x_view(&self, room: u64) -> View {
        self.whole(self.x, room)
    }

    /// The batch's targets.
    pub fn targets_view(&self, room: u64) -> View {
        self.whole(self.targets, room)
    }

    /// The weights of the batch's rows.
    pub fn row_weights_view(&self, room: u64) -> View {
        self.whole(self.row_weights, room)
    }

    /// The network's output.
    pub fn output_view(&self, room: u64) -> View {
        self.whole(self.layers[self.layers.len() - 1].h, room)
    }

    /// The running statistics in the order of [`Mlp::buffers`].
    pub fn running_views(&self) -> Vec<View> {
        let layers = self.layers.iter();
        let running = layers.filter_map(|buffers| buffers.norm?.running);
        running
            .flat_map(|running| {
                let whole = self.whole(running, 0);
                let len = whole.len / 2;
                [0, len].map(|offset| View {
                    offset,
                    len,
                    ..whole
                })
            })
            .collect()
    }

    /// Each row's loss.
    pub fn losses_view(&self, room: u64) -> View {
        self.whole(self.losses, room)
    }

    /// Running sums of the loss; see shaders/loss_sum.wgsl.
    pub fn ledger_view(&self) -> View {
        self.whole(self.ledger, 0)
    }

    /// The loss of each of the latest batches, batch b at b mod [`HISTORY`], summed over its rows.
    pub fn history_view(&self) -> View {
        self.whole(self.history, 0)
    }

    /// The panels of each tensor in the order of [`Mlp::tensors`]: weights, or gradients.
    pub fn parameter_views(&self, grads: bool) -> Vec<Vec<View>> {
        self.views_in(if grads { self.grads } else { self.weights })
    }

    /// The panels of each tensor's share of a slot of the optimiser's state, in the same order.
    pub fn state_views(&self, slot: usize) -> Vec<Vec<View>> {
        self.views_in(self.states + slot * self.layout.segments.len())
    }

    pub(super) fn views_in(&self, first: usize) -> Vec<Vec<View>> {
        let layers = self.layout.layers.iter().zip(&self.layout.norms);
        layers
            .flat_map(|(panels, norm)| {
                let weight = panels.iter().map(|p| Self::slot(first, p.weight)).collect();
                let bias = panels.iter().map(|p| Self::slot(first, p.bias)).collect();
                let norm = norm.iter().flatten();
                let norm = norm.map(|slot| vec![Self::slot(first, *slot)]);
                [weight, bias].into_iter().chain(norm)
            })
            .collect()
    }

    /// All parameters, segment by segment.
    pub fn weight_segments(&self) -> Vec<View> {
        let segments = 0..self.layout.segments.len();
        segments.map(|s| self.whole(self.weights + s, 0)).collect()
    }

    /// Activations of each layer whose derivative has a kink, for checks by differences.
    pub fn kinked_views(&self, room: u64) -> Vec<View> {
        let layers = self.network.layers().iter().zip(&self.layers);
        layers
            .filter(|(layer, _)| layer.activation.has_kink())
            .map(|(_, buffers)| self.whole(buffers.z.unwrap_or(buffers.a), room))
            .collect()
    }

    /// Buffers that a batch is uploaded to.
    pub fn uploads(&self) -> [usize; 3] {
        [self.x, self.targets, self.row_weights]
    }
}
