// delta (rows, stride) with `stride`, `first` and `outputs` multiples of 4.

alias DeltaWord = vec4<f32>;

fn delta_four(r: u32, o: u32) -> vec4<f32> {
    if (r < params.rows && o < params.outputs) {
        return delta[(r * params.stride + params.first + o) / 4u];
    }
    return vec4<f32>();
}
