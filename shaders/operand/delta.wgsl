// delta (rows, stride), of which columns [first, first + outputs) count.

alias DeltaWord = f32;

// delta[r, first + o], ..., delta[r, first + o + 3]; 0 outside.
fn delta_four(r: u32, o: u32) -> vec4<f32> {
    var four = vec4<f32>();
    if (r < p.rows && o < p.outputs) {
        let at = r * p.stride + p.first + o;
        let left = p.outputs - o;
        four.x = delta[at];
        if (left > 1u) { four.y = delta[at + 1u]; }
        if (left > 2u) { four.z = delta[at + 2u]; }
        if (left > 3u) { four.w = delta[at + 3u]; }
    }
    return four;
}
