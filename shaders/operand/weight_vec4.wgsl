// weight (outputs, inputs) with `inputs` a multiple of 4.

alias WeightWord = vec4<f32>;

fn weight_four(o: u32, i: u32) -> vec4<f32> {
    let four = weight[(min(o, p.outputs - 1u) * p.inputs + min(i, p.inputs - 4u)) / 4u];
    return select(vec4<f32>(), four, (o < p.outputs) & (i < p.inputs));
}
