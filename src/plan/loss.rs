//! Each row's loss and δ of the last layer.

use super::{Kind, Op, Plan, View};
use crate::config::activation::Activation;
use crate::config::spec::Mlp;
use crate::kernels::{Call, hits, softmax_grad, weigh_rows};

impl Plan {
    /// Output, targets (class indices, or rows of numbers) and weights of rows → each row's loss and δ of the last layer.
    pub fn loss(&self, rows: u32, room: u64, Kind { labels, weighted }: Kind) -> Vec<Op> {
        let l = self.layers.len() - 1;
        let last = self.layers[l];
        let layer = &self.network.layers()[l];
        let cols = layer.outputs as u32;
        let phi = Self::output_activation(&self.network);
        let from_logits = self.criterion.loss.takes_logits(phi);
        let targets = self.whole(self.targets, room);
        let mut reads = Vec::new();
        if layer.residual {
            // The identity's derivative looks at nothing.
            let h = self.whole(last.h, room);
            reads.push(h);
            reads.extend((!from_logits).then_some(h));
        } else if from_logits {
            // An identity layer's a is its z.
            reads.push(self.whole(last.z.unwrap_or(last.a), room));
        } else {
            reads.push(self.whole(last.a, room));
            reads.push(self.saved(l, room));
        }
        reads.push(targets);
        let delta = self.whole(last.delta, room);
        let first = self.output_grad.or(last.grad);
        let first = first.map_or(delta, |g| self.whole(g, room));
        let mut ops = vec![Op::new(
            self.criterion.call(phi, rows, cols, labels),
            phi.clone(),
            reads,
            vec![self.whole(self.losses, room), first],
        )];
        if weighted {
            // δ is linear in what comes from the loss.
            ops.push(Op::new(
                Call::WeighRows(weigh_rows::Params { rows, cols }),
                Activation::Identity,
                vec![self.row_weights_view(room)],
                vec![self.whole(self.losses, room), first],
            ));
        }
        if self.output_grad.is_some() {
            ops.push(
                Op::new(
                    Call::SoftmaxGrad(softmax_grad::Params { rows, cols }),
                    Activation::Identity,
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
            Call::Hits(hits::Params {
                rows,
                cols: self.network.outputs() as u32,
            }),
            Activation::Identity,
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
