// delta (rows, stride), of which columns [first, first + outputs) count.

alias DeltaWord = f32;

// delta[r, first + o], ..., delta[r, first + o + 3]; 0 outside.
fn delta_four(r: u32, o: u32) -> vec4<f32> {
    let last = p.outputs - 1u;
    let row = min(r, p.rows - 1u) * p.stride + p.first;
    let four = vec4<f32>(delta[row + min(o, last)], delta[row + min(o + 1u, last)], delta[row + min(o + 2u, last)],
        delta[row + min(o + 3u, last)]);
    let columns = vec4<u32>(o, o + 1u, o + 2u, o + 3u);
    return select(vec4<f32>(), four, (columns <= vec4<u32>(last)) & vec4<bool>(r < p.rows));
}
