// x (rows, inputs) with `inputs` a multiple of 4.

alias InputWord = vec4<f32>;

fn x_four(r: u32, c: u32) -> vec4<f32> {
    if (r < p.rows && c < p.inputs) {
        return x[(r * p.inputs + c) / 4u];
    }
    return vec4<f32>();
}
