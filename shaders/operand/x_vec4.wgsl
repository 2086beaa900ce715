// x (rows, inputs) with `inputs` a multiple of 4.

alias InputWord = vec4<f32>;

fn x_four(r: u32, c: u32) -> vec4<f32> {
    let four = x[(min(r, p.rows - 1u) * p.inputs + min(c, p.inputs - 4u)) / 4u];
    return select(vec4<f32>(), four, (r < p.rows) & (c < p.inputs));
}
