// y[r, c] = x[order[start + r], c] as a number: rows of a data set that is on the device. Rows of x begin on words of 16 bytes:
// 4 elements as f32, 8 as f16, or 16 as u8 that `scale` multiplies; y (rows, inputs).

@compute @workgroup_size(GROUP)
fn gather_inputs(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.rows * params.inputs) {
        let c = e % params.inputs;
        let row = order[params.start + e / params.inputs];
        if (params.format == 1u) {
            y[e] = bitcast<f32>(x[row * (4u * ((params.inputs + 3u) / 4u)) + c]);
        } else if (params.format == 2u) {
            let pair = unpack2x16float(x[row * (4u * ((params.inputs + 7u) / 8u)) + c / 2u]);
            y[e] = select(pair.x, pair.y, (c & 1u) != 0u);
        } else {
            let word = x[row * (4u * ((params.inputs + 15u) / 16u)) + c / 4u];
            y[e] = params.scale * f32((word >> (8u * (c & 3u))) & 255u);
        }
    }
}
