//! The forward pass: x → z, a, h, layer by layer.

use super::{Mode, NormBuffers, Op, Plan, View};
use crate::config::activation::Activation;
use crate::config::spec::Norm;
use crate::kernels::threefry::Mask;
use crate::kernels::{batch_norm, batch_norm_stats, dense_forward, dropout, layer_norm, softmax};

impl Plan {
    /// x → z, a, h, layer by layer. `room` is the number of rows that buffers have room for.
    pub fn forward(&self, mode: Mode, rows: u32, room: u64) -> Vec<Op> {
        let mut ops = Vec::new();
        for (l, layer) in self.network.layers().iter().enumerate() {
            let buffers = self.layers[l];
            let softmax = layer.activation == Activation::Softmax;
            let drops = layer.drops() && mode == Mode::Training;
            let apart = layer.residual || drops;
            let phi_to = if apart { buffers.a } else { buffers.h };
            // A softmax layer's product is z itself: it goes through the kernel's a, with the identity.
            let (z, a) = match buffers.z {
                Some(z) if softmax => (None, z),
                z => (z, phi_to),
            };
            let phi = if softmax {
                Activation::Identity
            } else {
                layer.activation.clone()
            };
            // What is normalised has neither z nor φ yet.
            let (dense_z, dense_a, dense_phi) = match buffers.norm {
                Some(norm) => (None, norm.u, Activation::Identity),
                None => (z, a, phi.clone()),
            };
            let panels = &self.layout.layers[l];
            for (p, panel) in panels.iter().enumerate() {
                ops.push(
                    Op::new(
                        dense_forward::Params {
                            rows,
                            inputs: self.network.inputs_of(l) as u32,
                            outputs: panel.outputs,
                            first: panel.first,
                            stride: layer.outputs as u32,
                            store_z: u32::from(dense_z.is_some()),
                        },
                        vec![
                            self.input_view(l, room),
                            Self::slot(self.weights, panel.weight),
                            Self::slot(self.weights, panel.bias),
                        ],
                        vec![
                            self.whole(dense_z.unwrap_or(self.placeholder), room),
                            self.whole(dense_a, room),
                        ],
                    )
                    .through(&dense_phi)
                    .of_layer(l)
                    .part_of(Self::part_number(panels.len(), p)),
                );
            }
            if let Some(norm) = buffers.norm {
                self.normalise(l, norm, mode, (z, a, phi), (rows, room), &mut ops);
            }
            if softmax {
                ops.push(
                    Op::new(
                        softmax::Params {
                            rows,
                            cols: layer.outputs as u32,
                        },
                        vec![self.whole(a, room)],
                        vec![self.whole(phi_to, room)],
                    )
                    .of_layer(l),
                );
            }
            if apart {
                let a = self.whole(buffers.a, room);
                let (key, p) = self.dropout_of(l, mode);
                ops.push(
                    Op::new(
                        dropout::Params {
                            count: rows * layer.outputs as u32,
                            residual: u32::from(layer.residual),
                            key0: key[0],
                            key1: key[1],
                            threshold: Mask::threshold(p),
                            scale: 1.0 / (1.0 - p),
                        },
                        vec![
                            a,
                            if layer.residual {
                                self.input_view(l, room)
                            } else {
                                a
                            },
                        ],
                        vec![self.whole(buffers.h, room)],
                    )
                    .of_layer(l),
                );
            }
        }
        ops
    }

    /// u → z, φ(z) of layer l.
    pub(super) fn normalise(
        &self,
        l: usize,
        norm: NormBuffers,
        mode: Mode,
        (z, a, phi): (Option<usize>, usize, Activation),
        (rows, room): (u32, u64),
        ops: &mut Vec<Op>,
    ) {
        let cols = self.network.layers()[l].outputs as u32;
        let store_z = u32::from(z.is_some());
        let eps = Norm::EPS;
        let u = self.whole(norm.u, room);
        let stats = self.whole(norm.stats, room);
        let [gamma, beta] = self.norm_parameters(self.weights, l);
        let z = self.whole(z.unwrap_or(self.placeholder), room);
        let a = self.whole(a, room);
        let Some(running) = norm.running else {
            let p = layer_norm::Params {
                rows,
                cols,
                store_z,
                eps,
            };
            let op = Op::new(p, vec![u, gamma, beta], vec![stats, z, a]);
            ops.push(op.through(&phi).of_layer(l));
            return;
        };
        let running = self.whole(running, room);
        let evaluation = mode == Mode::Evaluation;
        if !evaluation {
            let p = batch_norm_stats::Params {
                rows,
                cols,
                eps,
                momentum: Norm::MOMENTUM,
                keep: 1.0 - Norm::MOMENTUM,
                // A batch of one row was refused.
                unbias: f64::from(rows) / f64::from(rows.max(2) - 1),
            };
            ops.push(Op::new(p, vec![u], vec![stats, running]).of_layer(l));
        }
        let p = batch_norm::Params {
            rows,
            cols,
            running: u32::from(evaluation),
            store_z,
            eps,
        };
        let stats = if evaluation { running } else { stats };
        let op = Op::new(p, vec![u, stats, gamma, beta], vec![z, a]);
        ops.push(op.through(&phi).of_layer(l));
    }

    /// γ and β of layer l, or their gradients, in segments from this one on.
    pub(super) fn norm_parameters(&self, first: usize, l: usize) -> [View; 2] {
        let Some(slots) = self.layout.norms[l] else {
            unreachable!("layer {l} has no normalisation")
        };
        slots.map(|slot| Self::slot(first, slot))
    }

    /// Layer l's input as numbers.
    pub(super) fn input_view(&self, l: usize, room: u64) -> View {
        match l {
            0 => self.x_view(room),
            _ => self.whole(self.layers[l - 1].h, room),
        }
    }

    /// The key of layer l's masks, and the probability with which they drop.
    pub(super) fn dropout_of(&self, l: usize, mode: Mode) -> ([u32; 2], f64) {
        let p = match mode {
            Mode::Training => self.network.layers()[l].dropout.unwrap_or(0.0),
            Mode::Evaluation => 0.0,
        };
        (Mask::key(self.seed, l), p)
    }
}
