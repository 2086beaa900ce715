// grad_weight[o, i] (+)= sum over r of delta[r, first + o] * x[r, i],  grad_bias[o] (+)= sum over r of delta[r, first + o].
// delta (rows, stride); x (rows, inputs): the layer's input; grad_weight (outputs, inputs), grad_bias (outputs): a panel
// beginning at output `first`. `accumulate` adds to what is there: micro-batches.
// On a grid of P workgroups in depth the rows are divided among them: grad_weight is (P, outputs, inputs) then and
// grad_bias (P, outputs), which sum_parts adds up.

// The parameters, read once: llvmpipe reads a uniform again for every lane of every load.
var<private> p: Params;

const A_ALONG_K = false;
const B_ALONG_K = false;
const SUM_A = true;

// Which of the parts this workgroup computes.
var<private> part: u32;

// From the uniform itself, so that loops with barriers are seen to be uniform.
fn extents() -> vec3<u32> {
    return vec3<u32>(params.outputs, params.inputs, params.rows);
}

fn four_a(m: u32, k: u32) -> vec4<f32> {
    return delta_four(k, m);
}

fn four_b(k: u32, n: u32) -> vec4<f32> {
    return x_four(k, n);
}

fn finish(o: u32, i: u32, product: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if (o < p.outputs && i + j < p.inputs) {
            let at = (part * p.outputs + o) * p.inputs + i + j;
            var sum = product[j];
            if (p.accumulate != 0u) {
                sum += grad_weight[at];
            }
            grad_weight[at] = sum;
        }
    }
}

fn finish_sum(o: u32, sums: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if (o + j < p.outputs) {
            let at = part * p.outputs + o + j;
            var sum = sums[j];
            if (p.accumulate != 0u) {
                sum += grad_bias[at];
            }
            grad_bias[at] = sum;
        }
    }
}

@compute @workgroup_size(TX, TY)
fn dense_backward_params(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    part = group.z;
    p = params;
    multiply(group, groups, local);
}
