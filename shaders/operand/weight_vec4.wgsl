// weight (outputs, inputs) with `inputs` a multiple of 4.

alias WeightWord = vec4<f32>;

fn weight_four(o: u32, i: u32) -> vec4<f32> {
    if (o < p.outputs && i < p.inputs) {
        return weight[(o * p.inputs + i) / 4u];
    }
    return vec4<f32>();
}
