// grad_weight[e] (+)= sum over p of part_weight[p, e],  grad_bias[o] (+)= sum over p of part_bias[p, o], in the order of p.
// part_weight (parts, weights), part_bias (parts, biases): what dense_backward_params left on a grid of that depth.

@compute @workgroup_size(GROUP)
fn sum_parts(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.weights) {
        var sum = part_weight[e];
        for (var p = 1u; p < params.parts; p++) {
            sum += part_weight[p * params.weights + e];
        }
        if (params.accumulate != 0u) {
            sum += grad_weight[e];
        }
        grad_weight[e] = sum;
    } else if (e - params.weights < params.biases) {
        let o = e - params.weights;
        var sum = part_bias[o];
        for (var p = 1u; p < params.parts; p++) {
            sum += part_bias[p * params.biases + o];
        }
        if (params.accumulate != 0u) {
            sum += grad_bias[o];
        }
        grad_bias[o] = sum;
    }
}
