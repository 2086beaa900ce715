// norms[norm_slot] = sqrt(sum of part): the Euclidean norm of the whole gradient, from the parts of grad_squares.
// With `clip`, ledger[7] = grad_scale * min(1, max_norm / (norm + 1e-6)): the factor on the gradient's sums with which its norm stays
// under max_norm, and infinite where the norm is not finite: the optimisers refuse such an update. torch.nn.utils.clip_grad_norm_.
// part (count); ledger (8); norms (any). One workgroup, one fixed order.

@compute @workgroup_size(GROUP)
fn grad_norm(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var p = local; p < params.count; p += GROUP) {
        sum += part[p];
    }
    let norm = sqrt(row_sum(local, sum));
    if (local == 0u) {
        norms[params.norm_slot] = norm;
        if (params.clip != 0u) {
            let factor = min(1.0, params.max_norm / (norm + 0.000001));
            ledger[7] = infinite_if(!is_finite(norm), params.grad_scale * factor);
        }
    }
}
