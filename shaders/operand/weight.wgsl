// weight (outputs, inputs) with rows of any length.

alias WeightWord = f32;

// weight[o, i], ..., weight[o, i + 3]; 0 outside.
fn weight_four(o: u32, i: u32) -> vec4<f32> {
    let last = p.inputs - 1u;
    let row = min(o, p.outputs - 1u) * p.inputs;
    let four = vec4<f32>(weight[row + min(i, last)], weight[row + min(i + 1u, last)], weight[row + min(i + 2u, last)],
        weight[row + min(i + 3u, last)]);
    let columns = vec4<u32>(i, i + 1u, i + 2u, i + 3u);
    return select(vec4<f32>(), four, (columns <= vec4<u32>(last)) & vec4<bool>(o < p.outputs));
}
