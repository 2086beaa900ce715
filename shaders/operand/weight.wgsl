// weight (outputs, inputs) with rows of any length.

alias WeightWord = f32;

// weight[o, i], ..., weight[o, i + 3]; 0 outside.
fn weight_four(o: u32, i: u32) -> vec4<f32> {
    let at = four_places(min(o, p.outputs - 1u) * p.inputs, i, p.inputs);
    let four = vec4<f32>(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
    return four_inside(four, o < p.outputs, i, p.inputs);
}
