// hit[r] = 1 where a[r, t[r]] is the largest of its row, the first of equals; 0 elsewhere, and where any of the row is NaN.
// a (rows, cols), t (rows): a class index each, hit (rows).

// By its bits: a comparison may take NaN for anything.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(GROUP)
fn hits(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    // A row beyond the last has no columns, so that every invocation reaches the barriers.
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var missed = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        let label = t[r];
        let x = a[r * cols + c];
        let own = a[r * cols + label];
        if (is_nan(x) || x > own || (x == own && c < label)) {
            missed = 1.0;
        }
    }
    let any = row_max(local, missed);
    if (lane == 0u && r < params.rows) {
        hit[r] = 1.0 - any;
    }
}
