// weight (outputs, inputs) with rows of any length.

alias WeightWord = f32;

// weight[o, i], ..., weight[o, i + 3]; 0 outside.
fn weight_four(o: u32, i: u32) -> vec4<f32> {
    var four = vec4<f32>();
    if (o < p.outputs && i < p.inputs) {
        let at = o * p.inputs + i;
        let left = p.inputs - i;
        four.x = weight[at];
        if (left > 1u) { four.y = weight[at + 1u]; }
        if (left > 2u) { four.z = weight[at + 2u]; }
        if (left > 3u) { four.w = weight[at + 3u]; }
    }
    return four;
}
