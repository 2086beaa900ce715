// delta (rows, stride) with `stride`, `first` and `outputs` multiples of 4.

alias DeltaWord = vec4<f32>;

fn delta_four(r: u32, o: u32) -> vec4<f32> {
    if (r < p.rows && o < p.outputs) {
        return delta[(r * p.stride + p.first + o) / 4u];
    }
    return vec4<f32>();
}
