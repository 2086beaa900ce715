// delta_in[r, i] = (sum over o of delta[r, first + o] * weight[o, i]) * activate_grad(saved[r, i]).
// delta (rows, stride); weight (outputs, inputs): a panel beginning at output `first`; saved, delta_in (rows, inputs).
// With several panels, `accumulate` adds to what the ones before left and only the `last` multiplies by the derivative.

struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    first: u32,
    stride: u32,
    accumulate: u32,
    last: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> delta: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> delta_in: array<f32>;

const A_ALONG_K = true;
const B_ALONG_K = false;

fn element_a(m: u32, k: u32) -> f32 {
    if (m < params.rows && k < params.outputs) {
        return delta[m * params.stride + params.first + k];
    }
    return 0.0;
}

fn element_b(k: u32, n: u32) -> f32 {
    if (k < params.outputs && n < params.inputs) {
        return weight[k * params.inputs + n];
    }
    return 0.0;
}

@compute @workgroup_size(T, T)
fn dense_backward_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let product = tile_product(group, local, params.outputs);
    let origin = tile_origin(group, local);
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let r = origin.x + i;
            let n = origin.y + j;
            if (r < params.rows && n < params.inputs) {
                let at = r * params.inputs + n;
                var sum = product.c[i][j];
                if (params.accumulate != 0u) {
                    sum += delta_in[at];
                }
                if (params.last != 0u) {
                    sum *= activate_grad(saved[at]);
                }
                delta_in[at] = sum;
            }
        }
    }
}
