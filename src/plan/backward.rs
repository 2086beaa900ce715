//! The δ recursion: it stands here and nowhere else.

use super::{Mode, NormBuffers, Op, Plan, View};
use crate::config::activation::Activation;
use crate::config::spec::Norm;
use crate::kernels::threefry::Mask;
use crate::kernels::{
    batch_norm_grad, dense_backward_input, dense_backward_params, dropout_grad, layer_norm_grad,
    loss_sum, norm_params_grad,
};

impl Plan {
    /// The batch's loss into the ledger, and the δ recursion: each layer's gradients from its δ, then the δ of the layer
    /// before. `accumulate` adds to the gradients that are there.
    pub fn backward(&self, rows: u32, room: u64, accumulate: bool) -> Vec<Op> {
        let accumulate = u32::from(accumulate);
        let mut ops = vec![Op::new(
            loss_sum::Params { rows, accumulate },
            vec![self.whole(self.losses, room)],
            vec![self.ledger_view(), self.history_view()],
        )];
        for (l, layer) in self.network.layers().iter().enumerate().rev() {
            ops.extend(self.derive(l, rows, room));
            let norm = self.layers[l].norm;
            if let Some(norm) = norm {
                self.derive_norm(l, norm, (rows, room), accumulate, &mut ops);
            }
            let inputs = self.network.inputs_of(l) as u32;
            let stride = layer.outputs as u32;
            let delta = norm.map_or(self.layers[l].delta, |norm| norm.delta_u);
            let delta = self.whole(delta, room);
            let panels = &self.layout.layers[l];
            for (p, panel) in panels.iter().enumerate() {
                ops.push(
                    Op::new(
                        dense_backward_params::Params {
                            rows,
                            inputs,
                            outputs: panel.outputs,
                            first: panel.first,
                            stride,
                            accumulate,
                        },
                        vec![delta, self.input_view(l, room)],
                        vec![
                            Self::slot(self.grads, panel.weight),
                            Self::slot(self.grads, panel.bias),
                        ],
                    )
                    .of_layer(l)
                    .part_of(Self::part_number(panels.len(), p)),
                );
            }
            if l == 0 {
                continue;
            }
            let before = self.layers[l - 1];
            // δ of the layer before at once, unless something stands behind its activation.
            let (to, phi) = match before.grad {
                Some(grad) => (grad, Activation::Identity),
                None => (
                    before.delta,
                    self.network.layers()[l - 1].activation.clone(),
                ),
            };
            for (p, panel) in panels.iter().enumerate() {
                ops.push(
                    Op::new(
                        dense_backward_input::Params {
                            rows,
                            inputs,
                            outputs: panel.outputs,
                            first: panel.first,
                            stride,
                            accumulate: u32::from(p > 0),
                            last: u32::from(p + 1 == panels.len()),
                        },
                        vec![
                            delta,
                            Self::slot(self.weights, panel.weight),
                            self.saved(l - 1, room),
                        ],
                        vec![self.whole(to, room)],
                    )
                    .through(&phi)
                    .of_layer(l)
                    .part_of(Self::part_number(panels.len(), p)),
                );
            }
        }
        ops
    }

    /// ∂L/∂h of layer l → its δ, where something stands behind its activation, or the next layer has a residual connection.
    pub(super) fn derive(&self, l: usize, rows: u32, room: u64) -> Option<Op> {
        let buffers = self.layers[l];
        let grad = self.whole(buffers.grad?, room);
        let layer = &self.network.layers()[l];
        let skip = self.skip(l + 1, room);
        let (key, p) = self.dropout_of(l, Mode::Training);
        let total = buffers.total.unwrap_or(self.placeholder);
        Some(
            Op::new(
                dropout_grad::Params {
                    count: rows * layer.outputs as u32,
                    add_skip: u32::from(skip.is_some()),
                    store_total: u32::from(buffers.total.is_some()),
                    key0: key[0],
                    key1: key[1],
                    threshold: Mask::threshold(p),
                    scale: 1.0 / (1.0 - p),
                },
                vec![grad, skip.unwrap_or(grad), self.saved(l, room)],
                vec![self.whole(total, room), self.whole(buffers.delta, room)],
            )
            .through(&layer.activation)
            .of_layer(l),
        )
    }

    /// δ of layer l → ∂L/∂u and the gradients of γ and β.
    pub(super) fn derive_norm(
        &self,
        l: usize,
        norm: NormBuffers,
        (rows, room): (u32, u64),
        accumulate: u32,
        ops: &mut Vec<Op>,
    ) {
        let cols = self.network.layers()[l].outputs as u32;
        let delta = self.whole(self.layers[l].delta, room);
        let u = self.whole(norm.u, room);
        let stats = self.whole(norm.stats, room);
        let sums = self.whole(norm.sums, room);
        let [gamma, _] = self.norm_parameters(self.weights, l);
        let [grad_gamma, grad_beta] = self.norm_parameters(self.grads, l);
        let by_row = u32::from(norm.norm == Norm::Layer);
        let params = norm_params_grad::Params {
            rows,
            cols,
            by_row,
            accumulate,
        };
        let to = vec![sums, grad_gamma, grad_beta];
        ops.push(Op::new(params, vec![delta, u, stats], to).of_layer(l));
        let to = vec![self.whole(norm.delta_u, room)];
        let op = match norm.norm {
            Norm::Layer => {
                let p = layer_norm_grad::Params { rows, cols };
                Op::new(p, vec![delta, u, stats, gamma], to)
            }
            Norm::Batch => {
                let p = batch_norm_grad::Params { rows, cols };
                Op::new(p, vec![delta, u, stats, sums, gamma], to)
            }
        };
        ops.push(op.of_layer(l));
    }

    /// ∂L/∂h of layer l, where it has a residual connection: what that carries to its input.
    pub(super) fn skip(&self, l: usize, room: u64) -> Option<View> {
        let residual = self.network.layers().get(l)?.residual;
        let buffers = self.layers[l];
        let whole = buffers.total.or(buffers.grad).filter(|_| residual)?;
        Some(self.whole(whole, room))
    }
}
