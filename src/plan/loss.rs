//! Each row's loss and δ of the last layer.

use super::{Op, Plan, RowKind, View};
use crate::config::activation::Activation;
use crate::config::spec::Mlp;
use crate::kernels::{hits, row_loss, softmax_grad, weigh_rows};

impl Plan {
    /// Output, targets (class indices, or rows of numbers) and weights of rows → each row's loss and δ of the last layer.
    pub fn loss(&self, rows: u32, room: u64, RowKind { labels, weighted }: RowKind) -> Vec<Op> {
        let l = self.layers.len() - 1;
        let last = self.layers[l];
        let layer = &self.network.layers()[l];
        let cols = layer.outputs as u32;
        let phi = Self::output_activation(&self.network);
        let from_logits = self.criterion.loss.takes_logits(phi);
        let (output, saved) = match last.z {
            // The identity's derivative looks at nothing.
            _ if layer.residual => (self.whole(last.h, room), self.whole(last.h, room)),
            // An identity layer's a is its z.
            z if from_logits => (self.whole(z.unwrap_or(last.a), room), self.saved(l, room)),
            _ => (self.whole(last.a, room), self.saved(l, room)),
        };
        let delta = self.whole(last.delta, room);
        let first = self.output_grad.or(last.grad);
        let first = first.map_or(delta, |g| self.whole(g, room));
        let mut ops = vec![
            Op::new(
                row_loss::Params::new(&self.criterion, phi, rows, cols, labels),
                vec![output, saved, self.whole(self.targets, room)],
                vec![self.whole(self.losses, room), first],
            )
            .through(phi),
        ];
        if weighted {
            // δ is linear in what comes from the loss.
            ops.push(Op::new(
                weigh_rows::Params { rows, cols },
                vec![self.row_weights_view(room)],
                vec![self.whole(self.losses, room), first],
            ));
        }
        if self.output_grad.is_some() {
            ops.push(
                Op::new(
                    softmax_grad::Params { rows, cols },
                    vec![self.whole(last.a, room), first],
                    vec![delta],
                )
                .of_layer(l),
            );
        }
        ops
    }

    /// After the loss of a batch of class indices: a 1 for each row whose largest output is the class, in
    /// [`hits_view`](Self::hits_view).
    pub fn hits(&self, rows: u32, room: u64) -> Op {
        Op::new(
            hits::Params {
                rows,
                cols: self.network.outputs() as u32,
            },
            vec![self.output_view(room), self.whole(self.targets, room)],
            vec![self.hits_view(room)],
        )
    }

    /// Where the hits are: at the beginning of the last δ, which an evaluation has no other use for.
    pub fn hits_view(&self, room: u64) -> View {
        let last = self.layers[self.layers.len() - 1];
        self.whole(last.delta, room)
    }

    /// The activation from which the loss takes the output: what a residual connection adds to comes from none.
    pub(super) fn output_activation(network: &Mlp) -> &Activation {
        let last = &network.layers()[network.layers().len() - 1];
        if last.residual {
            &Activation::Identity
        } else {
            &last.activation
        }
    }
}
