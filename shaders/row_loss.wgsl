// loss[r] and delta[r, c] by the formula of the loss (shaders/row_loss/), which calls what stands here.
// a: the output, or z where the loss takes logits; saved (z or a), delta (rows, cols); t: a class index a row, or (rows, cols)
// numbers by their bits; loss (rows).

fn output(r: u32, c: u32) -> f32 {
    return a[r * params.cols + c];
}

fn slope(r: u32, c: u32) -> f32 {
    return activate_grad(saved[r * params.cols + c]);
}

// Of a class index it is 0 or 1.
fn target_at(r: u32, c: u32) -> f32 {
    if (params.labels != 0u) {
        return select(0.0, 1.0, t[r] == c);
    }
    return bitcast<f32>(t[r * params.cols + c]);
}

fn set_delta(r: u32, c: u32, value: f32) {
    delta[r * params.cols + c] = value;
}

@compute @workgroup_size(GROUP)
fn row_loss(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    let cols = select(0u, params.cols, r < params.rows);
    let value = loss_of_row(local, r, cols);
    if (local % LANES == 0u && r < params.rows) {
        loss[r] = value;
    }
}
