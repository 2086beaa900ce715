// x (rows, inputs) with rows of any length: the batch as it was uploaded, or the layer before's output.

alias InputWord = f32;

// x[r, c], ..., x[r, c + 3]; 0 outside.
fn x_four(r: u32, c: u32) -> vec4<f32> {
    var four = vec4<f32>();
    if (r < p.rows && c < p.inputs) {
        let at = r * p.inputs + c;
        let left = p.inputs - c;
        four.x = x[at];
        if (left > 1u) { four.y = x[at + 1u]; }
        if (left > 2u) { four.z = x[at + 2u]; }
        if (left > 3u) { four.w = x[at + 3u]; }
    }
    return four;
}
