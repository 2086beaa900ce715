// `steps` steps of training a whole network in one workgroup: forward, loss, backward and update, with barriers between them
// instead of dispatches. The formulas are those of dense_forward, dense_backward_input, dense_backward_params, row_loss,
// loss_sum and update; hidden layers share one activation whose derivative is computed from its output, and the last layer is
// the identity.
// data, order, targets: a batch (format 0), or rows order[start + step * rows + r] of a data set on the device, as in
// gather_inputs.wgsl; weight, grad, state0, state1 (count): the one segment of the parameters, tensors on multiples of 64;
// ledger (8); history (history_length).
// Activations, and then each delta in place of the activation that it belongs to, stay in workgroup memory, a column after
// another: `values`[(column) * (rows + 1) + row], so that neighbours in a column or a row lie in different banks.

const GROUP: u32 = 256u;
override VALUES: u32 = 4096u;

var<workgroup> values: array<f32, VALUES>;
var<workgroup> partial: array<f32, GROUP>;
// Where the output's columns begin, and the batch in the order.
var<private> output_base: u32;
var<private> batch_start: u32;
// The rows of a batch. They come by way of workgroup memory because lavapipe compiles a kernel for the values of a few uniforms that
// loops depend on, and this one anew in every dispatch then (4 ms).
var<workgroup> shared_rows: u32;
var<private> rows: u32;

// Selects, because a switch with a return in each case, inlined a dozen times, takes SwiftShader 33 s to compile.
fn width(l: u32) -> u32 {
    let lower = vec4<u32>(params.width0, params.width1, params.width2, params.width3);
    let upper = vec4<u32>(params.width4, params.width5, params.width6, params.width7);
    let four = select(lower, upper, l >= 4u);
    let two = select(four.xy, four.zw, (l & 2u) != 0u);
    return select(select(two.x, two.y, (l & 1u) != 0u), params.width8, l == 8u);
}

// Tensors begin on multiples of 64 elements.
fn padded(count: u32) -> u32 {
    return (count + 63u) / 64u * 64u;
}

fn place(column: u32, r: u32) -> u32 {
    return column * (rows + 1u) + r;
}

// What the formula of the loss calls: one invocation a row.
const LANES = 1u;

fn output(r: u32, c: u32) -> f32 {
    return values[place(output_base + c, r)];
}

fn slope(r: u32, c: u32) -> f32 {
    return 1.0;
}

fn target_at(r: u32, c: u32) -> f32 {
    let row = row_of(r);
    if (params.labels != 0u) {
        return select(0.0, 1.0, targets[row] == c);
    }
    return bitcast<f32>(targets[row * width(params.layers) + c]);
}

fn set_delta(r: u32, c: u32, value: f32) {
    values[place(output_base + c, r)] = value;
}

fn row_sum(local: u32, x: f32) -> f32 {
    return x;
}

fn row_max(local: u32, x: f32) -> f32 {
    return x;
}

fn row_of(r: u32) -> u32 {
    if (params.format == 0u) {
        return r;
    }
    return order[batch_start + r];
}

fn input(r: u32, c: u32) -> f32 {
    let row = row_of(r);
    let cols = params.width0;
    if (params.format == 0u) {
        return bitcast<f32>(data[row * cols + c]);
    }
    if (params.format == 1u) {
        return bitcast<f32>(data[row * ((cols + 3u) / 4u * 4u) + c]);
    }
    if (params.format == 2u) {
        let pair = unpack2x16float(data[row * ((cols + 7u) / 8u * 4u) + c / 2u]);
        return select(pair.x, pair.y, (c & 1u) != 0u);
    }
    let bytes = data[row * ((cols + 15u) / 16u * 4u) + c / 4u];
    return params.scale * f32((bytes >> (8u * (c & 3u))) & 255u);
}

// Four outputs of one row an invocation: neighbours take neighbouring rows and share the weights.
fn forward(local: u32, l: u32, base: u32, weight_at: u32) {
    let inputs = width(l);
    let outputs = width(l + 1u);
    let bias_at = weight_at + padded(inputs * outputs);
    let next = base + inputs;
    let items = rows * ((outputs + 3u) / 4u);
    for (var item = local; item < items; item += GROUP) {
        let r = item % rows;
        let o = item / rows * 4u;
        let last = outputs - 1u;
        let at = weight_at + inputs * vec4<u32>(o, min(o + 1u, last), min(o + 2u, last), min(o + 3u, last));
        var sum = vec4<f32>();
        for (var i = 0u; i < inputs; i++) {
            sum += values[place(base + i, r)]
                * vec4<f32>(weight[at.x + i], weight[at.y + i], weight[at.z + i], weight[at.w + i]);
        }
        for (var j = 0u; j < 4u; j++) {
            if (o + j < outputs) {
                let z = sum[j] + weight[bias_at + o + j];
                let hidden = l + 1u < params.layers;
                values[place(next + o + j, r)] = select(z, activate(z), hidden && is_finite(z));
            }
        }
    }
}

// The gradients of four outputs' weights for one input, or of their biases, an invocation.
fn gradients(local: u32, l: u32, base: u32, weight_at: u32) {
    let inputs = width(l);
    let outputs = width(l + 1u);
    let bias_at = weight_at + padded(inputs * outputs);
    let next = base + inputs;
    let items = (inputs + 1u) * ((outputs + 3u) / 4u);
    for (var item = local; item < items; item += GROUP) {
        let i = item % (inputs + 1u);
        let o = item / (inputs + 1u) * 4u;
        let last = outputs - 1u;
        let at = vec4<u32>(place(next + o, 0u), place(next + min(o + 1u, last), 0u),
            place(next + min(o + 2u, last), 0u), place(next + min(o + 3u, last), 0u));
        var sum = vec4<f32>();
        for (var r = 0u; r < rows; r++) {
            var a = 1.0;
            if (i < inputs) {
                a = values[place(base + i, r)];
            }
            sum += a * vec4<f32>(values[at.x + r], values[at.y + r], values[at.z + r], values[at.w + r]);
        }
        for (var j = 0u; j < 4u; j++) {
            if (o + j < outputs) {
                if (i < inputs) {
                    grad[weight_at + (o + j) * inputs + i] = sum[j];
                } else {
                    grad[bias_at + o + j] = sum[j];
                }
            }
        }
    }
}

// The delta of the layer before, in place of its activation: four inputs of one row an invocation.
fn backward(local: u32, l: u32, base: u32, weight_at: u32) {
    let inputs = width(l);
    let outputs = width(l + 1u);
    let next = base + inputs;
    let items = rows * ((inputs + 3u) / 4u);
    for (var item = local; item < items; item += GROUP) {
        let r = item % rows;
        let i = item / rows * 4u;
        let last = inputs - 1u;
        let at = weight_at + vec4<u32>(i, min(i + 1u, last), min(i + 2u, last), min(i + 3u, last));
        var sum = vec4<f32>();
        for (var o = 0u; o < outputs; o++) {
            let row = o * inputs;
            sum += values[place(next + o, r)]
                * vec4<f32>(weight[at.x + row], weight[at.y + row], weight[at.z + row], weight[at.w + row]);
        }
        for (var j = 0u; j < 4u; j++) {
            if (i + j < inputs) {
                let at = place(base + i + j, r);
                values[at] = sum[j] * activate_grad(values[at]);
            }
        }
    }
}

fn update(local: u32, t: f32) {
    // A step whose loss is not finite leaves everything as it was.
    if (!is_finite(ledger[5])) {
        return;
    }
    for (var e = local; e < params.count; e += GROUP) {
        update_element(e, params.grad_scale, t);
    }
}

@compute @workgroup_size(GROUP)
fn small_network(@builtin(local_invocation_index) local: u32) {
    if (local == 0u) {
        shared_rows = params.rows;
    }
    rows = workgroupUniformLoad(&shared_rows);
    for (var s = 0u; s < params.steps; s++) {
        batch_start = params.start + s * rows;
        for (var e = local; e < rows * params.width0; e += GROUP) {
            let r = e / params.width0;
            let c = e % params.width0;
            values[place(c, r)] = input(r, c);
        }
        workgroupBarrier();

        var base = 0u;
        var weight_at = 0u;
        for (var l = 0u; l < params.layers; l++) {
            forward(local, l, base, weight_at);
            workgroupBarrier();
            base += width(l);
            weight_at += padded(width(l) * width(l + 1u)) + padded(width(l + 1u));
        }

        output_base = base;
        var loss = 0.0;
        for (var r = local; r < rows; r += GROUP) {
            loss += loss_of_row(0u, r, width(params.layers));
        }
        partial[local] = loss;
        workgroupBarrier();
        for (var half = GROUP / 2u; half > 0u; half /= 2u) {
            if (local < half) {
                partial[local] += partial[local + half];
            }
            workgroupBarrier();
        }
        if (local == 0u) {
            record(partial[0], (params.slot + s) % params.history_length, false);
        }

        for (var k = params.layers; k > 0u; k--) {
            let l = k - 1u;
            base -= width(l);
            weight_at -= padded(width(l) * width(k)) + padded(width(k));
            gradients(local, l, base, weight_at);
            workgroupBarrier();
            if (l > 0u) {
                backward(local, l, base, weight_at);
                workgroupBarrier();
            }
        }

        // Gradients and the ledger come from other invocations, and the next step's weights too.
        storageBarrier();
        workgroupBarrier();
        update(local, f32(params.step + s) - ledger[6]);
        storageBarrier();
        workgroupBarrier();
    }
}
