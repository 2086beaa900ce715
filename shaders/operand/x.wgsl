// x (rows, inputs) with rows of any length: the batch as it was uploaded, or the layer before's output.

alias InputWord = f32;

// x[r, c], ..., x[r, c + 3]; 0 outside.
fn x_four(r: u32, c: u32) -> vec4<f32> {
    let last = p.inputs - 1u;
    let row = min(r, p.rows - 1u) * p.inputs;
    let four = vec4<f32>(x[row + min(c, last)], x[row + min(c + 1u, last)], x[row + min(c + 2u, last)],
        x[row + min(c + 3u, last)]);
    let columns = vec4<u32>(c, c + 1u, c + 2u, c + 3u);
    return select(vec4<f32>(), four, (columns <= vec4<u32>(last)) & vec4<bool>(r < p.rows));
}
