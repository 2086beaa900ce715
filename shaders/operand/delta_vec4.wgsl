// delta (rows, stride) with `stride`, `first` and `outputs` multiples of 4.

alias DeltaWord = vec4<f32>;

fn delta_four(r: u32, o: u32) -> vec4<f32> {
    let four = delta[(min(r, p.rows - 1u) * p.stride + p.first + min(o, p.outputs - 4u)) / 4u];
    return select(vec4<f32>(), four, (r < p.rows) & (o < p.outputs));
}
