// part[first + p] = sum of (grad_scale * grad[e])^2 over e in [p * length, (p + 1) * length): a segment of the gradient in parts of
// `length` elements.  grad (count); part (any). One workgroup a part, one fixed order; grad_norm sums the parts.

@compute @workgroup_size(GROUP)
fn grad_squares(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let p = row_index(local, group, groups);
    let begin = min(p * params.length, params.count);
    let end = min(begin + params.length, params.count);
    let lane = local % LANES;
    var sum = 0.0;
    for (var e = begin + lane; e < end; e += LANES) {
        let g = params.grad_scale * grad[e];
        sum += g * g;
    }
    let total = row_sum(local, sum);
    if (lane == 0u && begin < end) {
        part[params.first + p] = total;
    }
}
