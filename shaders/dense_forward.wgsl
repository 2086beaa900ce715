// z[r, first + o] = sum over i of x[r, i] * weight[o, i] + bias[o],  a = activate(z).
// x (rows, inputs); weight (outputs, inputs) and bias (outputs): a panel of the layer's, beginning at output `first`;
// z, a (rows, stride). Where z is not finite, a = z. z is written only where the derivative needs it.

struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    first: u32,
    stride: u32,
    store_z: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<f32>;
@group(0) @binding(5) var<storage, read_write> a: array<f32>;

const A_ALONG_K = true;
const B_ALONG_K = true;

fn element_a(m: u32, k: u32) -> f32 {
    if (m < params.rows && k < params.inputs) {
        return x[m * params.inputs + k];
    }
    return 0.0;
}

fn element_b(k: u32, n: u32) -> f32 {
    if (k < params.inputs && n < params.outputs) {
        return weight[n * params.inputs + k];
    }
    return 0.0;
}

@compute @workgroup_size(T, T)
fn dense_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let product = tile_product(group, local, params.inputs);
    let origin = tile_origin(group, local);
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let r = origin.x + i;
            let o = origin.y + j;
            if (r < params.rows && o < params.outputs) {
                let sum = product.c[i][j] + bias[o];
                let at = r * params.stride + params.first + o;
                if (params.store_z != 0u) {
                    z[at] = sum;
                }
                // max and min may drop a NaN: what is not finite goes on as it is, and the loss will see it.
                a[at] = select(sum, activate(sum), is_finite(sum));
            }
        }
    }
}
