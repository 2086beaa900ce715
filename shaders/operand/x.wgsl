// x (rows, inputs) with rows of any length: the batch as it was uploaded, or the layer before's output.

alias InputWord = f32;

// x[r, c], ..., x[r, c + 3]; 0 outside.
fn x_four(r: u32, c: u32) -> vec4<f32> {
    let at = four_places(min(r, p.rows - 1u) * p.inputs, c, p.inputs);
    let four = vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
    return four_inside(four, r < p.rows, c, p.inputs);
}
