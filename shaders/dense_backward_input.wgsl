// delta_in[r, i] = (sum over o of delta[r, first + o] * weight[o, i]) * activate_grad(saved[r, i]).
// delta (rows, stride); weight (outputs, inputs): a panel beginning at output `first`; saved, delta_in (rows, inputs).
// With several panels, `accumulate` adds to what the ones before left and only the `last` multiplies by the derivative.

// The parameters, read once: llvmpipe reads a uniform again for every lane of every load.
var<private> p: Params;

const A_ALONG_K = true;
const B_ALONG_K = false;
const SUM_A = false;

// From the uniform itself, so that loops with barriers are seen to be uniform.
fn extents() -> vec3<u32> {
    return vec3<u32>(params.rows, params.inputs, params.outputs);
}

fn four_a(m: u32, k: u32) -> vec4<f32> {
    return delta_four(m, k);
}

fn four_b(k: u32, n: u32) -> vec4<f32> {
    return weight_four(k, n);
}

fn finish(r: u32, i: u32, product: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if (r < p.rows && i + j < p.inputs) {
            let at = r * p.inputs + i + j;
            var sum = product[j];
            if (p.accumulate != 0u) {
                sum += delta_in[at];
            }
            if (p.last != 0u) {
                sum *= activate_grad(saved[at]);
            }
            delta_in[at] = sum;
        }
    }
}

fn finish_sum(m: u32, sums: vec4<f32>) {
}

@compute @workgroup_size(TX, TY)
fn dense_backward_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    p = params;
    multiply(group, groups, local);
}
