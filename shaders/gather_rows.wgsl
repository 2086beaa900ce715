// y[r, c] = x[order[start + r], c]: rows of words through a permutation. The targets of a batch from a data set on the device.
// x (any, cols), order: words; y (rows, cols).

struct Params {
    rows: u32,
    cols: u32,
    start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(GROUP)
fn gather_rows(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.rows * params.cols) {
        let r = e / params.cols;
        y[e] = x[order[params.start + r] * params.cols + e % params.cols];
    }
}
