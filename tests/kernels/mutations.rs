//! Tests of the tests: a fault planted in a kernel must make a check fail, and name the op.

use crate::common;
use wgrad::verify::{self, KernelOptions};
use wgrad::{
    Activation::*, Adam, Dataset, Device, DeviceOptions, Error, Fault, Loss, Matrix, Mlp,
    Optimizer, RmsProp, Sgd, Trainer,
};

/// (kernel, text, replacement): a changed operator, index or bound in every kernel and fragment.
const FAULTS: &[(&str, &str, &str)] = &[
    // A dropped bias, a lost row, a wrong edge, a transposed index.
    ("dense_forward", "product[j] + bias[o + j]", "product[j]"),
    (
        "dense_forward",
        "product[j] + bias",
        "product[3u - j] + bias",
    ),
    ("dense_forward", "r < p.rows && o", "r + 1u < p.rows && o"),
    ("dense_forward", "p.first + o", "o"),
    (
        "dense_forward",
        "activate(sum), is_finite",
        "sum, is_finite",
    ),
    (
        "dense_backward_input",
        "*= activate_grad(saved[at])",
        "*= activate_grad(saved[0])",
    ),
    (
        "dense_backward_input",
        "p.accumulate != 0u",
        "p.accumulate == 7u",
    ),
    (
        "dense_backward_params",
        "sum += grad_weight[at]",
        "sum -= grad_weight[at]",
    ),
    (
        "dense_backward_params",
        "grad_bias[at] = sum",
        "grad_bias[at] = -sum",
    ),
    // How the matrices are loaded: each operand, each load.
    (
        "dense_forward",
        "c + 3u) < vec4<u32>(count)",
        "c + 3u) < vec4<u32>(count - 1u)",
    ),
    ("dense_forward", "weight[at.y]", "weight[at.x]"),
    (
        "dense_forward",
        "p.inputs + min(i, p.inputs - 4u)) / 4u]",
        "p.inputs + min(i, p.inputs - 4u)) / 4u + 1u]",
    ),
    (
        "dense_forward",
        "p.inputs + min(c, p.inputs - 4u)) / 4u]",
        "p.inputs) / 4u]",
    ),
    ("dense_forward", "x[at.z]", "x[at.w]"),
    (
        "dense_forward",
        "(r < p.rows) & (c < p.inputs)",
        "(r < p.rows) & (c < 4u)",
    ),
    (
        "dense_backward_input",
        "p.stride + p.first, o",
        "p.stride, o",
    ),
    (
        "dense_backward_input",
        "p.stride + p.first + min(o",
        "p.stride + min(o",
    ),
    (
        "dense_backward_input",
        "four_places(min(o, p.outputs - 1u) * p.inputs",
        "four_places(min(o, p.outputs - 1u) * p.outputs",
    ),
    (
        "dense_backward_params",
        "four_places(min(r, p.rows - 1u) * p.inputs",
        "four_places(min(r / 2u, p.rows - 1u) * p.inputs",
    ),
    (
        "dense_backward_params",
        "four, r < p.rows",
        "four, r < p.rows && r < 65536u",
    ),
    // The product, and every form of it.
    ("dense_forward", "c[2] + a.z * b", "c[2] + a.y * b"),
    ("dense_forward", "finish(m + 3u, n, c[3])", ""),
    (
        "dense_backward_params",
        "part * slice + slice",
        "part * slice + 16u",
    ),
    ("dense_backward_params", "part = group.z", "part = 0u"),
    ("dense_forward", "k += 16u", "k += 32u"),
    ("dense_forward", "c = tile_step(c, local, 7u);", ""),
    ("dense_forward", "c = tile_step(c, local, 15u);", ""),
    ("dense_backward_params", "four_columns(local.y) + ", ""),
    (
        "dense_forward",
        "workgroupBarrier();\n        \n        c = tile_step",
        "c = tile_step",
    ),
    (
        "dense_forward",
        "outer(c.lower_left, lower, left)",
        "outer(c.lower_left, lower, right)",
    ),
    (
        "dense_backward_params",
        "finish_sum(upper + 4u * TY, lower_sum);",
        "",
    ),
    // Two slices: what is loaded ahead, where it goes, and the one barrier.
    ("dense_forward", "m, n, k + SLICE)", "m, n, k)"),
    (
        "dense_forward",
        "store_block(index + TX * TY, now, second);",
        "",
    ),
    ("dense_forward", "now = 1u - now;", ""),
    (
        "dense_forward",
        "now, second);\n        workgroupBarrier();",
        "now, second);",
    ),
    ("dense_forward", "number % DEEP),", "number % DEEP + 1u),"),
    ("dense_backward_params", "four_columns(s, local.y) + ", ""),
    ("dense_forward", "block_a(m + 4u, k)", "block_a(m, k)"),
    (
        "dense_backward_params",
        "finish_sum(m + 4u, lower_sum);",
        "",
    ),
    (
        "sum_parts",
        "p < params.parts; p++) {\n            sum += part_bias",
        "p + 1u < params.parts; p++) {\n            sum += part_bias",
    ),
    ("sum_parts", "sum += grad_weight[e]", ""),
    ("gather_rows", "order[params.start + r]", "order[r]"),
    ("gather_inputs", "params.start + e", "e"),
    (
        "gather_inputs",
        "(params.inputs + 3u) / 4u",
        "params.inputs / 4u",
    ),
    (
        "gather_inputs",
        "(params.inputs + 7u) / 8u",
        "params.inputs / 8u",
    ),
    (
        "gather_inputs",
        "(params.inputs + 15u) / 16u",
        "params.inputs / 16u",
    ),
    ("gather_inputs", "c / 2u]", "c]"),
    ("gather_inputs", "(c & 1u) != 0u", "false"),
    ("gather_inputs", "params.scale * f32", "f32"),
    ("gather_inputs", "(8u * (c & 3u))", "(8u * (c & 1u))"),
    // Normalisations: means, divisors, the second pass, what is added back, whose statistics, what is kept.
    ("layer_norm", "d * d", "u[r * cols + c] * u[r * cols + c]"),
    (
        "layer_norm",
        "row_sum(local, squares) / f32(params.cols)",
        "row_sum(local, squares) / f32(params.cols - 1u)",
    ),
    ("layer_norm", "variance + params.eps", "variance"),
    ("layer_norm", "gamma[c] * normal", "gamma[0] * normal"),
    ("layer_norm", "+ beta[c]", "- beta[c]"),
    ("layer_norm", "z[at] = sum", "z[at] = normal"),
    ("layer_norm", "params.store_z != 0u", "true"),
    (
        "layer_norm",
        "stats[params.rows + r] = inverse",
        "stats[params.rows + r] = variance",
    ),
    ("layer_norm", "activate(sum), is_finite", "sum, is_finite"),
    ("layer_norm_grad", "- mean_g -", "-"),
    ("layer_norm_grad", "- normal * mean_gx", "- mean_gx"),
    ("layer_norm_grad", "gamma[c] * delta[at]", "delta[at]"),
    ("layer_norm_grad", "stats[params.rows + row]", "stats[row]"),
    ("norm_params_grad", "select(c, r, by_row)", "c"),
    (
        "norm_params_grad",
        "stats[count + i]",
        "stats[params.cols + i]",
    ),
    (
        "norm_params_grad",
        "grad_gamma[c] += total_product",
        "grad_gamma[c] = total_product",
    ),
    (
        "norm_params_grad",
        "grad_beta[c] += total;",
        "grad_beta[c] += total_product;",
    ),
    (
        "norm_params_grad",
        "sums[params.cols + c] = total_product",
        "sums[params.cols + c] = total",
    ),
    ("norm_params_grad", "r += DOWN", "r += 2u * DOWN"),
    ("norm_params_grad", "half >= ACROSS", "half > ACROSS"),
    ("norm_params_grad", "r < rows", "r + 1u < rows"),
    ("batch_norm_stats", "- mean;", ";"),
    (
        "batch_norm_stats",
        "sqrt(variance + params.eps)",
        "sqrt(params.unbias * variance + params.eps)",
    ),
    ("batch_norm_stats", "(params.unbias * variance)", "variance"),
    (
        "batch_norm_stats",
        "params.keep * running[c]",
        "params.momentum * running[c]",
    ),
    (
        "batch_norm_stats",
        "running[second] = next_variance",
        "running[second] = variance",
    ),
    (
        "batch_norm_stats",
        "* ACROSS + local % ACROSS",
        "* ACROSS + local / ACROSS",
    ),
    ("batch_norm", "e % params.cols", "e / params.cols"),
    ("batch_norm", "params.running != 0u", "params.running == 7u"),
    ("batch_norm", "inverse + params.eps", "inverse"),
    ("batch_norm", "- stats[c]", ""),
    ("batch_norm", "gamma[c] * normal", "normal"),
    ("batch_norm", "params.store_z != 0u", "false"),
    ("batch_norm", "activate(sum), is_finite", "sum, is_finite"),
    ("batch_norm", "is_finite(sum)", "is_finite(inverse)"),
    ("batch_norm_grad", "- sums[c] / count", ""),
    (
        "batch_norm_grad",
        "sums[params.cols + c] / count",
        "sums[c] / count",
    ),
    (
        "batch_norm_grad",
        "gamma[c] * inverse * centred",
        "inverse * centred",
    ),
    (
        "batch_norm_grad",
        "let count = f32(params.rows)",
        "let count = f32(params.rows - 1u)",
    ),
    // Dropout: the generator, what it is asked, whom it keeps, what goes around.
    ("dropout", "26u), 6u", "26u), 7u"),
    ("dropout", "third + 4u", "third + 5u"),
    ("dropout", "0x1bd11bdau", "0x1bd11bdbu"),
    ("dropout", "vec2<u32>(e, params.batch)", "vec2<u32>(e, 0u)"),
    (
        "dropout",
        "(params.key0, params.key1)",
        "(params.key1, params.key0)",
    ),
    ("dropout", "word >= params", "word <= params"),
    ("dropout", "params.scale * a[e]", "a[e]"),
    ("dropout", "sum += x[e]", "sum -= x[e]"),
    ("dropout_grad", "sum += skip[e]", "sum = skip[e]"),
    ("dropout_grad", "if (params.store_total != 0u)", "if (true)"),
    ("dropout_grad", "total[e] = sum", "total[e] = grad[e]"),
    ("dropout_grad", "word >= params", "word < params"),
    ("dropout_grad", "params.scale * sum", "sum"),
    (
        "dropout_grad",
        "activate_grad(saved[e])",
        "activate_grad(sum)",
    ),
    (
        "dropout_grad",
        "vec2<u32>(e, params.batch)",
        "vec2<u32>(e, params.batch + 1u)",
    ),
    (
        "gather_rows",
        "params.cols + e % params.cols",
        "params.cols",
    ),
    // Elementwise kernels and their index.
    ("activation", "e < params.count", "e + 1u < params.count"),
    (
        "activation_grad",
        "grad[e] * activate_grad(saved[e])",
        "activate_grad(saved[e])",
    ),
    (
        "activation",
        "group.y * groups.x + group.x",
        "group.y * groups.x",
    ),
    // Row kernels and their reductions.
    (
        "softmax",
        "exp_nonpositive(z[at] - m) / total",
        "exp_nonpositive(z[at] - m)",
    ),
    ("softmax", "largest = max(largest", "largest = min(largest"),
    ("softmax", "half = LANES / 2u", "half = LANES / 4u"),
    ("softmax", "+ local / LANES", ""),
    ("hits", "x > own", "x < own"),
    ("hits", "&& c < label", "&& c > label"),
    ("hits", "is_nan(x) || ", ""),
    ("hits", "1.0 - any", "any"),
    ("hits", "r * cols + label", "label"),
    (
        "softmax_grad",
        "(grad[r * cols + c] - mean)",
        "grad[r * cols + c]",
    ),
    ("row_loss", "2.0 * params.row_scale", "params.row_scale"),
    (
        "row_loss",
        "return params.row_scale * row_sum",
        "return row_sum",
    ),
    ("row_loss", "* slope(r, c)", ""),
    ("row_loss", "e - 0.5 * k", "e - k"),
    ("row_loss", "max(-params.threshold, ", "max(0.0, "),
    ("row_loss", "sigmoid_pair(z).x - p", "sigmoid_pair(z).x"),
    ("row_loss", "!is_finite(z), value", "!is_finite(p), value"),
    ("row_loss", "p * max(-z, 0.0)", "p * max(z, 0.0)"),
    ("row_loss", "d = -quotient", "d = quotient"),
    ("row_loss", "sum += p * log(p)", "sum += log(p)"),
    ("row_loss", "t[r] == c", "t[r] != c"),
    ("row_loss", "* target_mass - p", "- p"),
    ("row_loss", "(m - z) + log_total", "log_total"),
    (
        "row_loss",
        "mass += params.keep * target_at",
        "mass += target_at",
    ),
    (
        "row_loss",
        "let p = params.keep * target_at(r, c) + params.share",
        "let p = params.keep * target_at(r, c)",
    ),
    ("weigh_rows", "= w * delta[e]", "= delta[e]"),
    ("weigh_rows", "= w * loss[r]", "= loss[r]"),
    ("weigh_rows", "w == 0.0", "w < 0.0"),
    (
        "weigh_rows",
        "let r = e / params.cols",
        "let r = e % params.rows",
    ),
    ("loss_sum", "window += ledger[5]", "window += ledger[0]"),
    ("loss_sum", "ledger[1] += ledger[0]", ""),
    ("loss_sum", "ledger[2] += 1.0", ""),
    ("loss_sum", "r += GROUP", "r += GROUP + 1u"),
    // Optimisers.
    ("update", "w - params.lr * g", "w + params.lr * g"),
    ("update", "weight[e] = next.weight", "weight[e] = w"),
    ("update", "scale * grad + params.l2 * w", "scale * grad"),
    ("update", "return scale * grad +", "return grad +"),
    // What is done to the gradient before.
    ("update", "return g + params.l2 * w", "return g"),
    ("update", "params.l1 * sign(w)", "params.l1"),
    (
        "update",
        "params.clip_value, min(params",
        "params.l1, min(params",
    ),
    ("update", "params.clip_value != 0.0 && is", "false && is"),
    ("update", "params.scale_from_ledger != 0u", "false"),
    ("small_network", "params.l1 * sign(w)", "sign(w)"),
    ("small_network", "min(params.clip_value, g)", "g"),
    ("grad_squares", "params.grad_scale * grad[e]", "grad[e]"),
    ("grad_squares", "part[params.first + p]", "part[p]"),
    (
        "grad_squares",
        "begin + params.length,",
        "begin + params.length - 1u,",
    ),
    ("grad_squares", "e += LANES", "e += LANES + 1u"),
    ("grad_norm", "p += GROUP", "p += GROUP + 1u"),
    ("grad_norm", "norms[params.norm_slot]", "norms[0]"),
    ("grad_norm", "min(1.0, ", "max(1.0, "),
    ("grad_norm", "norm + 0.000001", "norm + 0.00001"),
    ("grad_norm", "params.clip != 0u", "true"),
    ("grad_norm", "params.grad_scale * factor", "factor"),
    ("update", "g + params.momentum * v", "params.momentum * v"),
    ("update", "f32(params.step) - ledger[6]", "f32(params.step)"),
    ("update", "sqrt(s) + params.eps", "sqrt(s + params.eps)"),
    ("update", "(g * g)", "g"),
    ("update", "/ root_correction2", ""),
    ("update", "+ params.eps)), m, v)", "- params.eps)), m, v)"),
    ("update", "params.shrink * w", "w"),
    (
        "small_network",
        "+ params.eps)), m, v)",
        "- params.eps)), m, v)",
    ),
    // A whole network in one workgroup.
    ("small_network", "weight[bias_at + o + j];", "0.0;"),
    (
        "small_network",
        "inputs * vec4<u32>(o, min(o + 1u, last)",
        "inputs * vec4<u32>(o, min(o, last)",
    ),
    ("small_network", "activate(z), hidden && ", "activate(z), "),
    (
        "small_network",
        "place(next + min(o + 2u, last), 0u)",
        "place(next + min(o + 1u, last), 0u)",
    ),
    (
        "small_network",
        "grad[bias_at + o + j] = sum[j]",
        "grad[bias_at + o + j] = -sum[j]",
    ),
    (
        "small_network",
        "sum[j] * activate_grad(values[at])",
        "sum[j]",
    ),
    ("small_network", "params.start + s * rows", "params.start"),
    (
        "small_network",
        "(params.slot + s) % params.history_length",
        "params.slot",
    ),
    (
        "small_network",
        "f32(params.step + s) - ledger[6]",
        "f32(params.step) - ledger[6]",
    ),
    ("small_network", "r += GROUP", "r += GROUP + 1u"),
    ("small_network", "(c & 1u) != 0u", "false"),
    ("small_network", "8u * (c & 3u)", "8u * (c & 1u)"),
    ("small_network", "targets[row] == c", "targets[row] != c"),
    (
        "small_network",
        "2.0 * params.row_scale",
        "params.row_scale",
    ),
    (
        "small_network",
        "workgroupBarrier();\n            if (l > 0u)",
        "if (l > 0u)",
    ),
    ("multiply_add", "d = fma(d, f, t);", ""),
    ("copy", "group.y * groups.x + group.x", "group.x"),
    // Fragments: functions and derivatives.
    ("activation", "return max(z, 0.0);", "return abs(z);"),
    (
        "activation_grad",
        "select(0.0, 1.0, a > 0.0)",
        "select(0.0, 1.0, a >= 0.0)",
    ),
    ("activation_grad", "1.0 - a * a", "1.0 - a"),
    ("activation_grad", "a * (1.0 - a)", "a"),
    (
        "activation_grad",
        "select(a + ALPHA, 1.0, a > 0.0)",
        "select(a, 1.0, a > 0.0)",
    ),
    ("activation_grad", "GRAD_AT_ZERO, z == 0.0", "0.0, z == 0.0"),
    (
        "activation",
        "NEGATIVE_SLOPE * min(z, 0.0)",
        "NEGATIVE_SLOPE * max(z, 0.0)",
    ),
    ("activation_grad", "s.x * (1.0 + z * s.y)", "s.x"),
    ("activation_grad", "0.3989423", "0.3989"),
    ("activation", "0.044715", "0.0447"),
    ("activation_grad", "0.134145", "0.0447"),
    // The mathematics: one digit of a coefficient.
    ("activation", "0.13331442", "0.13341442"),
    ("activation", "0.11283586", "0.11283186"),
    ("activation", "0.2 + q", "0.21 + q"),
    ("activation", "0.16666667", "0.16676667"),
    ("activation", "-104.0", "-10.0"),
];

/// Whether the kernel table notices the fault. A fault that occurs in no variant, or does not compile, is an error.
fn noticed(kernel: &str, find: &str, replace: &str) -> bool {
    let device = common::gpu_with(DeviceOptions {
        faults: vec![Fault::new(kernel, find, replace)],
        ..DeviceOptions::default()
    });
    let options = KernelOptions {
        kernel: Some(kernel.into()),
        fail_fast: true,
        ..KernelOptions::default()
    };
    !verify::kernels_with(&device, &options)
        .expect("the kernel runs")
        .passed()
}

#[test]
fn a_fault_in_any_kernel_is_noticed() {
    // Most of the time goes into compiling, which takes one core.
    let half = |odd: usize| {
        let faults = FAULTS.iter().skip(odd).step_by(2);
        let survive = faults.filter(|(kernel, find, replace)| !noticed(kernel, find, replace));
        survive.collect::<Vec<_>>()
    };
    let survivors = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut survivors = half(0);
        survivors.extend(other.join().expect("the other half"));
        survivors
    });
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
    // Every kernel had its turn.
    for kernel in wgrad::kernels::ALL {
        assert!(
            FAULTS.iter().any(|(name, _, _)| *name == kernel.name),
            "{}",
            kernel.name
        );
    }
}

/// Faults of the forms that only some adapters can run: (size of the subgroups, text, replacement).
const SUBGROUP_FAULTS: &[(u32, &str, &str)] = &[
    (4, "c1 = four_steps(c1, from_1(b), left, right);", ""),
    (4, "a_sum += (b[0] + b[1]) + (b[2] + b[3]);", ""),
    (8, "c2 = four_steps(c2, from_6(a), left, right);", ""),
    (
        8,
        "c1 = four_steps(c1, from_5(a)",
        "c1 = four_steps(c1, from_4(a)",
    ),
    (8, "sum1 += subgroupBroadcast(a_sum, 5u);", ""),
    (4, "c13 = four_steps(c13, from_1(a3), left, right);", ""),
    (4, "finish_sum(row + 48u, sum3);", ""),
    (8, "c12 = four_steps(c12, from_4(a1), left, right);", ""),
    (8, "case 13u: { rows = c13; }", "case 13u: { rows = c12; }"),
    (8, "finish_sum(row + 4u * TX, sum1);", ""),
];

#[test]
fn a_fault_in_a_form_for_subgroups_is_noticed() {
    let device = common::gpu();
    let sizes: Vec<u32> = device
        .forms()
        .iter()
        .filter_map(|form| form.subgroup)
        .collect();
    println!("forms for subgroups of {sizes:?} run here");
    for (_, find, replace) in SUBGROUP_FAULTS
        .iter()
        .filter(|(size, _, _)| sizes.contains(size))
    {
        assert!(noticed("dense_backward_params", find, replace), "{find}");
    }
}

fn five_layers() -> (Mlp, Dataset) {
    let network = Mlp::new(11)
        .dense(13, Gelu)
        .dense(9, Tanh)
        .dense(
            12,
            LeakyRelu {
                negative_slope: 0.1,
            },
        )
        .dense(7, Silu)
        .dense(5, Identity);
    let x = (0..6 * 11)
        .map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0)
        .collect();
    let data = Dataset::classes(Matrix::new(11, x).unwrap(), vec![0, 4, 2, 1, 3, 2]).unwrap();
    (network, data)
}

/// The step of a five-layer network with mixed activations, verified on a device with these faults.
fn verified(faults: Vec<Fault>) -> verify::Report {
    let device = common::gpu_with(DeviceOptions {
        faults,
        ..DeviceOptions::default()
    });
    let (network, data) = five_layers();
    let mut trainer =
        Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 3).unwrap();
    verify::gradients(&mut trainer, &data).unwrap()
}

#[test]
fn a_sound_step_passes() {
    let report = verified(vec![]);
    assert!(report.passed(), "{report}");
    println!("{report}");
}

#[test]
fn the_verifier_names_the_op_that_is_wrong() {
    let faults = [
        (
            "dense_forward",
            "+ bias[o + j]",
            "",
            "dense_forward, layer 0",
        ),
        (
            "dense_backward_input",
            "four_places(min(o, p.outputs - 1u) * p.inputs",
            "four_places(min(o, p.outputs - 1u) * p.outputs",
            "dense_backward_input, layer 4",
        ),
        (
            "dense_backward_params",
            "grad_bias[at] = sum",
            "grad_bias[at] = 0.0",
            "dense_backward_params, layer 4",
        ),
        (
            "row_loss",
            "* target_mass - p",
            "* target_mass",
            "row_loss softmax_cross_entropy",
        ),
        (
            "update",
            "params.beta1 * state.x + ",
            "",
            "update adam, update 2",
        ),
        (
            "update",
            "params.one_minus_beta2 * (g * g)",
            "params.one_minus_beta2 * g",
            "update adam",
        ),
    ];
    for (kernel, find, replace, op) in faults {
        let report = verified(vec![Fault::new(kernel, find, replace)]);
        let first = report.failures().next();
        let first = first.unwrap_or_else(|| panic!("{kernel} passes without {find:?}"));
        assert!(first.name.starts_with(op), "{} instead of {op}", first.name);
        // The end-to-end comparison sees it too, where a gradient is concerned.
        let whole = report
            .failures()
            .any(|check| check.name.ends_with("whole plan"));
        assert_eq!(whole, kernel != "update", "{report}");
    }
}

#[test]
fn a_wrong_derivative_of_one_activation_is_found_in_its_layer() {
    // Only gelu's fragment has this constant; it stands in every kernel variant that layer 1 sends its delta through.
    let wrong = gpu_custom("z * z * z", "2.9 * z * z");
    assert!(!wrong.passed(), "{wrong}");
    let right = gpu_custom("z * z * z", "3.0 * z * z");
    assert!(right.passed(), "{right}");
}

/// A cubic activation with this fragment, verified.
fn gpu_custom(f: &str, grad: &str) -> verify::Report {
    let fragment = format!(
        "fn activate(z: f32) -> f32 {{ return {f}; }}\nfn activate_grad(z: f32) -> f32 {{ return {grad}; }}"
    );
    let cubic =
        wgrad::Activation::custom("cubic", &fragment, |z| z * z * z, |z| 3.0 * z * z).unwrap();
    let (_, data) = five_layers();
    let network = Mlp::new(11).dense(8, cubic).dense(5, Identity);
    let mut trainer = Trainer::new(
        &common::gpu(),
        &network,
        Loss::CrossEntropy,
        Adam::default(),
        3,
    )
    .unwrap();
    verify::gradients(&mut trainer, &data).unwrap()
}

/// Whether a device refuses a step whose loss is not finite, says so, and goes on as if the step had not been.
fn refuses_a_step(device: &Device, optimizer: Optimizer) -> bool {
    let batch = |labels: Vec<u32>| {
        let x = Matrix::new(1, vec![1.0; labels.len()]).unwrap();
        Dataset::classes(x, labels).unwrap()
    };
    let network = Mlp::new(1).dense(2, Relu);
    let new = || {
        let mut trainer =
            Trainer::new(device, &network, Loss::OutputCrossEntropy, optimizer, 0).unwrap();
        let mut weights = trainer.weights().unwrap();
        for tensor in weights.iter_mut() {
            tensor.data.copy_from_slice(&[1.0, -2.0]);
        }
        trainer.set_weights(&weights).unwrap();
        (trainer, weights)
    };
    let ((mut trainer, weights), (mut alone, _)) = (new(), new());
    // −ln 0 in the first row: the second output is 0. The other row alone would move the weights.
    trainer.step(&batch(vec![1, 0])).unwrap();
    let unmoved = trainer.weights().unwrap() == weights;
    let taken = trainer.take_loss();
    let reported = matches!(taken, Err(Error::NonFiniteLoss { batches: 1 }));
    trainer.step(&batch(vec![0])).unwrap();
    alone.step(&batch(vec![0])).unwrap();
    let after = trainer.weights().unwrap();
    unmoved && reported && after == alone.weights().unwrap() && after != weights
}

/// Whether a device refuses an update that overflows, says so, and goes on from finite weights and state.
fn refuses_an_overflow(device: &Device, optimizer: Optimizer) -> bool {
    let point = |x: f32, t: f32| {
        let matrix = |v| Matrix::new(1, vec![v]).unwrap();
        Dataset::values(matrix(x), matrix(t)).unwrap()
    };
    let network = Mlp::new(1).dense(1, Identity);
    let mut trainer =
        Trainer::new(device, &network, Loss::SquaredError.sum(), optimizer, 0).unwrap();
    let mut zero = trainer.weights().unwrap();
    zero.iter_mut().for_each(|t| t.data.fill(0.0));
    trainer.set_weights(&zero).unwrap();
    let lr = optimizer.lr();
    let overflowing = if matches!(optimizer, Optimizer::Sgd(_)) {
        trainer.set_lr(3e38).unwrap();
        point(1.0, 1e4)
    } else {
        // lr·g/|g| stays small, but the square of g = −2·t·x = −2e22 is beyond f32, while the loss is not.
        point(1e12, 1e10)
    };
    trainer.step(&overflowing).unwrap();
    let reported = matches!(trainer.take_loss(), Err(Error::NonFiniteUpdate));
    let weight = |trainer: &mut Trainer| trainer.weights().unwrap().weight(0).unwrap().data[0];
    let unmoved = weight(&mut trainer) == 0.0;
    trainer.set_lr(lr).unwrap();
    trainer.step(&point(1.0, 1.0)).unwrap();
    let after = weight(&mut trainer);
    reported && unmoved && after != 0.0 && after.is_finite()
}

/// Whether an overflow in a normalisation is seen by the loss and leaves running statistics alone.
fn sees_an_overflow(device: &Device, network: &Mlp) -> bool {
    let mut trainer = Trainer::new(device, network, Loss::Mse, Sgd::default(), 1).unwrap();
    let before = trainer.state_dict().unwrap();
    let x = Matrix::new(1, vec![1e25, -3e25, 2e25]).unwrap();
    let targets = Matrix::new(2, vec![0.0; 6]).unwrap();
    trainer.step(&Dataset::values(x, targets).unwrap()).unwrap();
    let seen = trainer.take_loss() == Err(Error::NonFiniteLoss { batches: 1 });
    seen && trainer.state_dict().unwrap() == before
}

#[test]
fn a_fault_that_hides_an_overflow_in_a_normalisation_is_noticed() {
    let layer = Mlp::new(1).dense(2, Identity).layer_norm();
    let batch = Mlp::new(1).dense(2, Identity).batch_norm();
    for (network, kernel, find, replace) in [
        (&layer, "layer_norm", "!is_finite(variance)", "false"),
        (&batch, "batch_norm_stats", "!is_finite(variance)", "false"),
        (
            &batch,
            "batch_norm_stats",
            "if (is_finite(next_mean) && is_finite(next_variance))",
            "if (true)",
        ),
    ] {
        let sees = |faults: Vec<Fault>| {
            let options = DeviceOptions {
                faults,
                ..DeviceOptions::default()
            };
            sees_an_overflow(&common::gpu_with(options), network)
        };
        assert!(sees(vec![]), "{kernel}");
        assert!(!sees(vec![Fault::new(kernel, find, replace)]), "{find:?}");
    }
}

#[test]
fn a_fault_in_the_refusal_of_a_step_is_noticed() {
    let momentum = Sgd {
        momentum: 0.9,
        ..Sgd::default()
    };
    let optimizers: [Optimizer; 4] = [
        Sgd::default().into(),
        momentum.into(),
        RmsProp::default().into(),
        Adam::default().into(),
    ];
    for optimizer in optimizers {
        let refuses = |faults: Vec<Fault>| {
            let device = common::gpu_with(DeviceOptions {
                faults,
                ..DeviceOptions::default()
            });
            refuses_a_step(&device, optimizer) && refuses_an_overflow(&device, optimizer)
        };
        assert!(refuses(vec![]), "{}", optimizer.name());
        for (kernel, find, replace) in [
            ("update", "!is_finite(ledger[5])", "false"),
            // At an element; another place is for a norm that is not finite.
            (
                "update",
                "ledger[4] = 1.0;\n    }",
                "ledger[4] = 0.0;\n    }",
            ),
            ("update", "if (is_finite(next", "if (true || is_finite(next"),
            (
                "row_loss",
                "fault = true;\n            }\n        }",
                "}\n        }",
            ),
            ("loss_sum", "ledger[3] += 1.0", ""),
        ] {
            let fault = Fault::new(kernel, find, replace);
            assert!(!refuses(vec![fault]), "{kernel}: {find:?}");
        }
    }
}
