// z[r, first + o] = sum over i of x[r, i] * weight[o, i] + bias[o],  a = activate(z).
// x (rows, inputs); weight (outputs, inputs) and bias (outputs): a panel of the layer's, beginning at output `first`;
// z, a (rows, stride). Where z is not finite, a = z. z is written only where the derivative needs it.

// The parameters, read once: llvmpipe reads a uniform again for every lane of every load.
var<private> p: Params;

const A_ALONG_K = true;
const B_ALONG_K = true;
const SUM_A = false;

// From the uniform itself, so that loops with barriers are seen to be uniform.
fn extents() -> vec3<u32> {
    return vec3<u32>(params.rows, params.outputs, params.inputs);
}

fn four_a(m: u32, k: u32) -> vec4<f32> {
    return x_four(m, k);
}

fn four_b(k: u32, n: u32) -> vec4<f32> {
    return weight_four(n, k);
}

fn finish(r: u32, o: u32, product: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if (r < p.rows && o + j < p.outputs) {
            let sum = product[j] + bias[o + j];
            let at = r * p.stride + p.first + o + j;
            if (p.store_z != 0u) {
                z[at] = sum;
            }
            // max and min may drop a NaN: what is not finite goes on as it is, and the loss will see it.
            a[at] = select(sum, activate(sum), is_finite(sum));
        }
    }
}

fn finish_sum(m: u32, sums: vec4<f32>) {
}

@compute @workgroup_size(TX, TY)
fn dense_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    p = params;
    multiply(group, groups, local);
}
