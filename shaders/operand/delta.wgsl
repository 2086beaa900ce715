// delta (rows, stride), of which columns [first, first + outputs) count.

alias DeltaWord = f32;

// delta[r, first + o], ..., delta[r, first + o + 3]; 0 outside.
fn delta_four(r: u32, o: u32) -> vec4<f32> {
    let at = four_places(min(r, p.rows - 1u) * p.stride + p.first, o, p.outputs);
    let four = vec4<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
    return four_inside(four, r < p.rows, o, p.outputs);
}
