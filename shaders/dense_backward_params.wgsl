// grad_weight[o, i] (+)= sum over r of delta[r, first + o] * x[r, i],  grad_bias[o] (+)= sum over r of delta[r, first + o].
// delta (rows, stride); x (rows, inputs): the layer's input; grad_weight (outputs, inputs), grad_bias (outputs): a panel
// beginning at output `first`. `accumulate` adds to what is there: micro-batches.

struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    first: u32,
    stride: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> delta: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> grad_bias: array<f32>;

const A_ALONG_K = false;
const B_ALONG_K = false;

fn element_a(m: u32, k: u32) -> f32 {
    if (m < params.outputs && k < params.rows) {
        return delta[k * params.stride + params.first + m];
    }
    return 0.0;
}

fn element_b(k: u32, n: u32) -> f32 {
    if (k < params.rows && n < params.inputs) {
        return x[k * params.inputs + n];
    }
    return 0.0;
}

@compute @workgroup_size(T, T)
fn dense_backward_params(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let product = tile_product(group, local, params.rows);
    let origin = tile_origin(group, local);
    for (var i = 0u; i < 4u; i++) {
        let o = origin.x + i;
        for (var j = 0u; j < 4u; j++) {
            let n = origin.y + j;
            if (o < params.outputs && n < params.inputs) {
                let at = o * params.inputs + n;
                var sum = product.c[i][j];
                if (params.accumulate != 0u) {
                    sum += grad_weight[at];
                }
                grad_weight[at] = sum;
            }
        }
        // One invocation of the first column of tiles owns each output's bias.
        if (origin.y == 0u && o < params.outputs) {
            var sum = product.a_sum[i];
            if (params.accumulate != 0u) {
                sum += grad_bias[o];
            }
            grad_bias[o] = sum;
        }
    }
}
