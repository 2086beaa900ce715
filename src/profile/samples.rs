//! Calls of a size that training has.

use crate::config::optimizer::{Adam, Clip, Optimizer, RmsProp, Sgd};
use crate::kernels::small_network::SmallNetworkSpec;
use crate::kernels::{
    Call, RowLoss, activation, activation_grad, batch_norm, batch_norm_grad, batch_norm_stats,
    binary_cross_entropy, copy, cross_entropy, dense_backward_input, dense_backward_params,
    dense_forward, dropout, dropout_grad, gather_inputs, gather_rows, grad_norm, grad_squares,
    hits, huber, layer_norm, layer_norm_grad, loss_sum, multiply_add, norm_params_grad,
    part_length, softmax, softmax_cross_entropy, softmax_grad, squared_error, sum_parts,
    weigh_rows,
};

/// The matrix products of a layer.
pub(super) fn products(rows: u32, inputs: u32, outputs: u32) -> [Call; 3] {
    [
        Call::DenseForward(dense_forward::Params::whole(rows, inputs, outputs)),
        Call::DenseBackwardInput(dense_backward_input::Params::whole(rows, inputs, outputs)),
        Call::DenseBackwardParams(dense_backward_params::Params::whole(rows, inputs, outputs)),
    ]
}

/// Every kernel with parameters of a size that training has.
pub(super) fn sample_calls() -> Vec<Call> {
    const COUNT: u32 = 1 << 20;
    let (rows, cols, scale) = (4096, 256, 1.0 / 256.0);
    let rate = 1e-3;
    let mut calls = products(256, 512, 512).to_vec();
    calls.extend([
        Call::SumParts(sum_parts::Params {
            weights: 512 * 512,
            biases: 512,
            parts: 4,
            accumulate: 0,
        }),
        Call::GatherRows(gather_rows::Params {
            rows: 4096,
            cols: 256,
            start: 0,
        }),
        Call::GatherInputs(gather_inputs::Params {
            rows: 4096,
            inputs: 256,
            format: 1,
            start: 0,
            scale: 1.0,
        }),
        Call::LayerNorm(layer_norm::Params {
            rows,
            cols,
            store_z: 1,
            eps: 1e-5,
        }),
        Call::LayerNormGrad(layer_norm_grad::Params { rows, cols }),
        Call::BatchNormStats(batch_norm_stats::Params {
            rows,
            cols,
            eps: 1e-5,
            momentum: 0.1,
            keep: 0.9,
            unbias: 1.0,
        }),
        Call::BatchNorm(batch_norm::Params {
            rows,
            cols,
            running: 0,
            store_z: 1,
            eps: 1e-5,
        }),
        Call::BatchNormGrad(batch_norm_grad::Params { rows, cols }),
        Call::NormParamsGrad(norm_params_grad::Params {
            rows,
            cols,
            by_row: 0,
            accumulate: 0,
        }),
        Call::Dropout(dropout::Params {
            count: COUNT,
            residual: 1,
            key0: 1,
            key1: 2,
            batch: 0,
            threshold: 1 << 31,
            scale: 2.0,
        }),
        Call::DropoutGrad(dropout_grad::Params {
            count: COUNT,
            add_skip: 1,
            store_total: 1,
            key0: 1,
            key1: 2,
            batch: 0,
            threshold: 1 << 31,
            scale: 2.0,
        }),
        Call::ElementwiseActivation(activation::Params { count: COUNT }),
        Call::ActivationGrad(activation_grad::Params { count: COUNT }),
        Call::Softmax(softmax::Params { rows, cols }),
        Call::SoftmaxGrad(softmax_grad::Params { rows, cols }),
        Call::SquaredError(squared_error::Params { rows, cols, scale }),
        Call::Huber(huber::Params {
            rows,
            cols,
            scale,
            threshold: 1.0,
        }),
        Call::BinaryCrossEntropy(binary_cross_entropy::Params { rows, cols, scale }),
        Call::CrossEntropy(cross_entropy::Params {
            rows,
            cols,
            labels: 0,
            entropy: 0,
        }),
        Call::SoftmaxCrossEntropy(softmax_cross_entropy::Params {
            rows,
            cols,
            labels: 0,
            entropy: 0,
            keep: 1.0,
            share: 0.0,
        }),
        Call::Hits(hits::Params { rows, cols }),
        Call::WeighRows(weigh_rows::Params { rows, cols }),
        Call::LossSum(loss_sum::Params {
            rows: COUNT,
            accumulate: 0,
            slot: 0,
        }),
        Call::GradSquares(grad_squares::Params {
            count: COUNT,
            length: part_length(COUNT.into()) as u32,
            first: 0,
            scale: rate,
        }),
        Call::GradNorm(grad_norm::Params {
            count: 1024,
            slot: 0,
            clip: 1,
            max_norm: 1.0,
            scale: rate,
        }),
        Optimizer::from(Sgd::default()).call(COUNT, 1, rate, Clip::default()),
        Optimizer::from(Sgd {
            momentum: 0.9,
            ..Sgd::default()
        })
        .call(COUNT, 1, rate, Clip::default()),
        Optimizer::from(RmsProp::default()).call(COUNT, 1, rate, Clip::default()),
        Optimizer::from(Adam::default()).call(COUNT, 1, rate, Clip::default()),
        SmallNetworkSpec {
            rows: 32,
            widths: &[64, 32, 10],
            row_loss: RowLoss::SquaredError,
            row_scale: 1.0,
            target_words: 10,
            format: None,
            optimizer: &Sgd::default().into(),
            clip: Clip::default(),
            grad_scale: 1.0 / 32.0,
            count: 2560,
            history_length: 64,
        }
        .call(),
        Call::MultiplyAdd(multiply_add::Params {
            count: COUNT,
            rounds: 64,
            factor: 0.75,
            term: 0.3,
        }),
        Call::Copy(copy::Params { count: COUNT }),
    ]);
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_among_the_samples() {
        let calls = sample_calls();
        for kernel in crate::kernels::ALL {
            let found = calls.iter().any(|call| call.kernel().name == kernel.name);
            assert!(found, "{}", kernel.name);
        }
    }
}
